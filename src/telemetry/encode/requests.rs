//! Requests: by method, by route, by issuer, and whose fault it was where they failed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError};

use super::load;
use super::writer::Writer;
use crate::model::Reason;
use crate::telemetry::families as f;
use crate::telemetry::histogram::Snapshot;
use crate::telemetry::metrics::{Culprit, Inner, METHODS, WorkerShard};
use crate::telemetry::routes::{CLASSES, RouteCounters, RouteMetrics};

impl Inner {
    pub(super) fn encode_requests(&self, out: &mut Writer<'_>) -> fmt::Result {
        let methods: Vec<(&str, Snapshot, u64)> = METHODS
            .iter()
            .enumerate()
            .map(|(index, method)| {
                let mut duration = Snapshot::default();
                let mut errors = 0;
                for shard in self.workers.iter().filter_map(|w| w.methods.get(index)) {
                    shard.duration.add_to(&mut duration);
                    errors += load(&shard.errors);
                }
                (*method, duration, errors)
            })
            .filter(|(_, duration, _)| duration.count() > 0)
            .collect();
        let each = || methods.iter();
        out.counters(f::REQUESTS, each().map(|(m, d, _)| ([*m], d.count())))?;
        out.counters(f::ERRORS, each().map(|(m, _, errors)| ([*m], *errors)))?;
        out.histograms(f::DURATION, each().map(|(m, d, _)| ([*m], d.clone())))?;
        out.gauge(f::IN_FLIGHT, self.level(|w| &w.in_flight))?;
        self.encode_routes(out)?;
        self.encode_issuers(out)?;
        let faults = Culprit::ALL.iter().map(|culprit| {
            let count = |w: &WorkerShard| w.faults.get(*culprit as usize).map(load);
            let sum: u64 = self.workers.iter().filter_map(|w| count(w)).sum();
            ([culprit.label()], sum)
        });
        out.counters(f::FAULTS, faults)?;
        let refusals = Reason::ALL.iter().map(|reason| {
            let count = |w: &WorkerShard| w.refusals.get(*reason as usize).map(load);
            let sum: u64 = self.workers.iter().filter_map(|w| count(w)).sum();
            ([reason.code()], sum)
        });
        out.counters(f::REFUSALS, refusals.filter(|(_, count)| *count > 0))?;
        out.counters(f::PANICS, [(["request"], self.sum(|w| &w.panics))])
    }

    fn encode_routes(&self, out: &mut Writer<'_>) -> fmt::Result {
        let shards = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let all: Vec<Arc<RouteCounters>> = shards.iter().flat_map(RouteMetrics::all).collect();
        drop(shards);
        let mut routes: BTreeMap<(&str, &str), ([u64; CLASSES.len()], Snapshot)> = BTreeMap::new();
        for one in &all {
            let (classes, duration) = routes.entry((one.route(), &one.backend)).or_default();
            for (sum, count) in classes.iter_mut().zip(&one.classes) {
                *sum += load(count);
            }
            one.duration.add_to(duration);
        }
        routes.retain(|_, (_, duration)| duration.count() > 0);
        let by_class = routes.iter().flat_map(|((route, backend), (classes, _))| {
            let classes = CLASSES.into_iter().zip(*classes);
            let counted = classes.filter(|(_, count)| *count > 0);
            counted.map(|(class, count)| ([*route, *backend, class], count))
        });
        out.counters(f::ROUTE_REQUESTS, by_class)?;
        let durations = routes
            .iter()
            .map(|((route, backend), (_, duration))| ([*route, *backend], duration.clone()));
        out.histograms(f::ROUTE_DURATION, durations)
    }

    fn encode_issuers(&self, out: &mut Writer<'_>) -> fmt::Result {
        let Some(names) = self.issuers.get() else {
            return Ok(());
        };
        let each = names.iter().enumerate().flat_map(|(at, name)| {
            CLASSES.into_iter().enumerate().map(move |(class, label)| {
                let shards = self.workers.iter().filter_map(|w| w.issuers.get(at));
                let sum: u64 = shards.filter_map(|one| one.get(class)).map(load).sum();
                ([name.as_str(), label], sum)
            })
        });
        out.counters(f::ISSUER_REQUESTS, each.filter(|(_, count)| *count > 0))
    }
}
