//! One worker's connections to its backends: the latest idle one first, a bound on all, a queue for what is beyond it.

mod backend;
mod lease;
mod openers;
mod streams;

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Connector;
use super::connect::Names;
use crate::config::http::Upstream;
use crate::config::routes::Backend;
use crate::telemetry::PoolCounters;

pub(super) use backend::{BackendPool, Protocol, Wanted};
pub(super) use lease::Lease;

/// How often idle connections are looked at.
const SWEEP: Duration = Duration::from_secs(5);

/// All pools of one worker.
#[derive(Debug)]
pub(super) struct Pools {
    by_backend: RefCell<HashMap<u64, Vec<Rc<BackendPool>>, BuildHasherDefault<Fnv>>>,
    shared: Rc<Shared>,
}

/// What the pools of one worker have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) connector: Connector,
    pub(super) names: Names,
    pub(super) limits: Limits,
    pub(super) counters: Arc<PoolCounters>,
}

/// One worker's share of the bounds, per backend.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Connections, idle ones included.
    pub(super) connections: usize,
    /// Connections being opened. A burst is better served by connections that come back than by one of its own for each
    /// request, and a backend accepts only so many at once.
    pub(super) opening: usize,
    /// Requests waiting while all connections are in use.
    pub(super) queue: usize,
    /// How long they wait.
    pub(super) wait: Duration,
    /// Idle connections.
    pub(super) idle: usize,
    /// How long a connection may be idle; below what backends allow.
    pub(super) idle_timeout: Duration,
    /// How long a connection lives, so that a backend that scales out or moves is found.
    pub(super) max_age: Duration,
}

impl Limits {
    /// Connections one backend may get from the whole process. Each event stream holds one, so it is generous.
    const CONNECTIONS: usize = 8192;
    /// Connections to one backend that the whole process opens at once: what a listening socket commonly queues.
    const OPENING: usize = 128;
    /// Requests that may wait for a backend in the whole process.
    const QUEUE: usize = 16_384;

    /// The share of one of `workers`. Pools do not steal, so the bounds are shared out (design.md 3).
    pub(super) fn share(settings: &Upstream, workers: usize) -> Self {
        let workers = workers.max(1);
        let share = |total: usize| total.div_ceil(workers).max(1);
        // Zero means no bound of its own, as in Go's transport.
        let per_host = [settings.max_idle_per_host, settings.max_idle]
            .into_iter()
            .filter(|bound| *bound > 0)
            .min()
            .unwrap_or(Self::CONNECTIONS);
        Self {
            connections: share(Self::CONNECTIONS),
            opening: share(Self::OPENING),
            queue: share(Self::QUEUE),
            wait: Duration::from_secs(30),
            idle: share(per_host),
            idle_timeout: settings.idle_timeout,
            max_age: Duration::from_secs(600),
        }
    }
}

impl Pools {
    pub(super) fn new(
        connector: Connector,
        limits: Limits,
        counters: Arc<PoolCounters>,
    ) -> Rc<Self> {
        let pools = Rc::new(Self {
            by_backend: RefCell::default(),
            shared: Rc::new(Shared {
                connector,
                names: Names::default(),
                limits,
                counters,
            }),
        });
        tokio::task::spawn_local(Self::sweep_regularly(Rc::downgrade(&pools)));
        pools
    }

    /// The pool of a backend; routes to one address share it.
    pub(super) fn of(&self, backend: &Backend) -> Rc<BackendPool> {
        let mut hash = Fnv::default();
        hash.write(backend.host.as_bytes());
        hash.write_u16(backend.port);
        let mut map = self.by_backend.borrow_mut();
        let pools = map.entry(hash.finish()).or_default();
        if let Some(pool) = pools.iter().find(|pool| pool.serves(backend)) {
            return Rc::clone(pool);
        }
        let pool = BackendPool::new(backend.clone(), Rc::clone(&self.shared));
        pools.push(Rc::clone(&pool));
        pool
    }

    pub(super) fn counters(&self) -> &Arc<PoolCounters> {
        &self.shared.counters
    }

    async fn sweep_regularly(pools: Weak<Self>) {
        let mut ticks = tokio::time::interval(SWEEP);
        loop {
            let now = ticks.tick().await;
            let Some(pools) = pools.upgrade() else {
                return;
            };
            pools.sweep(now);
        }
    }

    /// Drops what was idle for too long, and pools nobody used for a while: a reload may have removed their backend.
    fn sweep(&self, now: Instant) {
        self.shared.names.sweep(now);
        self.by_backend.borrow_mut().retain(|_, pools| {
            pools.retain(|pool| pool.sweep(now));
            !pools.is_empty()
        });
    }
}

/// FNV-1a. Backends come from the configuration, so nobody chooses them to collide.
#[derive(Debug)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Drop for Pools {
    fn drop(&mut self) {
        for pool in self.by_backend.get_mut().values().flatten() {
            pool.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_shared_out_among_workers_and_zero_is_no_bound() {
        let settings = |max_idle, max_idle_per_host| Upstream {
            max_idle,
            max_idle_per_host,
            ..crate::upstream::tests::upstream_settings()
        };
        let limits = Limits::share(&settings(100, 10), 4);
        assert_eq!(
            (limits.connections, limits.queue, limits.idle),
            (2048, 4096, 3)
        );
        assert_eq!(Limits::share(&settings(0, 0), 4).idle, 2048);
        assert_eq!(Limits::share(&settings(1, 0), 64).idle, 1);
    }
}
