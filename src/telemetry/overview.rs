//! What is counted, as JSON for a page that shows it: sums since the start. Who shows it makes rates of two looks.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::control::Outcome;
use super::histogram::Snapshot;
use super::metrics::{Culprit, Inner, WorkerShard};
use super::process::Usage;
use super::routes::CLASSES;
use super::{Metrics, RouteMetrics};

impl Metrics {
    /// The sums of all workers. Waits for none.
    #[must_use]
    pub(crate) fn overview(&self) -> Value {
        let inner = &*self.inner;
        let usage = Usage::read();
        let control = &inner.control;
        let set_ups: Map<String, Value> = Outcome::ALL
            .into_iter()
            .zip(&control.setups)
            .map(|(outcome, histogram)| (outcome.label().to_owned(), json!(histogram.count())))
            .collect();
        let faults: Map<String, Value> = Culprit::ALL
            .into_iter()
            .map(|culprit| {
                let sum = inner.total(|worker| worker.faults.get(culprit as usize));
                (culprit.label().to_owned(), json!(sum))
            })
            .collect();
        let (requests, errors) = inner.requests();
        json!({
            "version": inner.version,
            "started": inner.started.0,
            "requests": requests,
            "errors": errors,
            "in_flight": inner.at_level(|worker| &worker.in_flight),
            "connections": inner.at_level(|worker| &worker.connections),
            "accepted": inner.total(|worker| Some(&worker.connections_total)),
            "handshakes_failed": inner.total(|worker| Some(&worker.handshakes_failed)),
            "panics": inner.total(|worker| Some(&worker.panics)),
            "lookups": {
                "hit": inner.total(|worker| Some(&worker.session_hits)),
                "miss": inner.total(|worker| Some(&worker.session_misses)),
            },
            "sessions": control.session_entries.load(Ordering::Relaxed),
            "sessions_bytes": control.session_bytes.load(Ordering::Relaxed),
            "set_ups": set_ups,
            "faults": faults,
            "certificate_not_after": control.certificate_not_after.load(Ordering::Relaxed),
            "last_reload_ok": control.reload_success.load(Ordering::Relaxed) == 1,
            "log_lines_dropped": inner.log_lines_dropped.load(Ordering::Relaxed),
            "cpu_seconds": usage.cpu_seconds,
            "memory": usage.resident,
            "descriptors": usage.open_fds,
            "descriptors_limit": usage.max_fds,
            "routes": inner.routes_seen(),
            "backends": inner.backends_seen(),
        })
    }
}

impl Inner {
    fn total(&self, of: impl Fn(&WorkerShard) -> Option<&AtomicU64>) -> u64 {
        let counts = self.workers.iter().filter_map(|worker| of(worker));
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    fn at_level(&self, of: impl Fn(&WorkerShard) -> &AtomicI64) -> i64 {
        let levels = self.workers.iter().map(|worker| of(worker));
        levels.map(|level| level.load(Ordering::Relaxed)).sum()
    }

    fn requests(&self) -> (u64, u64) {
        let methods = self.workers.iter().flat_map(|worker| &worker.methods);
        methods.fold((0, 0), |(requests, errors), method| {
            let failed = method.errors.load(Ordering::Relaxed);
            (requests + method.duration.count(), errors + failed)
        })
    }

    /// One entry for each worker's counters of each route; who shows them adds up.
    fn routes_seen(&self) -> Vec<Value> {
        let shards = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let all = shards.iter().flat_map(RouteMetrics::all);
        all.filter(|route| route.duration.count() > 0)
            .map(|route| {
                let mut duration = Snapshot::default();
                route.duration.add_to(&mut duration);
                json!({
                    "route": route.route(), "backend": route.backend,
                    "classes": classes(&route.classes), "seconds": duration.sum_seconds(),
                })
            })
            .collect()
    }

    fn backends_seen(&self) -> Vec<Value> {
        let each = self.endpoints().into_iter().map(|((backend, endpoint), counters)| {
            let sum = |of: fn(&super::PoolCounters) -> &AtomicU64| -> u64 {
                let counts = counters.iter().map(|one| of(one).load(Ordering::Relaxed));
                counts.sum()
            };
            let level = |of: fn(&super::PoolCounters) -> &AtomicI64| -> i64 {
                let levels = counters.iter().map(|one| of(one).load(Ordering::Relaxed));
                levels.sum()
            };
            let mut duration = Snapshot::default();
            let mut by_class = [0; CLASSES.len()];
            for one in &counters {
                one.duration.add_to(&mut duration);
                for (sum, count) in by_class.iter_mut().zip(&one.classes) {
                    *sum += count.load(Ordering::Relaxed);
                }
            }
            let failures = counters.iter().filter_map(|one| one.last_failure());
            let last: Option<(Duration, String)> = failures.min_by_key(|(ago, _)| *ago);
            json!({
                "backend": backend, "endpoint": endpoint,
                "classes": by_class, "seconds": duration.sum_seconds(),
                "connects": sum(|p| &p.connects), "connect_failures": sum(|p| &p.connect_failures),
                "reuses": sum(|p| &p.reuses), "retries": sum(|p| &p.retries),
                "open": level(|p| &p.open), "idle": level(|p| &p.idle), "waiting": level(|p| &p.waiting),
                "last_failure": last.map(|(ago, how)| json!({"ago": ago.as_secs(), "text": how})),
            })
        });
        each.collect()
    }
}

fn classes(classes: &super::routes::Classes) -> Vec<u64> {
    let counts = classes.iter();
    counts.map(|count| count.load(Ordering::Relaxed)).collect()
}
