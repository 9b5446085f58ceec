//! The routes each release of both flavours comes with, as docs/design/contract.md 9.1 and docs/design/contract.md 9.1 list them.

use super::load;
use crate::config::routes::{PathNames, RouteKind};
use crate::config::{Compat, Config, Flavor};

/// Routes of every release: kind, method, endpoint, service (`dav`: see [`Release`]), and whether they are open.
const ROUTES: [(&str, &str, &str, &str, bool); 34] = [
    ("prefix", "", "/", "web", true),
    ("prefix", "", "/.well-known/ocm", "ocm", true),
    ("prefix", "", "/.well-known/webfinger", "webfinger", true),
    (
        "prefix",
        "",
        "/.well-known/openid-configuration",
        "idp",
        true,
    ),
    ("prefix", "", "/branding/logo", "web", false),
    ("prefix", "", "/konnect/", "idp", true),
    ("prefix", "", "/signin/", "idp", true),
    ("prefix", "", "/archiver", "frontend", false),
    (
        "prefix",
        "",
        "/ocs/v2.php/apps/notifications/api/v1/notifications/sse",
        "sse",
        false,
    ),
    (
        "prefix",
        "",
        "/ocs/v2.php/apps/notifications/api/v1/notifications",
        "userlog",
        false,
    ),
    (
        "regex",
        "",
        r"/ocs/v[12]\.php/cloud/user/signing-key",
        "ocs",
        false,
    ),
    ("regex", "", r"/ocs/v[12]\.php/config", "frontend", true),
    ("prefix", "", "/sciencemesh/", "ocm", false),
    ("prefix", "", "/ocm/", "ocm", false),
    ("prefix", "", "/ocs/", "frontend", false),
    ("query", "", "/remote.php/?preview=1", "webdav", false),
    (
        "regex",
        "REPORT",
        r"(/remote\.php)?/(web)?dav",
        "webdav",
        false,
    ),
    ("query", "", "/dav/?preview=1", "webdav", false),
    ("query", "", "/webdav/?preview=1", "webdav", false),
    ("prefix", "", "/remote.php/", "dav", false),
    ("prefix", "", "/dav/", "dav", false),
    ("prefix", "", "/webdav/", "dav", false),
    ("prefix", "", "/status", "dav", true),
    ("prefix", "", "/status.php", "dav", true),
    ("prefix", "", "/index.php/", "dav", false),
    ("prefix", "", "/apps/", "dav", false),
    ("prefix", "", "/app/list", "frontend", true),
    ("prefix", "", "/app/", "frontend", false),
    (
        "prefix",
        "",
        "/graph/v1beta1/extensions/org.libregraph/activities",
        "activitylog",
        false,
    ),
    (
        "prefix",
        "",
        "/graph/v1.0/invitations",
        "invitations",
        false,
    ),
    ("prefix", "", "/graph/", "graph", false),
    ("prefix", "", "/api/v0/settings", "settings", false),
    ("prefix", "", "/auth-app/tokens", "auth-app", false),
    // Gone from the newest OpenCloud.
    ("prefix", "", "/data", "frontend", true),
];

/// Routes that came later: endpoint, service, open, told the token.
const LATER: [(&str, &str, bool, bool); 7] = [
    ("/sciencemesh/federations", "ocm", true, true),
    ("/sciencemesh/discover", "ocm", true, true),
    ("/wopi", "collaboration", true, false),
    ("/announcement", "web", false, true),
    ("/collaboration/fonts/manage", "collaboration", false, true),
    ("/collaboration/notify", "collaboration", false, true),
    ("/collaboration", "collaboration", true, true),
];

struct Release {
    compat: &'static str,
    dav: &'static str,
    /// How many of [`LATER`] it has.
    later: usize,
    has_data: bool,
}

const fn release(compat: &'static str, dav: &'static str, later: usize, has_data: bool) -> Release {
    Release {
        compat,
        dav,
        later,
        has_data,
    }
}

const RELEASES: [Release; 7] = [
    release("opencloud-1", "ocdav", 0, true),
    release("opencloud-4", "ocdav", 3, true),
    release("opencloud-5", "frontend", 3, true),
    release("opencloud-7", "frontend", 7, true),
    release("opencloud-8", "frontend", 7, false),
    release("ocis-7", "ocdav", 0, true),
    release("ocis-8", "ocdav", 0, true),
];

fn config(release: &Release, vars: &[(&str, &str)]) -> Config {
    let mut all = vec![("PROXY_COMPAT", release.compat)];
    all.extend(vars);
    load("", &all).unwrap().config
}

#[test]
fn every_release_has_its_routes_and_no_others() {
    assert_eq!(RELEASES.len(), Compat::ALL.len());
    for release in &RELEASES {
        let config = config(release, &[]);
        let policy = &config.policies[0];
        let is_ocis = config.flavor == Flavor::Ocis;
        assert_eq!(policy.name, if is_ocis { "ocis" } else { "default" });
        let mut expected = 0;
        for (kind, method, endpoint, service, open) in ROUTES {
            let found = policy.routes.iter().find(|route| {
                route.endpoint == endpoint
                    && route.method.as_ref().map_or("", http::Method::as_str) == method
            });
            if endpoint == "/data" && !release.has_data {
                assert!(found.is_none(), "{}: {endpoint}", release.compat);
                continue;
            }
            expected += 1;
            let route = found.unwrap_or_else(|| panic!("{}: no {endpoint}", release.compat));
            let service = if service == "dav" {
                release.dav
            } else {
                service
            };
            let kind = match kind {
                "query" => RouteKind::Query,
                "regex" => RouteKind::Regex,
                _ => RouteKind::Prefix,
            };
            assert_eq!(
                (route.kind, route.backend.name.as_str(), route.unprotected),
                (kind, service, open),
                "{}: {endpoint}",
                release.compat
            );
            let is_dav = ["/remote.php/", "/dav/", "/webdav/"]
                .iter()
                .any(|dav| endpoint.starts_with(dav));
            if is_dav {
                assert_eq!(route.path_names, PathNames::Bytes, "{endpoint}");
            }
        }
        for (at, (endpoint, service, open, told)) in LATER.into_iter().enumerate() {
            let found = policy
                .routes
                .iter()
                .find(|route| route.endpoint == endpoint);
            assert_eq!(
                found.is_some(),
                at < release.later,
                "{}: {endpoint}",
                release.compat
            );
            if let Some(route) = found {
                expected += 1;
                assert_eq!(
                    (
                        route.backend.name.as_str(),
                        route.unprotected,
                        !route.skip_x_access_token
                    ),
                    (service, open, told),
                    "{endpoint}"
                );
            }
        }
        assert_eq!(policy.routes.len(), expected, "{}", release.compat);
        // What is inside of another stands in front of it.
        let at = |endpoint: &str| policy.routes.iter().position(|r| r.endpoint == endpoint);
        for (inner, outer) in [
            (
                "/ocs/v2.php/apps/notifications/api/v1/notifications/sse",
                "/ocs/v2.php/apps/notifications/api/v1/notifications",
            ),
            (
                "/ocs/v2.php/apps/notifications/api/v1/notifications",
                "/ocs/",
            ),
            ("/app/list", "/app/"),
            ("/graph/v1.0/invitations", "/graph/"),
            ("/sciencemesh/federations", "/sciencemesh/"),
            ("/collaboration/notify", "/collaboration"),
        ] {
            if let (Some(inner), Some(outer)) = (at(inner), at(outer)) {
                assert!(inner < outer);
            }
        }
    }
}

/// The CalDAV and CardDAV example of the documentation, in both forms of `additional_headers`.
#[test]
fn the_example_for_calendars_loads_in_both_spellings() {
    let route = |headers: &str| {
        format!(
            "additional_policies: [{{name: default, routes: [{{endpoint: /caldav/, backend: 'http://radicale:5232', \
             remote_user_header: X-Remote-User, skip_x_access_token: true, additional_headers: {headers}}}]}}]"
        )
    };
    for headers in ["[{X-Script-Name: /caldav}]", "{X-Script-Name: /caldav}"] {
        let config = load(&route(headers), &[]).unwrap().config;
        let route = config.policies[0].routes.last().unwrap();
        assert_eq!(route.additional_headers.len(), 1);
        assert_eq!(route.additional_headers[0].0, "x-script-name");
        assert_eq!(route.additional_headers[0].1, "/caldav");
        assert_eq!(route.remote_user_header.as_ref().unwrap(), "x-remote-user");
        assert!(route.skip_x_access_token);
    }
}
