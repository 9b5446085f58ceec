//! Which requests are traced, and where traces go.

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use strum::{EnumString, VariantNames};

/// Traces are made.
#[derive(Debug, Clone)]
pub struct Traces {
    /// Who gets them.
    pub collector: Collector,
    /// Which requests are traced.
    pub sampling: Sampling,
    /// The share that a ratio takes, 0 to 1.
    pub ratio: f64,
    /// How long spans wait for others.
    pub delay: Duration,
    /// What this process is: `service.name` and what else was set.
    pub resource: Vec<(String, String)>,
}

/// Who gets traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// How it is told.
    pub protocol: Protocol,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// TLS, with this file of authorities besides the system's; `None`: plain.
    pub tls: Option<CollectorTls>,
    /// Path of http/protobuf.
    pub path: String,
    /// Sent with each batch; the values are sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// For one batch.
    pub timeout: Duration,
}

/// TLS to a collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorTls {
    /// A file of certificate authorities, besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// `OTEL_EXPORTER_OTLP_PROTOCOL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, EnumString, VariantNames)]
pub enum Protocol {
    /// OTLP/gRPC.
    #[default]
    #[strum(serialize = "grpc")]
    Grpc,
    /// OTLP/HTTP with protobuf.
    #[strum(serialize = "http/protobuf")]
    Http,
}

/// `OTEL_TRACES_SAMPLER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Sampling {
    /// Every request.
    AlwaysOn,
    /// None; contexts are passed on.
    AlwaysOff,
    /// A share, by the trace's id.
    #[strum(serialize = "traceidratio")]
    TraceIdRatio,
    /// As the client decided, else every one.
    #[default]
    #[strum(serialize = "parentbased_always_on")]
    ParentBasedAlwaysOn,
    /// As the client decided, else none.
    #[strum(serialize = "parentbased_always_off")]
    ParentBasedAlwaysOff,
    /// As the client decided, else a share.
    #[strum(serialize = "parentbased_traceidratio")]
    ParentBasedTraceIdRatio,
}
