//! Accounts behind two traits, one to read and one to write, so that a read-only directory cannot be written by mistake.

mod claimed;
/// Accounts as the deployment's own services know them.
pub(crate) mod cs3;
/// Accounts in one local SQLite file.
pub(crate) mod embedded;
mod error;
mod found;
/// Provisioning by the deployment's graph service.
pub(crate) mod graph;
mod group_claim;
/// Accounts in an LDAP directory.
pub(crate) mod ldap;
/// An account backend, measured.
pub(crate) mod measured;
mod rehearsal;
mod resolver;
mod role_attribute;
mod tenants;
mod usernames;

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;

use crate::model::{Account, ExternalIdentity, Fault, Reason, Role};
use crate::telemetry::PoolLevel;

pub use error::AccountError;
pub use found::LoginFacts;
pub(crate) use found::{Found, Ownership};
pub(crate) use group_claim::{GroupClaim, read as claimed_groups};
pub(crate) use rehearsal::{Rehearsal, RehearsedRoles, Unwritten};
pub use resolver::Resolver;
pub(crate) use role_attribute::AccountAttribute;
pub(crate) use tenants::{DeploymentTenants, TenantNames};

/// What an account is looked up by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountKey {
    /// User name.
    Username(String),
    /// Mail address.
    Mail(String),
    /// Account id.
    UserId(String),
    /// (issuer, subject), compared byte for byte after the search.
    Identity(ExternalIdentity),
}

/// What an account backend can do, whatever the rights of the day are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// It knows the identities (issuer, subject) of accounts: finds by them, and shows them. Else an account is found by
    /// the user claim alone, which is the operator's mapping then.
    pub finds_identities: bool,
    /// It changes accounts and groups itself.
    pub writes: bool,
}

/// Read access.
///
/// Implementations retry a search once on a fresh connection when a pooled one turns out broken, keep every operation
/// within the backend's deadline, and may be cancelled at any await.
#[async_trait]
pub trait UserDirectory: Debug + Send + Sync {
    /// The account of that key with its groups and role; disabled accounts too. `None`: certainly absent.
    ///
    /// # Errors
    /// [`DirectoryError::Ambiguous`] if more than one matches; never "first wins".
    async fn find(&self, key: &AccountKey) -> Result<Option<Account>, DirectoryError>;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// An entry that would be found by one of the keys if the operator's filter did not hide it; what is said of it in the
    /// log. Backends without such a filter have none.
    ///
    /// # Errors
    /// As for [`UserDirectory::find`].
    async fn hidden(&self, keys: &[AccountKey]) -> Result<Option<String>, DirectoryError> {
        let _ = keys;
        Ok(None)
    }

    /// Its connections, where it has a pool of them.
    fn pool(&self) -> Option<PoolLevel> {
        None
    }

    /// Answers if the backend can be asked at all; for readiness.
    ///
    /// # Errors
    /// Whatever a search would end in.
    async fn probe(&self) -> Result<(), DirectoryError>;
}

/// Write access. Every method is idempotent: repeating it after a cut leaves the same state.
#[async_trait]
pub trait Provisioner: Debug + Send + Sync {
    /// Why the account would be hidden by the operator's filter as soon as it is made, if that is certain. Asks nobody.
    fn would_hide(&self, new: &NewAccount) -> Option<String> {
        let _ = new;
        None
    }

    /// Creates the account in one write.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    async fn create(&self, new: &NewAccount) -> Result<Created, DirectoryError>;

    /// Applies all changes in one write.
    ///
    /// # Errors
    /// [`DirectoryError::Conflict`] if an identity is to be written and one appeared meanwhile.
    async fn update(&self, account: &Account, change: &AccountChange)
    -> Result<(), DirectoryError>;

    /// Makes the account a member of exactly the wanted ones among the groups managed for this issuer; creates missing groups if it is to.
    ///
    /// # Errors
    /// See [`DirectoryError`]; groups changed before stay changed and the next login completes them.
    async fn sync_groups(
        &self,
        account: &Account,
        sync: &GroupSync,
    ) -> Result<GroupReport, DirectoryError>;

    /// Says whether the account could be made, as far as the backend lets one ask, and writes nothing.
    ///
    /// # Errors
    /// Those that making it would end in.
    async fn rehearse(&self, new: &NewAccount) -> Result<(), DirectoryError>;

    /// What an update would change of the account, in the backend's own words; as [`Provisioner::rehearse`].
    ///
    /// # Errors
    /// Those that the update would end in.
    async fn rehearse_update(
        &self,
        account: &Account,
        change: &AccountChange,
    ) -> Result<Vec<String>, DirectoryError>;

    /// What [`Provisioner::sync_groups`] would do; as [`Provisioner::rehearse`]. The account may be one that is not made
    /// either.
    ///
    /// # Errors
    /// Those that it would end in.
    async fn rehearse_groups(
        &self,
        account: &Account,
        sync: &GroupSync,
    ) -> Result<GroupReport, DirectoryError>;
}

/// A first login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// Login name, already checked against the rules for names.
    pub username: String,
    /// Name shown to people.
    pub display_name: String,
    /// Mail address.
    pub mail: Option<String>,
    /// Who owns it.
    pub identity: Option<ExternalIdentity>,
    /// Its role, where roles are kept with the account and one is known.
    pub role: Option<Role>,
    /// Further attributes.
    pub attributes: Vec<(String, String)>,
}

/// Outcome of [`Provisioner::create`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// It is new.
    New(Box<Account>),
    /// Somebody else made an account of that name first; look it up again.
    AlreadyExists,
    /// There is an account of that name, and it is disabled, which a look-up does not show.
    Disabled,
}

/// What to write; `None` and empty change nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountChange {
    /// New display name.
    pub display_name: Option<String>,
    /// New mail address.
    pub mail: Option<String>,
    /// Written only if the account has no identity but those it takes the place of.
    pub identity: Option<ExternalIdentity>,
    /// Identities of former issuers that go when the new one comes; the account has to have them still.
    pub replaces: Vec<ExternalIdentity>,
    /// New role.
    pub role: Option<Role>,
    /// Further attributes.
    pub attributes: Vec<(String, String)>,
}

impl AccountChange {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The groups a claim names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSync {
    /// The configured issuer: value of the mark.
    pub issuer: String,
    /// Wanted groups, without duplicates.
    pub wanted: Vec<WantedGroup>,
    /// Unmarked groups of a wanted name are taken over.
    pub adopt: bool,
    /// Groups that do not exist are created.
    pub create: bool,
}

/// One wanted group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedGroup {
    /// Its name.
    pub name: String,
    /// Its stable id at the issuer, if a claim gives one: a rename keeps the group.
    pub external_id: Option<String>,
}

/// What [`Provisioner::sync_groups`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupReport {
    /// Names of groups created.
    pub created: Vec<String>,
    /// Names of groups joined.
    pub added: Vec<String>,
    /// Names of groups left.
    pub removed: Vec<String>,
    /// Names of groups left alone because they are not managed (`group_unmanaged`).
    pub unmanaged: Vec<String>,
    /// Names of groups that do not exist and were not to be created.
    pub missing: Vec<String>,
    /// Names of groups that the backend did not let be changed.
    pub refused: Vec<String>,
}

impl GroupReport {
    /// Whether nothing was written.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.created.is_empty() && self.added.is_empty() && self.removed.is_empty()
    }
}

/// Why the account backend gave no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DirectoryError {
    /// It could not be asked (refused, time-out, busy, broken); nothing is known.
    #[error("directory unavailable: {0}")]
    Unavailable(String),
    /// It answered, but not in a way that can be used (size limit, referral, malformed entry).
    #[error("directory answer unusable: {0}")]
    Unusable(String),
    /// More than one entry matches.
    #[error("more than one account matches {0}")]
    Ambiguous(String),
    /// A write was refused.
    #[error("directory refused the change: {0}")]
    Refused(String),
    /// It answered that a setting of ours does not fit: credentials, base, schema, rights, certificate.
    #[error("{detail}")]
    Misconfigured {
        /// Which.
        reason: Reason,
        /// What it said, and the settings.
        detail: String,
    },
    /// The operator's filter hides the account.
    #[error("hidden by the filter: {0}")]
    Excluded(String),
    /// An identity appeared meanwhile.
    #[error("the account was claimed meanwhile")]
    Conflict,
}

impl DirectoryError {
    /// Whose fault it is. What a search finds out about the person is theirs; a setting that does not fit is ours.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Unavailable(_) | Self::Unusable(_) | Self::Refused(_) | Self::Conflict => {
                Fault::Remote
            }
            Self::Ambiguous(_) | Self::Excluded(_) => Fault::Caller,
            Self::Misconfigured { .. } => Fault::Ours,
        }
    }
}

/// How long a client should wait after the directory could not be asked.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(5);
