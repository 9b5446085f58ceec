//! The nodes of one server, and which of them gets a request.

use std::cell::Cell;
use std::rc::Rc;

use tokio::time::Instant;

use super::BackendPool;
use crate::config::routes::Server;

/// The nodes of one server as the directory knew them at one moment, each with its pool.
#[derive(Debug)]
pub(in crate::upstream) struct Nodes {
    server: Server,
    pub(super) generation: u64,
    pools: Vec<Rc<BackendPool>>,
    /// Where the next look begins, so that equal nodes take turns.
    turn: Cell<usize>,
}

impl Nodes {
    pub(super) fn new(server: Server, generation: u64, pools: Vec<Rc<BackendPool>>) -> Self {
        // Workers that begin together do not all begin at the same node.
        let first = pools.first().map(|pool| Rc::as_ptr(pool).addr());
        let seed = first.unwrap_or_default() >> 6;
        Self {
            server,
            generation,
            pools,
            turn: Cell::new(seed),
        }
    }

    /// Whether no route leads here any more: the configuration was replaced.
    pub(super) fn is_orphaned(&self) -> bool {
        match &self.server {
            Server::Service(name) => name.is_last(),
            Server::Origin(endpoint) => std::sync::Arc::strong_count(endpoint) == 1,
        }
    }

    /// Whether a request that failed at one node may find another.
    pub(in crate::upstream) fn are_several(&self) -> bool {
        self.pools.len() > 1
    }

    /// The node for a request: the one with the fewest requests, among equals the next in turn. Those that were tried are out,
    /// and those that failed lately come last.
    pub(in crate::upstream) fn pick(&self, tried: &[Rc<BackendPool>]) -> Option<Rc<BackendPool>> {
        if let [only] = &*self.pools {
            return tried.is_empty().then(|| Rc::clone(only));
        }
        self.pick_among(tried)
    }

    fn pick_among(&self, tried: &[Rc<BackendPool>]) -> Option<Rc<BackendPool>> {
        let count = self.pools.len();
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let now = Instant::now();
        let in_turn = (0..count).map(|step| &self.pools[turn.wrapping_add(step) % count]);
        in_turn
            .filter(|pool| !tried.iter().any(|tried| Rc::ptr_eq(tried, pool)))
            .min_by_key(|pool| (pool.is_ejected(now), pool.busy()))
            .map(Rc::clone)
    }
}
