//! The heart: a credential's digest leads to a [`Session`], set up once and used by every later request with it.
//!
//! [`Session`] is what a warm request reads: whose it is, and in whose name backends are asked. [`store`] keeps sessions and
//! sets each up exactly once; [`loader`] is the set-up itself; [`account`] is the state that the sessions of one account
//! share.

/// Account state shared by sessions, and its freshness.
pub(crate) mod account;
mod announced;
mod cancellation;
mod digest;
mod ended;
mod error;
/// Accounts are refreshed ahead of need.
pub(crate) mod freshness;
mod index;
/// Accounts in use.
pub(crate) mod live;
/// From a credential to a session.
pub(crate) mod loader;
/// Set-ups, measured.
pub(crate) mod measured;
mod places;
mod policy;
mod principal;
mod recheck;
mod refresh;
mod remembered;
mod requirements;
/// What set-ups decide by.
pub(crate) mod rules;
/// The cache, single flight and refusals.
pub(crate) mod store;
/// What the steps of a set-up tell.
pub(crate) mod trace;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

pub(crate) use account::AccountState;
pub(crate) use cancellation::Cancellation;
pub use digest::{Digest, Digester};
pub(crate) use error::LoadError;
pub(crate) use principal::{Identity, Principal, Told};
pub(crate) use remembered::Remembered;
pub(crate) use requirements::Requirements;

use self::index::{Index, Keys};
use self::recheck::Recheck;
use crate::auth::Publication;
use crate::credentials::CredentialKind;
use crate::model::UnixTime;

/// Everything the gateway knows about one credential. Shared by workers; what changes is atomic.
#[derive(Debug)]
pub struct Session {
    /// What it was made of.
    pub facts: SessionFacts,
    recheck: Option<Box<Recheck>>,
    state: AtomicU8,
    cancel: Cancellation,
    keys: Keys,
    index: Arc<Index<Session>>,
}

/// The part of a [`Session`] that never changes.
#[derive(Debug)]
pub struct SessionFacts {
    /// Who logged in.
    pub principal: Principal,
    /// What backends are told.
    pub identity: Identity,
    /// What it was set up by; no credential of another kind finds it.
    pub kind: CredentialKind,
    /// Position of the issuer in the configuration.
    pub issuer: usize,
    /// The token's `exp`.
    pub expires_at: Option<UnixTime>,
    /// Clock leeway for `exp`.
    pub leeway: Duration,
    /// The token's `iat`, by the issuer's clock.
    pub issued_at: Option<UnixTime>,
    /// The token's `auth_time`, for a route's `max_age`.
    pub auth_time: Option<UnixTime>,
    /// The key that the token's signature was verified with, if it was one.
    pub key: Option<Publication>,
    /// The `acr` claim told as MFA to oCIS backends.
    pub mfa: bool,
    /// Which routes' own `required_claims` are met.
    pub requirements: Requirements,
    /// The policy that serves the user, where claims decide about it.
    pub policy: Option<Arc<str>>,
    /// The configuration it was made under.
    pub generation: u64,
}

/// What a warm request may do with a session it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Use,
    /// Go on, and have the token asked about again meanwhile.
    UseAndRecheck,
    /// Ask the store: something has to be renewed before this request may go on.
    Renew,
    /// Not a session any more; the store decides what the token is worth now.
    Stale,
    /// A logout ended it.
    Ended,
}

const LIVE: u8 = 0;
const SUPERSEDED: u8 = 1;
const ENDED: u8 = 2;

/// Streams are cut this long after their token's expiry (docs/design/design.md 2, Ending).
const STREAM_GRACE: Duration = Duration::from_secs(60);

/// What `size_of` does not see of a session: the cache's entry, index entries, reference counts, cancellations, rounding by the
/// allocator. Chosen so that a full cache weighs what `make scale` measures as resident memory.
const CACHE_OVERHEAD: usize = 630;

impl Session {
    /// Makes a session at `now`, entered in `index`; `recheck_at` is when its issuer has to be asked again, if ever.
    /// The successor of a session shares its cancellation, so that streams of either end with it.
    fn register(
        facts: SessionFacts,
        keys: Keys,
        now: UnixTime,
        recheck_at: Option<UnixTime>,
        predecessor: Option<&Self>,
        index: &Arc<Index<Self>>,
    ) -> Arc<Self> {
        let predecessor = predecessor.filter(|session| {
            let accounts = [session.account(), facts.identity.account()];
            let is_same = match accounts {
                [Some(one), Some(other)] => Arc::ptr_eq(one, other),
                [None, None] => true,
                [Some(_), None] | [None, Some(_)] => false,
            };
            is_same && session.facts.principal == facts.principal && !session.is_cut()
        });
        let cancel = match predecessor {
            Some(session) => session.cancel.shared(),
            None => Cancellation::default(),
        };
        let session = Arc::new(Self {
            index: Arc::clone(index),
            keys,
            facts,
            recheck: recheck_at.map(|at| Box::new(Recheck::new(now, at))),
            state: AtomicU8::new(LIVE),
            cancel,
        });
        index.enter(keys, &session);
        session
    }

    /// Judges the session at `now` under the configuration `generation`. Reads atomics, takes no lock.
    #[must_use]
    pub fn verdict(&self, now: UnixTime, generation: u64) -> Verdict {
        match self.state.load(Ordering::Acquire) {
            ENDED => return Verdict::Ended,
            SUPERSEDED => return Verdict::Stale,
            _ => {}
        }
        if self.facts.generation != generation
            || self.is_expired(now)
            || self.facts.identity.is_over(now)
            || self.account().is_some_and(|account| account.is_shut_out())
            || self.is_of_a_key_that_left()
        {
            return Verdict::Stale;
        }
        if self.needs_recheck(now) || self.account().is_some_and(|account| !account.is_fresh(now)) {
            return Verdict::Renew;
        }
        if let Some(recheck) = &self.recheck
            && recheck.is_wanted(now)
            && !recheck.is_running()
        {
            return Verdict::UseAndRecheck;
        }
        Verdict::Use
    }

    /// The account behind it, if there is one.
    #[must_use]
    pub fn account(&self) -> Option<&Arc<AccountState>> {
        self.facts.identity.account()
    }

    /// Position of the issuer in the configuration, if one said who it is.
    #[must_use]
    pub fn issuer(&self) -> Option<usize> {
        let is_token = matches!(
            self.facts.kind,
            CredentialKind::Bearer | CredentialKind::Dpop
        );
        is_token.then_some(self.facts.issuer)
    }

    /// The policy that serves the user, where users have their own.
    #[must_use]
    pub fn policy(&self) -> Option<Arc<str>> {
        let by_claims = self.facts.policy.clone();
        by_claims.or_else(|| self.account()?.policy())
    }

    /// Whether the issuer has taken back the key that the token was signed with; it has to be verified anew then.
    pub(super) fn is_of_a_key_that_left(&self) -> bool {
        self.facts.key.as_ref().is_some_and(Publication::is_over)
    }

    /// Whether `exp` plus leeway has passed.
    #[must_use]
    pub fn is_expired(&self, now: UnixTime) -> bool {
        self.facts
            .expires_at
            .is_some_and(|at| now >= at.plus(self.facts.leeway))
    }

    /// When streams of this session are cut, if the token has an expiry.
    #[must_use]
    pub fn streams_end_at(&self) -> Option<UnixTime> {
        self.facts.expires_at.map(|at| at.plus(STREAM_GRACE))
    }

    /// Its own cancellation and its account's; streams and tunnels end when either fires.
    #[must_use]
    pub fn cancellations(&self) -> [&Cancellation; 2] {
        let account = self.account().map(|account| account.cancellation());
        [&self.cancel, account.unwrap_or(&self.cancel)]
    }

    /// Whether its streams were cut.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cancellations()
            .iter()
            .any(|cancellation| cancellation.is_cancelled())
    }

    /// Ends the session: later requests are refused, streams are cut.
    pub fn end(&self) {
        self.state.store(ENDED, Ordering::Release);
        self.cancel.cancel();
    }

    /// Whether a logout ended it.
    pub(super) fn is_ended(&self) -> bool {
        self.state.load(Ordering::Acquire) == ENDED
    }

    /// The issuer or the rules refuse the token now: streams are cut, and who still holds the session looks again.
    /// Unlike after a logout the token may be good again later.
    pub(super) fn lapse(&self) {
        self.supersede();
        self.cancel.cancel();
    }

    /// A newer session of the same token took its place; workers that still hold this one look again.
    pub(super) fn supersede(&self) {
        let _ = self
            .state
            .compare_exchange(LIVE, SUPERSEDED, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Whether it is time to ask the issuer again, be it ahead of need.
    pub(super) fn wants_recheck(&self, now: UnixTime) -> bool {
        let recheck = self.recheck.as_ref();
        recheck.is_some_and(|recheck| recheck.is_wanted(now))
    }

    /// Whether the issuer has to be asked before the session may be used.
    pub(super) fn needs_recheck(&self, now: UnixTime) -> bool {
        let recheck = self.recheck.as_ref();
        recheck.is_some_and(|recheck| recheck.is_due(now))
    }

    /// Claims the right to re-check ahead of need; `false` if somebody has it.
    pub(super) fn begin_recheck(&self) -> bool {
        self.recheck.as_ref().is_some_and(|recheck| recheck.begin())
    }

    /// Gives the right to re-check back.
    pub(super) fn end_recheck(&self) {
        if let Some(recheck) = &self.recheck {
            recheck.end();
        }
    }

    /// The issuer could not be asked: whether the old answer serves on, see [`Recheck::failed`].
    pub(super) fn recheck_failed(
        &self,
        now: UnixTime,
        retry: Duration,
        max_stale: Duration,
    ) -> bool {
        let recheck = self.recheck.as_ref();
        recheck.is_none_or(|recheck| recheck.failed(now, retry, max_stale))
    }

    /// What is due for renewal cannot be renewed now: whether the session serves on as it is, and if so it does without
    /// another wait until `retry` has passed.
    pub(super) fn serve_on(&self, now: UnixTime, retry: Duration, max_stale: Duration) -> bool {
        self.account()
            .is_none_or(|account| account.serve_on(now, retry))
            && (!self.needs_recheck(now) || self.recheck_failed(now, retry, max_stale))
    }

    /// Bytes this session takes, its share of indexes included. The account's state is counted with each of its
    /// sessions, since one session an account is the common case.
    #[must_use]
    pub fn weight(&self) -> u32 {
        let facts = &self.facts;
        let recheck = self.recheck.as_ref().map_or(0, |_| size_of::<Recheck>());
        let own = size_of::<Self>() + recheck + facts.requirements.weight();
        u32::try_from(own + CACHE_OVERHEAD + facts.identity.weight()).unwrap_or(u32::MAX)
    }
}

/// Its index entries go with a session.
impl Drop for Session {
    fn drop(&mut self) {
        self.index.leave(self.keys);
    }
}

#[cfg(test)]
mod tests;
