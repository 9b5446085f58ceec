//! Accounts, provisioning, roles, the minted identity.

use strum::VariantNames as _;

use crate::config::Compat;
use crate::config::accounts::{GroupsAbsent, RoleSync, UsernameMatch};
use crate::config::oidc::{ClaimByName, UserLookup};
use crate::config::setting::{Kind, Preset, Setting};

const fn s(
    key: &'static str,
    names: &'static [&'static str],
    kind: Kind,
    preset: Preset,
    purpose: &'static str,
) -> Setting {
    Setting::new(key, names, kind, preset, purpose)
}

pub(super) const SETTINGS: &[Setting] = &[
    s(
        "account_backend",
        &["PROXY_ACCOUNT_BACKEND_TYPE"],
        Kind::Word(&["cs3", "ldap", "embedded"]),
        Preset::Derived("ldap if an `*_LDAP_URI` is set, else cs3"),
        "where accounts live: the deployment's own services, a directory, one file",
    ),
    s(
        "embedded.database",
        &["PROXY_EMBEDDED_DATABASE"],
        Kind::Path,
        Preset::Text("<data>/proxy/accounts.db"),
        "file of the embedded accounts",
    ),
    s(
        "user_oidc_claim",
        &["PROXY_USER_OIDC_CLAIM"],
        Kind::Text,
        Preset::Text("preferred_username"),
        "claim that names the user",
    ),
    s(
        "user_cs3_claim",
        &["PROXY_USER_CS3_CLAIM"],
        Kind::Word(UserLookup::VARIANTS),
        Preset::Text("username"),
        "what the user claim is compared with",
    ),
    s(
        "account_claim_by_name",
        &["PROXY_ACCOUNT_CLAIM_BY_NAME"],
        Kind::Word(ClaimByName::VARIANTS),
        Preset::Derived("unprivileged; never with several issuers"),
        "whether an account without an identity becomes that of the user the user claim names",
    ),
    s(
        "auto_provision_accounts",
        &["PROXY_AUTOPROVISION_ACCOUNTS"],
        Kind::Bool,
        Preset::Text("false"),
        "unknown users are created",
    ),
    s(
        "auto_provision_backend",
        &["PROXY_AUTOPROVISION_BACKEND"],
        Kind::Word(&["graph", "ldap", "embedded"]),
        Preset::Derived("graph with cs3, else the account backend"),
        "who creates them; `ldap` with cs3 writes the directory behind the deployment",
    ),
    s(
        "auto_provision_claims.username",
        &["PROXY_AUTOPROVISION_CLAIM_USERNAME"],
        Kind::List,
        Preset::Text("preferred_username"),
        "claims for the user name, tried in order",
    ),
    s(
        "auto_provision_claims.email",
        &["PROXY_AUTOPROVISION_CLAIM_EMAIL"],
        Kind::List,
        Preset::Text("email"),
        "claims for the mail address, tried in order",
    ),
    s(
        "auto_provision_claims.display_name",
        &["PROXY_AUTOPROVISION_CLAIM_DISPLAYNAME"],
        Kind::List,
        Preset::Text("name"),
        "claims for the display name, tried in order",
    ),
    s(
        "auto_provision_claims.groups",
        &["PROXY_AUTOPROVISION_CLAIM_GROUPS"],
        Kind::List,
        Preset::Since(&[
            (Compat::OpenCloud1, "groups"),
            (Compat::Ocis7, "groups"),
            (Compat::Ocis8, ""),
        ]),
        "claims with the names of the groups, the first that is there; empty: groups are left alone",
    ),
    s(
        "auto_provision_claims.group_id",
        &["PROXY_AUTOPROVISION_CLAIM_GROUP_ID"],
        Kind::Text,
        Preset::Empty,
        "claim with a stable id per group, parallel to the names",
    ),
    s(
        "auto_provision_groups_absent",
        &["PROXY_AUTOPROVISION_GROUPS_ABSENT"],
        Kind::Word(GroupsAbsent::VARIANTS),
        Preset::Text("keep"),
        "what a login without the group claim means: `keep` changes nothing, `none` is an empty list, for issuers that leave the claim out when somebody is in no group (Keycloak)",
    ),
    s(
        "account_former_issuers",
        &["PROXY_ACCOUNT_FORMER_ISSUERS"],
        Kind::List,
        Preset::Empty,
        "issuers whose identities on an account are replaced, once, by the login that the user claim leads to it: for an issuer whose address changed, and for the way from the built-in provider to another; take it out when everybody has moved",
    ),
    s(
        "multi_tenant_enabled",
        &["OC_MULTI_TENANT_ENABLED"],
        Kind::Bool,
        Preset::Text("false"),
        "users without a tenant are refused; with `ldap`, see `ldap.user_schema_tenant_id`",
    )
    .shared("multi_tenant_enabled"),
    s(
        "tenant_oidc_claim",
        &["PROXY_TENANT_OIDC_CLAIM"],
        Kind::Text,
        Preset::Empty,
        "claim (path) that has to be the id of the user's tenant; empty: not compared",
    ),
    s(
        "tenant_id_mapping_enabled",
        &["PROXY_TENANT_ID_MAPPING_ENABLED"],
        Kind::Bool,
        Preset::Text("false"),
        "that claim has the id that others know the tenant by; the CS3 gateway is asked, as the service account, which tenant that is",
    ),
    s(
        "auto_provision_group_create",
        &["PROXY_AUTOPROVISION_GROUP_CREATE"],
        Kind::Bool,
        Preset::Text("true"),
        "groups of the claim that do not exist are created",
    ),
    s(
        "auto_provision_groups_adopt",
        &["PROXY_AUTOPROVISION_GROUPS_ADOPT"],
        Kind::Bool,
        Preset::Text("false"),
        "an unmarked group of a claimed name is taken over",
    ),
    s(
        "auto_provision_attributes",
        &["PROXY_AUTOPROVISION_ATTRIBUTES"],
        Kind::ClaimValues,
        Preset::Empty,
        "`ldapAttribute=claim`, further attributes of new accounts",
    ),
    s(
        "username_match",
        &["GRAPH_USERNAME_MATCH"],
        Kind::Word(UsernameMatch::VARIANTS),
        Preset::Text("default"),
        "rule for names of new accounts: letters, digits, `.-_@+`; or none",
    ),
    s(
        "role_assignment.driver",
        &["PROXY_ROLE_ASSIGNMENT_DRIVER"],
        Kind::Word(&["default", "oidc"]),
        Preset::Text("default"),
        "`default`: user to who has none; `oidc`: by the mapping",
    )
    .new_sessions(),
    s(
        "role_assignment.oidc_role_mapper.role_claim",
        &["PROXY_ROLE_ASSIGNMENT_OIDC_CLAIM"],
        Kind::Text,
        Preset::Text("roles"),
        "claim with the roles",
    )
    .new_sessions(),
    s(
        "role_assignment.oidc_role_mapper.role_mapping",
        &["PROXY_ROLE_ASSIGNMENT_OIDC_MAPPING"],
        Kind::Tree,
        Preset::Flavor(
            "admin=opencloudAdmin;spaceadmin=opencloudSpaceAdmin;user=opencloudUser;user-light=opencloudGuest",
            "admin=ocisAdmin;spaceadmin=ocisSpaceAdmin;user=ocisUser;user-light=ocisGuest",
        ),
        "ordered list of {role_name, claim_value}, as text `admin=valueA;user=valueB`",
    )
    .new_sessions(),
    s(
        "role_store",
        &["PROXY_ROLE_STORE"],
        Kind::Word(&["account", "settings"]),
        Preset::Derived("settings with cs3, and where a settings service is registered and there is a service account; else account"),
        "where an assigned role is kept: with the account, or by the settings service, which the web client asks",
    ),
    s(
        "role_sync",
        &["PROXY_ROLE_SYNC"],
        Kind::Word(RoleSync::VARIANTS),
        Preset::Text("always"),
        "when the claim decides over a role that is there",
    ),
    s(
        "role_bootstrap_admin",
        &["PROXY_ROLE_BOOTSTRAP_ADMIN"],
        Kind::ClaimValues,
        Preset::Empty,
        "`claim=value`: who holds it is admin at first login; of several issuers the first one's users only",
    ),
    s(
        "service_clients",
        &["PROXY_SERVICE_CLIENTS"],
        Kind::ClaimValues,
        Preset::Empty,
        "`client_id=username:role`: client-credentials tokens of these clients act as these accounts; of several issuers the first one's clients only",
    ),
    s(
        "account_cache_ttl",
        &["PROXY_ACCOUNT_CACHE_TTL"],
        Kind::Duration,
        Preset::Text("30s"),
        "a change in the directory is seen within this time",
    ),
    s(
        "account_max_stale",
        &["PROXY_ACCOUNT_MAX_STALE"],
        Kind::Duration,
        Preset::Text("1h"),
        "an old answer serves on for this long while the directory fails",
    ),
    s(
        "jwt_secret",
        &["OC_JWT_SECRET", "PROXY_JWT_SECRET"],
        Kind::Secret,
        Preset::Empty,
        "signs the token backends are given; has to be theirs; required but with `cs3`, and there for transfers",
    )
    .shared("token_manager.jwt_secret"),
    s(
        "reva_token_lifetime",
        &["PROXY_REVA_TOKEN_LIFETIME"],
        Kind::Duration,
        Preset::Text("4h"),
        "life of a minted token; renewed at half",
    ),
    s(
        "idp_url",
        &["OC_URL", "OC_OIDC_ISSUER", "USERS_IDP_URL"],
        Kind::Text,
        Preset::Text("https://localhost:9200"),
        "`idp` of every account id; ownership of files depends on it",
    ),
];
