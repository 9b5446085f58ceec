//! The deployment's own services, and who davgate is to them.

use std::path::PathBuf;

use crate::config::Secret;
use crate::config::deployment::CreateHome;
use crate::config::key::{Key, Tree, Word};
use crate::config::setting::{Preset, Setting};
use crate::config::words::TlsMode;

pub(crate) const REVA_ADDRESS: Key<String> = Key::new(
    "reva.address",
    &["OC_REVA_GATEWAY"],
    Preset::Flavor("eu.opencloud.api.gateway", "com.owncloud.api.gateway"),
    "CS3 gateway: a service's name, host:port, dns:host:port or unix:/path",
);

pub(crate) const REVA_TLS_MODE: Key<Word<TlsMode>> = Key::new(
    "reva.tls.mode",
    &[],
    Preset::Derived("grpc_client_tls.mode"),
    "the same as grpc_client_tls.mode, which it replaces",
);

pub(crate) const REVA_TLS_CACERT: Key<PathBuf> = Key::new(
    "reva.tls.cacert",
    &[],
    Preset::Derived("grpc_client_tls.cacert"),
    "the same as grpc_client_tls.cacert",
);

pub(crate) const GRPC_CLIENT_TLS_MODE: Key<Word<TlsMode>> = Key::new(
    "grpc_client_tls.mode",
    &["OC_GRPC_CLIENT_TLS_MODE"],
    Preset::Text("off"),
    "TLS to gRPC services: none, with any certificate, verified",
);

pub(crate) const GRPC_CLIENT_TLS_CACERT: Key<PathBuf> = Key::new(
    "grpc_client_tls.cacert",
    &["OC_GRPC_CLIENT_TLS_CACERT"],
    Preset::Empty,
    "CA of gRPC services, besides the system's",
);

pub(crate) const MACHINE_AUTH_API_KEY: Key<Secret> = Key::new(
    "machine_auth_api_key",
    &["OC_MACHINE_AUTH_API_KEY", "PROXY_MACHINE_AUTH_API_KEY"],
    Preset::Empty,
    "key of machine logins; required with `cs3`",
)
.shared("machine_auth_api_key");

pub(crate) const SERVICE_ACCOUNT_SERVICE_ACCOUNT_ID: Key<String> = Key::new(
    "service_account.service_account_id",
    &["OC_SERVICE_ACCOUNT_ID", "PROXY_SERVICE_ACCOUNT_ID"],
    Preset::Empty,
    "davgate's account at the deployment's services; it assigns roles, makes users and groups",
)
.shared("service_account.service_account_id");

pub(crate) const SERVICE_ACCOUNT_SERVICE_ACCOUNT_SECRET: Key<Secret> = Key::new(
    "service_account.service_account_secret",
    &["OC_SERVICE_ACCOUNT_SECRET", "PROXY_SERVICE_ACCOUNT_SECRET"],
    Preset::Empty,
    "its secret",
)
.shared("service_account.service_account_secret");

pub(crate) const CREATE_HOME: Key<Word<CreateHome>> = Key::new(
    "create_home",
    &["PROXY_CREATE_HOME"],
    Preset::Text("auto"),
    "`auto`: a person's home is made at the set-up of a session, where there is a CS3 gateway",
);

pub(crate) const POLICIES_MIDDLEWARE_QUERY: Key<String> = Key::new(
    "policies_middleware.query",
    &["PROXY_POLICIES_QUERY"],
    Preset::Empty,
    "query of the policies service that every request has to pass; empty: none is asked",
);

pub(crate) const ROLE_QUOTAS: Key<Tree> = Key::new(
    "role_quotas",
    &[],
    Preset::Empty,
    "map of role id to bytes, the quota of new homes",
);

/// In the order of the reference.
pub(super) const SETTINGS: &[Setting] = &[
    REVA_ADDRESS.setting,
    REVA_TLS_MODE.setting,
    REVA_TLS_CACERT.setting,
    GRPC_CLIENT_TLS_MODE.setting,
    GRPC_CLIENT_TLS_CACERT.setting,
    MACHINE_AUTH_API_KEY.setting,
    SERVICE_ACCOUNT_SERVICE_ACCOUNT_ID.setting,
    SERVICE_ACCOUNT_SERVICE_ACCOUNT_SECRET.setting,
    CREATE_HOME.setting,
    POLICIES_MIDDLEWARE_QUERY.setting,
    ROLE_QUOTAS.setting,
];
