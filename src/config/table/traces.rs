//! Traces: the variables of OpenTelemetry, and those of OpenCloud and oCIS.

use strum::VariantNames as _;

use crate::config::setting::{Kind, Preset, Setting};
use crate::config::traces::{Protocol, Sampling};

const fn s(
    key: &'static str,
    names: &'static [&'static str],
    kind: Kind,
    preset: Preset,
    purpose: &'static str,
) -> Setting {
    Setting::new(key, names, kind, preset, purpose)
}

const NO: Preset = Preset::Text("false");

pub(super) const SETTINGS: &[Setting] = &[
    s(
        "tracing.enabled",
        &["OC_TRACING_ENABLED", "PROXY_TRACING_ENABLED"],
        Kind::Bool,
        NO,
        "traces are sent, as with traces_exporter `otlp`",
    )
    .shared("tracing.enabled"),
    s(
        "tracing.type",
        &["OC_TRACING_TYPE", "PROXY_TRACING_TYPE"],
        Kind::Word(&["jaeger", "otlp"]),
        Preset::Empty,
        "what tracing.endpoint is: `otlp`, or the agent of a `jaeger`, whose port for OTLP (4317) is used then",
    )
    .shared("tracing.type"),
    s(
        "tracing.endpoint",
        &["OC_TRACING_ENDPOINT", "PROXY_TRACING_ENDPOINT"],
        Kind::Text,
        Preset::Empty,
        "collector, host:port, by OTLP over gRPC without TLS; otel.endpoint counts before it",
    )
    .shared("tracing.endpoint"),
    s(
        "tracing.collector",
        &["OC_TRACING_COLLECTOR", "PROXY_TRACING_COLLECTOR"],
        Kind::Text,
        Preset::Empty,
        "URL of a Jaeger, if tracing.endpoint is empty; its port for OTLP (4317) is used",
    )
    .shared("tracing.collector"),
    s(
        "traces_exporter",
        &["OTEL_TRACES_EXPORTER"],
        Kind::Word(&["none", "console", "otlp"]),
        Preset::Text("none"),
        "`otlp`: traces are sent to a collector; `console` is not there",
    ),
    s(
        "otel.disabled",
        &["OTEL_SDK_DISABLED"],
        Kind::Bool,
        NO,
        "no traces, whatever else is set",
    ),
    s(
        "otel.endpoint",
        &[
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        ],
        Kind::Text,
        Preset::Derived("`http://localhost:4317`, or port 4318 with http/protobuf"),
        "URL of the collector, `https` for TLS, or host:port; with http/protobuf `/v1/traces` is added to the first variable's",
    ),
    s(
        "otel.protocol",
        &[
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        ],
        Kind::Word(Protocol::VARIANTS),
        Preset::Text("grpc"),
        "how the collector is told",
    ),
    s(
        "otel.headers",
        &[
            "OTEL_EXPORTER_OTLP_HEADERS",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        ],
        Kind::Secret,
        Preset::Empty,
        "headers for the collector, `name=value,name=value`, values percent-encoded",
    ),
    s(
        "otel.insecure",
        &[
            "OTEL_EXPORTER_OTLP_INSECURE",
            "OTEL_EXPORTER_OTLP_TRACES_INSECURE",
        ],
        Kind::Bool,
        Preset::Text("true"),
        "no TLS to an endpoint without a scheme",
    ),
    s(
        "otel.certificate",
        &[
            "OTEL_EXPORTER_OTLP_CERTIFICATE",
            "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
        ],
        Kind::Path,
        Preset::Empty,
        "CA of the collector, besides the system's",
    ),
    s(
        "otel.timeout",
        &[
            "OTEL_EXPORTER_OTLP_TIMEOUT",
            "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
        ],
        Kind::Int,
        Preset::Text("10000"),
        "milliseconds for one batch",
    ),
    s(
        "otel.schedule_delay",
        &["OTEL_BSP_SCHEDULE_DELAY"],
        Kind::Int,
        Preset::Text("5000"),
        "milliseconds that spans wait for others to go with them",
    ),
    s(
        "otel.sampler",
        &["OTEL_TRACES_SAMPLER"],
        Kind::Word(Sampling::VARIANTS),
        Preset::Text("parentbased_always_on"),
        "which requests are traced; `parentbased_`: a client's own decision counts first",
    ),
    s(
        "otel.sampler_arg",
        &["OTEL_TRACES_SAMPLER_ARG"],
        Kind::Text,
        Preset::Text("1.0"),
        "share of the requests that a `traceidratio` sampler takes, 0 to 1",
    ),
    s(
        "otel.service_name",
        &["OTEL_SERVICE_NAME"],
        Kind::Text,
        Preset::Text("proxy"),
        "the name in traces; the default is the existing service's",
    ),
    s(
        "otel.resource_attributes",
        &["OTEL_RESOURCE_ATTRIBUTES"],
        Kind::Text,
        Preset::Empty,
        "further attributes of this process, `name=value,name=value`, values percent-encoded",
    ),
];
