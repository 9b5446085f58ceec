//! What set-ups decide by, taken from a configuration.

use crate::model::ClaimRequirement;
use std::sync::Arc;
use std::time::Duration;

use crate::config::accounts::RoleSync;
use crate::config::oidc::Issuer;
use crate::config::routes::Route;
use crate::config::selector::UserSelector;
use crate::config::{Config, Mfa};

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
    /// Sessions hold the whole account, for the policies service; else its fingerprint, which takes a third of the room.
    pub keeps_accounts: bool,
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
            keeps_accounts: config.deployment.policies_query.is_some(),
        }
    }

    /// The rules after a reload: of the new configuration what a reload may change (docs/design/design.md 2, item 7), and the rest as
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
