use std::path::PathBuf;
use std::time::Duration;

use strum::{EnumString, VariantNames};

use super::Secret;
use crate::model::{ClaimPath, ClaimRequirement, Role};

/// People belong to tenants (`multi_tenant_enabled`, docs/design/contract.md 9.5).
#[derive(Debug, Clone)]
pub struct Tenancy {
    /// LDAP attribute of the tenant's id.
    pub attribute: String,
    /// Has to be that id too.
    pub claim: Option<ClaimPath>,
    /// The claim has the id that others know the tenant by; the CS3 gateway knows which one that is.
    pub is_external: bool,
}

/// Which account backend, and what is done at first login.
#[derive(Debug, Clone)]
pub struct Accounts {
    /// `cs3`, `ldap` or `embedded` with its settings.
    pub backend: AccountBackend,
    /// Unknown users are created.
    pub provision: bool,
    /// Who creates them.
    pub provisioner: ProvisionBackend,
    /// Where an assigned role is kept.
    pub role_store: RoleStoreKind,
    /// Rules for user names of new accounts.
    pub username_match: UsernameMatch,
    /// An unmarked group of a claimed name is taken over.
    pub adopt_groups: bool,
    /// Issuers whose identities on an account may be replaced by the login's.
    pub former_issuers: Vec<String>,
    /// Only people of a tenant may enter.
    pub tenancy: Option<Tenancy>,
    /// Groups of the claim that do not exist are created.
    pub create_groups: bool,
    /// Further attributes from claims: attribute name and claim.
    pub attributes: Vec<(String, ClaimPath)>,
    /// When an assigned role is written again.
    pub role_sync: RoleSync,
    /// Who holds this claim is admin at first login.
    pub bootstrap_admin: Option<ClaimRequirement>,
    /// Client-credentials tokens of these clients are these users.
    pub service_clients: Vec<ServiceClient>,
    /// A change in the directory is seen within this time.
    pub cache_ttl: Duration,
    /// An old answer serves on for this long while the directory fails.
    pub max_stale: Duration,
}

/// Where accounts live.
#[derive(Debug, Clone)]
pub enum AccountBackend {
    /// The deployment's own services know them; see `Config::deployment`.
    Cs3,
    /// davgate reads and writes LDAP itself.
    Ldap(Box<Ldap>),
    /// One local SQLite file.
    Embedded {
        /// The database file.
        database: PathBuf,
    },
}

/// `PROXY_AUTOPROVISION_BACKEND`.
#[derive(Debug, Clone)]
pub enum ProvisionBackend {
    /// The account backend itself.
    Account,
    /// The deployment's graph service.
    Graph,
    /// The directory behind the deployment's own services.
    Ldap(Box<Ldap>),
}

/// `PROXY_ROLE_STORE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleStoreKind {
    /// With the account.
    Account,
    /// The deployment's settings service.
    Settings,
    /// The settings service where one is registered or has an address under `services`, else the account.
    SettingsIfThere,
}

/// `*_LDAP_*`, docs/design/contract.md 7.1.
#[derive(Debug, Clone)]
pub struct Ldap {
    /// `ldap://` or `ldaps://` URIs; the first that answers serves.
    pub uris: Vec<String>,
    /// CA file for LDAPS and StartTLS; system roots if absent.
    pub cacert: Option<PathBuf>,
    /// Certificates are not verified, plain `ldap://` is allowed anywhere.
    pub insecure: bool,
    /// StartTLS on an `ldap://` connection.
    pub start_tls: bool,
    /// Connections in the pool.
    pub pool_size: usize,
    /// One operation may take this long.
    pub timeout: Duration,
    /// Bind DN; empty binds anonymously.
    pub bind_dn: String,
    /// Bind password.
    pub bind_password: Secret,
    /// Whether davgate may write.
    pub write_enabled: bool,
    /// The server makes the UUIDs.
    pub server_uuid: bool,
    /// The id attribute is binary (Active Directory `objectGUID`).
    pub id_is_octet_string: bool,
    /// Users.
    pub user_base_dn: String,
    /// `sub`, `one` or `base`.
    pub user_scope: LdapScope,
    /// Additional filter, with brackets, or empty.
    pub user_filter: String,
    /// `inetOrgPerson`.
    pub user_object_class: String,
    /// Auxiliary class of created users (`openCloudUser`, `ownCloudUser`).
    pub user_aux_class: String,
    /// Attribute of the id.
    pub user_id: String,
    /// Attribute of the user name.
    pub username: String,
    /// Attribute of the mail address.
    pub mail: String,
    /// Attribute of the display name.
    pub display_name: String,
    /// Attribute of the user type.
    pub user_type: String,
    /// Attribute of the tenant's id, where there are tenants.
    pub user_tenant: Option<String>,
    /// Attribute of the external identities.
    pub external_identity: String,
    /// Attribute of the role name.
    pub role: String,
    /// How an account is disabled.
    pub disable: DisableMechanism,
    /// Groups.
    pub group_base_dn: String,
    /// Where new groups are created.
    pub group_create_base_dn: String,
    /// `sub`, `one` or `base`.
    pub group_scope: LdapScope,
    /// Additional filter, with brackets, or empty.
    pub group_filter: String,
    /// `groupOfNames`.
    pub group_object_class: String,
    /// Auxiliary class of created groups (`openCloudObject`, `ownCloud`).
    pub group_aux_class: String,
    /// Attribute of the group's id.
    pub group_id: String,
    /// Attribute of the group's name.
    pub group_name: String,
    /// Attribute of the members, full DNs.
    pub group_member: String,
    /// Attribute that marks a group as managed by claims; its value is the issuer.
    pub group_managed: String,
}

/// Search scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum LdapScope {
    /// The whole subtree.
    #[default]
    #[strum(serialize = "sub")]
    Subtree,
    /// One level.
    #[strum(serialize = "one")]
    OneLevel,
    /// The entry itself.
    Base,
}

/// `OC_LDAP_DISABLE_USER_MECHANISM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DisableMechanism {
    /// Nobody is ever disabled.
    None,
    /// `FALSE` in this attribute.
    Attribute(String),
    /// Membership in the group of this DN.
    Group(String),
}

/// Which claims fill a new account; each list is tried in order.
#[derive(Debug, Clone)]
pub struct ProvisionClaims {
    /// User name.
    pub username: Vec<ClaimPath>,
    /// Mail address.
    pub email: Vec<ClaimPath>,
    /// Display name.
    pub display_name: Vec<ClaimPath>,
    /// Group names; empty: groups are not synchronised.
    pub groups: Vec<ClaimPath>,
    /// Stable id per group, parallel to the names.
    pub group_id: Option<ClaimPath>,
    /// What a login without the claim means.
    pub groups_absent: GroupsAbsent,
}

/// `PROXY_AUTOPROVISION_GROUPS_ABSENT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum GroupsAbsent {
    /// Memberships stay as they are.
    #[default]
    Keep,
    /// As an empty list: the issuer leaves the claim out for somebody in no group.
    None,
}

/// `GRAPH_USERNAME_MATCH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum UsernameMatch {
    /// Letters, digits, `.-_@+`, not starting with a digit.
    #[default]
    Default,
    /// Everything but what is always refused.
    None,
}

/// `role_assignment`.
#[derive(Debug, Clone)]
pub enum RoleAssignment {
    /// `user` (or `user-light` for guests) to who has none.
    Default,
    /// The first mapping whose value is in the claim.
    Oidc {
        /// The role claim.
        claim: ClaimPath,
        /// Ordered from most to least privileged.
        mapping: Vec<RoleMapping>,
    },
}

/// One entry of `role_mapping`.
#[derive(Debug, Clone)]
pub struct RoleMapping {
    /// The role given.
    pub role: Role,
    /// The claim value it is given for.
    pub value: String,
    /// oCIS 8: the value as a regular expression over the whole claim value.
    pub pattern: Option<regex::Regex>,
}

/// `PROXY_ROLE_SYNC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum RoleSync {
    /// The claim decides at every login.
    #[default]
    Always,
    /// The claim decides when the account has no role.
    FirstLogin,
    /// The stored role decides.
    Never,
}

/// One entry of `PROXY_SERVICE_CLIENTS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceClient {
    /// `azp` or `client_id` of the token.
    pub client_id: String,
    /// The account it acts as.
    pub username: String,
    /// Its role.
    pub role: Role,
}
