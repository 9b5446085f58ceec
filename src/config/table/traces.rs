//! Traces: the variables of OpenTelemetry, and those of OpenCloud and oCIS.

use std::path::PathBuf;

use crate::config::Secret;
use crate::config::key::{Key, Milliseconds, Word};
use crate::config::setting::{Preset, Setting};
use crate::config::traces::{Protocol, Sampling};
use crate::config::words::{TracesExporter, TracingType};

const NO: Preset = Preset::Text("false");

pub(crate) const TRACING_ENABLED: Key<bool> = Key::new(
    "tracing.enabled",
    &["OC_TRACING_ENABLED", "PROXY_TRACING_ENABLED"],
    NO,
    "traces are sent, as with traces_exporter `otlp`",
)
.shared("tracing.enabled");

pub(crate) const TRACING_TYPE: Key<Word<TracingType>> = Key::new("tracing.type",&["OC_TRACING_TYPE", "PROXY_TRACING_TYPE"],Preset::Empty,"what tracing.endpoint is: `otlp`, or the agent of a `jaeger`, whose port for OTLP (4317) is used then").shared("tracing.type");

pub(crate) const TRACING_ENDPOINT: Key<String> = Key::new(
    "tracing.endpoint",
    &["OC_TRACING_ENDPOINT", "PROXY_TRACING_ENDPOINT"],
    Preset::Empty,
    "collector, host:port, by OTLP over gRPC without TLS; otel.endpoint counts before it",
)
.shared("tracing.endpoint");

pub(crate) const TRACING_COLLECTOR: Key<String> = Key::new(
    "tracing.collector",
    &["OC_TRACING_COLLECTOR", "PROXY_TRACING_COLLECTOR"],
    Preset::Empty,
    "URL of a Jaeger, if tracing.endpoint is empty; its port for OTLP (4317) is used",
)
.shared("tracing.collector");

pub(crate) const TRACES_EXPORTER: Key<Word<TracesExporter>> = Key::new(
    "traces_exporter",
    &["OTEL_TRACES_EXPORTER"],
    Preset::Text("none"),
    "`otlp`: traces are sent to a collector; `console` is not there",
);

pub(crate) const OTEL_DISABLED: Key<bool> = Key::new(
    "otel.disabled",
    &["OTEL_SDK_DISABLED"],
    NO,
    "no traces, whatever else is set",
);

pub(crate) const OTEL_ENDPOINT: Key<String> = Key::new(
    "otel.endpoint",
    &[
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    ],
    Preset::Derived("`http://localhost:4317`, or port 4318 with http/protobuf"),
    "URL of the collector, `https` for TLS, or host:port; with http/protobuf `/v1/traces` is added to the first variable's",
);

pub(crate) const OTEL_PROTOCOL: Key<Word<Protocol>> = Key::new(
    "otel.protocol",
    &[
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    ],
    Preset::Text("grpc"),
    "how the collector is told",
);

pub(crate) const OTEL_HEADERS: Key<Secret> = Key::new(
    "otel.headers",
    &[
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    ],
    Preset::Empty,
    "headers for the collector, `name=value,name=value`, values percent-encoded",
);

pub(crate) const OTEL_INSECURE: Key<bool> = Key::new(
    "otel.insecure",
    &[
        "OTEL_EXPORTER_OTLP_INSECURE",
        "OTEL_EXPORTER_OTLP_TRACES_INSECURE",
    ],
    Preset::Text("true"),
    "no TLS to an endpoint without a scheme",
);

pub(crate) const OTEL_CERTIFICATE: Key<PathBuf> = Key::new(
    "otel.certificate",
    &[
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    ],
    Preset::Empty,
    "CA of the collector, besides the system's",
);

pub(crate) const OTEL_TIMEOUT: Key<Milliseconds> = Key::new(
    "otel.timeout",
    &[
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    ],
    Preset::Text("10000"),
    "milliseconds for one batch",
);

pub(crate) const OTEL_SCHEDULE_DELAY: Key<Milliseconds> = Key::new(
    "otel.schedule_delay",
    &["OTEL_BSP_SCHEDULE_DELAY"],
    Preset::Text("5000"),
    "milliseconds that spans wait for others to go with them",
);

pub(crate) const OTEL_SAMPLER: Key<Word<Sampling>> = Key::new(
    "otel.sampler",
    &["OTEL_TRACES_SAMPLER"],
    Preset::Text("parentbased_always_on"),
    "which requests are traced; `parentbased_`: a client's own decision counts first",
);

pub(crate) const OTEL_SAMPLER_ARG: Key<String> = Key::new(
    "otel.sampler_arg",
    &["OTEL_TRACES_SAMPLER_ARG"],
    Preset::Text("1.0"),
    "share of the requests that a `traceidratio` sampler takes, 0 to 1",
);

pub(crate) const OTEL_SERVICE_NAME: Key<String> = Key::new(
    "otel.service_name",
    &["OTEL_SERVICE_NAME"],
    Preset::Text("proxy"),
    "the name in traces; the default is the existing service's",
);

pub(crate) const OTEL_RESOURCE_ATTRIBUTES: Key<String> = Key::new(
    "otel.resource_attributes",
    &["OTEL_RESOURCE_ATTRIBUTES"],
    Preset::Empty,
    "further attributes of this process, `name=value,name=value`, values percent-encoded",
);

/// In the order of the reference.
pub(super) const SETTINGS: &[Setting] = &[
    TRACING_ENABLED.setting,
    TRACING_TYPE.setting,
    TRACING_ENDPOINT.setting,
    TRACING_COLLECTOR.setting,
    TRACES_EXPORTER.setting,
    OTEL_DISABLED.setting,
    OTEL_ENDPOINT.setting,
    OTEL_PROTOCOL.setting,
    OTEL_HEADERS.setting,
    OTEL_INSECURE.setting,
    OTEL_CERTIFICATE.setting,
    OTEL_TIMEOUT.setting,
    OTEL_SCHEDULE_DELAY.setting,
    OTEL_SAMPLER.setting,
    OTEL_SAMPLER_ARG.setting,
    OTEL_SERVICE_NAME.setting,
    OTEL_RESOURCE_ATTRIBUTES.setting,
];
