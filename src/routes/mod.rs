//! Where a request goes and whether it needs a login. Only this module makes a [`PublicRoute`] or a [`ProtectedRoute`].

mod destination;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod fuzz;
mod location;
mod method;
mod path;
mod policies;
mod prefix;
mod redact;
mod rewrite;
mod table;
mod target;

pub(crate) use destination::{DestinationScope, rewritten_destinations};
pub(crate) use location::{LocationScope, turn_locations_back};
pub(crate) use method::is_registered_method;
pub use path::{NormalPath, Root};
pub(crate) use policies::{Policies, PoliciesError, UserPolicies};
pub(crate) use redact::redacted_path;
pub(crate) use rewrite::UpstreamTarget;
pub use rewrite::upstream_target;
pub(crate) use table::CompileError;
pub use table::Table;
pub(crate) use target::{Target, effective_host, readable_path};

use http::Method;

use crate::config::routes::{IdentityMode, Route};
use crate::model::{Fault, Reason};

/// Paths on which a request without a login goes to the backend, which reads credentials of its own (docs/design/contract.md 9.3).
const SHARED_PATHS: [&str; 4] = [
    "/dav/public-files/",
    "/remote.php/dav/public-files/",
    "/dav/ocm/",
    "/remote.php/dav/ocm/",
];

/// The same, where the backend answers everybody.
const ANONYMOUS_PATHS: [&str; 4] = [
    "/ocm/",
    "/ocs/v1.php/apps/files_sharing/api/v1/tokeninfo/unprotected",
    "/ocs/v2.php/apps/files_sharing/api/v1/tokeninfo/unprotected",
    "/ocs/v1.php/cloud/capabilities",
];

/// Where issuers report logouts, below `http.root`.
pub(crate) const LOGOUT_PATH: &str = "/backchannel_logout";

/// The built-in identity provider's token endpoint, which clients call before they have a token.
const IDP_TOKEN_PATH: &str = "/konnect/v1/token";

/// The route of a request.
#[derive(Debug, Clone, Copy)]
pub enum RouteMatch<'t> {
    /// Forwarded without a login and without identity.
    Public(PublicRoute<'t>),
    /// Forwarded with a session only.
    Protected(ProtectedRoute<'t>),
}

impl<'t> RouteMatch<'t> {
    /// The route's settings.
    #[must_use]
    pub fn settings(self) -> &'t Route {
        match self {
            Self::Public(route) => route.settings(),
            Self::Protected(route) => route.settings(),
        }
    }

    /// Whether a request without a credential is forwarded.
    pub(super) fn is_open(self) -> bool {
        match self {
            Self::Public(_) => true,
            Self::Protected(route) => route.without_login.is_some(),
        }
    }

    fn new(route: &'t Route, path: &NormalPath<'_>) -> Self {
        if route.unprotected || is_idp_token(route, path) {
            return Self::Public(PublicRoute {
                route,
                openness: Openness::Open,
            });
        }
        Self::Protected(ProtectedRoute {
            route,
            without_login: match route.identity {
                IdentityMode::Reva => without_login(path.matched()),
                IdentityMode::Headers | IdentityMode::None => None,
            },
        })
    }
}

/// A route that needs no login, or one that needs none of this request.
#[derive(Debug, Clone, Copy)]
pub struct PublicRoute<'t> {
    route: &'t Route,
    openness: Openness,
}

/// Why nobody has to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Openness {
    /// The route is open.
    Open,
    /// The path leads to what somebody shared: the backend checks the credentials, in whatever form they come.
    Shared,
    /// The backend answers everybody.
    Anonymous,
    /// OPTIONS.
    Preflight,
    /// An upload whose token is the right to it.
    Transfer,
}

impl<'t> PublicRoute<'t> {
    /// The way of an upload whose token was verified.
    #[must_use]
    pub fn of_transfer(route: &'t Route) -> Self {
        Self {
            route,
            openness: Openness::Transfer,
        }
    }

    /// The route's settings.
    #[must_use]
    pub fn settings(self) -> &'t Route {
        self.route
    }

    /// Whether a reva token that a backend brings back may pass (docs/design/design.md 2, Headers). Never on the public form
    /// of a protected route.
    #[must_use]
    pub fn takes_reva_tokens(self) -> bool {
        self.openness == Openness::Open && self.route.takes_reva_tokens()
    }

    /// Whether `Authorization` is the backend's business. Elsewhere it was for the gateway, which made nothing of it.
    #[must_use]
    pub fn keeps_authorization(self) -> bool {
        matches!(self.openness, Openness::Open | Openness::Shared)
    }

    /// Whether the connection may change its protocol: on a protected route only somebody who is known may ask for that.
    #[must_use]
    pub fn may_upgrade(self) -> bool {
        self.openness == Openness::Open
    }
}

/// A route that needs a login.
#[derive(Debug, Clone, Copy)]
pub struct ProtectedRoute<'t> {
    route: &'t Route,
    without_login: Option<Openness>,
}

impl<'t> ProtectedRoute<'t> {
    /// The route's settings.
    #[must_use]
    pub fn settings(self) -> &'t Route {
        self.route
    }

    /// The public form of this route for a request without a good login, where the backend decides for itself: public
    /// shares and the like (docs/design/contract.md 9.3). Only on routes whose backend understands identities.
    #[must_use]
    pub fn without_login(self) -> Option<PublicRoute<'t>> {
        let route = self.route;
        self.without_login
            .map(|openness| PublicRoute { route, openness })
    }

    /// The public form of this route for an OPTIONS request without a credential (docs/design/design.md 2, Paths and methods).
    #[must_use]
    pub fn for_preflight(self, method: &Method) -> Option<PublicRoute<'t>> {
        (method == Method::OPTIONS).then_some(PublicRoute {
            route: self.route,
            openness: Openness::Preflight,
        })
    }
}

/// Why a request has no route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The target has bytes that two parsers could read differently, or is of no form we serve: 400.
    #[error("the request target can be read in more than one way")]
    BadTarget,
    /// A dot segment, in any spelling: 400.
    #[error("the path has a dot segment")]
    DotSegment,
    /// An escaped separator outside of WebDAV names: 400.
    #[error("the path has an escaped separator")]
    EscapedSeparator,
    /// The target is longer than [`path::MAX_TARGET`]: 414.
    #[error("the request target is too long")]
    TargetTooLong,
    /// Host is missing, doubled, no host, or not the authority of the request: 400.
    #[error("Host is missing, doubled or not a host")]
    BadHost,
    /// CONNECT, or a method registered for neither HTTP nor WebDAV outside of WebDAV: 405.
    #[error("the method may not be used here")]
    MethodNotAllowed,
    /// The path is outside of `http.root`: 404.
    #[error("the path is outside of the gateway's root")]
    OutsideRoot,
    /// No route matches: 404.
    #[error("no route matches")]
    NoRoute,
    /// The token of an upload is none, over, or leads nowhere: 400.
    #[error("the token of the upload is not acceptable")]
    BadTransfer,
    /// `Destination` or `If` is no such header, or there is more than one: 400.
    #[error("Destination or If is malformed")]
    BadDestination,
    /// `Destination` or `If` names another host: 400.
    #[error("Destination or If names another host")]
    ForeignHost,
    /// `Destination` or `If` names another backend, or a route with other requirements: 502.
    #[error("Destination or If points to another backend")]
    ForeignDestination,
}

impl RouteError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(self) -> Fault {
        Fault::Caller
    }

    /// The stable word.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::BadTarget | Self::BadDestination | Self::BadTransfer => Reason::BadTarget,
            Self::DotSegment => Reason::DotSegment,
            Self::EscapedSeparator => Reason::EscapedSeparator,
            Self::TargetTooLong => Reason::TargetTooLong,
            Self::BadHost => Reason::BadHost,
            Self::MethodNotAllowed => Reason::MethodNotAllowed,
            Self::OutsideRoot | Self::NoRoute => Reason::NoRoute,
            Self::ForeignHost | Self::ForeignDestination => Reason::ForeignDestination,
        }
    }
}

/// Whether `path` is `prefix` or lies below it.
fn is_at_or_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/'))
}

/// Whether a password that comes for this path is its backend's business: that of a public link, as a rule.
#[must_use]
pub(crate) fn backend_reads_passwords(path: &NormalPath<'_>) -> bool {
    without_login(path.matched()) == Some(Openness::Shared)
}

fn without_login(path: &str) -> Option<Openness> {
    let below = |prefixes: &[&str]| prefixes.iter().any(|prefix| is_at_or_below(path, prefix));
    if below(&SHARED_PATHS) {
        Some(Openness::Shared)
    } else {
        below(&ANONYMOUS_PATHS).then_some(Openness::Anonymous)
    }
}

/// With an external issuer no route leads to an identity provider, and the exception is gone.
fn is_idp_token(route: &Route, path: &NormalPath<'_>) -> bool {
    path.matched() == IDP_TOKEN_PATH && route.backend.name.rsplit('.').next() == Some("idp")
}
