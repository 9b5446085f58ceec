//! One worker's connections to its backends: the latest idle one first, a bound on all, a queue for what is beyond it.

mod backend;
mod lease;
mod nodes;
mod openers;
mod streams;

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::{Rc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::Connector;
use super::connect::Names;
use crate::config::http::Upstream;
use crate::config::routes::{Backend, Server};
use crate::model::Endpoint;
use crate::services::Directory;
use crate::telemetry::PoolMetrics;

pub(super) use backend::{BackendPool, Protocol, Wanted};
pub(super) use lease::Lease;
pub(super) use nodes::Nodes;

/// How often idle connections are looked at.
const SWEEP: Duration = Duration::from_secs(5);

/// All pools of one worker.
#[derive(Debug)]
pub(super) struct Pools {
    /// By where a route's server lies in memory, which no other has while the entry holds it.
    by_server: RefCell<HashMap<usize, Rc<Nodes>, BuildHasherDefault<AddressHasher>>>,
    /// One for each endpoint, whichever routes lead there.
    by_endpoint: RefCell<HashMap<Endpoint, Rc<BackendPool>>>,
    directory: Directory,
    metrics: PoolMetrics,
    shared: Rc<Shared>,
}

/// What the pools of one worker have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) connector: Connector,
    pub(super) names: Names,
    pub(super) limits: Limits,
}

/// One worker's share of the bounds, per endpoint.
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

    /// The share of one of `workers`. Pools do not steal, so the bounds are shared out (docs/design/design.md 3).
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
        directory: Directory,
        metrics: PoolMetrics,
    ) -> Rc<Self> {
        let pools = Rc::new(Self {
            by_server: RefCell::default(),
            by_endpoint: RefCell::default(),
            directory,
            metrics,
            shared: Rc::new(Shared {
                connector,
                names: Names::default(),
                limits,
            }),
        });
        tokio::task::spawn_local(Self::sweep_regularly(Rc::downgrade(&pools)));
        pools
    }

    /// The nodes of a route's backend, as the directory knows them now.
    pub(super) fn nodes(&self, backend: &Backend) -> Rc<Nodes> {
        let generation = self.directory.generation();
        let key = backend.server.address();
        if let Some(nodes) = self.by_server.borrow().get(&key)
            && nodes.generation == generation
        {
            return Rc::clone(nodes);
        }
        self.renewed_nodes(backend, generation)
    }

    #[cold]
    fn renewed_nodes(&self, backend: &Backend, generation: u64) -> Rc<Nodes> {
        let server = &backend.server;
        let pool = |endpoint: &Endpoint| self.pool(&backend.name, endpoint);
        let pools = match server {
            Server::Origin(endpoint) => vec![pool(endpoint)],
            Server::Service(name) => {
                let endpoints = self.directory.endpoints(name.as_str());
                endpoints.iter().map(pool).collect()
            }
        };
        let nodes = Rc::new(Nodes::new(server.clone(), generation, pools));
        let mut by_server = self.by_server.borrow_mut();
        by_server.insert(server.address(), Rc::clone(&nodes));
        nodes
    }

    fn pool(&self, backend: &str, endpoint: &Endpoint) -> Rc<BackendPool> {
        let mut by_endpoint = self.by_endpoint.borrow_mut();
        let pool = by_endpoint.entry(endpoint.clone()).or_insert_with(|| {
            let counters = self.metrics.of(backend, &endpoint.to_string());
            BackendPool::new(backend, endpoint, counters, Rc::clone(&self.shared))
        });
        Rc::clone(pool)
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

    /// Drops what was idle for too long, servers of configurations that are gone, and pools of endpoints that are gone.
    fn sweep(&self, now: Instant) {
        self.shared.names.sweep(now);
        let generation = self.directory.generation();
        let mut by_server = self.by_server.borrow_mut();
        by_server.retain(|_, nodes| nodes.generation == generation && !nodes.is_orphaned());
        drop(by_server);
        let pools: Vec<_> = self.by_endpoint.borrow().values().map(Rc::clone).collect();
        pools.iter().for_each(|pool| pool.sweep(now));
        drop(pools);
        // A pool's nodes, its connections and the requests that wait for one hold it.
        let mut by_endpoint = self.by_endpoint.borrow_mut();
        by_endpoint.retain(|_, pool| Rc::strong_count(pool) > 1);
    }
}

/// Addresses in memory differ, so they need only be spread.
#[derive(Debug, Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }

    fn write_usize(&mut self, address: usize) {
        self.0 = (self.0 ^ address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        // The low bits choose the place in the map, and addresses share theirs.
        self.0 ^ (self.0 >> 32)
    }
}

impl Drop for Pools {
    fn drop(&mut self) {
        for pool in self.by_endpoint.get_mut().values() {
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
