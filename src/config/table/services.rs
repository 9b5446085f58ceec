//! Services by name: fixed addresses, and the registry that knows the others.

use std::path::PathBuf;

use crate::config::Secret;
use crate::config::key::{Key, Tree};
use crate::config::setting::{Preset, Setting};

pub(crate) const SERVICES: Key<Tree> = Key::new("services",&[],Preset::Derived("the registry's, else the default addresses of the services"),"map of service name to URL, `graph: http://10.0.0.5:9120`; gRPC services by whole name, `eu.opencloud.api.gateway: 10.0.0.5:9142`").live();

pub(crate) const REGISTRY: Key<String> = Key::new(
    "registry",
    &["MICRO_REGISTRY"],
    Preset::Text("nats-js-kv"),
    "service registry, `nats-js-kv`; `memory` is that of one process, so services have their default addresses then",
);

pub(crate) const REGISTRY_ADDRESS: Key<Vec<String>> = Key::new(
    "registry_address",
    &["MICRO_REGISTRY_ADDRESS"],
    Preset::Text("127.0.0.1:9233"),
    "addresses of its NATS servers",
);

pub(crate) const REGISTRY_USERNAME: Key<String> = Key::new(
    "registry_username",
    &["MICRO_REGISTRY_AUTH_USERNAME"],
    Preset::Empty,
    "user name there",
);

pub(crate) const REGISTRY_PASSWORD: Key<Secret> = Key::new(
    "registry_password",
    &["MICRO_REGISTRY_AUTH_PASSWORD"],
    Preset::Empty,
    "password there",
);

pub(crate) const REGISTRY_ENABLE_TLS: Key<bool> = Key::new(
    "registry_enable_tls",
    &["MICRO_REGISTRY_ENABLE_TLS"],
    Preset::Text("false"),
    "TLS to it",
);

pub(crate) const REGISTRY_TLS_INSECURE: Key<bool> = Key::new(
    "registry_tls_insecure",
    &["MICRO_REGISTRY_TLS_INSECURE"],
    Preset::Text("false"),
    "its certificate is not verified",
);

pub(crate) const REGISTRY_TLS_ROOT_CA_CERTIFICATE: Key<PathBuf> = Key::new(
    "registry_tls_root_ca_certificate",
    &["MICRO_REGISTRY_TLS_ROOT_CA_CERTIFICATE"],
    Preset::Empty,
    "its CA; makes `registry_tls_insecure` void",
);

/// In the order of the reference.
pub(super) const SETTINGS: &[Setting] = &[
    SERVICES.setting,
    REGISTRY.setting,
    REGISTRY_ADDRESS.setting,
    REGISTRY_USERNAME.setting,
    REGISTRY_PASSWORD.setting,
    REGISTRY_ENABLE_TLS.setting,
    REGISTRY_TLS_INSECURE.setting,
    REGISTRY_TLS_ROOT_CA_CERTIFICATE.setting,
];
