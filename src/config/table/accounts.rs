//! Accounts, provisioning, roles, the minted identity.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Compat;
use crate::config::Secret;
use crate::config::accounts::{GroupsAbsent, RoleSync, UsernameMatch};
use crate::config::key::{ClaimValues, Key, Tree, Word};
use crate::config::oidc::{ClaimByName, UserLookup};
use crate::config::setting::{Preset, Setting};
use crate::config::words::{AccountBackendName, ProvisionBackendName, RoleDriver, RoleStoreName};

pub(crate) const ACCOUNT_BACKEND: Key<Word<AccountBackendName>> = Key::new(
    "account_backend",
    &["PROXY_ACCOUNT_BACKEND_TYPE"],
    Preset::Derived("ldap if an `*_LDAP_URI` is set, else cs3"),
    "where accounts live: the deployment's own services, a directory, one file",
);

pub(crate) const EMBEDDED_DATABASE: Key<PathBuf> = Key::new(
    "embedded.database",
    &["PROXY_EMBEDDED_DATABASE"],
    Preset::Text("<data>/proxy/accounts.db"),
    "file of the embedded accounts",
);

pub(crate) const USER_OIDC_CLAIM: Key<String> = Key::new(
    "user_oidc_claim",
    &["PROXY_USER_OIDC_CLAIM"],
    Preset::Text("preferred_username"),
    "claim that names the user",
);

pub(crate) const USER_CS3_CLAIM: Key<Word<UserLookup>> = Key::new(
    "user_cs3_claim",
    &["PROXY_USER_CS3_CLAIM"],
    Preset::Text("username"),
    "what the user claim is compared with",
);

pub(crate) const ACCOUNT_CLAIM_BY_NAME: Key<Word<ClaimByName>> = Key::new(
    "account_claim_by_name",
    &["PROXY_ACCOUNT_CLAIM_BY_NAME"],
    Preset::Derived("unprivileged; never with several issuers"),
    "whether an account without an identity becomes that of the user the user claim names",
);

pub(crate) const AUTO_PROVISION_ACCOUNTS: Key<bool> = Key::new(
    "auto_provision_accounts",
    &["PROXY_AUTOPROVISION_ACCOUNTS"],
    Preset::Text("false"),
    "unknown users are created",
);

pub(crate) const AUTO_PROVISION_BACKEND: Key<Word<ProvisionBackendName>> = Key::new(
    "auto_provision_backend",
    &["PROXY_AUTOPROVISION_BACKEND"],
    Preset::Derived("graph with cs3, else the account backend"),
    "who creates them; `ldap` with cs3 writes the directory behind the deployment",
);

pub(crate) const AUTO_PROVISION_CLAIMS_USERNAME: Key<Vec<String>> = Key::new(
    "auto_provision_claims.username",
    &["PROXY_AUTOPROVISION_CLAIM_USERNAME"],
    Preset::Text("preferred_username"),
    "claims for the user name, tried in order",
);

pub(crate) const AUTO_PROVISION_CLAIMS_EMAIL: Key<Vec<String>> = Key::new(
    "auto_provision_claims.email",
    &["PROXY_AUTOPROVISION_CLAIM_EMAIL"],
    Preset::Text("email"),
    "claims for the mail address, tried in order",
);

pub(crate) const AUTO_PROVISION_CLAIMS_DISPLAY_NAME: Key<Vec<String>> = Key::new(
    "auto_provision_claims.display_name",
    &["PROXY_AUTOPROVISION_CLAIM_DISPLAYNAME"],
    Preset::Text("name"),
    "claims for the display name, tried in order",
);

pub(crate) const AUTO_PROVISION_CLAIMS_GROUPS: Key<Vec<String>> = Key::new(
    "auto_provision_claims.groups",
    &["PROXY_AUTOPROVISION_CLAIM_GROUPS"],
    Preset::Since(&[
        (Compat::OpenCloud1, "groups"),
        (Compat::Ocis7, "groups"),
        (Compat::Ocis8, ""),
    ]),
    "claims with the names of the groups, the first that is there; empty: groups are left alone",
);

pub(crate) const AUTO_PROVISION_CLAIMS_GROUP_ID: Key<String> = Key::new(
    "auto_provision_claims.group_id",
    &["PROXY_AUTOPROVISION_CLAIM_GROUP_ID"],
    Preset::Empty,
    "claim with a stable id per group, parallel to the names",
);

pub(crate) const AUTO_PROVISION_GROUPS_ABSENT: Key<Word<GroupsAbsent>> = Key::new(
    "auto_provision_groups_absent",
    &["PROXY_AUTOPROVISION_GROUPS_ABSENT"],
    Preset::Text("keep"),
    "what a login without the group claim means: `keep` changes nothing, `none` is an empty list, for issuers that leave the claim out when somebody is in no group (Keycloak)",
);

pub(crate) const ACCOUNT_FORMER_ISSUERS: Key<Vec<String>> = Key::new(
    "account_former_issuers",
    &["PROXY_ACCOUNT_FORMER_ISSUERS"],
    Preset::Empty,
    "issuers whose identities on an account are replaced, once, by the login that the user claim leads to it: for an issuer whose address changed, and for the way from the built-in provider to another; take it out when everybody has moved",
);

pub(crate) const MULTI_TENANT_ENABLED: Key<bool> = Key::new(
    "multi_tenant_enabled",
    &["OC_MULTI_TENANT_ENABLED"],
    Preset::Text("false"),
    "users without a tenant are refused; with `ldap`, see `ldap.user_schema_tenant_id`",
)
.shared("multi_tenant_enabled");

pub(crate) const TENANT_OIDC_CLAIM: Key<String> = Key::new(
    "tenant_oidc_claim",
    &["PROXY_TENANT_OIDC_CLAIM"],
    Preset::Empty,
    "claim (path) that has to be the id of the user's tenant; empty: not compared",
);

pub(crate) const TENANT_ID_MAPPING_ENABLED: Key<bool> = Key::new(
    "tenant_id_mapping_enabled",
    &["PROXY_TENANT_ID_MAPPING_ENABLED"],
    Preset::Text("false"),
    "that claim has the id that others know the tenant by; the CS3 gateway is asked, as the service account, which tenant that is",
);

pub(crate) const AUTO_PROVISION_GROUP_CREATE: Key<bool> = Key::new(
    "auto_provision_group_create",
    &["PROXY_AUTOPROVISION_GROUP_CREATE"],
    Preset::Text("true"),
    "groups of the claim that do not exist are created",
);

pub(crate) const AUTO_PROVISION_GROUPS_ADOPT: Key<bool> = Key::new(
    "auto_provision_groups_adopt",
    &["PROXY_AUTOPROVISION_GROUPS_ADOPT"],
    Preset::Text("false"),
    "an unmarked group of a claimed name is taken over",
);

pub(crate) const AUTO_PROVISION_ATTRIBUTES: Key<ClaimValues> = Key::new(
    "auto_provision_attributes",
    &["PROXY_AUTOPROVISION_ATTRIBUTES"],
    Preset::Empty,
    "`ldapAttribute=claim`, further attributes of new accounts",
);

pub(crate) const USERNAME_MATCH: Key<Word<UsernameMatch>> = Key::new(
    "username_match",
    &["GRAPH_USERNAME_MATCH"],
    Preset::Text("default"),
    "rule for names of new accounts: letters, digits, `.-_@+`; or none",
);

pub(crate) const ROLE_ASSIGNMENT_DRIVER: Key<Word<RoleDriver>> = Key::new(
    "role_assignment.driver",
    &["PROXY_ROLE_ASSIGNMENT_DRIVER"],
    Preset::Text("default"),
    "`default`: user to who has none; `oidc`: by the mapping",
)
.new_sessions();

pub(crate) const ROLE_ASSIGNMENT_OIDC_ROLE_MAPPER_ROLE_CLAIM: Key<String> = Key::new(
    "role_assignment.oidc_role_mapper.role_claim",
    &["PROXY_ROLE_ASSIGNMENT_OIDC_CLAIM"],
    Preset::Text("roles"),
    "claim with the roles",
)
.new_sessions();

pub(crate) const ROLE_ASSIGNMENT_OIDC_ROLE_MAPPER_ROLE_MAPPING: Key<Tree> = Key::new("role_assignment.oidc_role_mapper.role_mapping",&["PROXY_ROLE_ASSIGNMENT_OIDC_MAPPING"],Preset::Flavor(
            "admin=opencloudAdmin;spaceadmin=opencloudSpaceAdmin;user=opencloudUser;user-light=opencloudGuest",
            "admin=ocisAdmin;spaceadmin=ocisSpaceAdmin;user=ocisUser;user-light=ocisGuest",
        ),"ordered list of {role_name, claim_value}, as text `admin=valueA;user=valueB`").new_sessions();

pub(crate) const ROLE_STORE: Key<Word<RoleStoreName>> = Key::new(
    "role_store",
    &["PROXY_ROLE_STORE"],
    Preset::Derived(
        "settings with cs3, and where a settings service is registered and there is a service account; else account",
    ),
    "where an assigned role is kept: with the account, or by the settings service, which the web client asks",
);

pub(crate) const ROLE_SYNC: Key<Word<RoleSync>> = Key::new(
    "role_sync",
    &["PROXY_ROLE_SYNC"],
    Preset::Text("always"),
    "when the claim decides over a role that is there",
);

pub(crate) const ROLE_BOOTSTRAP_ADMIN: Key<ClaimValues> = Key::new(
    "role_bootstrap_admin",
    &["PROXY_ROLE_BOOTSTRAP_ADMIN"],
    Preset::Empty,
    "`claim=value`: who holds it is admin at first login; of several issuers the first one's users only",
);

pub(crate) const SERVICE_CLIENTS: Key<ClaimValues> = Key::new(
    "service_clients",
    &["PROXY_SERVICE_CLIENTS"],
    Preset::Empty,
    "`client_id=username:role`: client-credentials tokens of these clients act as these accounts; of several issuers the first one's clients only",
);

pub(crate) const ACCOUNT_CACHE_TTL: Key<Duration> = Key::new(
    "account_cache_ttl",
    &["PROXY_ACCOUNT_CACHE_TTL"],
    Preset::Text("30s"),
    "a change in the directory is seen within this time",
);

pub(crate) const ACCOUNT_MAX_STALE: Key<Duration> = Key::new(
    "account_max_stale",
    &["PROXY_ACCOUNT_MAX_STALE"],
    Preset::Text("1h"),
    "an old answer serves on for this long while the directory fails",
);

pub(crate) const JWT_SECRET: Key<Secret> = Key::new("jwt_secret",&["OC_JWT_SECRET", "PROXY_JWT_SECRET"],Preset::Empty,"signs the token backends are given; has to be theirs; required but with `cs3`, and there for transfers").shared("token_manager.jwt_secret");

pub(crate) const REVA_TOKEN_LIFETIME: Key<Duration> = Key::new(
    "reva_token_lifetime",
    &["PROXY_REVA_TOKEN_LIFETIME"],
    Preset::Text("4h"),
    "life of a minted token; renewed at half",
);

pub(crate) const IDP_URL: Key<String> = Key::new(
    "idp_url",
    &["OC_URL", "OC_OIDC_ISSUER", "USERS_IDP_URL"],
    Preset::Text("https://localhost:9200"),
    "`idp` of every account id; ownership of files depends on it",
);

/// In the order of the reference.
pub(super) const SETTINGS: &[Setting] = &[
    ACCOUNT_BACKEND.setting,
    EMBEDDED_DATABASE.setting,
    USER_OIDC_CLAIM.setting,
    USER_CS3_CLAIM.setting,
    ACCOUNT_CLAIM_BY_NAME.setting,
    AUTO_PROVISION_ACCOUNTS.setting,
    AUTO_PROVISION_BACKEND.setting,
    AUTO_PROVISION_CLAIMS_USERNAME.setting,
    AUTO_PROVISION_CLAIMS_EMAIL.setting,
    AUTO_PROVISION_CLAIMS_DISPLAY_NAME.setting,
    AUTO_PROVISION_CLAIMS_GROUPS.setting,
    AUTO_PROVISION_CLAIMS_GROUP_ID.setting,
    AUTO_PROVISION_GROUPS_ABSENT.setting,
    ACCOUNT_FORMER_ISSUERS.setting,
    MULTI_TENANT_ENABLED.setting,
    TENANT_OIDC_CLAIM.setting,
    TENANT_ID_MAPPING_ENABLED.setting,
    AUTO_PROVISION_GROUP_CREATE.setting,
    AUTO_PROVISION_GROUPS_ADOPT.setting,
    AUTO_PROVISION_ATTRIBUTES.setting,
    USERNAME_MATCH.setting,
    ROLE_ASSIGNMENT_DRIVER.setting,
    ROLE_ASSIGNMENT_OIDC_ROLE_MAPPER_ROLE_CLAIM.setting,
    ROLE_ASSIGNMENT_OIDC_ROLE_MAPPER_ROLE_MAPPING.setting,
    ROLE_STORE.setting,
    ROLE_SYNC.setting,
    ROLE_BOOTSTRAP_ADMIN.setting,
    SERVICE_CLIENTS.setting,
    ACCOUNT_CACHE_TTL.setting,
    ACCOUNT_MAX_STALE.setting,
    JWT_SECRET.setting,
    REVA_TOKEN_LIFETIME.setting,
    IDP_URL.setting,
];
