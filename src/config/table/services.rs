//! Services by name: fixed addresses, and the registry that knows the others.

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
        "services",
        &[],
        Kind::Tree,
        Preset::Derived("the registry's, else the default addresses of the services"),
        "map of service name to URL, `graph: http://10.0.0.5:9120`; gRPC services by whole name, `eu.opencloud.api.gateway: 10.0.0.5:9142`",
    )
    .live(),
    s(
        "registry",
        &["MICRO_REGISTRY"],
        Kind::Text,
        Preset::Text("nats-js-kv"),
        "service registry, `nats-js-kv`; `memory` is that of one process, so services have their default addresses then",
    ),
    s(
        "registry_address",
        &["MICRO_REGISTRY_ADDRESS"],
        Kind::List,
        Preset::Text("127.0.0.1:9233"),
        "addresses of its NATS servers",
    ),
    s(
        "registry_username",
        &["MICRO_REGISTRY_AUTH_USERNAME"],
        Kind::Text,
        Preset::Empty,
        "user name there",
    ),
    s(
        "registry_password",
        &["MICRO_REGISTRY_AUTH_PASSWORD"],
        Kind::Secret,
        Preset::Empty,
        "password there",
    ),
    s(
        "registry_enable_tls",
        &["MICRO_REGISTRY_ENABLE_TLS"],
        Kind::Bool,
        Preset::Text("false"),
        "TLS to it",
    ),
    s(
        "registry_tls_insecure",
        &["MICRO_REGISTRY_TLS_INSECURE"],
        Kind::Bool,
        Preset::Text("false"),
        "its certificate is not verified",
    ),
    s(
        "registry_tls_root_ca_certificate",
        &["MICRO_REGISTRY_TLS_ROOT_CA_CERTIFICATE"],
        Kind::Path,
        Preset::Empty,
        "its CA; makes `registry_tls_insecure` void",
    ),
];
