//! A configuration as one worker holds it: with what this worker counts for each of its routes.

use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use crate::process::Snapshot;
use crate::telemetry::{RouteCounters, RouteMetrics};

/// A worker counts its requests' uses of the configuration by itself: the `Arc`'s count is the other workers' too, and
/// moves only when the configuration does.
pub(super) type HeldSnapshot = Rc<Held>;

/// The configuration, and its routes' counters.
#[derive(Debug)]
pub(super) struct Held {
    snapshot: Arc<Snapshot>,
    routes: Vec<Arc<RouteCounters>>,
}

impl Held {
    pub(super) fn new(snapshot: Arc<Snapshot>, metrics: &RouteMetrics) -> HeldSnapshot {
        let routes = snapshot.policies.routes();
        let routes = routes.map(|route| metrics.of(&route.endpoint, &route.backend.name));
        Rc::new(Self {
            routes: routes.collect(),
            snapshot,
        })
    }

    /// Whether it is of that configuration.
    pub(super) fn is_of(&self, snapshot: &Arc<Snapshot>) -> bool {
        Arc::ptr_eq(&self.snapshot, snapshot)
    }

    /// What the route at that place counts.
    pub(super) fn route(&self, place: usize) -> Option<&RouteCounters> {
        self.routes.get(place).map(|counters| &**counters)
    }
}

impl Deref for Held {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.snapshot
    }
}
