//! The routes every release comes with (docs/design/contract.md 9.1, docs/design/contract.md 9.1).

use super::{Compat, Flavor};

/// A default route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DefaultRoute {
    pub(crate) kind: &'static str,
    pub(crate) method: Option<&'static str>,
    pub(crate) endpoint: &'static str,
    /// Without the prefix of the flavour.
    pub(crate) service: &'static str,
    pub(crate) unprotected: bool,
    pub(crate) skip_x_access_token: bool,
}

const fn prefix(endpoint: &'static str, service: &'static str) -> DefaultRoute {
    DefaultRoute {
        kind: "prefix",
        method: None,
        endpoint,
        service,
        unprotected: false,
        skip_x_access_token: false,
    }
}

const fn open(endpoint: &'static str, service: &'static str) -> DefaultRoute {
    DefaultRoute {
        unprotected: true,
        ..prefix(endpoint, service)
    }
}

const fn query(endpoint: &'static str, service: &'static str) -> DefaultRoute {
    DefaultRoute {
        kind: "query",
        ..prefix(endpoint, service)
    }
}

const fn regex(endpoint: &'static str, service: &'static str) -> DefaultRoute {
    DefaultRoute {
        kind: "regex",
        ..prefix(endpoint, service)
    }
}

/// The default routes of a release, in order.
pub(crate) fn default_routes(compat: Compat) -> Vec<DefaultRoute> {
    let opencloud = compat.flavor() == Flavor::OpenCloud;
    let since = |release: Compat| opencloud && compat >= release;
    // WebDAV moved from its own service into frontend.
    let dav = if since(Compat::OpenCloud5) {
        "frontend"
    } else {
        "ocdav"
    };
    let mut routes = vec![
        open("/", "web"),
        open("/.well-known/ocm", "ocm"),
        open("/.well-known/webfinger", "webfinger"),
        open("/.well-known/openid-configuration", "idp"),
        prefix("/branding/logo", "web"),
    ];
    if since(Compat::OpenCloud7) {
        routes.push(prefix("/announcement", "web"));
    }
    routes.extend([
        open("/konnect/", "idp"),
        open("/signin/", "idp"),
        prefix("/archiver", "frontend"),
        prefix(
            "/ocs/v2.php/apps/notifications/api/v1/notifications/sse",
            "sse",
        ),
        prefix(
            "/ocs/v2.php/apps/notifications/api/v1/notifications",
            "userlog",
        ),
        // The dot is a dot and the end is an end, which the original's expressions leave open.
        regex(r"/ocs/v[12]\.php/cloud/user/signing-key", "ocs"),
        DefaultRoute {
            unprotected: true,
            ..regex(r"/ocs/v[12]\.php/config", "frontend")
        },
    ]);
    if since(Compat::OpenCloud4) {
        routes.push(open("/sciencemesh/federations", "ocm"));
        routes.push(open("/sciencemesh/discover", "ocm"));
    }
    routes.extend([
        prefix("/sciencemesh/", "ocm"),
        prefix("/ocm/", "ocm"),
        prefix("/ocs/", "frontend"),
        query("/remote.php/?preview=1", "webdav"),
        DefaultRoute {
            method: Some("REPORT"),
            ..regex(r"(/remote\.php)?/(web)?dav", "webdav")
        },
        query("/dav/?preview=1", "webdav"),
        query("/webdav/?preview=1", "webdav"),
        prefix("/remote.php/", dav),
        prefix("/dav/", dav),
        prefix("/webdav/", dav),
        open("/status", dav),
        open("/status.php", dav),
        prefix("/index.php/", dav),
        prefix("/apps/", dav),
    ]);
    if !since(Compat::OpenCloud8) {
        routes.push(open("/data", "frontend"));
    }
    routes.extend([
        open("/app/list", "frontend"),
        prefix("/app/", "frontend"),
        prefix(
            "/graph/v1beta1/extensions/org.libregraph/activities",
            "activitylog",
        ),
        prefix("/graph/v1.0/invitations", "invitations"),
        prefix("/graph/", "graph"),
        prefix("/api/v0/settings", "settings"),
        prefix("/auth-app/tokens", "auth-app"),
    ]);
    if since(Compat::OpenCloud4) {
        routes.push(DefaultRoute {
            skip_x_access_token: true,
            ..open("/wopi", "collaboration")
        });
    }
    if since(Compat::OpenCloud7) {
        routes.push(prefix("/collaboration/fonts/manage", "collaboration"));
        routes.push(prefix("/collaboration/notify", "collaboration"));
        routes.push(open("/collaboration", "collaboration"));
    }
    routes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service_of(compat: Compat, endpoint: &str) -> Option<&'static str> {
        default_routes(compat)
            .iter()
            .find(|r| r.endpoint == endpoint)
            .map(|r| r.service)
    }

    #[test]
    fn routes_follow_the_release() {
        assert_eq!(service_of(Compat::OpenCloud4, "/dav/"), Some("ocdav"));
        assert_eq!(service_of(Compat::OpenCloud5, "/dav/"), Some("frontend"));
        assert_eq!(service_of(Compat::Ocis8, "/dav/"), Some("ocdav"));
        assert_eq!(service_of(Compat::OpenCloud7, "/data"), Some("frontend"));
        assert_eq!(service_of(Compat::OpenCloud8, "/data"), None);
        assert_eq!(service_of(Compat::Ocis8, "/data"), Some("frontend"));
        assert_eq!(service_of(Compat::OpenCloud1, "/wopi"), None);
        assert_eq!(service_of(Compat::Ocis8, "/wopi"), None);
        assert_eq!(service_of(Compat::OpenCloud5, "/announcement"), None);
        // It came with 7.4, and a value holds for all of 7.
        assert_eq!(service_of(Compat::OpenCloud7, "/announcement"), Some("web"));
        assert_eq!(service_of(Compat::OpenCloud5, "/collaboration"), None);
        assert_eq!(
            service_of(Compat::OpenCloud7, "/collaboration"),
            Some("collaboration")
        );
    }
}
