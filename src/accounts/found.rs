//! What goes into a look-up and what comes out.

use super::NewAccount;
use crate::config::oidc::Issuer;
use crate::model::{Account, Claims, Role, UserType};

/// What the resolver reads of a login.
#[derive(Debug, Clone, Copy)]
pub struct LoginFacts<'a> {
    /// The issuer's settings.
    pub issuer: &'a Issuer,
    /// Merged claims.
    pub claims: &'a Claims,
    /// `sub`.
    pub subject: Option<&'a str>,
    /// The client, if this is its own token and `PROXY_SERVICE_CLIENTS` names it.
    pub client_id: Option<&'a str>,
}

/// What a look-up ended in. Nothing was written yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// An account that may be used.
    Known {
        /// As the directory has it.
        account: Account,
        /// Why this login may use it.
        claim: Ownership,
    },
    /// Nobody yet; this is what would be created.
    Absent {
        /// The account to be.
        new: NewAccount,
        /// The role of a service client.
        service: Option<Role>,
    },
}

/// Why a login may use an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// The account has this identity.
    Identity,
    /// The account has no identity and gets this one.
    ClaimedByName,
    /// The backend knows no identities: the user claim names the account, which is kept up to date.
    ByClaim,
    /// The account has one of a former issuer, and this one takes its place.
    Moved,
    /// Provisioning is off: the user claim is the operator's mapping, and nothing is written.
    Mapping,
    /// `PROXY_SERVICE_CLIENTS` says so, with this role; nothing is written.
    ServiceClient(Role),
}

impl Ownership {
    /// Whether the account follows the claims of this login.
    pub(super) fn follows_claims(self) -> bool {
        match self {
            Self::Identity | Self::ClaimedByName | Self::Moved | Self::ByClaim => true,
            Self::Mapping | Self::ServiceClient(_) => false,
        }
    }
}

impl Found {
    /// The account, if there is one.
    #[must_use]
    pub fn account(&self) -> Option<&Account> {
        match self {
            Self::Known { account, .. } => Some(account),
            Self::Absent { .. } => None,
        }
    }

    /// The tenant of the account; of one that is to be created, what its attribute is to be.
    pub(super) fn tenant(&self, attribute: &str) -> Option<&str> {
        let tenant = match self {
            Self::Known { account, .. } => account.tenant.as_deref(),
            Self::Absent { new, .. } => {
                let mut attributes = new.attributes.iter();
                let own = attributes.find(|(name, _)| name.eq_ignore_ascii_case(attribute));
                own.map(|(_, value)| value.as_str())
            }
        };
        tenant.filter(|tenant| !tenant.is_empty())
    }

    /// Member or guest.
    #[must_use]
    pub fn user_type(&self) -> UserType {
        match self {
            Self::Known { account, .. } => account.user_type,
            Self::Absent { .. } => UserType::Member,
        }
    }

    /// The role a service client has by configuration; no claim and no stored role matters then.
    #[must_use]
    pub fn service_role(&self) -> Option<Role> {
        match self {
            Self::Known {
                claim: Ownership::ServiceClient(role),
                ..
            } => Some(*role),
            Self::Known { .. } => None,
            Self::Absent { service, .. } => *service,
        }
    }
}
