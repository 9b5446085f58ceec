//! What a worker's pools of backend connections count, one set of counters for each endpoint.

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::histogram::Histogram;
use super::routes::{Classes, count_class};

/// Written by one worker with relaxed stores, read by anybody.
#[derive(Debug, Default)]
pub(crate) struct PoolCounters {
    /// Connections opened.
    pub connects: AtomicU64,
    /// Attempts to open one that failed.
    pub connect_failures: AtomicU64,
    /// Requests sent on a connection that had served before.
    pub reuses: AtomicU64,
    /// Requests sent once more, on a fresh connection or to another endpoint.
    pub retries: AtomicU64,
    /// Requests refused because the queue was full or the wait too long.
    pub refused: AtomicU64,
    /// Times the endpoint was left out for a while.
    pub ejections: AtomicU64,
    /// Requests waiting for a connection now.
    pub waiting: AtomicI64,
    /// Idle connections now.
    pub idle: AtomicI64,
    /// Connections now, idle ones included.
    pub open: AtomicI64,
    /// Upgraded connections now.
    pub tunnels: AtomicI64,
    pub(super) classes: Classes,
    pub(super) duration: Histogram,
    last_failure: Mutex<Option<(Instant, String)>>,
}

impl PoolCounters {
    /// An answer began, so long after the request was handed over.
    pub(crate) fn answered(&self, status: u16, after: Duration) {
        count_class(&self.classes, status);
        self.duration.observe(after);
    }

    /// A request failed here, and how.
    pub(crate) fn failed(&self, how: String) {
        let mut last = self
            .last_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *last = Some((Instant::now(), how));
    }

    /// The last failure: how long ago, and how.
    pub(super) fn last_failure(&self) -> Option<(Duration, String)> {
        let last = self
            .last_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        last.as_ref().map(|(at, how)| (at.elapsed(), how.clone()))
    }
}

/// The counters of one worker's endpoints; clones share them. Looked up when a pool is made, never on a request's way.
#[derive(Debug, Clone, Default)]
pub(crate) struct PoolMetrics(Arc<Mutex<Vec<EndpointCounters>>>);

#[derive(Debug, Clone)]
pub(super) struct EndpointCounters {
    pub(super) backend: String,
    pub(super) endpoint: String,
    pub(super) counters: Arc<PoolCounters>,
}

/// Above so many those of endpoints that are gone are dropped: nodes may come and go for months.
const TIDY_ABOVE: usize = 64;

impl PoolMetrics {
    /// The counters of a backend's endpoint.
    #[must_use]
    pub(crate) fn of(&self, backend: &str, endpoint: &str) -> Arc<PoolCounters> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all
            .iter()
            .find(|known| known.backend == backend && known.endpoint == endpoint);
        if let Some(known) = known {
            return Arc::clone(&known.counters);
        }
        if all.len() >= TIDY_ABOVE {
            all.retain(|known| Arc::strong_count(&known.counters) > 1);
        }
        let counters = Arc::<PoolCounters>::default();
        all.push(EndpointCounters {
            backend: backend.to_owned(),
            endpoint: endpoint.to_owned(),
            counters: Arc::clone(&counters),
        });
        counters
    }

    pub(super) fn all(&self) -> Vec<EndpointCounters> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_that_comes_back_counts_on_and_those_that_are_gone_are_dropped() {
        let pools = PoolMetrics::default();
        let first = pools.of("graph", "10.0.0.1:9120");
        let again = pools.clone().of("graph", "10.0.0.1:9120");
        assert!(Arc::ptr_eq(&first, &again));
        for port in 0..1000 {
            drop(pools.of("graph", &format!("10.0.0.2:{port}")));
        }
        assert!(pools.all().len() <= TIDY_ABOVE);
        assert!(Arc::ptr_eq(&first, &pools.of("graph", "10.0.0.1:9120")));
    }
}
