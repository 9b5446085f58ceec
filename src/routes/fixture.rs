//! Routes of docs/design/contract.md 9.1, written by hand for tests.

use http::Method;

use super::Table;
use crate::config::routes::{Backend, IdentityMode, PathNames, Policy, Route, RouteKind, Server};
use crate::model::ServiceName;

/// A protected prefix route.
pub(super) fn prefix(endpoint: &str, service: &str) -> Route {
    Route {
        kind: RouteKind::Prefix,
        method: None,
        endpoint: endpoint.to_owned(),
        backend: Backend {
            name: format!("eu.opencloud.web.{service}"),
            server: Server::Service(ServiceName::new(service)),
            base_path: String::new(),
            base_query: String::new(),
        },
        apache_vhost: false,
        unprotected: false,
        identity: IdentityMode::Reva,
        strip_prefix: None,
        additional_headers: Vec::new(),
        remote_user_header: None,
        skip_x_access_token: false,
        required_claims: Vec::new(),
        max_age: None,
        path_names: PathNames::default(),
        place: String::new(),
    }
}

/// The same without a login.
pub(super) fn open(endpoint: &str, service: &str) -> Route {
    Route {
        unprotected: true,
        ..prefix(endpoint, service)
    }
}

/// Another kind of route.
pub(super) fn of_kind(kind: RouteKind, route: Route) -> Route {
    Route { kind, ..route }
}

/// The default routes that tests need, in their order.
pub(super) fn default_routes() -> Vec<Route> {
    let regex = |route| of_kind(RouteKind::Regex, route);
    let query = |route| of_kind(RouteKind::Query, route);
    vec![
        open("/", "web"),
        open("/konnect/", "idp"),
        prefix("/archiver", "frontend"),
        regex(prefix(r"/ocs/v[12]\.php/cloud/user/signing-key", "ocs")),
        regex(open(r"/ocs/v[12]\.php/config", "frontend")),
        prefix("/ocm/", "ocm"),
        prefix("/ocs/", "frontend"),
        query(prefix("/remote.php/?preview=1", "webdav")),
        Route {
            method: Method::from_bytes(b"REPORT").ok(),
            ..regex(prefix(r"(/remote\.php)?/(web)?dav", "webdav"))
        },
        query(prefix("/dav/?preview=1", "webdav")),
        prefix("/remote.php/", "ocdav"),
        prefix("/dav/", "ocdav"),
        prefix("/webdav/", "ocdav"),
        open("/status", "ocdav"),
        open("/status.php", "ocdav"),
        open("/data", "frontend"),
        open("/app/list", "frontend"),
        prefix("/app/", "frontend"),
        prefix("/graph/v1.0/invitations", "invitations"),
        prefix("/graph/", "graph"),
    ]
}

/// The compiled table of some routes.
pub(super) fn table(routes: Vec<Route>) -> Table {
    Table::compile(&Policy {
        name: "default".to_owned(),
        routes,
    })
    .unwrap()
}
