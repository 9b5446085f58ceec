//! The deployment's own services that davgate calls: where they are, and who davgate is to them.

use std::collections::HashMap;
use std::path::PathBuf;

use strum::{EnumString, VariantNames};

use super::Secret;
use crate::model::{Address, ServiceName};

/// What calls to the deployment's services need.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// The CS3 gateway.
    pub gateway: Address,
    /// The settings service, which keeps roles.
    pub settings: ServiceName,
    /// The graph service, which makes users and groups.
    pub graph: ServiceName,
    /// The policies service.
    pub policies: ServiceName,
    /// The query that requests have to pass there; none: nobody is asked.
    pub policies_query: Option<String>,
    /// TLS to gRPC services.
    pub tls: GrpcTls,
    /// Key of machine logins.
    pub machine_key: Option<Secret>,
    /// davgate's own account there.
    pub service_account: Option<ServiceAccount>,
    /// Whether homes are made.
    pub create_home: CreateHome,
    /// Bytes a new home may take, by role id.
    pub quotas: HashMap<String, u64>,
}

/// `service_account`.
#[derive(Debug, Clone)]
pub struct ServiceAccount {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: Secret,
}

/// `OC_GRPC_CLIENT_TLS_MODE`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum GrpcTls {
    /// Plain HTTP/2.
    #[default]
    Off,
    /// TLS with any certificate.
    Insecure,
    /// TLS; the certificate is verified, `OC_GRPC_CLIENT_TLS_CACERT` counts besides the system's authorities.
    On(Option<PathBuf>),
}

/// `PROXY_CREATE_HOME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, EnumString, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum CreateHome {
    /// At a session's set-up, where there is a CS3 gateway.
    #[default]
    Auto,
    /// Never.
    Off,
}
