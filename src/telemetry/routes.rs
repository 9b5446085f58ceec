//! What requests to each route count: by class of status, with their time. Routes are named by the configuration, so no
//! client can make series.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::histogram::Histogram;

/// Classes of status codes (RFC 9110 section 15), and requests whose client left before there was one.
pub(super) const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "left"];

/// What the access log writes for a client that left.
const LEFT: u16 = 499;

/// Counts by class of status.
pub(super) type Classes = [AtomicU64; CLASSES.len()];

/// Counts one answer.
pub(super) fn count_class(classes: &Classes, status: u16) {
    let class = if status == LEFT {
        CLASSES.len() - 1
    } else {
        usize::from(status / 100).clamp(1, 5) - 1
    };
    if let Some(count) = classes.get(class) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Written by one worker, read by anybody.
#[derive(Debug)]
pub(crate) struct RouteCounters {
    route: Box<str>,
    pub(super) backend: Box<str>,
    pub(super) classes: Classes,
    pub(super) duration: Histogram,
}

impl RouteCounters {
    /// The route's endpoint as it is configured.
    #[must_use]
    pub(crate) fn route(&self) -> &str {
        &self.route
    }

    /// A request is over; `status` is 499 if the client left.
    pub(crate) fn answered(&self, status: u16, duration: Duration) {
        count_class(&self.classes, status);
        self.duration.observe(duration);
    }
}

/// The counters of one worker's routes; clones share them. Looked up when a configuration comes into force, never on a
/// request's way.
#[derive(Debug, Clone, Default)]
pub(crate) struct RouteMetrics(Arc<Mutex<BTreeMap<Key, Arc<RouteCounters>>>>);

/// Endpoint and backend.
type Key = (Box<str>, Box<str>);

/// Above so many those of routes that are gone are dropped: a configuration may change for months.
const TIDY_ABOVE: usize = 4096;

impl RouteMetrics {
    /// The counters of a route. Those that were counted under an earlier configuration go on.
    #[must_use]
    pub(crate) fn of(&self, route: &str, backend: &str) -> Arc<RouteCounters> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key: Key = (route.into(), backend.into());
        if let Some(known) = all.get(&key) {
            return Arc::clone(known);
        }
        if all.len() >= TIDY_ABOVE {
            all.retain(|_, counters| Arc::strong_count(counters) > 1);
        }
        let counters = Arc::new(RouteCounters {
            route: route.into(),
            backend: backend.into(),
            classes: Classes::default(),
            duration: Histogram::default(),
        });
        all.insert(key, Arc::clone(&counters));
        counters
    }

    pub(super) fn all(&self) -> Vec<Arc<RouteCounters>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().map(Arc::clone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_class() {
        let classes = Classes::default();
        for status in [0, 100, 204, 301, 404, 499, 500, 599, 999] {
            count_class(&classes, status);
        }
        let counts: Vec<u64> = classes.iter().map(|n| n.load(Ordering::Relaxed)).collect();
        assert_eq!(counts, [2, 1, 1, 1, 3, 1]);
    }

    #[test]
    fn a_route_that_comes_back_counts_on_and_those_that_are_gone_are_dropped() {
        let routes = RouteMetrics::default();
        let first = routes.of("/dav/", "frontend");
        assert!(Arc::ptr_eq(&first, &routes.clone().of("/dav/", "frontend")));
        for n in 0..2 * TIDY_ABOVE {
            drop(routes.of(&format!("/{n}/"), "web"));
        }
        assert!(routes.all().len() <= TIDY_ABOVE);
        assert!(Arc::ptr_eq(&first, &routes.of("/dav/", "frontend")));
    }
}
