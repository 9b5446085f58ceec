//! The one table from names to endpoints. Control fills it, everybody reads it without waiting and without a lock.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::Address;
use crate::config::Flavor;
use crate::config::services::default_endpoints;
use crate::model::{Endpoint, ServiceName};

/// The endpoints of one service, in a steady order, none twice. Cheap to clone.
pub(crate) type Endpoints = Arc<[Endpoint]>;

type Table = HashMap<ServiceName, Endpoints>;

/// Names and their endpoints. Clones are one directory.
///
/// For each name the first of three sources that knows it counts: what the operator wrote, the registry, the address the service
/// has by default. So a registry that is empty, late or away leaves the defaults.
#[derive(Debug, Clone)]
pub struct Directory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    table: ArcSwap<Table>,
    /// Counts the tables there were.
    generation: AtomicU64,
    changes: watch::Sender<u64>,
    sources: Mutex<Sources>,
}

#[derive(Debug, Default)]
struct Sources {
    named: Table,
    registered: Table,
    defaults: Table,
}

impl Directory {
    /// A directory of default addresses.
    #[must_use]
    pub fn new(flavor: Flavor) -> Self {
        let defaults = table(default_endpoints(flavor));
        let sources = Sources {
            defaults,
            ..Sources::default()
        };
        Self(Arc::new(Shared {
            table: ArcSwap::from_pointee(sources.merged()),
            generation: AtomicU64::new(1),
            changes: watch::Sender::new(1),
            sources: Mutex::new(sources),
        }))
    }

    /// The endpoints of a service; none if nobody knows it.
    #[must_use]
    pub fn endpoints(&self, name: &str) -> Endpoints {
        let table = self.0.table.load();
        table.get(name).map(Arc::clone).unwrap_or_default()
    }

    /// The endpoints of what `OC_REVA_GATEWAY` and the like name.
    #[must_use]
    pub fn endpoints_of(&self, address: &Address) -> Endpoints {
        match address {
            Address::Service(name) => self.endpoints(name.as_str()),
            Address::Endpoint(endpoint) => Arc::new([endpoint.clone()]),
        }
    }

    /// Whether anybody says where the service is: the operator or the registry, not the default address alone. Waits for a
    /// lock; for tasks of control.
    #[must_use]
    pub fn is_announced(&self, name: &str) -> bool {
        let sources = self
            .0
            .sources
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        sources.named.contains_key(name) || sources.registered.contains_key(name)
    }

    /// Grows with every change: who has what it was read at need not look again. One load, for workers.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Hears of changes; for tasks of control.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// What the operator wrote, in place of what they wrote before.
    pub fn name_fixed(&self, named: impl IntoIterator<Item = (ServiceName, Endpoint)>) {
        self.replace(|sources| sources.named = table(named));
    }

    /// What the registry knows now, in place of what it knew before.
    pub fn name_registered(&self, nodes: impl IntoIterator<Item = (ServiceName, Endpoint)>) {
        self.replace(|sources| sources.registered = table(nodes));
    }

    fn replace(&self, change: impl FnOnce(&mut Sources)) {
        let shared = &*self.0;
        let mut sources = shared
            .sources
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        change(&mut sources);
        let merged = sources.merged();
        if **shared.table.load() == merged {
            return;
        }
        shared.table.store(Arc::new(merged));
        // After the table, so that nobody takes the old one for the new generation's.
        let generation = shared.generation.fetch_add(1, Ordering::Release) + 1;
        shared.changes.send_replace(generation);
    }
}

impl Sources {
    fn merged(&self) -> Table {
        let mut table = self.defaults.clone();
        for source in [&self.registered, &self.named] {
            table.extend(
                source
                    .iter()
                    .map(|(name, at)| (name.clone(), Arc::clone(at))),
            );
        }
        table
    }
}

fn table(nodes: impl IntoIterator<Item = (ServiceName, Endpoint)>) -> Table {
    let mut grouped: HashMap<ServiceName, Vec<Endpoint>> = HashMap::new();
    for (name, endpoint) in nodes {
        grouped.entry(name).or_default().push(endpoint);
    }
    let unique = grouped.into_iter().map(|(name, mut endpoints)| {
        endpoints.sort_unstable();
        endpoints.dedup();
        (name, endpoints.into())
    });
    unique.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Protocol;

    const GRAPH: &str = "eu.opencloud.web.graph";

    fn node(port: u16) -> (ServiceName, Endpoint) {
        (GRAPH.into(), Endpoint::local(Protocol::Http, port))
    }

    fn ports(directory: &Directory, name: &str) -> Vec<String> {
        let endpoints = directory.endpoints(name);
        endpoints.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_operators_word_counts_before_the_registrys_and_that_before_the_default() {
        let directory = Directory::new(Flavor::OpenCloud);
        assert_eq!(ports(&directory, GRAPH), ["127.0.0.1:9120"]);
        directory.name_registered([node(2), node(1), node(2)]);
        assert_eq!(ports(&directory, GRAPH), ["127.0.0.1:1", "127.0.0.1:2"]);
        directory.name_fixed([node(3)]);
        assert_eq!(ports(&directory, GRAPH), ["127.0.0.1:3"]);
        directory.name_fixed([]);
        directory.name_registered([]);
        assert_eq!(ports(&directory, GRAPH), ["127.0.0.1:9120"]);
        assert!(ports(&directory, "eu.opencloud.web.nothing").is_empty());
    }

    #[test]
    fn only_a_change_is_a_change() {
        let directory = Directory::new(Flavor::OpenCloud);
        let mut changes = directory.changes();
        let clone = directory.clone();
        let before = directory.generation();
        clone.name_registered([node(1), node(2)]);
        assert_eq!(directory.generation(), before + 1);
        assert!(changes.has_changed().unwrap());
        assert_eq!(*changes.borrow_and_update(), before + 1);
        clone.name_registered([node(2), node(1)]);
        assert_eq!(directory.generation(), before + 1);
        assert!(!changes.has_changed().unwrap());
    }

    #[test]
    fn an_address_is_one_endpoint_or_a_service() {
        let directory = Directory::new(Flavor::Ocis);
        let named = Address::parse("com.owncloud.api.gateway").unwrap();
        let told = |address: &Address| directory.endpoints_of(address)[0].to_string();
        assert_eq!(told(&named), "127.0.0.1:9142");
        let fixed = Address::parse("dns:///gateway.example:9142").unwrap();
        assert_eq!(told(&fixed), "gateway.example:9142");
    }
}
