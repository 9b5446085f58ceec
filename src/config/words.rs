//! Words of settings that choose between parts; what is chosen has values of its own besides and so is another type.

use strum::{EnumString, VariantNames};
use tracing::level_filters::LevelFilter;

/// `account_backend`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum AccountBackendName {
    Cs3,
    Ldap,
    Embedded,
}

/// `auto_provision_backend`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum ProvisionBackendName {
    Graph,
    Ldap,
    Embedded,
}

/// `role_assignment.driver`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum RoleDriver {
    #[default]
    Default,
    Oidc,
}

/// `role_store`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum RoleStoreName {
    Account,
    Settings,
}

/// `grpc_client_tls.mode` and `reva.tls.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum TlsMode {
    #[default]
    Off,
    Insecure,
    On,
}

/// `ldap.disable_user_mechanism`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum DisableMechanismName {
    None,
    #[default]
    Attribute,
    Group,
}

/// `webfinger.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum WebfingerMode {
    #[default]
    Forward,
    Native,
}

/// Stores by the names that go-micro has for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum StoreName {
    #[default]
    Memory,
    Noop,
    Ocmem,
    NatsJsKv,
    RedisSentinel,
    Redis,
    Etcd,
}

/// `tracing.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum TracingType {
    Jaeger,
    Otlp,
}

/// `traces_exporter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum TracesExporter {
    None,
    Console,
    Otlp,
}

/// `log.level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum LogLevel {
    Off,
    Panic,
    Fatal,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// What is written at it. Go's panic and fatal are above error; nothing here is logged at them.
    pub(crate) const fn filter(self) -> LevelFilter {
        match self {
            Self::Off => LevelFilter::OFF,
            Self::Panic | Self::Fatal | Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}
