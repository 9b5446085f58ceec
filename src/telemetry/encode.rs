//! `/metrics`: the shards summed and written in the OpenMetrics text form. The first four names are those
//! of the existing service (contract.md 9.13).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::histogram::{Histogram, Snapshot};
use super::metrics::{
    ClientTimeout, DirectoryOperation, Inner, IssuerCall, METHODS, Metrics, Outcome, PoolShard,
    WorkerShard,
};
use crate::config::Flavor;
use crate::model::Reason;

/// Of the text that [`Metrics::encode`] makes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Metrics {
    /// The metrics as text, see [`CONTENT_TYPE`]. Waits for no worker.
    #[must_use]
    pub fn encode(&self) -> String {
        let prefix = match self.inner.flavor {
            Flavor::OpenCloud => "opencloud_proxy",
            Flavor::Ocis => "ocis_proxy",
        };
        let mut registry = Registry::with_prefix(prefix);
        registry.register_collector(Box::new(self.clone()));
        let mut text = String::new();
        // Writing to a string cannot fail, and half an answer is better than none.
        let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
        text
    }
}

impl Collector for Metrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Families(encoder);
        self.inner.encode_requests(&mut out)?;
        self.inner.encode_connections(&mut out)?;
        self.inner.encode_sessions(&mut out)?;
        self.inner.encode_calls(&mut out)?;
        self.inner.encode_pools(&mut out)?;
        self.inner.encode_process(&mut out)
    }
}

impl Inner {
    fn encode_requests(&self, out: &mut Families<'_>) -> fmt::Result {
        let methods: Vec<(&str, Snapshot, u64)> = METHODS
            .iter()
            .enumerate()
            .map(|(index, method)| {
                let mut duration = Snapshot::default();
                let mut errors = 0;
                for shard in self.workers.iter().filter_map(|w| w.methods.get(index)) {
                    shard.duration.add_to(&mut duration);
                    errors += shard.errors.load(Ordering::Relaxed);
                }
                (*method, duration, errors)
            })
            .filter(|(_, duration, _)| duration.count() > 0)
            .collect();
        let requests = methods
            .iter()
            .map(|(m, d, _)| ([("method", *m)], d.count()));
        out.counters("requests", "Requests answered", requests)?;
        let errors = methods
            .iter()
            .map(|(m, _, errors)| ([("method", *m)], *errors));
        out.counters("errors", "Requests answered with 500 or above", errors)?;
        let durations = methods
            .iter()
            .map(|(m, d, _)| ([("method", *m)], d.clone()));
        out.histograms("duration_seconds", "Time to answer a request", durations)?;
        out.gauge(
            "requests_in_flight",
            "Requests being answered",
            self.level(|w| &w.in_flight),
        )?;
        let refusals = Reason::ALL.iter().map(|reason| {
            let count = |w: &WorkerShard| w.refusals.get(*reason as usize).map(load);
            let sum: u64 = self.workers.iter().filter_map(|w| count(w)).sum();
            ([("reason", reason.code())], sum)
        });
        let refusals = refusals.filter(|(_, count)| *count > 0);
        out.counters("refusals", "Requests refused", refusals)?;
        let panics = [([("part", "request")], self.sum(|w| &w.panics))];
        out.counters("panics", "Handlers that panicked", panics)
    }

    fn encode_connections(&self, out: &mut Families<'_>) -> fmt::Result {
        out.gauge(
            "client_connections",
            "Clients connected",
            self.level(|w| &w.connections),
        )?;
        let accepted = [(NO_LABELS, self.sum(|w| &w.connections_total))];
        out.counters(
            "client_connections_accepted",
            "Clients that connected",
            accepted,
        )?;
        let timeouts = ClientTimeout::ALL.into_iter().map(|which| {
            let count = |w: &WorkerShard| w.timeouts.get(which as usize).map(load);
            let sum: u64 = self.workers.iter().filter_map(|w| count(w)).sum();
            ([("limit", which.name())], sum)
        });
        out.counters(
            "client_timeouts",
            "Connections closed as too slow or idle",
            timeouts,
        )?;
        let failed = [(NO_LABELS, self.sum(|w| &w.handshakes_failed))];
        out.counters(
            "tls_handshake_failures",
            "TLS handshakes that failed",
            failed,
        )
    }

    fn encode_sessions(&self, out: &mut Families<'_>) -> fmt::Result {
        let lookups = [
            ([("result", "hit")], self.sum(|w| &w.session_hits)),
            ([("result", "miss")], self.sum(|w| &w.session_misses)),
        ];
        out.counters("session_lookups", "Sessions looked for", lookups)?;
        let control = &self.control;
        let setups = by_outcome(&control.setups).map(|(o, sum)| ([("outcome", o.label())], sum));
        out.histograms("session_setup_seconds", "Time to set a session up", setups)?;
        out.gauge(
            "sessions",
            "Sessions held",
            signed(load(&control.session_entries)),
        )?;
        out.gauge(
            "sessions_bytes",
            "Bytes of sessions held",
            signed(load(&control.session_bytes)),
        )
    }

    fn encode_calls(&self, out: &mut Families<'_>) -> fmt::Result {
        let calls = IssuerCall::ALL
            .into_iter()
            .zip(&self.control.issuer_calls)
            .flat_map(|(call, outcomes)| {
                by_outcome(outcomes).map(move |(outcome, sum)| {
                    ([("call", call.label()), ("outcome", outcome.label())], sum)
                })
            });
        out.histograms("issuer_call_seconds", "Time of calls to issuers", calls)?;
        let operations = DirectoryOperation::ALL
            .into_iter()
            .zip(&self.control.directory_operations)
            .flat_map(|(operation, outcomes)| {
                by_outcome(outcomes).map(move |(outcome, sum)| {
                    let labels = [
                        ("operation", operation.label()),
                        ("outcome", outcome.label()),
                    ];
                    (labels, sum)
                })
            });
        let help = "Time of operations of the account backend";
        out.histograms("directory_operation_seconds", help, operations)
    }

    fn encode_pools(&self, out: &mut Families<'_>) -> fmt::Result {
        let mut pools: BTreeMap<String, Pool> = BTreeMap::new();
        for (backend, shard) in self
            .pools
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            pools.entry(backend.clone()).or_default().add(shard);
        }
        let of = |state: fn(&Pool) -> u64| {
            pools
                .iter()
                .map(move |(b, pool)| ([("backend", b.as_str())], state(pool)))
        };
        out.counters(
            "upstream_connects",
            "Connections made to backends",
            of(|p| p.connects),
        )?;
        let help = "Connections to backends that could not be made";
        out.counters(
            "upstream_connect_failures",
            help,
            of(|p| p.connect_failures),
        )?;
        out.counters(
            "upstream_reuses",
            "Requests on kept connections",
            of(|p| p.reuses),
        )?;
        let level = |state: fn(&Pool) -> i64| {
            pools
                .iter()
                .map(move |(b, pool)| ([("backend", b.as_str())], state(pool)))
        };
        out.gauges(
            "upstream_connections",
            "Connections to backends",
            level(|p| p.open),
        )?;
        out.gauges(
            "upstream_idle",
            "Idle connections to backends",
            level(|p| p.idle),
        )?;
        out.gauges(
            "upstream_waiting",
            "Requests waiting for a connection",
            level(|p| p.waiting),
        )
    }

    fn encode_process(&self, out: &mut Families<'_>) -> fmt::Result {
        let control = &self.control;
        out.gauges(
            "build_info",
            "The version",
            [([("version", self.version)], 1)],
        )?;
        let dropped = [(NO_LABELS, load(&self.log_lines_dropped))];
        out.counters(
            "log_lines_dropped",
            "Log lines that could not be written",
            dropped,
        )?;
        let end = control.certificate_not_after.load(Ordering::Relaxed);
        if end != 0 {
            out.gauge(
                "certificate_not_after_seconds",
                "End of the TLS certificate",
                end,
            )?;
        }
        let success = control.reload_success.load(Ordering::Relaxed);
        out.gauge(
            "config_last_reload_successful",
            "The last reload succeeded",
            success,
        )?;
        let time = control.reload_time.load(Ordering::Relaxed);
        out.gauge(
            "config_last_reload_success_timestamp_seconds",
            "When it did",
            time,
        )
    }

    fn sum(&self, of: impl Fn(&WorkerShard) -> &AtomicU64) -> u64 {
        self.workers.iter().map(|worker| load(of(worker))).sum()
    }

    fn level(&self, of: impl Fn(&WorkerShard) -> &AtomicI64) -> i64 {
        let levels = self.workers.iter().map(|worker| of(worker));
        levels.map(|level| level.load(Ordering::Relaxed)).sum()
    }
}

/// One backend's pools, summed over workers.
#[derive(Debug, Default)]
struct Pool {
    connects: u64,
    connect_failures: u64,
    reuses: u64,
    open: i64,
    idle: i64,
    waiting: i64,
}

impl Pool {
    fn add(&mut self, shard: &PoolShard) {
        self.connects += load(&shard.connects);
        self.connect_failures += load(&shard.connect_failures);
        self.reuses += load(&shard.reuses);
        self.open += shard.open.load(Ordering::Relaxed);
        self.idle += shard.idle.load(Ordering::Relaxed);
        self.waiting += shard.waiting.load(Ordering::Relaxed);
    }
}

fn load(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The histograms that have counted anything.
fn by_outcome(histograms: &[Histogram]) -> impl Iterator<Item = (Outcome, Snapshot)> {
    let counted = Outcome::ALL.into_iter().zip(histograms);
    counted
        .map(|(outcome, histogram)| {
            let mut sum = Snapshot::default();
            histogram.add_to(&mut sum);
            (outcome, sum)
        })
        .filter(|(_, sum)| sum.count() > 0)
}

type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

const NO_LABELS: Labels<'static, 0> = [];

/// Writes whole families; an empty one is left out.
struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    fn counters<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'a, N>, u64)>,
    ) -> fmt::Result {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            if labels.is_empty() {
                family.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
            } else {
                let mut one = family.encode_family(&labels)?;
                one.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
            }
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, value: i64) -> fmt::Result {
        self.gauges(name, help, [(NO_LABELS, value)])
    }

    fn gauges<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'a, N>, i64)>,
    ) -> fmt::Result {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            if labels.is_empty() {
                family.encode_gauge(&value)?;
            } else {
                family.encode_family(&labels)?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }

    fn histograms<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'a, N>, Snapshot)>,
    ) -> fmt::Result {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, sum) in values {
            family
                .encode_family(&labels)?
                .encode_histogram::<NoLabelSet>(
                    sum.sum_seconds(),
                    sum.count(),
                    &sum.buckets(),
                    None,
                )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
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
            let pool = metrics.pool("http://backend:9140");
            pool.connected(true);
            pool.connected(false);
            pool.reused();
            pool.open_changed(2);
            pool.idle_changed(1);
            pool.waiting_changed(1);
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
            r#"upstream_connects_total{backend="http://backend:9140"} 2"#,
            r#"upstream_connect_failures_total{backend="http://backend:9140"} 2"#,
            r#"upstream_reuses_total{backend="http://backend:9140"} 2"#,
            r#"upstream_connections{backend="http://backend:9140"} 4"#,
            r#"upstream_idle{backend="http://backend:9140"} 2"#,
            r#"upstream_waiting{backend="http://backend:9140"} 2"#,
            "log_lines_dropped_total 0",
        ] {
            has(&text, &format!("opencloud_proxy_{line}"));
        }
    }
}
