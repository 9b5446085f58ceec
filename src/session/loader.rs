//! The set-up of a session, top to bottom: token -> claims -> account -> role -> identity.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::account::{AccountSnapshot, AccountState, Accounts, fingerprint};
use super::policy::policy_of;
use super::{LoadError, Requirements, SessionFacts};
use crate::accounts::{AccountError, AccountKey, Found, LoginFacts, Resolver, UserDirectory};
use crate::auth::{Authenticator, Login};
use crate::config::accounts::{RoleAssignment, RoleSync};
use crate::config::oidc::{ClaimRequirement, FLAT_ISSUER, Issuer};
use crate::config::routes::Route;
use crate::config::selector::UserSelector;
use crate::config::{Config, Mfa};
use crate::credentials::{BearerToken, CredentialKind};
use crate::identity::Minter;
use crate::model::{Account, Claims, Clock, Reason, Role, StoredRole, UnixTime};
use crate::roles::RoleRules;

/// Sets sessions up. Called once per token, from tasks that no client can cancel.
#[async_trait]
pub trait SessionLoader: fmt::Debug + Send + Sync {
    /// Verifies the token, finds or makes the account, assigns the role, mints the identity.
    ///
    /// # Errors
    /// See [`LoadError`].
    async fn load(&self, token: &BearerToken, generation: u64) -> Result<Loaded, LoadError>;

    /// Asks the directory about the account again and mints anew if anything changed. The old state serves on while the
    /// directory fails, until it is too old.
    ///
    /// # Errors
    /// The directory's, once the state is too old.
    async fn refresh_account(&self, account: &AccountState) -> Result<(), LoadError>;
}

/// What a set-up found.
#[derive(Debug)]
pub struct Loaded {
    /// The session to be.
    pub facts: SessionFacts,
    /// The token's `sub`.
    pub subject: Option<String>,
    /// The token's `sid`.
    pub sid: Option<String>,
    /// When the issuer has to be asked about the token again, if ever.
    pub recheck_at: Option<UnixTime>,
}

/// The loader of the gateway.
#[derive(Debug, Clone)]
pub struct Loader {
    /// Who sent the token.
    pub authenticator: Arc<dyn Authenticator>,
    /// Which account that is.
    pub resolver: Resolver,
    /// The account backend, for refreshes.
    pub directory: Arc<dyn UserDirectory>,
    /// What backends are told.
    pub minter: Minter,
    /// What is decided by configuration; replaced as a whole on a reload.
    pub rules: Rules,
    /// Accounts in use.
    pub accounts: Arc<LiveAccounts>,
    /// The wall clock.
    pub clock: Clock,
}

/// The part of the configuration that set-ups decide by.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Issuers, in order.
    pub issuers: Vec<Issuer>,
    /// When claims decide about roles.
    pub role_sync: RoleSync,
    /// Who is admin at first login.
    pub bootstrap_admin: Option<ClaimRequirement>,
    /// A change in the directory is seen within this time.
    pub account_ttl: Duration,
    /// An old answer serves on for this long while the directory fails.
    pub max_stale: Duration,
    /// Told to oCIS backends.
    pub mfa: Mfa,
    /// Each route's own requirements; a session keeps the outcomes.
    pub requirements: Arc<[Vec<ClaimRequirement>]>,
    /// Which policy serves whom, where users have their own.
    pub policy_selector: Option<Arc<UserSelector>>,
    /// Some route wants `Remote-*` or the account's id.
    pub remote_headers: bool,
}

impl Rules {
    /// The rules of a configuration.
    #[must_use]
    pub fn new(config: &Config, requirements: Vec<Vec<ClaimRequirement>>) -> Self {
        Self {
            issuers: config.issuers.clone(),
            role_sync: config.accounts.role_sync,
            bootstrap_admin: config.accounts.bootstrap_admin.clone(),
            account_ttl: config.accounts.cache_ttl,
            max_stale: config.accounts.max_stale,
            mfa: config.mfa.clone(),
            requirements: requirements.into(),
            policy_selector: config.policy_selector.by_user().cloned(),
            remote_headers: wants_remote_headers(config),
        }
    }

    /// The rules after a reload: of the new configuration what a reload may change (design.md 2, item 7), and the rest as
    /// it was, as the authenticator and the resolver have it until a restart. Above all the list of issuers stays:
    /// sessions and logins name an issuer by its position.
    #[must_use]
    pub fn reloaded(&self, config: &Config, requirements: Vec<Vec<ClaimRequirement>>) -> Self {
        let mut rules = Self {
            requirements: requirements.into(),
            policy_selector: config.policy_selector.by_user().cloned(),
            remote_headers: wants_remote_headers(config),
            ..self.clone()
        };
        for issuer in &mut rules.issuers {
            let same = |new: &&Issuer| new.issuer == issuer.issuer;
            if let Some(new) = config.issuers.iter().find(same) {
                issuer.role_assignment = new.role_assignment.clone();
            }
        }
        rules
    }
}

fn wants_remote_headers(config: &Config) -> bool {
    config
        .policies
        .iter()
        .flat_map(|policy| &policy.routes)
        .any(Route::needs_remote_headers)
}

/// The accounts of all living sessions; outlives a reload.
#[derive(Debug, Default)]
pub struct LiveAccounts(pub(super) Accounts);

/// How long the old state counts as fresh after the directory failed. Longer than one attempt takes, so that requests do
/// not wait while the directory is asked again beside them.
pub(super) const DIRECTORY_RETRY: Duration = Duration::from_secs(10);

/// Between attempts to refresh an account while the directory's budget is spent.
const OVER_BUDGET_RETRY: Duration = Duration::from_secs(1);

/// A reva token is told to no backend in its last minute.
const MINT_MARGIN: Duration = Duration::from_secs(60);

#[async_trait]
impl SessionLoader for Loader {
    async fn load(&self, token: &BearerToken, generation: u64) -> Result<Loaded, LoadError> {
        let login = self.authenticator.authenticate(token).await?;
        let issuer = &self.rules.issuers[login.issuer];
        let facts = LoginFacts {
            issuer,
            claims: &login.claims,
            subject: login.subject.as_deref(),
            client_id: login.service_client_id(),
        };
        let found = self.resolver.look_up(&facts).await?;
        let role = self.assign_role(issuer, &login, &found)?;
        let account = self.resolver.settle(&facts, found, role.to_store).await?;
        let snapshot = self.snapshot(&account, Some(role.role))?;
        let selector = self.rules.policy_selector.as_deref();
        let policy = selector.map(|selector| policy_of(selector, &login.claims, &account));
        let account = self.accounts.0.adopt(&account.id, snapshot);
        Ok(self.session(login, issuer, account, policy, token.kind(), generation))
    }

    async fn refresh_account(&self, state: &AccountState) -> Result<(), LoadError> {
        let called_with = state.last_snapshot();
        let _only_one = state.refreshing().lock().await;
        let now = self.clock.now();
        let old = state.last_snapshot();
        let asked_meanwhile = !Arc::ptr_eq(&called_with, &old) && now < old.fresh_until;
        if asked_meanwhile || now < old.fresh_until.minus(self.rules.account_ttl / 2) {
            return Ok(());
        }
        let old = AccountSnapshot::clone(&old);
        if !self.accounts.0.may_ask(now) && now < old.serve_until {
            let fresh_until = now.plus(OVER_BUDGET_RETRY).min(old.serve_until);
            state.replace(AccountSnapshot { fresh_until, ..old });
            return Ok(());
        }
        let found = match self
            .directory
            .find(&AccountKey::UserId(state.id.to_string()))
            .await
        {
            Ok(found) => found,
            Err(error) if now < old.serve_until => {
                tracing::warn!(reason = %Reason::DirectoryUnavailable, %error, "account not refreshed, the old state serves on");
                let fresh_until = now.plus(DIRECTORY_RETRY).min(old.serve_until);
                state.replace(AccountSnapshot { fresh_until, ..old });
                return Ok(());
            }
            Err(error) => return Err(AccountError::from(error).into()),
        };
        let Some(account) = found.filter(|account| account.enabled) else {
            state.shut_out();
            return Ok(());
        };
        let role = self.refreshed_role(old.role, account.role.as_ref());
        let unchanged = old.fingerprint == fingerprint(&account, role);
        if unchanged && now < old.minted_at.plus(self.minter.renew_after()) {
            state.replace(self.still_good(old, now));
        } else {
            state.replace(self.snapshot(&account, role)?);
        }
        Ok(())
    }
}

/// A role, and whether it is to be written to the account.
struct AssignedRole {
    role: Role,
    to_store: Option<Role>,
}

impl Loader {
    /// The same loader under other rules.
    #[must_use]
    pub fn with_rules(&self, rules: Rules) -> Self {
        Self {
            rules,
            ..self.clone()
        }
    }

    fn assign_role(
        &self,
        issuer: &Issuer,
        login: &Login,
        found: &Found,
    ) -> Result<AssignedRole, LoadError> {
        if let Some(role) = found.service_role() {
            return Ok(AssignedRole {
                role,
                to_store: None,
            });
        }
        let rules = RoleRules {
            assignment: &issuer.role_assignment,
            sync: self.rules.role_sync,
            bootstrap_admin: self
                .rules
                .bootstrap_admin
                .as_ref()
                .filter(|_| login.issuer == FLAT_ISSUER),
            writable: self.resolver.is_writable(),
        };
        let assigned = rules.assign(&login.claims, found.stored_role(), found.user_type())?;
        Ok(AssignedRole {
            role: assigned.role,
            to_store: assigned.write.then_some(assigned.role),
        })
    }

    /// The role after a refresh: the stored one, unless roles are only kept in memory. A foreign value changes nothing.
    fn refreshed_role(&self, current: Option<Role>, stored: Option<&StoredRole>) -> Option<Role> {
        let claims_decide = self.rules.role_sync == RoleSync::Always
            && self
                .rules
                .issuers
                .iter()
                .any(|issuer| matches!(issuer.role_assignment, RoleAssignment::Oidc { .. }));
        match stored {
            Some(StoredRole::Known(role)) if self.resolver.is_writable() || !claims_decide => {
                Some(*role)
            }
            _ => current,
        }
    }

    fn snapshot(
        &self,
        account: &Account,
        role: Option<Role>,
    ) -> Result<AccountSnapshot, LoadError> {
        let now = self.clock.now();
        let snapshot = AccountSnapshot {
            role,
            identity: self
                .minter
                .mint(account, role, self.rules.remote_headers, now)?,
            fingerprint: fingerprint(account, role),
            checked_at: now,
            minted_at: now,
            fresh_until: now,
            serve_until: now,
        };
        Ok(self.still_good(snapshot, now))
    }

    /// The snapshot as of a directory that just confirmed it.
    fn still_good(&self, snapshot: AccountSnapshot, now: UnixTime) -> AccountSnapshot {
        let renew_at = snapshot.minted_at.plus(self.minter.renew_after());
        let last = snapshot
            .minted_at
            .plus(self.minter.lifetime().saturating_sub(MINT_MARGIN))
            .max(renew_at);
        AccountSnapshot {
            checked_at: now,
            fresh_until: now.plus(self.rules.account_ttl).min(renew_at),
            serve_until: now.plus(self.rules.max_stale).min(last),
            ..snapshot
        }
    }

    fn session(
        &self,
        login: Login,
        issuer: &Issuer,
        account: Arc<AccountState>,
        policy: Option<Arc<str>>,
        kind: CredentialKind,
        generation: u64,
    ) -> Loaded {
        let requirements = Requirements::judge(&self.rules.requirements, &login.claims);
        let facts = SessionFacts {
            account,
            issuer: login.issuer,
            kind,
            expires_at: login.expires_at,
            leeway: issuer.leeway,
            issued_at: login.issued_at.unwrap_or_else(|| self.clock.now()),
            auth_time: login.auth_time,
            mfa: is_second_factor(&self.rules.mfa, &login.claims),
            requirements,
            policy,
            generation,
        };
        Loaded {
            facts,
            subject: login.subject,
            sid: login.sid,
            recheck_at: login.recheck_at,
        }
    }
}

/// contract-delta.md 9.15: without the feature every login counts as one with a second factor.
fn is_second_factor(mfa: &Mfa, claims: &Claims) -> bool {
    !mfa.enabled
        || claims
            .text("acr")
            .is_some_and(|acr| mfa.auth_level_names.iter().any(|name| name == acr))
}
