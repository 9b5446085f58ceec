//! Policies, their routes, and where requests go.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};

use crate::model::{ClaimRequirement, Endpoint, ServiceName};

/// A named, ordered set of routes (docs/design/contract.md 9.1).
#[derive(Debug, Clone)]
pub struct Policy {
    /// `default`, `ocis`, or the operator's name.
    pub name: String,
    /// In the order of the configuration; the first match of its kind wins.
    pub routes: Vec<Route>,
}

/// One route.
#[derive(Debug, Clone)]
pub struct Route {
    /// How the endpoint is matched.
    pub kind: RouteKind,
    /// Only for this method; `None`: for every method without routes of its own.
    pub method: Option<Method>,
    /// The endpoint as written: a prefix, a prefix with a query, or a regular expression.
    pub endpoint: String,
    /// Where matching requests go.
    pub backend: Backend,
    /// The backend's own host name goes into `Host`.
    pub apache_vhost: bool,
    /// No authentication; the prefix ends at `/`, `?` or the end.
    pub unprotected: bool,
    /// What the backend is told about the user.
    pub identity: IdentityMode,
    /// Removed from the start of the path, and sent as `X-Forwarded-Prefix`.
    pub strip_prefix: Option<String>,
    /// Set on the request, replacing what the client sent.
    pub additional_headers: Vec<(HeaderName, HeaderValue)>,
    /// Receives the account id.
    pub remote_user_header: Option<HeaderName>,
    /// The reva token is not added.
    pub skip_x_access_token: bool,
    /// All must hold here, besides those of the issuer.
    pub required_claims: Vec<ClaimRequirement>,
    /// The login may not be older.
    pub max_age: Option<Duration>,
    /// Which bytes names below it may have.
    pub path_names: PathNames,
    /// Where it is written: file, line and key; empty for the default ones.
    pub place: String,
}

impl Route {
    /// To this backend, by its own name, for everybody.
    #[must_use]
    pub fn to(backend: Backend) -> Self {
        Self {
            kind: RouteKind::Prefix,
            method: None,
            endpoint: "/".to_owned(),
            backend,
            apache_vhost: true,
            unprotected: true,
            identity: IdentityMode::None,
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

    /// Whether its backend is told more of the user than the reva token says.
    #[must_use]
    pub fn needs_remote_headers(&self) -> bool {
        self.identity == IdentityMode::Headers || self.remote_user_header.is_some()
    }

    /// Whether backends may call it with a reva token they were given.
    #[must_use]
    pub fn takes_reva_tokens(&self) -> bool {
        self.unprotected && self.identity == IdentityMode::Reva && !self.skip_x_access_token
    }
}

/// `path_names` of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PathNames {
    /// Any bytes inside the WebDAV trees (`/dav/` and its sisters), else as [`PathNames::Strict`].
    #[default]
    Usual,
    /// Names that mean the same to every server: UTF-8, no escaped separator.
    Strict,
    /// Any bytes.
    Bytes,
}

/// `type` of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RouteKind {
    /// Path prefix.
    Prefix,
    /// Path prefix and query parameters.
    Query,
    /// Anchored regular expression on the path.
    Regex,
}

/// What the backend is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityMode {
    /// `x-access-token`.
    Reva,
    /// `Remote-User`, `Remote-Name`, `Remote-Email`, `Remote-Groups`.
    Headers,
    /// Nothing.
    None,
}

/// Where a route's requests are sent.
#[derive(Debug, Clone)]
pub struct Backend {
    /// Name in logs and metrics: the service's short one, or host and port.
    pub name: String,
    /// Who answers there.
    pub server: Server,
    /// Path put before the request's, without a slash at the end; mostly empty.
    pub base_path: String,
    /// Query put before the request's, mostly empty.
    pub base_query: String,
}

/// Who answers: a service, wherever its nodes are, or one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// Any node of it, as the directory of services knows them.
    Service(ServiceName),
    /// The address that was written.
    Origin(Arc<Endpoint>),
}

impl Server {
    /// Where it lies in memory: the same for clones, and nobody else's while one of them lives.
    #[must_use]
    pub fn address(&self) -> usize {
        match self {
            Self::Service(name) => name.address(),
            Self::Origin(endpoint) => Arc::as_ptr(endpoint).addr(),
        }
    }

    /// The address that was written; none of a service, whose nodes come and go.
    #[must_use]
    pub fn origin(&self) -> Option<&Endpoint> {
        match self {
            Self::Service(_) => None,
            Self::Origin(endpoint) => Some(endpoint),
        }
    }
}
