//! `Destination` and `If`, which name resources by whole URLs: they are routed like the target and told as backends know us.

use super::Arrival;
use crate::error::GatewayError;
use crate::headers::CleanHead;
use crate::routes::{DestinationScope, RouteMatch, Table, rewritten_destinations};

/// Rewrites them for the route's backend. They may name us as the client does, or by the public URL.
pub(super) fn rewrite(
    arrival: &Arrival<'_>,
    table: &Table,
    route: RouteMatch<'_>,
    head: &mut CleanHead,
) -> Result<(), GatewayError> {
    let (snapshot, ingress) = (arrival.snapshot, arrival.ingress);
    let hosts = [
        ingress.own_host.to_str().unwrap_or_default(),
        ingress.host.to_str().unwrap_or_default(),
        snapshot.forwarding.public_host(),
    ];
    let settings = route.settings();
    let scope = DestinationScope {
        table,
        root: &snapshot.root,
        method: head.method(),
        route,
        hosts: &hosts,
        upstream_host: if settings.apache_vhost {
            &settings.backend.host
        } else {
            hosts[0]
        },
    };
    for (name, value) in rewritten_destinations(head.headers(), scope)? {
        head.rewrite(&name, value);
    }
    Ok(())
}
