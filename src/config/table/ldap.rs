//! LDAP (docs/design/contract.md 7.1). davgate reads as the users and groups services do and writes as graph does, so their variables
//! count too; graph's is the stronger one.

use strum::VariantNames as _;

use crate::config::accounts::LdapScope;
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

/// The four names of a setting that users and graph share.
macro_rules! user {
    ($name:literal) => {
        &[
            concat!("OC_LDAP_", $name),
            concat!("USERS_LDAP_", $name),
            concat!("GRAPH_LDAP_", $name),
            concat!("PROXY_LDAP_", $name),
        ]
    };
}

/// The four names of a setting that groups and graph share.
macro_rules! group {
    ($name:literal) => {
        &[
            concat!("OC_LDAP_", $name),
            concat!("GROUPS_LDAP_", $name),
            concat!("GRAPH_LDAP_", $name),
            concat!("PROXY_LDAP_", $name),
        ]
    };
}

const SCOPE: Kind = Kind::Word(LdapScope::VARIANTS);

pub(super) const SETTINGS: &[Setting] = &[
    s(
        "ldap.uri",
        user!("URI"),
        Kind::List,
        Preset::Text("ldaps://localhost:9235"),
        "servers; the first that answers serves",
    ),
    s(
        "ldap.cacert",
        user!("CACERT"),
        Kind::Path,
        Preset::Derived("<data>/idm/ldap.crt if it exists"),
        "PEM file of the CA for LDAPS and StartTLS, besides the system's",
    ),
    s(
        "ldap.insecure",
        user!("INSECURE"),
        Kind::Bool,
        Preset::Text("false"),
        "certificates are not verified, and plain `ldap://` is allowed anywhere",
    ),
    s(
        "ldap.start_tls",
        &["PROXY_LDAP_START_TLS"],
        Kind::Bool,
        Preset::Text("false"),
        "StartTLS on `ldap://`",
    ),
    s(
        "ldap.pool_size",
        &["PROXY_LDAP_POOL_SIZE"],
        Kind::Int,
        Preset::Text("8"),
        "connections in the pool",
    ),
    s(
        "ldap.timeout",
        &["PROXY_LDAP_TIMEOUT"],
        Kind::Duration,
        Preset::Text("5s"),
        "one operation may take this long",
    ),
    s(
        "ldap.bind_dn",
        user!("BIND_DN"),
        Kind::Text,
        Preset::Text("uid=libregraph,ou=sysusers,o=libregraph-idm"),
        "bind DN; empty binds anonymously",
    ),
    s(
        "ldap.bind_password",
        user!("BIND_PASSWORD"),
        Kind::Secret,
        Preset::Empty,
        "bind password",
    )
    .shared("graph.identity.ldap.bind_password"),
    s(
        "ldap.server_write_enabled",
        &[
            "OC_LDAP_SERVER_WRITE_ENABLED",
            "GRAPH_LDAP_SERVER_WRITE_ENABLED",
            "PROXY_LDAP_SERVER_WRITE_ENABLED",
        ],
        Kind::Bool,
        Preset::Text("true"),
        "davgate may write",
    ),
    s(
        "ldap.server_uuid",
        &["GRAPH_LDAP_SERVER_UUID", "PROXY_LDAP_SERVER_UUID"],
        Kind::Bool,
        Preset::Text("false"),
        "the server makes the ids",
    ),
    s(
        "ldap.user_base_dn",
        user!("USER_BASE_DN"),
        Kind::Text,
        Preset::Text("ou=users,o=libregraph-idm"),
        "base of the users",
    ),
    s(
        "ldap.user_scope",
        user!("USER_SCOPE"),
        SCOPE,
        Preset::Text("sub"),
        "search scope for users",
    ),
    s(
        "ldap.user_filter",
        user!("USER_FILTER"),
        Kind::Text,
        Preset::Empty,
        "further filter for users, with brackets",
    ),
    s(
        "ldap.user_objectclass",
        user!("USER_OBJECTCLASS"),
        Kind::Text,
        Preset::Text("inetOrgPerson"),
        "object class of users",
    ),
    s(
        "ldap.user_aux_objectclass",
        &["PROXY_LDAP_USER_AUX_OBJECTCLASS"],
        Kind::Text,
        Preset::Flavor("openCloudUser", "ownCloudUser"),
        "auxiliary class of created users; empty: none",
    ),
    s(
        "ldap.user_schema_id",
        user!("USER_SCHEMA_ID"),
        Kind::Text,
        Preset::Flavor("openCloudUUID", "ownCloudUUID"),
        "attribute of the user's id",
    ),
    s(
        "ldap.user_schema_id_is_octetstring",
        user!("USER_SCHEMA_ID_IS_OCTETSTRING"),
        Kind::Bool,
        Preset::Text("false"),
        "the id is binary (`objectGUID`)",
    ),
    s(
        "ldap.user_schema_username",
        user!("USER_SCHEMA_USERNAME"),
        Kind::Text,
        Preset::Text("uid"),
        "attribute of the user name",
    ),
    s(
        "ldap.user_schema_mail",
        user!("USER_SCHEMA_MAIL"),
        Kind::Text,
        Preset::Text("mail"),
        "attribute of the mail address",
    ),
    s(
        "ldap.user_schema_displayname",
        user!("USER_SCHEMA_DISPLAYNAME"),
        Kind::Text,
        Preset::Text("displayName"),
        "attribute of the display name",
    ),
    s(
        "ldap.user_schema_tenant_id",
        user!("USER_SCHEMA_TENANT_ID"),
        Kind::Text,
        Preset::Empty,
        "attribute of the id of the user's tenant, see `multi_tenant_enabled`",
    ),
    s(
        "ldap.user_schema_user_type",
        user!("USER_SCHEMA_USER_TYPE"),
        Kind::Text,
        Preset::Flavor("openCloudUserType", "ownCloudUserType"),
        "attribute of the user type",
    ),
    s(
        "ldap.external_identity_attribute",
        &["PROXY_LDAP_EXTERNAL_IDENTITY_ATTRIBUTE"],
        Kind::Text,
        Preset::Flavor("openCloudExternalIdentity", "oCExternalIdentity"),
        "attribute of issuer and subject",
    ),
    s(
        "ldap.role_attribute",
        &["PROXY_LDAP_ROLE_ATTRIBUTE"],
        Kind::Text,
        Preset::Text("employeeType"),
        "attribute of the role's name",
    ),
    s(
        "ldap.disable_user_mechanism",
        user!("DISABLE_USER_MECHANISM"),
        Kind::Word(&["none", "attribute", "group"]),
        Preset::Text("attribute"),
        "how an account is disabled",
    ),
    s(
        "ldap.user_enabled_attribute",
        user!("USER_ENABLED_ATTRIBUTE"),
        Kind::Text,
        Preset::Flavor("openCloudUserEnabled", "ownCloudUserEnabled"),
        "attribute that is FALSE for a disabled account",
    ),
    s(
        "ldap.disabled_users_group_dn",
        user!("DISABLED_USERS_GROUP_DN"),
        Kind::Text,
        Preset::Text("cn=DisabledUsersGroup,ou=groups,o=libregraph-idm"),
        "group of the disabled accounts",
    ),
    s(
        "ldap.group_base_dn",
        group!("GROUP_BASE_DN"),
        Kind::Text,
        Preset::Text("ou=groups,o=libregraph-idm"),
        "base of the groups",
    ),
    s(
        "ldap.group_create_base_dn",
        &[
            "GRAPH_LDAP_GROUP_CREATE_BASE_DN",
            "PROXY_LDAP_GROUP_CREATE_BASE_DN",
        ],
        Kind::Text,
        Preset::Derived("`ldap.group_base_dn`"),
        "where groups are created",
    ),
    s(
        "ldap.group_scope",
        group!("GROUP_SCOPE"),
        SCOPE,
        Preset::Text("sub"),
        "search scope for groups",
    ),
    s(
        "ldap.group_filter",
        group!("GROUP_FILTER"),
        Kind::Text,
        Preset::Empty,
        "further filter for groups, with brackets",
    ),
    s(
        "ldap.group_objectclass",
        group!("GROUP_OBJECTCLASS"),
        Kind::Text,
        Preset::Text("groupOfNames"),
        "object class of groups",
    ),
    s(
        "ldap.group_aux_objectclass",
        &["PROXY_LDAP_GROUP_AUX_OBJECTCLASS"],
        Kind::Text,
        Preset::Flavor("openCloudObject", "ownCloud"),
        "auxiliary class of created groups; empty: none",
    ),
    s(
        "ldap.group_schema_id",
        group!("GROUP_SCHEMA_ID"),
        Kind::Text,
        Preset::Flavor("openCloudUUID", "ownCloudUUID"),
        "attribute of the group's id",
    ),
    s(
        "ldap.group_schema_groupname",
        group!("GROUP_SCHEMA_GROUPNAME"),
        Kind::Text,
        Preset::Text("cn"),
        "attribute of the group's name",
    ),
    s(
        "ldap.group_schema_member",
        group!("GROUP_SCHEMA_MEMBER"),
        Kind::Text,
        Preset::Text("member"),
        "attribute of the members, full DNs",
    ),
    s(
        "ldap.group_managed_attribute",
        &["PROXY_LDAP_GROUP_MANAGED_ATTRIBUTE"],
        Kind::Text,
        Preset::Text("businessCategory"),
        "attribute that marks groups that claims may change; its value is the issuer",
    ),
];
