//! Backends by endpoint: their answers and the connections to them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use super::load;
use super::writer::Writer;
use crate::telemetry::families::{self as f, Family};
use crate::telemetry::histogram::Snapshot;
use crate::telemetry::metrics::Inner;
use crate::telemetry::routes::CLASSES;
use crate::telemetry::{PoolCounters, PoolMetrics};

/// One number of a pool.
type Of<T> = fn(&PoolCounters) -> &T;

/// The counters of all workers by backend and endpoint.
type Endpoints = BTreeMap<(String, String), Vec<Arc<PoolCounters>>>;

impl Inner {
    pub(in crate::telemetry) fn endpoints(&self) -> Endpoints {
        let shards = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let mut endpoints = Endpoints::new();
        for known in shards.iter().flat_map(PoolMetrics::all) {
            let labels = (known.backend, known.endpoint);
            endpoints.entry(labels).or_default().push(known.counters);
        }
        endpoints
    }

    pub(super) fn encode_backends(&self, out: &mut Writer<'_>) -> fmt::Result {
        let endpoints = self.endpoints();
        let answers = endpoints.iter().flat_map(|(labels, counters)| {
            CLASSES.into_iter().enumerate().map(move |(at, class)| {
                let counts = counters.iter().filter_map(|one| one.classes.get(at));
                let sum: u64 = counts.map(load).sum();
                ([labels.0.as_str(), labels.1.as_str(), class], sum)
            })
        });
        out.counters(f::BACKEND_ANSWERS, answers.filter(|(_, count)| *count > 0))?;
        let durations = endpoints.iter().map(|(labels, counters)| {
            let mut sum = Snapshot::default();
            counters
                .iter()
                .for_each(|one| one.duration.add_to(&mut sum));
            ([labels.0.as_str(), labels.1.as_str()], sum)
        });
        out.histograms(
            f::BACKEND_DURATION,
            durations.filter(|(_, sum)| sum.count() > 0),
        )?;
        let counts: [(Family, Of<AtomicU64>); 6] = [
            (f::CONNECTS, |p| &p.connects),
            (f::CONNECT_FAILURES, |p| &p.connect_failures),
            (f::REUSES, |p| &p.reuses),
            (f::RETRIES, |p| &p.retries),
            (f::EJECTIONS, |p| &p.ejections),
            (f::UPSTREAM_REFUSED, |p| &p.refused),
        ];
        for (family, of) in counts {
            let sums = endpoints.iter().map(|(labels, counters)| {
                let sum = counters.iter().map(|one| load(of(one))).sum();
                ([labels.0.as_str(), labels.1.as_str()], sum)
            });
            out.counters(family, sums)?;
        }
        let levels: [(Family, Of<AtomicI64>); 4] = [
            (f::UPSTREAM_OPEN, |p| &p.open),
            (f::UPSTREAM_IDLE, |p| &p.idle),
            (f::UPSTREAM_WAITING, |p| &p.waiting),
            (f::UPSTREAM_TUNNELS, |p| &p.tunnels),
        ];
        for (family, of) in levels {
            let sums = endpoints.iter().map(|(labels, counters)| {
                let each = counters.iter().map(|one| of(one).load(Ordering::Relaxed));
                ([labels.0.as_str(), labels.1.as_str()], each.sum())
            });
            out.gauges(family, sums)?;
        }
        Ok(())
    }
}
