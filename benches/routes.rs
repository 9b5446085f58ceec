//! What finding a route costs with 10, 100 and 1,000 routes: it must not grow with their number (design.md 4).

#![allow(missing_docs, reason = "criterion's macros make undocumented items")]
#![allow(clippy::expect_used, reason = "a bench has nobody to report to")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use davgate::config::routes::{Backend, IdentityMode, Policy, Route, RouteKind};
use davgate::routes::{NormalPath, Root, Table};
use http::Method;

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
fn table(count: usize) -> Table {
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
    Table::compile(&policy).expect("the routes above are valid")
}

fn routes(c: &mut Criterion) {
    let root = Root::default();
    for count in [10, 100, 1_000] {
        let table = table(count);
        let mut group = c.benchmark_group(format!("{count} routes"));
        for (name, path) in [
            ("plain", "/dav/spaces/some-space/folder/file.txt"),
            (
                "escaped",
                "/dav/spaces/storage%24space/folder/file%20one.txt",
            ),
            ("application", "/apps/application-4/page"),
            ("fallback", "/files/spaces/personal"),
        ] {
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    let path = NormalPath::parse(black_box(path), None, &root);
                    let path = path.expect("a valid path");
                    table
                        .find(&Method::GET, &path)
                        .map(|found| black_box(found.settings().identity))
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, routes);
criterion_main!(benches);
