//! A route table of any size. Read by several benches.

use davgate::door::config::routes::{
    Backend, IdentityMode, PathNames, Policy, Route, RouteKind, Server,
};
use davgate::door::routes::Table;

fn route(kind: RouteKind, endpoint: String) -> Route {
    Route {
        kind,
        method: None,
        endpoint,
        backend: Backend {
            name: "backend".to_owned(),
            server: Server::Service("backend".into()),
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
        path_names: PathNames::Usual,
        place: String::new(),
    }
}

/// The shape of the default routes, filled up with prefixes of one more application each.
pub(crate) fn table(count: usize) -> Table {
    let mut routes = vec![
        route(RouteKind::Prefix, "/".to_owned()),
        route(RouteKind::Regex, r"/ocs/v[12]\.php/config".to_owned()),
        route(RouteKind::Query, "/dav/?preview=1".to_owned()),
        route(RouteKind::Prefix, "/dav/".to_owned()),
        route(RouteKind::Prefix, "/graph/".to_owned()),
    ];
    let fill = count - routes.len();
    routes.extend((0..fill).map(|at| route(RouteKind::Prefix, format!("/apps/application-{at}/"))));
    let policy = Policy {
        name: "default".to_owned(),
        routes,
    };
    Table::compile(&policy).unwrap()
}
