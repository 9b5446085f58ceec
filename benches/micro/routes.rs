//! What finding a route costs with 10, 100 and 1,000 routes: it must not grow with their number (design.md 4).

use std::hint::black_box;

use davgate::config::routes::{Backend, IdentityMode, Policy, Route, RouteKind};
use davgate::routes::{NormalPath, Root, Table};
use http::Method;

use super::Case;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for count in [10, 100, 1_000] {
        for (name, path) in [
            ("plain", "/dav/spaces/some-space/folder/file.txt"),
            (
                "escaped",
                "/dav/spaces/storage%24space/folder/file%20one.txt",
            ),
            ("application", "/apps/application-4/page"),
            ("fallback", "/files/spaces/personal"),
        ] {
            let (table, root) = (table(count), Root::default());
            cases.push(Case::new(format!("route_{count}_{name}"), move || {
                let path = NormalPath::parse(black_box(path), None, &root).unwrap();
                let found = table.find(&Method::GET, &path);
                found.map(|found| found.settings().identity).is_ok()
            }));
        }
    }
    cases
}

fn route(kind: RouteKind, endpoint: String) -> Route {
    Route {
        kind,
        method: None,
        endpoint,
        backend: Backend {
            name: "backend".to_owned(),
            tls: false,
            host: "127.0.0.1".to_owned(),
            port: 80,
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
