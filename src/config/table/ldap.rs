//! LDAP (docs/design/contract.md 7.1). davgate reads as the users and groups services do and writes as graph does, so their variables
//! count too; graph's is the stronger one.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Secret;
use crate::config::accounts::LdapScope;
use crate::config::key::{Key, Word};
use crate::config::setting::{Preset, Setting};
use crate::config::words::DisableMechanismName;

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

pub(crate) const URI: Key<Vec<String>> = Key::new(
    "ldap.uri",
    user!("URI"),
    Preset::Text("ldaps://localhost:9235"),
    "servers; the first that answers serves",
);

pub(crate) const CACERT: Key<PathBuf> = Key::new(
    "ldap.cacert",
    user!("CACERT"),
    Preset::Derived("<data>/idm/ldap.crt if it exists"),
    "PEM file of the CA for LDAPS and StartTLS, besides the system's",
);

pub(crate) const INSECURE: Key<bool> = Key::new(
    "ldap.insecure",
    user!("INSECURE"),
    Preset::Text("false"),
    "certificates are not verified, and plain `ldap://` is allowed anywhere",
);

pub(crate) const START_TLS: Key<bool> = Key::new(
    "ldap.start_tls",
    &["PROXY_LDAP_START_TLS"],
    Preset::Text("false"),
    "StartTLS on `ldap://`",
);

pub(crate) const POOL_SIZE: Key<usize> = Key::new(
    "ldap.pool_size",
    &["PROXY_LDAP_POOL_SIZE"],
    Preset::Text("8"),
    "connections in the pool",
);

pub(crate) const TIMEOUT: Key<Duration> = Key::new(
    "ldap.timeout",
    &["PROXY_LDAP_TIMEOUT"],
    Preset::Text("5s"),
    "one operation may take this long",
);

pub(crate) const BIND_DN: Key<String> = Key::new(
    "ldap.bind_dn",
    user!("BIND_DN"),
    Preset::Text("uid=libregraph,ou=sysusers,o=libregraph-idm"),
    "bind DN; empty binds anonymously",
);

pub(crate) const BIND_PASSWORD: Key<Secret> = Key::new(
    "ldap.bind_password",
    user!("BIND_PASSWORD"),
    Preset::Empty,
    "bind password",
)
.shared("graph.identity.ldap.bind_password");

pub(crate) const SERVER_WRITE_ENABLED: Key<bool> = Key::new(
    "ldap.server_write_enabled",
    &[
        "OC_LDAP_SERVER_WRITE_ENABLED",
        "GRAPH_LDAP_SERVER_WRITE_ENABLED",
        "PROXY_LDAP_SERVER_WRITE_ENABLED",
    ],
    Preset::Text("true"),
    "davgate may write",
);

pub(crate) const SERVER_UUID: Key<bool> = Key::new(
    "ldap.server_uuid",
    &["GRAPH_LDAP_SERVER_UUID", "PROXY_LDAP_SERVER_UUID"],
    Preset::Text("false"),
    "the server makes the ids",
);

pub(crate) const USER_BASE_DN: Key<String> = Key::new(
    "ldap.user_base_dn",
    user!("USER_BASE_DN"),
    Preset::Text("ou=users,o=libregraph-idm"),
    "base of the users",
);

pub(crate) const USER_SCOPE: Key<Word<LdapScope>> = Key::new(
    "ldap.user_scope",
    user!("USER_SCOPE"),
    Preset::Text("sub"),
    "search scope for users",
);

pub(crate) const USER_FILTER: Key<String> = Key::new(
    "ldap.user_filter",
    user!("USER_FILTER"),
    Preset::Empty,
    "further filter for users, with brackets",
);

pub(crate) const USER_OBJECTCLASS: Key<String> = Key::new(
    "ldap.user_objectclass",
    user!("USER_OBJECTCLASS"),
    Preset::Text("inetOrgPerson"),
    "object class of users",
);

pub(crate) const USER_AUX_OBJECTCLASS: Key<String> = Key::new(
    "ldap.user_aux_objectclass",
    &["PROXY_LDAP_USER_AUX_OBJECTCLASS"],
    Preset::Flavor("openCloudUser", "ownCloudUser"),
    "auxiliary class of created users; empty: none",
);

pub(crate) const USER_SCHEMA_ID: Key<String> = Key::new(
    "ldap.user_schema_id",
    user!("USER_SCHEMA_ID"),
    Preset::Flavor("openCloudUUID", "ownCloudUUID"),
    "attribute of the user's id",
);

pub(crate) const USER_SCHEMA_ID_IS_OCTETSTRING: Key<bool> = Key::new(
    "ldap.user_schema_id_is_octetstring",
    user!("USER_SCHEMA_ID_IS_OCTETSTRING"),
    Preset::Text("false"),
    "the id is binary (`objectGUID`)",
);

pub(crate) const USER_SCHEMA_USERNAME: Key<String> = Key::new(
    "ldap.user_schema_username",
    user!("USER_SCHEMA_USERNAME"),
    Preset::Text("uid"),
    "attribute of the user name",
);

pub(crate) const USER_SCHEMA_MAIL: Key<String> = Key::new(
    "ldap.user_schema_mail",
    user!("USER_SCHEMA_MAIL"),
    Preset::Text("mail"),
    "attribute of the mail address",
);

pub(crate) const USER_SCHEMA_DISPLAYNAME: Key<String> = Key::new(
    "ldap.user_schema_displayname",
    user!("USER_SCHEMA_DISPLAYNAME"),
    Preset::Text("displayName"),
    "attribute of the display name",
);

pub(crate) const USER_SCHEMA_TENANT_ID: Key<String> = Key::new(
    "ldap.user_schema_tenant_id",
    user!("USER_SCHEMA_TENANT_ID"),
    Preset::Empty,
    "attribute of the id of the user's tenant, see `multi_tenant_enabled`",
);

pub(crate) const USER_SCHEMA_USER_TYPE: Key<String> = Key::new(
    "ldap.user_schema_user_type",
    user!("USER_SCHEMA_USER_TYPE"),
    Preset::Flavor("openCloudUserType", "ownCloudUserType"),
    "attribute of the user type",
);

pub(crate) const EXTERNAL_IDENTITY_ATTRIBUTE: Key<String> = Key::new(
    "ldap.external_identity_attribute",
    &["PROXY_LDAP_EXTERNAL_IDENTITY_ATTRIBUTE"],
    Preset::Flavor("openCloudExternalIdentity", "oCExternalIdentity"),
    "attribute of issuer and subject",
);

pub(crate) const ROLE_ATTRIBUTE: Key<String> = Key::new(
    "ldap.role_attribute",
    &["PROXY_LDAP_ROLE_ATTRIBUTE"],
    Preset::Text("employeeType"),
    "attribute of the role's name",
);

pub(crate) const DISABLE_USER_MECHANISM: Key<Word<DisableMechanismName>> = Key::new(
    "ldap.disable_user_mechanism",
    user!("DISABLE_USER_MECHANISM"),
    Preset::Text("attribute"),
    "how an account is disabled",
);

pub(crate) const USER_ENABLED_ATTRIBUTE: Key<String> = Key::new(
    "ldap.user_enabled_attribute",
    user!("USER_ENABLED_ATTRIBUTE"),
    Preset::Flavor("openCloudUserEnabled", "ownCloudUserEnabled"),
    "attribute that is FALSE for a disabled account",
);

pub(crate) const DISABLED_USERS_GROUP_DN: Key<String> = Key::new(
    "ldap.disabled_users_group_dn",
    user!("DISABLED_USERS_GROUP_DN"),
    Preset::Text("cn=DisabledUsersGroup,ou=groups,o=libregraph-idm"),
    "group of the disabled accounts",
);

pub(crate) const GROUP_BASE_DN: Key<String> = Key::new(
    "ldap.group_base_dn",
    group!("GROUP_BASE_DN"),
    Preset::Text("ou=groups,o=libregraph-idm"),
    "base of the groups",
);

pub(crate) const GROUP_CREATE_BASE_DN: Key<String> = Key::new(
    "ldap.group_create_base_dn",
    &[
        "GRAPH_LDAP_GROUP_CREATE_BASE_DN",
        "PROXY_LDAP_GROUP_CREATE_BASE_DN",
    ],
    Preset::Derived("`ldap.group_base_dn`"),
    "where groups are created",
);

pub(crate) const GROUP_SCOPE: Key<Word<LdapScope>> = Key::new(
    "ldap.group_scope",
    group!("GROUP_SCOPE"),
    Preset::Text("sub"),
    "search scope for groups",
);

pub(crate) const GROUP_FILTER: Key<String> = Key::new(
    "ldap.group_filter",
    group!("GROUP_FILTER"),
    Preset::Empty,
    "further filter for groups, with brackets",
);

pub(crate) const GROUP_OBJECTCLASS: Key<String> = Key::new(
    "ldap.group_objectclass",
    group!("GROUP_OBJECTCLASS"),
    Preset::Text("groupOfNames"),
    "object class of groups",
);

pub(crate) const GROUP_AUX_OBJECTCLASS: Key<String> = Key::new(
    "ldap.group_aux_objectclass",
    &["PROXY_LDAP_GROUP_AUX_OBJECTCLASS"],
    Preset::Flavor("openCloudObject", "ownCloud"),
    "auxiliary class of created groups; empty: none",
);

pub(crate) const GROUP_SCHEMA_ID: Key<String> = Key::new(
    "ldap.group_schema_id",
    group!("GROUP_SCHEMA_ID"),
    Preset::Flavor("openCloudUUID", "ownCloudUUID"),
    "attribute of the group's id",
);

pub(crate) const GROUP_SCHEMA_GROUPNAME: Key<String> = Key::new(
    "ldap.group_schema_groupname",
    group!("GROUP_SCHEMA_GROUPNAME"),
    Preset::Text("cn"),
    "attribute of the group's name",
);

pub(crate) const GROUP_SCHEMA_MEMBER: Key<String> = Key::new(
    "ldap.group_schema_member",
    group!("GROUP_SCHEMA_MEMBER"),
    Preset::Text("member"),
    "attribute of the members, full DNs",
);

pub(crate) const GROUP_MANAGED_ATTRIBUTE: Key<String> = Key::new(
    "ldap.group_managed_attribute",
    &["PROXY_LDAP_GROUP_MANAGED_ATTRIBUTE"],
    Preset::Text("businessCategory"),
    "attribute that marks groups that claims may change; its value is the issuer",
);

/// In the order of the reference.
pub(super) const SETTINGS: &[Setting] = &[
    URI.setting,
    CACERT.setting,
    INSECURE.setting,
    START_TLS.setting,
    POOL_SIZE.setting,
    TIMEOUT.setting,
    BIND_DN.setting,
    BIND_PASSWORD.setting,
    SERVER_WRITE_ENABLED.setting,
    SERVER_UUID.setting,
    USER_BASE_DN.setting,
    USER_SCOPE.setting,
    USER_FILTER.setting,
    USER_OBJECTCLASS.setting,
    USER_AUX_OBJECTCLASS.setting,
    USER_SCHEMA_ID.setting,
    USER_SCHEMA_ID_IS_OCTETSTRING.setting,
    USER_SCHEMA_USERNAME.setting,
    USER_SCHEMA_MAIL.setting,
    USER_SCHEMA_DISPLAYNAME.setting,
    USER_SCHEMA_TENANT_ID.setting,
    USER_SCHEMA_USER_TYPE.setting,
    EXTERNAL_IDENTITY_ATTRIBUTE.setting,
    ROLE_ATTRIBUTE.setting,
    DISABLE_USER_MECHANISM.setting,
    USER_ENABLED_ATTRIBUTE.setting,
    DISABLED_USERS_GROUP_DN.setting,
    GROUP_BASE_DN.setting,
    GROUP_CREATE_BASE_DN.setting,
    GROUP_SCOPE.setting,
    GROUP_FILTER.setting,
    GROUP_OBJECTCLASS.setting,
    GROUP_AUX_OBJECTCLASS.setting,
    GROUP_SCHEMA_ID.setting,
    GROUP_SCHEMA_GROUPNAME.setting,
    GROUP_SCHEMA_MEMBER.setting,
    GROUP_MANAGED_ATTRIBUTE.setting,
];
