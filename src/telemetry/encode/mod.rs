//! `/metrics`: the shards summed and written in the OpenMetrics text form. The first four names are those
//! of the existing service (docs/design/contract.md 9.13).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::control::{DirectoryOperation, IssuerCall, Outcome};
use super::histogram::{Histogram, Snapshot};
use super::metrics::{ClientTimeout, Inner, METHODS, Metrics, WorkerShard};
use super::{PoolCounters, PoolMetrics};
use crate::config::Flavor;
use crate::model::Reason;

impl Metrics {
    /// The metrics as text of OpenMetrics, see [`super::Exposition`]. Waits for no worker.
    #[must_use]
    pub(crate) fn encode(&self) -> String {
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
        let shards = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let mut endpoints: BTreeMap<(String, String), Vec<Arc<PoolCounters>>> = BTreeMap::new();
        for known in shards.iter().flat_map(PoolMetrics::all) {
            let labels = (known.backend, known.endpoint);
            endpoints.entry(labels).or_default().push(known.counters);
        }
        drop(shards);
        let each = |sum: &dyn Fn(&[Arc<PoolCounters>]) -> i64| -> Vec<([(&str, &str); 2], i64)> {
            let labelled = endpoints.iter().map(|((backend, endpoint), counters)| {
                let labels = [
                    ("backend", backend.as_str()),
                    ("endpoint", endpoint.as_str()),
                ];
                (labels, sum(counters))
            });
            labelled.collect()
        };
        let count = |of: fn(&PoolCounters) -> &AtomicU64| {
            let sum = |all: &[Arc<PoolCounters>]| all.iter().map(|one| signed(load(of(one)))).sum();
            let each = each(&sum).into_iter();
            each.map(|(labels, sum)| (labels, sum.unsigned_abs()))
        };
        let level = |of: fn(&PoolCounters) -> &AtomicI64| {
            let load = |one: &Arc<PoolCounters>| of(one).load(Ordering::Relaxed);
            each(&|all: &[Arc<PoolCounters>]| all.iter().map(load).sum())
        };
        out.counters(
            "upstream_connects",
            "Connections made to backends",
            count(|p| &p.connects),
        )?;
        let help = "Connections to backends that could not be made";
        out.counters(
            "upstream_connect_failures",
            help,
            count(|p| &p.connect_failures),
        )?;
        out.counters(
            "upstream_reuses",
            "Requests on kept connections",
            count(|p| &p.reuses),
        )?;
        out.counters(
            "upstream_retries",
            "Requests sent again, on a fresh connection or to another endpoint",
            count(|p| &p.retries),
        )?;
        out.counters(
            "upstream_ejections",
            "Times an endpoint was left out for a while",
            count(|p| &p.ejections),
        )?;
        out.counters(
            "upstream_refused",
            "Requests that no connection became free for",
            count(|p| &p.refused),
        )?;
        out.gauges(
            "upstream_connections",
            "Connections to backends",
            level(|p| &p.open),
        )?;
        out.gauges(
            "upstream_idle",
            "Idle connections to backends",
            level(|p| &p.idle),
        )?;
        out.gauges(
            "upstream_waiting",
            "Requests waiting for a connection",
            level(|p| &p.waiting),
        )?;
        out.gauges(
            "upstream_tunnels",
            "Upgraded connections",
            level(|p| &p.tunnels),
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
mod tests;
