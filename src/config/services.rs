//! Names of the services and the addresses they have where nothing else is known (docs/design/contract.md 3.3 and 3.4).

use super::Flavor;
use super::stores::Registry;
use crate::model::{Endpoint, Protocol, ServiceName};

/// Fixed addresses, and where the others are looked up.
#[derive(Debug, Clone)]
pub struct Services {
    /// `services:` of the configuration, in its order.
    pub named: Vec<(ServiceName, Endpoint)>,
    /// Where the others are looked up.
    pub registry: Option<Registry>,
}

/// What a service without an entry and without a node in the registry has: its port on this machine.
const PORTS: &[(Group, &str, u16)] = &[
    (Group::Web, "web", 9100),
    (Group::Web, "ocs", 9110),
    (Group::Web, "webdav", 9115),
    (Group::Web, "graph", 9120),
    (Group::Web, "idp", 9130),
    (Group::Sse, "sse", 9135),
    (Group::Web, "frontend", 9140),
    (Group::Web, "thumbnails", 9186),
    (Group::Web, "settings", 9190),
    (Group::Web, "activitylog", 9195),
    (Group::Web, "userlog", 9210),
    (Group::Web, "storage-system", 9216),
    (Group::Web, "auth-app", 9247),
    (Group::Web, "invitations", 9265),
    (Group::Web, "webfinger", 9275),
    (Group::Web, "ocm", 9280),
    (Group::Web, "collaboration", 9300),
    (Group::Web, "ocdav", 9350),
    (Group::Api, "policies", 9125),
    (Group::Api, "gateway", 9142),
    (Group::Api, "users", 9144),
    (Group::Api, "auth-basic", 9146),
    (Group::Api, "sharing", 9150),
    (Group::Api, "storage-shares", 9154),
    (Group::Api, "storage-users", 9157),
    (Group::Api, "groups", 9160),
    (Group::Api, "app-provider", 9164),
    (Group::Api, "auth-machine", 9166),
    (Group::Api, "storage-publiclink", 9178),
    (Group::Api, "thumbnails", 9185),
    (Group::Api, "settings", 9191),
    (Group::Api, "auth-service", 9199),
    (Group::Api, "storage-system", 9215),
    (Group::Api, "search", 9220),
    (Group::Api, "app-registry", 9242),
    (Group::Api, "auth-app", 9246),
    (Group::Api, "eventhistory", 9274),
    (Group::Api, "ocm", 9282),
];

/// The word before a service's own in its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Web,
    Sse,
    Api,
}

impl Group {
    const fn word(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Sse => "sse",
            Self::Api => "api",
        }
    }

    const fn protocol(self) -> Protocol {
        match self {
            Self::Web | Self::Sse => Protocol::Http,
            Self::Api => Protocol::Grpc,
        }
    }
}

const fn owner(flavor: Flavor) -> &'static str {
    match flavor {
        Flavor::OpenCloud => "eu.opencloud",
        Flavor::Ocis => "com.owncloud",
    }
}

/// The default address of every service.
pub(crate) fn default_endpoints(flavor: Flavor) -> impl Iterator<Item = (ServiceName, Endpoint)> {
    PORTS.iter().map(move |(group, short, port)| {
        let name = format!("{}.{}.{short}", owner(flavor), group.word());
        let endpoint = Endpoint::local(group.protocol(), *port);
        (ServiceName::new(&name), endpoint)
    })
}

/// The short name of an HTTP service: `web` of `eu.opencloud.web.web`, `com.owncloud.web.web` and `web`.
pub(crate) fn short_name(service: &str) -> &str {
    [
        "eu.opencloud.web.",
        "eu.opencloud.sse.",
        "com.owncloud.web.",
        "com.owncloud.sse.",
    ]
    .iter()
    .find_map(|prefix| service.strip_prefix(prefix))
    .unwrap_or(service)
}

/// The name a service registers under, of its short name or of the other product's. A name of neither product stays.
#[must_use]
pub(crate) fn full_name(service: &str, flavor: Flavor) -> ServiceName {
    let short = short_name(service);
    if short.contains('.') {
        let rest = ["eu.opencloud.api.", "com.owncloud.api."]
            .iter()
            .find_map(|prefix| service.strip_prefix(prefix));
        return match rest {
            Some(rest) => ServiceName::new(&format!("{}.api.{rest}", owner(flavor))),
            None => ServiceName::new(service),
        };
    }
    let group = if short == "sse" { "sse" } else { "web" };
    ServiceName::new(&format!("{}.{group}.{short}", owner(flavor)))
}

/// Whether it is a gRPC service of one of the products.
pub(crate) fn is_grpc_service(name: &str) -> bool {
    ["eu.opencloud.api.", "com.owncloud.api."]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// The default address of an HTTP service, by its short name.
pub(crate) fn default_endpoint(short: &str) -> Option<Endpoint> {
    PORTS
        .iter()
        .find(|(group, name, _)| *group != Group::Api && *name == short)
        .map(|(group, _, port)| Endpoint::local(group.protocol(), *port))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::config::Compat;
    use crate::config::default_routes::default_routes;

    #[test]
    fn every_default_route_has_an_address() {
        for compat in Compat::ALL {
            for route in default_routes(compat) {
                let service = route.service;
                assert!(default_endpoint(service).is_some(), "{service}");
            }
        }
    }

    #[test]
    fn names_of_both_flavours_are_one_service() {
        for (written, opencloud, ocis) in [
            ("sse", "eu.opencloud.sse.sse", "com.owncloud.sse.sse"),
            (
                "com.owncloud.web.graph",
                "eu.opencloud.web.graph",
                "com.owncloud.web.graph",
            ),
            (
                "eu.opencloud.api.gateway",
                "eu.opencloud.api.gateway",
                "com.owncloud.api.gateway",
            ),
            ("org.example.own", "org.example.own", "org.example.own"),
        ] {
            assert_eq!(full_name(written, Flavor::OpenCloud).as_str(), opencloud);
            assert_eq!(full_name(written, Flavor::Ocis).as_str(), ocis);
        }
        assert_eq!(short_name("com.owncloud.sse.sse"), "sse");
        assert_eq!(short_name("eu.opencloud.web.graph"), "graph");
        assert_eq!(short_name("mine"), "mine");
    }

    #[test]
    fn the_table_is_that_of_the_contract() {
        let table: HashMap<_, _> = default_endpoints(Flavor::OpenCloud).collect();
        assert_eq!(table.len(), PORTS.len(), "a name stands twice");
        for (name, protocol, port) in [
            ("eu.opencloud.web.web", Protocol::Http, 9100),
            ("eu.opencloud.sse.sse", Protocol::Http, 9135),
            ("eu.opencloud.web.settings", Protocol::Http, 9190),
            ("eu.opencloud.api.settings", Protocol::Grpc, 9191),
            ("eu.opencloud.api.gateway", Protocol::Grpc, 9142),
            ("eu.opencloud.api.ocm", Protocol::Grpc, 9282),
        ] {
            assert_eq!(table.get(name), Some(&Endpoint::local(protocol, port)));
        }
        let ocis: HashMap<_, _> = default_endpoints(Flavor::Ocis).collect();
        let gateway = Endpoint::local(Protocol::Grpc, 9142);
        assert_eq!(ocis.get("com.owncloud.api.gateway"), Some(&gateway));
    }
}
