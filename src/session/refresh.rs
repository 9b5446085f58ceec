//! Asking about an account again, while its sessions serve on.

use std::sync::Arc;
use std::time::Duration;

use super::LoadError;
use super::account::{AccountSnapshot, AccountState, Origin};
use super::loader::Loader;
use crate::accounts::{AccountError, AccountKey};
use crate::config::accounts::{RoleAssignment, RoleSync};
use crate::model::{Account, Role, StoredRole, UnixTime};

/// How long the old state counts as fresh after the directory failed. Longer than one attempt takes, so that requests do
/// not wait while the directory is asked again beside them.
pub(super) const DIRECTORY_RETRY: Duration = Duration::from_secs(10);

/// Between attempts to refresh an account while the directory's budget is spent.
const OVER_BUDGET_RETRY: Duration = Duration::from_secs(1);

impl Loader {
    /// Renews the state of an account, unless somebody just did.
    pub(super) async fn refresh(&self, state: &AccountState) -> Result<(), LoadError> {
        let called_with = state.last_snapshot();
        let _only_one = state.refreshing().lock().await;
        let now = self.clock.now();
        let old = state.last_snapshot();
        let asked_meanwhile = !Arc::ptr_eq(&called_with, &old) && now < old.fresh_until;
        if asked_meanwhile || now < old.fresh_until.minus(self.rules.account_ttl / 2) {
            return Ok(());
        }
        let old = AccountSnapshot::clone(&old);
        if !self.accounts.states.may_ask(now) && now < old.serve_until {
            let fresh_until = now.plus(OVER_BUDGET_RETRY).min(old.serve_until);
            state.replace(AccountSnapshot { fresh_until, ..old });
            return Ok(());
        }
        match self.asked_again(state, &old, now).await {
            Ok(Some(snapshot)) => state.replace(snapshot),
            Ok(None) => state.shut_out(),
            Err(error) if now < old.serve_until => {
                tracing::warn!(reason = %error.reason(), %error, "account not refreshed, the old state serves on");
                let fresh_until = now.plus(DIRECTORY_RETRY).min(old.serve_until);
                state.replace(AccountSnapshot { fresh_until, ..old });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The state of an account as directory and role store have it now; `None`: it is shut out.
    async fn asked_again(
        &self,
        state: &AccountState,
        old: &AccountSnapshot,
        now: UnixTime,
    ) -> Result<Option<AccountSnapshot>, LoadError> {
        let key = AccountKey::UserId(state.id.to_string());
        let found = self.resolver.directory().find(&key).await;
        let found = found.map_err(AccountError::from)?;
        let Some(account) = found.filter(|account| account.enabled && is_of_tenant(account, old))
        else {
            return Ok(None);
        };
        let stored = self.stored_role(&account).await?;
        let role = self.refreshed_role(state.origin, old.role, stored.as_ref());
        let unchanged = old.fingerprint == self.accounts.states.fingerprint(&account, role);
        Ok(Some(if unchanged && now < old.renew_at {
            self.still_good(old.clone(), now)
        } else {
            self.snapshot(&account, role).await?
        }))
    }

    /// The role after a refresh: the stored one, unless roles are only kept in memory. A foreign value changes nothing.
    fn refreshed_role(
        &self,
        origin: Origin,
        current: Option<Role>,
        stored: Option<&StoredRole>,
    ) -> Option<Role> {
        let issuer = match origin {
            Origin::Issuer(position) => self.rules.issuers.get(usize::from(position)),
            Origin::Gateway => None,
        };
        let claims_decide = self.rules.role_sync == RoleSync::Always
            && issuer.is_some_and(|issuer| {
                matches!(issuer.role_assignment, RoleAssignment::Oidc { .. })
            });
        match stored {
            Some(StoredRole::Known(role) | StoredRole::Several(role))
                if self.resolver.roles().is_writable() || !claims_decide =>
            {
                Some(*role)
            }
            _ => current,
        }
    }

    /// The snapshot as of a directory that just confirmed it.
    pub(super) fn still_good(&self, snapshot: AccountSnapshot, now: UnixTime) -> AccountSnapshot {
        AccountSnapshot {
            checked_at: now,
            fresh_until: now.plus(self.rules.account_ttl).min(snapshot.renew_at),
            serve_until: now.plus(self.rules.max_stale).min(snapshot.last_at),
            ..snapshot
        }
    }
}

/// Whoever moved to another tenant has to log in there: what their token says of it was compared with the old one.
fn is_of_tenant(account: &Account, old: &AccountSnapshot) -> bool {
    let before = old.rare.as_ref().and_then(|rare| rare.tenant.as_deref());
    account.tenant.as_deref() == before
}
