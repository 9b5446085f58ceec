//! `Destination` and `If`, which name resources by whole URLs: they are routed like the target and told as backends know us.

use std::borrow::Cow;

use super::arrival::Arrival;
use crate::config::routes::Server;
use crate::error::GatewayError;
use crate::headers::CleanHead;
use crate::routes::{DestinationScope, RouteMatch, Table, rewritten_destinations};
use crate::services::Directory;

/// Rewrites them for the route's backend. They may name us as the client does, or by the public URL.
pub(super) fn rewrite(
    arrival: &Arrival<'_>,
    services: &Directory,
    table: &Table,
    route: RouteMatch<'_>,
    head: &mut CleanHead,
) -> Result<(), GatewayError> {
    let (snapshot, ingress) = (arrival.snapshot, &arrival.ingress);
    let hosts = [
        ingress.own_host.to_str().unwrap_or_default(),
        ingress.host.to_str().unwrap_or_default(),
        snapshot.forwarding.public_host(),
    ];
    let settings = route.settings();
    let (upstream_host, upstream_tls) = match &settings.backend.server {
        Server::Origin(origin) if settings.apache_vhost => {
            (Cow::Owned(origin.authority()), origin.tls)
        }
        Server::Origin(origin) => (Cow::Borrowed(hosts[0]), origin.tls),
        // Whichever node gets it: those of a service all have TLS, or none.
        Server::Service(name) => {
            let nodes = services.endpoints(name.as_str());
            (Cow::Borrowed(hosts[0]), nodes.iter().any(|node| node.tls))
        }
    };
    let scope = DestinationScope {
        table,
        root: &snapshot.root,
        method: head.method(),
        route,
        hosts: &hosts,
        upstream_host: &upstream_host,
        upstream_tls,
    };
    for (name, value) in rewritten_destinations(head.headers(), scope)? {
        head.rewrite(&name, value);
    }
    Ok(())
}
