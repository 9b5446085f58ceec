//! What all sessions of one account at one issuer share, kept fresh per account rather than per token.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use super::Cancellation;
use crate::headers::IdentityHeaders;
use crate::model::{Account, Role, UnixTime};
use arc_swap::{ArcSwap, Guard};

/// One account in use, as one issuer's logins see it: their claims decide about role and groups, and another issuer's would
/// decide otherwise. The snapshot is replaced as a whole when the directory says something new.
#[derive(Debug)]
pub struct AccountState {
    /// The account's id.
    pub id: Arc<str>,
    /// Whose logins these are.
    pub origin: Origin,
    snapshot: ArcSwap<AccountSnapshot>,
    used: AtomicBool,
    shut_out: AtomicBool,
    cancel: Cancellation,
    /// Made at the first refresh.
    refreshing: OnceLock<Box<tokio::sync::Mutex<()>>>,
}

/// Who said that somebody is this account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The issuer at this position of the configuration.
    Issuer(u16),
    /// The CS3 gateway, by a password.
    Gateway,
}

/// What few accounts have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rare {
    /// The tenant, where people belong to tenants.
    pub tenant: Option<Box<str>>,
    /// The policy that serves the account, where its properties decide about it.
    pub policy: Option<Arc<str>>,
    /// The account itself, where the policies service is told of it.
    pub account: Option<Arc<Account>>,
}

/// The account as last seen.
#[derive(Debug, Clone)]
pub struct AccountSnapshot {
    /// Its role.
    pub role: Option<Role>,
    /// What backends are told.
    pub identity: IdentityHeaders,
    /// Of the whole account and its role, see [`Accounts::fingerprint`]; a changed one means a new identity.
    pub fingerprint: u64,
    /// What few accounts have.
    pub rare: Option<Box<Rare>>,
    /// When the directory last answered.
    pub checked_at: UnixTime,
    /// The identity is renewed from then on.
    pub renew_at: UnixTime,
    /// The identity is told to nobody from then on.
    pub last_at: UnixTime,
    /// Until then a request need not ask anybody.
    pub fresh_until: UnixTime,
    /// Until then the state serves on while the directory fails.
    pub serve_until: UnixTime,
}

impl AccountState {
    /// Wraps the first snapshot.
    #[must_use]
    pub fn new(id: &str, origin: Origin, snapshot: AccountSnapshot) -> Self {
        Self {
            id: id.into(),
            origin,
            snapshot: ArcSwap::from_pointee(snapshot),
            used: AtomicBool::new(true),
            shut_out: AtomicBool::new(false),
            cancel: Cancellation::default(),
            refreshing: OnceLock::new(),
        }
    }

    /// The account as last seen. Marks the account as used, so that it is kept fresh.
    #[must_use]
    pub fn current(&self) -> Arc<AccountSnapshot> {
        self.mark_used();
        Guard::into_inner(self.snapshot.load())
    }

    /// Keeps the account fresh for a while longer.
    pub(super) fn mark_used(&self) {
        // Read first: a store on every request would bounce the cache line between workers.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// The policy that serves the account, where its properties decide about it.
    #[must_use]
    pub fn policy(&self) -> Option<Arc<str>> {
        let snapshot = self.snapshot.load();
        snapshot.rare.as_ref()?.policy.clone()
    }

    /// The account itself, where the policies service is told of it.
    #[must_use]
    pub fn account(&self) -> Option<Arc<Account>> {
        let snapshot = self.snapshot.load();
        snapshot.rare.as_ref()?.account.clone()
    }

    /// The same for housekeeping, which is no use of the account.
    pub(super) fn last_snapshot(&self) -> Arc<AccountSnapshot> {
        self.snapshot.load_full()
    }

    /// Whether a request may go on without asking the directory.
    #[must_use]
    pub fn is_fresh(&self, now: UnixTime) -> bool {
        now < self.snapshot.load().fresh_until
    }

    /// The directory cannot be asked now: whether the old state serves on, and if so it counts as fresh for `retry`.
    pub(super) fn serve_on(&self, now: UnixTime, retry: Duration) -> bool {
        let serves = |snapshot: &AccountSnapshot| now < snapshot.serve_until;
        // Compared and swapped, so that what the directory says meanwhile is not overwritten.
        let before = self.snapshot.rcu(|snapshot| {
            if serves(snapshot) && now >= snapshot.fresh_until {
                let fresh_until = now.plus(retry).min(snapshot.serve_until);
                Arc::new(AccountSnapshot {
                    fresh_until,
                    ..AccountSnapshot::clone(snapshot)
                })
            } else {
                Arc::clone(snapshot)
            }
        });
        serves(&before)
    }

    /// Whether the account was disabled or deleted: no session of it is one any more.
    #[must_use]
    pub fn is_shut_out(&self) -> bool {
        self.shut_out.load(Ordering::Acquire)
    }

    /// Ends every session of the account and cuts their streams. There is no way back for this state: an account that is
    /// enabled again gets a new one.
    pub(super) fn shut_out(&self) {
        self.shut_out.store(true, Ordering::Release);
        self.cancel.cancel();
    }

    /// Cuts the streams of all sessions of the account.
    pub(super) fn cancellation(&self) -> &Cancellation {
        &self.cancel
    }

    /// Held by the one task that asks the directory about this account.
    pub(super) fn refreshing(&self) -> &tokio::sync::Mutex<()> {
        self.refreshing.get_or_init(Box::default)
    }

    pub(super) fn replace(&self, snapshot: AccountSnapshot) {
        self.snapshot.store(Arc::new(snapshot));
    }

    pub(super) fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    pub(super) fn weight(&self) -> usize {
        let snapshot = self.snapshot.load();
        let rare = snapshot.rare.as_ref().map_or(0, |rare| {
            let account = rare.account.as_ref().map_or(0, |account| account.weight());
            size_of::<Rare>() + rare.tenant.as_ref().map_or(0, |tenant| tenant.len()) + account
        });
        let headers = snapshot.identity.weight();
        size_of::<Self>() + size_of::<AccountSnapshot>() + self.id.len() + headers + rare
    }
}

/// The accounts of all living sessions, by id and by who says so.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    states: Mutex<HashMap<StateKey, Weak<AccountState>>>,
    budget: Mutex<(UnixTime, u32)>,
    /// Of this process alone: nobody who may write parts of an account can work out a change that keeps its fingerprint.
    key: RandomState,
}

/// An account as one issuer's logins see it.
type StateKey = (Arc<str>, Origin);

/// Refreshes a second, so that many accounts cannot flood a directory (docs/design/design.md 2, Account freshness).
pub(super) const REFRESHES_PER_SECOND: u32 = 100;

impl Accounts {
    /// What a refresh compares: every field of the account, and its role. The order in which a directory lists groups and
    /// identities says nothing. The account itself would be the third part of a session's memory (docs/design/architecture.md,
    /// Why not otherwise).
    pub(super) fn fingerprint(&self, account: &Account, role: Option<Role>) -> u64 {
        let mut account = account.clone();
        account.groups.sort_unstable();
        account.identities.sort_unstable_by(|one, other| {
            (&one.issuer, &one.subject).cmp(&(&other.issuer, &other.subject))
        });
        self.key.hash_one((account, role))
    }

    /// The state of that account: the one in use, given the new snapshot, or a new one.
    pub(super) fn adopt(
        &self,
        id: &str,
        origin: Origin,
        snapshot: AccountSnapshot,
    ) -> Arc<AccountState> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (Arc::from(id), origin);
        if let Some(state) = states.get(&key).and_then(Weak::upgrade)
            && !state.is_shut_out()
        {
            state.replace(snapshot);
            return state;
        }
        let state = Arc::new(AccountState::new(id, origin, snapshot));
        states.insert((Arc::clone(&state.id), origin), Arc::downgrade(&state));
        state
    }

    /// Takes one refresh from this second's budget; `false` if it is spent.
    pub(super) fn may_ask(&self, now: UnixTime) -> bool {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        if budget.0 != now {
            *budget = (now, 0);
        }
        budget.1 += 1;
        budget.1 <= REFRESHES_PER_SECOND
    }

    /// Accounts used since the last call whose state is older than `age`; forgets those without sessions.
    pub(super) fn due(&self, now: UnixTime, age: Duration) -> Vec<Arc<AccountState>> {
        let mut due = Vec::new();
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.retain(|_, state| {
            let Some(state) = state.upgrade() else {
                return false;
            };
            if now >= state.snapshot.load().checked_at.plus(age) && state.take_used() {
                due.push(state);
            }
            true
        });
        due
    }
}
