use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::*;
use crate::model::UnixTime;

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
    ] {
        has(&text, &format!("opencloud_proxy_{line}"));
    }
}
