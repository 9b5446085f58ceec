//! The steps of a set-up that are about the role: decided before anything is written, kept once the account is there.

use std::sync::atomic::{AtomicBool, Ordering};

use super::Loader;
use crate::accounts::{AccountError, Found};
use crate::auth::{AuthError, IssuerLogin};
use crate::config::accounts::RoleAssignment;
use crate::config::oidc::{FLAT_ISSUER, Issuer};
use crate::model::{Account, ClaimPath, Claims, Reason, Role, StoredRole};
use crate::roles::{AssignedBy, RoleError, RoleRules};
use crate::session::LoadError;
use crate::session::trace::{Step, Trace};

/// A role, and whether it is to be written to its store.
#[derive(Debug, Clone, Copy)]
pub(super) struct DecidedRole {
    pub(super) role: Role,
    pub(super) to_store: Option<Role>,
}

impl Loader {
    pub(super) async fn decide_role(
        &self,
        issuer: &Issuer,
        login: &IssuerLogin,
        found: &Found,
        trace: &mut dyn Trace,
    ) -> Result<DecidedRole, LoadError> {
        if let Some(role) = found.service_role() {
            trace.hear(Step::ServiceRole(role));
            return Ok(DecidedRole {
                role,
                to_store: None,
            });
        }
        let stored = match found.account() {
            Some(account) => self.stored_role(account).await?,
            None => None,
        };
        let bootstrap = self.rules.bootstrap_admin.as_ref();
        let rules = RoleRules {
            assignment: &issuer.role_assignment,
            sync: self.rules.role_sync,
            bootstrap_admin: bootstrap.filter(|_| login.issuer == FLAT_ISSUER),
            writable: self.resolver.roles().is_writable(),
        };
        let outcome = rules.assign(&login.claims, stored.as_ref(), found.user_type());
        trace.hear(Step::Role {
            rules: &rules,
            claims: &login.claims,
            stored: stored.as_ref(),
            outcome: outcome.as_ref(),
        });
        let assigned = outcome.map_err(|error| without_userinfo(error, issuer))?;
        let by_mail = rules
            .bootstrap_admin
            .is_some_and(|wanted| wanted.claim.as_str() == "email");
        if assigned.by == AssignedBy::Bootstrap
            && by_mail
            && issuer.require_verified_mail
            && login.claims.denies_mail()
        {
            return Err(LoadError::Auth(AuthError::Denied {
                reason: Reason::MailUnverified,
                detail: "PROXY_ROLE_BOOTSTRAP_ADMIN goes by the mail address, and email_verified is false"
                    .to_owned(),
            }));
        }
        if assigned.by == AssignedBy::Default {
            tell_of_unused_roles(&login.claims);
        }
        Ok(DecidedRole {
            role: assigned.role,
            to_store: assigned.write.then_some(assigned.role),
        })
    }

    /// The role of somebody of whom no issuer says anything: the stored one, else what everybody has.
    pub(super) async fn kept_role(&self, account: &Account) -> Result<Role, LoadError> {
        let stored = self.stored_role(account).await?;
        let rules = RoleRules {
            assignment: &RoleAssignment::Default,
            sync: self.rules.role_sync,
            bootstrap_admin: None,
            writable: false,
        };
        let assigned = rules.assign(&Claims::default(), stored.as_ref(), account.user_type)?;
        Ok(assigned.role)
    }

    pub(in crate::session) async fn stored_role(
        &self,
        account: &Account,
    ) -> Result<Option<StoredRole>, LoadError> {
        let stored = self.resolver.roles().stored(account).await;
        Ok(stored.map_err(AccountError::from)?)
    }

    /// Writes a decided role, now that the account exists. A new account may have got one in the meantime: from whoever made
    /// it at the same moment and decided the same, or from a backend that gives everybody a role.
    pub(super) async fn keep_role(
        &self,
        account: &Account,
        decided: DecidedRole,
        is_new: bool,
        trace: &mut dyn Trace,
    ) -> Result<(), LoadError> {
        let Some(role) = decided.to_store else {
            return Ok(());
        };
        let roles = self.resolver.roles();
        let _one_writer = self.accounts.writer(&account.id).await;
        if is_new {
            let stored = self.stored_role(account).await?;
            if stored == Some(StoredRole::Known(role))
                || (stored.is_some() && roles.is_part_of_account())
            {
                return Ok(());
            }
        }
        let written = roles.assign(account, role).await;
        written.map_err(AccountError::from)?;
        trace.hear(Step::RoleKept(role));
        Ok(())
    }
}

/// A role claim that is not there may be one that only userinfo has.
fn without_userinfo(error: RoleError, issuer: &Issuer) -> RoleError {
    match error {
        RoleError::NoRole(why) if issuer.skip_user_info => RoleError::NoRole(format!(
            "{why}; userinfo is not asked (PROXY_OIDC_SKIP_USER_INFO=true), so a claim that only it has is never seen"
        )),
        error => error,
    }
}

/// Somebody sends roles that nobody asked for: said once, because the driver may be meant.
fn tell_of_unused_roles(claims: &Claims) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    let roles = claims.at(&ClaimPath::parse("roles"));
    let has_some = roles.is_some_and(|roles| roles.as_array().is_some_and(|all| !all.is_empty()));
    if has_some && !TOLD.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            "the issuer sends the claim roles, but roles are not taken from claims; if they are to be, set PROXY_ROLE_ASSIGNMENT_DRIVER=oidc"
        );
    }
}
