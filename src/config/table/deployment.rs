//! The deployment's own services, and who davgate is to them.

use strum::VariantNames as _;

use crate::config::deployment::CreateHome;
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

const TLS_MODE: Kind = Kind::Word(&["off", "insecure", "on"]);

pub(super) const SETTINGS: &[Setting] = &[
    s(
        "reva.address",
        &["OC_REVA_GATEWAY"],
        Kind::Text,
        Preset::Flavor("eu.opencloud.api.gateway", "com.owncloud.api.gateway"),
        "CS3 gateway: a service's name, host:port, dns:host:port or unix:/path",
    ),
    s(
        "reva.tls.mode",
        &[],
        TLS_MODE,
        Preset::Derived("grpc_client_tls.mode"),
        "the same as grpc_client_tls.mode, which it replaces",
    ),
    s(
        "reva.tls.cacert",
        &[],
        Kind::Path,
        Preset::Derived("grpc_client_tls.cacert"),
        "the same as grpc_client_tls.cacert",
    ),
    s(
        "grpc_client_tls.mode",
        &["OC_GRPC_CLIENT_TLS_MODE"],
        TLS_MODE,
        Preset::Text("off"),
        "TLS to gRPC services: none, with any certificate, verified",
    ),
    s(
        "grpc_client_tls.cacert",
        &["OC_GRPC_CLIENT_TLS_CACERT"],
        Kind::Path,
        Preset::Empty,
        "CA of gRPC services, besides the system's",
    ),
    s(
        "machine_auth_api_key",
        &["OC_MACHINE_AUTH_API_KEY", "PROXY_MACHINE_AUTH_API_KEY"],
        Kind::Secret,
        Preset::Empty,
        "key of machine logins; required with `cs3`",
    )
    .shared("machine_auth_api_key"),
    s(
        "service_account.service_account_id",
        &["OC_SERVICE_ACCOUNT_ID", "PROXY_SERVICE_ACCOUNT_ID"],
        Kind::Text,
        Preset::Empty,
        "davgate's account at the deployment's services; it assigns roles, makes users and groups",
    )
    .shared("service_account.service_account_id"),
    s(
        "service_account.service_account_secret",
        &["OC_SERVICE_ACCOUNT_SECRET", "PROXY_SERVICE_ACCOUNT_SECRET"],
        Kind::Secret,
        Preset::Empty,
        "its secret",
    )
    .shared("service_account.service_account_secret"),
    s(
        "create_home",
        &["PROXY_CREATE_HOME"],
        Kind::Word(CreateHome::VARIANTS),
        Preset::Text("auto"),
        "`auto`: a person's home is made at the set-up of a session, where there is a CS3 gateway",
    ),
    s(
        "policies_middleware.query",
        &["PROXY_POLICIES_QUERY"],
        Kind::Text,
        Preset::Empty,
        "query of the policies service that every request has to pass; empty: none is asked",
    ),
    s(
        "role_quotas",
        &[],
        Kind::Tree,
        Preset::Empty,
        "map of role id to bytes, the quota of new homes",
    ),
];
