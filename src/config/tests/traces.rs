//! Traces: off by default, on by OpenTelemetry's variables or by those of OpenCloud and oCIS.

use std::time::Duration;

use proptest::prelude::*;

use super::load;
use crate::config::Loaded;
use crate::config::traces::{Collector, Protocol, Sampling, Traces};

fn loaded(vars: &[(&str, &str)]) -> Loaded {
    load("", vars).unwrap()
}

/// With OpenTelemetry's switch on.
fn traces(vars: &[(&str, &str)]) -> Traces {
    let on = [("OTEL_TRACES_EXPORTER", "otlp")];
    let all: Vec<(&str, &str)> = on.iter().chain(vars).copied().collect();
    loaded(&all).config.traces.unwrap()
}

fn address(collector: &Collector) -> String {
    let scheme = if collector.tls.is_some() {
        "https"
    } else {
        "http"
    };
    format!(
        "{scheme}://{}:{}{}",
        collector.host, collector.port, collector.path
    )
}

#[test]
fn nothing_is_traced_unless_somebody_asks() {
    assert!(loaded(&[]).config.traces.is_none());
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");
    assert!(loaded(&[endpoint]).config.traces.is_none());
    let on = ("OTEL_TRACES_EXPORTER", "otlp");
    assert!(loaded(&[on]).config.traces.is_some());
    assert!(
        loaded(&[("PROXY_TRACING_ENABLED", "true")])
            .config
            .traces
            .is_some()
    );
    assert!(
        loaded(&[("OCIS_TRACING_ENABLED", "true")])
            .config
            .traces
            .is_some()
    );
    assert!(
        loaded(&[on, ("OTEL_SDK_DISABLED", "true")])
            .config
            .traces
            .is_none()
    );
}

#[test]
fn the_variables_of_opentelemetry_say_where_to_and_how() {
    let default = traces(&[]);
    assert_eq!(
        address(&default.collector),
        "http://localhost:4317/v1/traces"
    );
    assert_eq!(default.collector.protocol, Protocol::Grpc);
    assert_eq!(default.collector.timeout, Duration::from_secs(10));
    assert_eq!(default.sampling, Sampling::ParentBasedAlwaysOn);
    assert_eq!(
        default.resource,
        [("service.name".to_owned(), "proxy".to_owned())]
    );
    let http = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    for (vars, expected) in [
        (vec![http], "http://localhost:4318/v1/traces"),
        (
            vec![
                http,
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c.example/otlp/"),
            ],
            "https://c.example:4318/otlp/v1/traces",
        ),
        (
            vec![
                http,
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c.example:443"),
            ],
            "https://c.example:443/v1/traces",
        ),
        (
            vec![
                http,
                (
                    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                    "http://c.example:80/in",
                ),
            ],
            "http://c.example:80/in",
        ),
        (
            vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "c.example:5000")],
            "http://c.example:5000/v1/traces",
        ),
        (
            vec![
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "[::1]:5000"),
                ("OTEL_EXPORTER_OTLP_INSECURE", "false"),
            ],
            "https://::1:5000/v1/traces",
        ),
    ] {
        assert_eq!(address(&traces(&vars).collector), expected, "{vars:?}");
    }
}

#[test]
fn headers_attributes_and_names_are_pairs_and_what_is_none_is_warned_of() {
    let set = traces(&[
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Bearer%20x, X-Tenant = a,nothing",
        ),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.name=other,k8s.pod.name=p%2C1",
        ),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
    ]);
    let headers = &set.collector.headers;
    assert_eq!(
        (headers[0].0.as_str(), headers[0].1.as_bytes()),
        ("authorization", &b"Bearer x"[..])
    );
    assert_eq!((headers[1].0.as_str(), headers.len()), ("x-tenant", 2));
    assert!(!format!("{set:?}").contains("Bearer"));
    let attribute = |name: &str| {
        let found = set.resource.iter().find(|(key, _)| key == name);
        found.unwrap().1.clone()
    };
    assert_eq!(attribute("service.name"), "other");
    assert_eq!(attribute("k8s.pod.name"), "p,1");
    assert_eq!((set.sampling, set.ratio), (Sampling::TraceIdRatio, 0.25));
    let named = traces(&[
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other"),
        ("OTEL_SERVICE_NAME", "edge"),
    ]);
    assert_eq!(
        named.resource,
        [("service.name".to_owned(), "edge".to_owned())]
    );
}

#[test]
fn the_variables_of_the_existing_service_mean_a_collector_and_a_jaeger_its_port_for_otlp() {
    for (vars, expected, is_warned) in [
        (
            vec![
                ("OC_TRACING_TYPE", "otlp"),
                ("OC_TRACING_ENDPOINT", "c:9000"),
            ],
            "http://c:9000/v1/traces",
            false,
        ),
        (
            vec![
                ("OC_TRACING_TYPE", "jaeger"),
                ("OC_TRACING_ENDPOINT", "c:6831"),
            ],
            "http://c:4317/v1/traces",
            true,
        ),
        (
            vec![("PROXY_TRACING_ENDPOINT", "c:6831")],
            "http://c:4317/v1/traces",
            true,
        ),
        (
            vec![("OCIS_TRACING_COLLECTOR", "http://c:14268/api/traces")],
            "http://c:4317/v1/traces",
            true,
        ),
        (
            vec![
                ("OC_TRACING_ENDPOINT", "c:6831"),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://o:1"),
            ],
            "http://o:1/v1/traces",
            false,
        ),
    ] {
        let on = [("OC_TRACING_ENABLED", "true")];
        let all: Vec<(&str, &str)> = on.iter().chain(&vars).copied().collect();
        let loaded = loaded(&all);
        let traces = loaded.config.traces.as_ref().unwrap();
        assert_eq!(address(&traces.collector), expected, "{vars:?}");
        let warned = loaded
            .warnings
            .iter()
            .any(|text| text.contains("Jaeger's own protocol"));
        assert_eq!(warned, is_warned, "{vars:?}: {:?}", loaded.warnings);
    }
}

#[test]
fn nothing_about_traces_stops_a_start() {
    for (name, value) in [
        ("OTEL_TRACES_EXPORTER", "console"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_TRACES_SAMPLER_ARG", "endpoint=http://x"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://x"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nonexistent/ca.pem"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=c"),
    ] {
        let loaded = loaded(&[("OC_TRACING_ENABLED", "true"), (name, value)]);
        assert!(!loaded.warnings.is_empty(), "{name}={value}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_variables_hold_the_start_goes_on(
        endpoint in "(https?://)?[\\[\\]:.a-z0-9/@%?#-]{0,24}", other in ".{0,40}", pairs in "[a-z=,% 0-9é.-]{0,40}", arg in "[-+.0-9einfNa]{0,8}",
    ) {
        for name in ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OC_TRACING_ENDPOINT", "OC_TRACING_COLLECTOR"] {
            for value in [&endpoint, &other] {
                let vars = [
                    ("OC_TRACING_ENABLED", "true"),
                    (name, value.as_str()),
                    ("OTEL_EXPORTER_OTLP_HEADERS", &pairs),
                    ("OTEL_RESOURCE_ATTRIBUTES", &pairs),
                    ("OTEL_TRACES_SAMPLER_ARG", &arg),
                ];
                let loaded = load("", &vars).map_err(|errors| TestCaseError::fail(errors.to_string()))?;
                if let Some(traces) = loaded.config.traces {
                    prop_assert!((0.0..=1.0).contains(&traces.ratio));
                    prop_assert!(!traces.collector.host.is_empty());
                    prop_assert!(http::uri::PathAndQuery::try_from(traces.collector.path.as_str()).is_ok());
                }
            }
        }
    }
}
