use proptest::prelude::*;

use super::*;
use crate::routes::{Root, fixture};

/// Service and class of a request in the default routes.
fn route(method: &str, target: &str) -> Result<(String, bool), RouteError> {
    route_in(&fixture::table(fixture::default_routes()), method, target)
}

fn route_in(table: &Table, method: &str, target: &str) -> Result<(String, bool), RouteError> {
    let (path, query) = target
        .split_once('?')
        .map_or((target, None), |(path, query)| (path, Some(query)));
    let path = NormalPath::parse(path, query, &Root::default())?;
    let found = table.find(&Method::from_bytes(method.as_bytes()).unwrap(), &path)?;
    let name = found
        .settings()
        .backend
        .name
        .rsplit('.')
        .next()
        .unwrap()
        .to_owned();
    Ok((name, matches!(found, RouteMatch::Public(_))))
}

fn public(service: &str) -> Result<(String, bool), RouteError> {
    Ok((service.to_owned(), true))
}

fn protected(service: &str) -> Result<(String, bool), RouteError> {
    Ok((service.to_owned(), false))
}

#[test]
fn default_routes_lead_where_the_contract_says() {
    for (method, target, expected) in [
        ("GET", "/", public("web")),
        ("GET", "/files/x", public("web")),
        ("GET", "/graph/v1.0/me", protected("graph")),
        ("GET", "/graph/v1.0/invitations/1", protected("invitations")),
        ("GET", "/archiver-2", protected("frontend")),
        ("GET", "/ocs/v2.php/config", public("frontend")),
        (
            "GET",
            "/ocs/v1.php/cloud/user/signing-key?x",
            protected("ocs"),
        ),
        ("GET", "/dav/spaces/x", protected("ocdav")),
        ("GET", "/dav/spaces/x?c=1&preview=1", protected("webdav")),
        (
            "GET",
            "/dav/spaces/x?preview=0&preview=1",
            protected("ocdav"),
        ),
        ("GET", "/remote.php/dav/x?preview=%31", protected("webdav")),
        ("REPORT", "/dav/spaces/x", protected("webdav")),
        ("REPORT", "/remote.php/webdav/x", protected("webdav")),
        ("REPORT", "/archiver", protected("frontend")),
        ("GET", "/app/list", public("frontend")),
        ("GET", "/app/list-more", protected("frontend")),
        ("GET", "/status.php", public("ocdav")),
    ] {
        assert_eq!(route(method, target), expected, "{method} {target}");
    }
}

#[test]
fn row_46_a_query_never_chooses_a_regular_expression() {
    let target = "/graph/v1.0/users?x=/ocs/v1.php/config";
    assert_eq!(route("GET", target), protected("graph"));
}

#[test]
fn row_47_regular_expressions_are_anchored_and_end_at_a_segment_when_unprotected() {
    assert_eq!(route("GET", "/ocs/v1xphp/config"), protected("frontend"));
    assert_eq!(
        route("GET", "/ocs/v1.php/configuration"),
        protected("frontend")
    );
    assert_eq!(route("GET", "/ocs/v1.php/config/x"), public("frontend"));
    assert_eq!(
        route("GET", "/graph/x/ocs/v1.php/config"),
        protected("graph")
    );
    assert_eq!(
        route("GET", "/ocs/v1.php/cloud/user/signing-keys"),
        protected("ocs")
    );
}

#[test]
fn row_52_escaped_letters_route_and_authenticate_alike() {
    assert_eq!(route("GET", "/%64av/public-files/x"), protected("ocdav"));
    assert_eq!(route("GET", "/%67raph/v1.0/me"), protected("graph"));
    assert_eq!(route("GET", "/st%61tus"), public("ocdav"));
}

#[test]
fn row_56_unprotected_prefixes_are_whole_segments_and_case_counts() {
    for path in [
        "/Data/x",
        "/STATUS.php",
        "/status.phpx",
        "/statusfoo",
        "/database",
    ] {
        assert_eq!(route("GET", path), public("web"), "{path}");
    }
    assert_eq!(route("GET", "/data/x"), public("frontend"));
    assert_eq!(route("GET", "/data?x"), public("frontend"));
}

#[test]
fn row_58_methods_without_routes_of_their_own_use_the_others() {
    assert_eq!(route("REPORT", "/graph/x"), protected("graph"));
    assert_eq!(route("REPORT", "/graph"), protected("graph"));
    assert_eq!(route("REPORT", "/graphs"), public("web"));
    assert_eq!(route("PROPFIND", "/"), public("web"));
    assert_eq!(route("FOO", "/dav/"), protected("ocdav"));
    assert_eq!(route("FOO", "/graph/x"), Err(RouteError::MethodNotAllowed));
    assert_eq!(route("get", "/status"), Err(RouteError::MethodNotAllowed));
    assert_eq!(
        route("CONNECT", "/dav/x"),
        Err(RouteError::MethodNotAllowed)
    );
}

#[test]
fn row_59_the_token_endpoint_is_open_only_exactly_and_only_at_an_identity_provider() {
    let mut routes = fixture::default_routes();
    assert_eq!(route("POST", "/konnect/v1/token"), public("idp"));
    routes[1].unprotected = false;
    let table = fixture::table(routes);
    assert_eq!(route_in(&table, "POST", "/konnect/v1/token"), public("idp"));
    for path in ["/konnect/v1/token/", "/konnect/v1/tokens", "/konnect/v1/x"] {
        assert_eq!(route_in(&table, "POST", path), protected("idp"), "{path}");
    }
    let table = fixture::table(vec![fixture::prefix("/", "web")]);
    assert_eq!(
        route_in(&table, "POST", "/konnect/v1/token"),
        protected("web")
    );
    assert_eq!(
        route_in(&table, "POST", "/konnect/v1/token/../../graph"),
        Err(RouteError::DotSegment)
    );
}

#[test]
fn shares_and_preflights_have_a_public_form_and_nothing_else_has() {
    let table = fixture::table(fixture::default_routes());
    let found = |path: &'static str| {
        let path = NormalPath::parse(path, None, &Root::default()).unwrap();
        match table.find(&Method::GET, &path).unwrap() {
            RouteMatch::Protected(route) => route,
            RouteMatch::Public(_) => panic!("public"),
        }
    };
    for (path, anonymous) in [
        ("/dav/public-files/x", true),
        ("/remote.php/dav/ocm/x", true),
        ("/ocm/shares", true),
        ("/ocs/v1.php/cloud/capabilities", true),
        ("/ocs/v2.php/cloud/capabilities", false),
        ("/ocs/v1.php/cloud/capabilitiesx", false),
        ("/dav/public-files", false),
        ("/dav/spaces/x", false),
    ] {
        assert_eq!(found(path).without_login().is_some(), anonymous, "{path}");
    }
    let route = found("/dav/spaces/x");
    assert!(route.for_preflight(&Method::OPTIONS).is_some());
    assert!(route.for_preflight(&Method::GET).is_none());
}

#[test]
fn a_backend_that_does_not_understand_identities_gets_no_anonymous_requests() {
    let mut route = fixture::prefix("/dav/", "files");
    route.identity = crate::config::routes::IdentityMode::Headers;
    let table = fixture::table(vec![route]);
    let path = NormalPath::parse("/dav/public-files/x", None, &Root::default()).unwrap();
    let RouteMatch::Protected(route) = table.find(&Method::GET, &path).unwrap() else {
        panic!("public");
    };
    assert!(route.without_login().is_none());
}

#[test]
fn a_name_that_a_backend_could_read_as_another_route_is_refused() {
    let table = fixture::table(vec![
        fixture::prefix("/dav/secret/", "secret"),
        fixture::prefix("/dav/", "ocdav"),
    ]);
    assert_eq!(route_in(&table, "GET", "/dav/a%2Fb"), protected("ocdav"));
    assert_eq!(
        route_in(&table, "GET", "/dav/secret%2Fb"),
        Err(RouteError::EscapedSeparator)
    );
}

#[test]
fn row_51_and_issue_26_odd_names_go_only_where_names_may_be_any_bytes() {
    let separator = Err(RouteError::EscapedSeparator);
    let bytes = Err(RouteError::BadTarget);
    for (path, expected) in [
        ("/graph/a%2Fb", separator.clone()),
        ("/graph/a%5Cb", separator.clone()),
        ("/graph/%E4", bytes.clone()),
        ("/remote.php/x%2Fy", separator.clone()),
        ("/dav%2Fpublic-files/x", separator.clone()),
        ("/x%2Fy", separator.clone()),
        ("/%FF", bytes.clone()),
        ("/dav/spaces/a%2Fb", protected("ocdav")),
        ("/dav/spaces/back%5Cslash.txt", protected("ocdav")),
        ("/dav/spaces/%E4.txt", protected("ocdav")),
        ("/remote.php/dav/%E4%2F", protected("ocdav")),
        ("/webdav/%80", protected("ocdav")),
    ] {
        assert_eq!(route("GET", path), expected, "{path}");
    }
    let of = |path_names| {
        fixture::table(vec![
            fixture::open("/", "web"),
            fixture::prefix("/cool/secret/", "secret"),
            Route {
                path_names,
                ..fixture::prefix("/cool/", "cool")
            },
            Route {
                path_names,
                ..fixture::prefix("/dav/", "files")
            },
        ])
    };
    let collabora = "/cool/https%3A%2F%2Fcloud.example%2Fwopi%2Ffiles%2F1/ws";
    for (path, service) in [
        (collabora, "cool"),
        ("/cool/back%5Cslash.txt", "cool"),
        ("/cool/%E4", "cool"),
        ("/dav/a%2Fb", "files"),
        ("/dav/%E4", "files"),
    ] {
        assert_eq!(
            route_in(&of(PathNames::Bytes), "GET", path),
            protected(service),
            "{path}"
        );
        assert!(
            route_in(&of(PathNames::Strict), "GET", path).is_err(),
            "{path}"
        );
    }
    // What a backend could read as another route opens nothing, whatever the route says.
    for path in [
        "/cool/secret%2Fx",
        "/cool%2Fx",
        "/cool/secret%5Cx",
        "/cool/secret%c0%afx",
        "/c%c1%afol/x",
        "/cool/%2E%2E/x",
        "/cool/a%2F..%2Fb",
        "/cool/%c0%ae%c0%ae/x",
        "/cool/a%00b",
        "/cool/a%c0%80b",
    ] {
        assert!(
            route_in(&of(PathNames::Bytes), "GET", path).is_err(),
            "{path}"
        );
    }
}

#[test]
fn issue_10_parameters_within_a_path_lead_to_no_other_route() {
    for path in [
        "/graph;x/v1.0/me",
        "/graph%3Bx/v1.0/me",
        "/;x/graph/v1.0/me",
        "/data;x/y",
        "/status;x",
        "/ocs;a=b/v1.php/config",
    ] {
        assert_eq!(route("GET", path), Err(RouteError::BadTarget), "{path}");
    }
    for (path, expected) in [
        ("/dav/spaces/a;b.txt", protected("ocdav")),
        ("/dav/spaces/a%3Bb.txt", protected("ocdav")),
        ("/files/a;b", public("web")),
        ("/graph/v1.0/users;x", protected("graph")),
    ] {
        assert_eq!(route("GET", path), expected, "{path}");
    }
}

#[test]
fn issue_26_a_folder_without_its_slash_is_found_unless_a_route_names_it() {
    for (path, expected) in [
        ("/dav", protected("ocdav")),
        ("/webdav", protected("ocdav")),
        ("/graph", protected("graph")),
        ("/app", protected("frontend")),
        ("/konnect", public("idp")),
        ("/davx", public("web")),
        ("/da", public("web")),
    ] {
        assert_eq!(route("GET", path), expected, "{path}");
        assert_eq!(route("PROPFIND", path), expected, "{path}");
    }
    let table = fixture::table(vec![
        fixture::open("/", "web"),
        fixture::prefix("/dav/", "files"),
        fixture::open("/dav", "landing"),
    ]);
    assert_eq!(route_in(&table, "GET", "/dav"), public("landing"));
    assert_eq!(route_in(&table, "GET", "/dav/"), protected("files"));
    let table = fixture::table(vec![
        fixture::open("/", "web"),
        fixture::prefix("/d", "d"),
        fixture::prefix("/dav/", "files"),
    ]);
    assert_eq!(route_in(&table, "GET", "/dav"), protected("d"));
}

#[test]
fn the_first_of_its_kind_wins_and_the_root_is_last() {
    let table = fixture::table(vec![
        fixture::open("/", "web"),
        fixture::prefix("/a", "first"),
        fixture::prefix("/a/b", "second"),
        fixture::open("/c", "open"),
        fixture::prefix("/c", "closed"),
    ]);
    assert_eq!(route_in(&table, "GET", "/a/b"), protected("first"));
    assert_eq!(route_in(&table, "GET", "/c/x"), public("open"));
    assert_eq!(route_in(&table, "GET", "/cx"), protected("closed"));
    assert_eq!(route_in(&table, "GET", "/b"), public("web"));
    let without = fixture::table(vec![fixture::prefix("/a", "first")]);
    assert_eq!(route_in(&without, "GET", "/b"), Err(RouteError::NoRoute));
}

#[test]
fn expressions_cannot_reach_out_of_their_anchor() {
    let policy = |endpoint: &str| Policy {
        name: "x".to_owned(),
        routes: vec![fixture::of_kind(
            RouteKind::Regex,
            fixture::open(endpoint, "x"),
        )],
    };
    assert!(Table::compile(&policy("/a)|(?:/b")).is_err());
    assert!(Table::compile(&policy("/a(")).is_err());
    let table = Table::compile(&policy("/a|/b+")).unwrap();
    assert_eq!(route_in(&table, "GET", "/bb/x"), public("x"));
    assert_eq!(route_in(&table, "GET", "/x/b"), Err(RouteError::NoRoute));
    assert_eq!(route_in(&table, "GET", "/ax"), Err(RouteError::NoRoute));
}

#[test]
fn the_literal_start_of_an_expression_is_never_too_long() {
    for (pattern, literal) in [
        (r"/ocs/v[12]\.php", "/ocs/v"),
        ("/ab?c", "/a"),
        ("/ab*", "/a"),
        ("/ab{0}", "/a"),
        ("/ab+", "/ab"),
        ("/a|/b", ""),
        ("(/x)?/a", ""),
        ("(?i)/a", ""),
    ] {
        assert_eq!(literal_start(pattern), literal, "{pattern}");
    }
}

proptest! {
    #[test]
    fn every_spelling_of_a_path_has_one_route_and_one_class(
        path in prop::sample::select(vec![
            "/dav/public-files/x", "/graph/v1.0/me", "/status", "/data/x", "/ocs/v1.php/config",
            "/konnect/v1/token", "/app/list", "/database",
        ]),
        choices in prop::collection::vec(0u8..4, 24),
    ) {
        let mut spelled = String::new();
        for (byte, choice) in path.bytes().zip(&choices) {
            match (byte, choice) {
                (b'/', 0) => spelled.push_str("///"),
                (b'/', _) => spelled.push('/'),
                (byte, 0) => spelled.push_str(&format!("%{byte:02x}")),
                (byte, 1) => spelled.push_str(&format!("%{byte:02X}")),
                (byte, _) => spelled.push(char::from(byte)),
            }
        }
        prop_assert_eq!(route("GET", &spelled), route("GET", path));
    }
}

#[test]
fn monitors_and_looks_for_an_old_login_never_end_up_in_the_web_app() {
    for path in [
        "/metrics",
        "/healthz",
        "/readyz",
        "/index.php/apps/oauth2/authorize",
        "/index.php/apps/oauth2",
    ] {
        assert_eq!(route("GET", path), Err(RouteError::NoRoute), "{path}");
    }
    assert_eq!(route("GET", "/metrics/x"), public("web"));
    let mut routes = fixture::default_routes();
    routes.push(fixture::prefix("/metrics", "metrics"));
    routes.push(fixture::prefix("/index.php/", "ocdav"));
    let table = fixture::table(routes);
    for (path, expected) in [
        ("/metrics", protected("metrics")),
        ("/index.php/apps/x", protected("ocdav")),
        ("/index.php/apps/oauth2/authorize", Err(RouteError::NoRoute)),
    ] {
        assert_eq!(route_in(&table, "GET", path), expected, "{path}");
    }
    let dav = fixture::table(vec![fixture::prefix("/", "files")]);
    assert_eq!(route_in(&dav, "GET", "/metrics"), protected("files"));
}
