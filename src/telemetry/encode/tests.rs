use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::*;
use crate::model::{Reason, UnixTime};
use crate::telemetry::families::tests::shown;
use crate::telemetry::{Culprit, IssuerLevel, PoolLevel};

fn metrics(flavor: Flavor) -> Metrics {
    Metrics::new(flavor, "1.2.3", 2, Arc::default())
}

fn has(text: &str, line: &str) {
    assert!(text.lines().any(|l| l == line), "no line {line} in\n{text}");
}

#[test]
fn the_series_of_the_existing_service_are_there_summed_over_workers() {
    let metrics = metrics(Flavor::OpenCloud);
    for (worker, status) in [(0, 200), (1, 502)] {
        let worker = metrics.worker(worker);
        worker.request_started();
        worker.request_finished("PROPFIND", status, Duration::from_millis(20));
    }
    let text = metrics.encode();
    has(
        &text,
        r#"opencloud_proxy_requests_total{method="PROPFIND"} 2"#,
    );
    has(
        &text,
        r#"opencloud_proxy_errors_total{method="PROPFIND"} 1"#,
    );
    has(
        &text,
        r#"opencloud_proxy_duration_seconds_count{method="PROPFIND"} 2"#,
    );
    has(
        &text,
        r#"opencloud_proxy_duration_seconds_bucket{le="0.01",method="PROPFIND"} 0"#,
    );
    has(
        &text,
        r#"opencloud_proxy_duration_seconds_bucket{le="0.025",method="PROPFIND"} 2"#,
    );
    has(
        &text,
        r#"opencloud_proxy_duration_seconds_bucket{le="+Inf",method="PROPFIND"} 2"#,
    );
    has(&text, r#"opencloud_proxy_build_info{version="1.2.3"} 1"#);
    has(&text, "opencloud_proxy_requests_in_flight 0");
    has(&text, "# EOF");
    let ocis = super::tests::metrics(Flavor::Ocis).encode();
    has(&ocis, r#"ocis_proxy_build_info{version="1.2.3"} 1"#);
}

#[test]
fn a_client_cannot_make_series() {
    let metrics = metrics(Flavor::OpenCloud);
    let worker = metrics.worker(0);
    for n in 0..1000 {
        worker.request_started();
        worker.request_finished(&format!("M{n}"), 200, Duration::ZERO);
    }
    let text = metrics.encode();
    has(
        &text,
        r#"opencloud_proxy_requests_total{method="OTHER"} 1000"#,
    );
    assert_eq!(text.matches("requests_total{").count(), 1);
}

#[test]
fn everything_that_is_counted_is_shown() {
    let metrics = metrics(Flavor::OpenCloud);
    let (worker, control) = (metrics.worker(1), metrics.control());
    worker.refused(Reason::TokenExpired);
    worker.session_looked_up(true);
    worker.session_looked_up(false);
    worker.connection_opened();
    worker.client_timed_out(ClientTimeout::Header);
    worker.handshake_failed();
    worker.panicked();
    worker.request_started();
    worker.request_finished("GET", 502, Duration::from_millis(3));
    worker.failed(Culprit::Backend);
    metrics.name_issuers(vec!["https://idp.example".to_owned()]);
    worker.issuer_served(0, 502);
    let routes = metrics.routes();
    routes
        .of("/dav/", "frontend")
        .answered(499, Duration::from_millis(3));
    metrics.ask_levels(|| Levels {
        connections_limit: 800,
        sessions_bytes_limit: 1 << 28,
        set_ups: 2,
        set_ups_limit: 1024,
        directory: Some(PoolLevel {
            used: 1,
            idle: 2,
            waiting: 0,
            limit: 8,
        }),
        directory_answered: true,
        issuers: vec![IssuerLevel {
            issuer: "https://idp.example".to_owned(),
            is_ready: true,
            keys: 3,
            keys_age: Some(Duration::from_secs(61)),
            trouble: None,
        }],
    });
    control.session_set_up(Outcome::Refused, Duration::from_secs(1));
    control.sessions_held(3, 4096);
    control.issuer_called(IssuerCall::Keys, Outcome::TimedOut, Duration::from_secs(10));
    control.directory_asked(DirectoryOperation::Add, Outcome::Ok, Duration::ZERO);
    control.certificate_loaded(UnixTime(1_800_000_000));
    control.reloaded(true, UnixTime(1_764_021_599));
    control.reloaded(false, UnixTime(1_764_021_600));
    for _ in 0..2 {
        let pools = metrics.pools().of("graph", "127.0.0.1:9120");
        pools.connects.fetch_add(1, Ordering::Relaxed);
        pools.connect_failures.fetch_add(1, Ordering::Relaxed);
        pools.reuses.fetch_add(1, Ordering::Relaxed);
        pools.open.fetch_add(2, Ordering::Relaxed);
        pools.idle.fetch_add(1, Ordering::Relaxed);
        pools.waiting.fetch_add(1, Ordering::Relaxed);
        pools.answered(502, Duration::from_millis(2));
    }
    let text = metrics.encode();
    for line in [
        r#"refusals_total{reason="token_expired"} 1"#,
        r#"session_lookups_total{result="hit"} 1"#,
        r#"session_lookups_total{result="miss"} 1"#,
        "client_connections 1",
        "client_connections_accepted_total 1",
        r#"client_timeouts_total{limit="header"} 1"#,
        "tls_handshake_failures_total 1",
        r#"panics_total{part="request"} 1"#,
        r#"session_setup_seconds_count{outcome="refused"} 1"#,
        "sessions 3",
        "sessions_bytes 4096",
        r#"issuer_call_seconds_count{call="jwks",outcome="timed_out"} 1"#,
        r#"directory_operation_seconds_count{operation="add",outcome="ok"} 1"#,
        "certificate_not_after_seconds 1800000000",
        "config_last_reload_successful 0",
        "config_last_reload_success_timestamp_seconds 1764021599",
        r#"upstream_connects_total{backend="graph",endpoint="127.0.0.1:9120"} 2"#,
        r#"upstream_connect_failures_total{backend="graph",endpoint="127.0.0.1:9120"} 2"#,
        r#"upstream_reuses_total{backend="graph",endpoint="127.0.0.1:9120"} 2"#,
        r#"upstream_connections{backend="graph",endpoint="127.0.0.1:9120"} 4"#,
        r#"upstream_idle{backend="graph",endpoint="127.0.0.1:9120"} 2"#,
        r#"upstream_waiting{backend="graph",endpoint="127.0.0.1:9120"} 2"#,
        "log_lines_dropped_total 0",
        r#"faults_total{whose="backend"} 1"#,
        r#"faults_total{whose="gateway"} 0"#,
        r#"issuer_requests_total{issuer="https://idp.example",class="5xx"} 1"#,
        r#"route_requests_total{route="/dav/",backend="frontend",class="left"} 1"#,
        r#"route_duration_seconds_count{route="/dav/",backend="frontend"} 1"#,
        r#"backend_answers_total{backend="graph",endpoint="127.0.0.1:9120",class="5xx"} 2"#,
        r#"backend_duration_seconds_count{backend="graph",endpoint="127.0.0.1:9120"} 2"#,
        "client_connections_limit 800",
        "session_setups 2",
        r#"issuer_keys_age_seconds{issuer="https://idp.example"} 61"#,
        r#"directory_connections{state="idle"} 2"#,
        "directory_connections_limit 8",
    ] {
        has(&text, &format!("opencloud_proxy_{line}"));
    }
    // What is documented can be shown, and what is shown is documented.
    let mut described: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| {
            let (name, kind) = line.split_once(' ').unwrap();
            let suffix = if kind == "counter" { "_total" } else { "" };
            format!("{name}{suffix}")
        })
        .collect();
    let mut documented: Vec<String> = f::ALL.iter().map(shown).collect();
    described.sort();
    documented.sort();
    assert_eq!(described, documented);
    assert_eq!(text.matches("# EOF").count(), 1);
    assert!(text.ends_with("# EOF\n"));
}
