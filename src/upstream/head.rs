//! The request head a backend gets.

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body::Body as _;

use super::UpstreamError;
use super::call::Ingress;
use crate::body::Body;
use crate::config::Mfa;
use crate::config::routes::{IdentityMode, Route};
use crate::headers::{ACCESS_TOKEN, CleanHead, IdentityHeaders, MFA, RemoteHeaders, X_REQUEST_ID};
use crate::identity::ReturnedToken;
use crate::routes::UpstreamTarget;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const REMOTE_USER: HeaderName = HeaderName::from_static("remote-user");
const REMOTE_NAME: HeaderName = HeaderName::from_static("remote-name");
const REMOTE_EMAIL: HeaderName = HeaderName::from_static("remote-email");
const REMOTE_GROUPS: HeaderName = HeaderName::from_static("remote-groups");

/// What is sent, apart from the body.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
}

/// Whom the backend is told about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Told<'r> {
    /// Nobody.
    Nobody,
    /// Whom a backend named that calls back.
    Returned(&'r ReturnedToken),
    /// Whoever logged in.
    User(&'r IdentityHeaders),
}

/// What the configuration says about every head.
#[derive(Debug, Clone)]
pub(super) struct HeadRules {
    pub(super) forward_authorization: bool,
    pub(super) mfa: Mfa,
}

impl Head {
    /// The head for a route's backend. Only on public routes it may be told about nobody.
    pub(super) fn new(
        mut clean: CleanHead,
        route: &Route,
        told: Told<'_>,
        ingress: &Ingress,
        target: &UpstreamTarget<'_>,
        rules: &HeadRules,
        second_factor: bool,
    ) -> Result<Self, UpstreamError> {
        let uri = backend_uri(&clean.parts.uri, target)?;
        let consumed = matches!(told, Told::User(_)) && !rules.forward_authorization;
        if consumed || clean.authorization_is_hop_by_hop {
            clean.drop_authorization();
        }
        let mut headers = clean.parts.headers;
        headers.insert(HOST, host(route, ingress)?);
        headers.insert(X_FORWARDED_FOR, ingress.client.clone());
        headers.insert(X_FORWARDED_HOST, ingress.host.clone());
        headers.insert(X_FORWARDED_PROTO, ingress.scheme.clone());
        if let Some(prefix) = &target.removed_prefix {
            headers.insert(X_FORWARDED_PREFIX, value(prefix)?);
        }
        headers.insert(X_REQUEST_ID, ingress.request_id.clone());
        for (name, value) in &route.additional_headers {
            headers.insert(name, value.clone());
        }
        if rules.mfa.header {
            headers.insert(MFA, mfa_value(second_factor, &rules.mfa));
        }
        match told {
            Told::Nobody => {}
            Told::Returned(token) => {
                headers.insert(ACCESS_TOKEN, token.value().clone());
            }
            Told::User(identity) => tell(&mut headers, route, identity)?,
        }
        connection_headers(&mut headers, clean.trailers_wanted, clean.upgrade);
        join_cookies(&mut headers);
        Ok(Self {
            method: clean.parts.method,
            uri,
            headers,
        })
    }

    /// Makes the framing headers fit the body. The HTTP library believes them over the body, and sends a GET of unknown
    /// length without one.
    pub(super) fn frame(&mut self, body: &Body) {
        let length = body.size_hint().exact();
        if body.is_end_stream() {
            let said = self.headers.get(CONTENT_LENGTH);
            match said {
                Some(said) if said != "0" => drop(self.headers.remove(CONTENT_LENGTH)),
                // HTTP/2 has other ways to say so (RFC 9110 section 8.6).
                None if has_content(&self.method) => {
                    self.headers
                        .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
                }
                _ => {}
            }
        } else if let Some(length) = length {
            self.headers.insert(CONTENT_LENGTH, length.into());
        } else {
            self.headers.remove(CONTENT_LENGTH);
            self.headers
                .insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }

    /// The request for one attempt.
    pub(super) fn with(self, body: Body) -> Request<Body> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        request
    }
}

/// Methods of which a server expects content, so that one without has to say that it is empty.
fn has_content(method: &Method) -> bool {
    matches!(
        method.as_str(),
        "PUT" | "POST" | "PATCH" | "PROPPATCH" | "REPORT" | "SEARCH" | "QUERY"
    )
}

/// The headers that a protected route's backend gets, apart from those of the body: what a [`super::Forwarder`] does with
/// each head, by itself, for the micro-benchmarks.
///
/// # Errors
/// [`UpstreamError::Internal`] if a configured text is no header value or the identity lacks what the route tells.
pub fn backend_headers(
    clean: CleanHead,
    route: &Route,
    identity: &IdentityHeaders,
    ingress: &Ingress,
    target: &UpstreamTarget<'_>,
    mfa: &Mfa,
) -> Result<HeaderMap, UpstreamError> {
    let rules = HeadRules {
        forward_authorization: false,
        mfa: mfa.clone(),
    };
    let head = Head::new(
        clean,
        route,
        Told::User(identity),
        ingress,
        target,
        &rules,
        false,
    )?;
    Ok(head.headers)
}

/// The target in origin form. Where nothing was rewritten, the client's own bytes are shared, not parsed again.
fn backend_uri(client: &Uri, target: &UpstreamTarget<'_>) -> Result<Uri, UpstreamError> {
    if let Some(own) = client.path_and_query()
        && own.path() == target.path
        && own.query() == target.query.as_deref()
    {
        return Ok(Uri::from(own.clone()));
    }
    PathAndQuery::try_from(target.path_and_query().as_ref())
        .map(Uri::from)
        .map_err(|_| UpstreamError::Internal("the rewritten target is no target"))
}

fn host(route: &Route, ingress: &Ingress) -> Result<HeaderValue, UpstreamError> {
    let origin = route.backend.server.origin().filter(|_| route.apache_vhost);
    origin.map_or_else(|| Ok(ingress.own_host.clone()), |at| value(&at.authority()))
}

fn value(text: &str) -> Result<HeaderValue, UpstreamError> {
    HeaderValue::from_str(text)
        .map_err(|_| UpstreamError::Internal("a configured text is no header value"))
}

/// Backends read a missing header as "no second factor", so it is always there (docs/design/contract.md 9.15).
fn mfa_value(second_factor: bool, mfa: &Mfa) -> HeaderValue {
    let strong = !mfa.enabled || second_factor;
    HeaderValue::from_static(if strong { "true" } else { "false" })
}

fn tell(
    headers: &mut HeaderMap,
    route: &Route,
    identity: &IdentityHeaders,
) -> Result<(), UpstreamError> {
    if let Some(name) = &route.remote_user_header {
        headers.insert(name, remote(identity)?.account_id.clone());
    }
    match route.identity {
        IdentityMode::Reva if route.skip_x_access_token => {}
        IdentityMode::Reva => {
            let token = identity.access_token.clone();
            let token = token.ok_or(UpstreamError::Internal("the session has no reva token"))?;
            headers.insert(ACCESS_TOKEN, token);
        }
        IdentityMode::Headers => {
            let remote = remote(identity)?;
            headers.insert(REMOTE_USER, remote.user.clone());
            headers.insert(REMOTE_NAME, remote.name.clone());
            if let Some(email) = &remote.email {
                headers.insert(REMOTE_EMAIL, email.clone());
            }
            headers.insert(REMOTE_GROUPS, remote.groups.clone());
        }
        IdentityMode::None => {}
    }
    Ok(())
}

fn remote(identity: &IdentityHeaders) -> Result<&RemoteHeaders, UpstreamError> {
    let remote = identity.remote.as_deref();
    remote.ok_or(UpstreamError::Internal("the session has no remote headers"))
}

/// What our connection to the backend needs to say.
fn connection_headers(headers: &mut HeaderMap, trailers: bool, upgrade: Option<HeaderValue>) {
    if let Some(protocol) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    } else if trailers {
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    } else {
        headers.remove(TRAILER);
    }
}

/// HTTP/2 clients may send one line per cookie; HTTP/1.1 allows one line only (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(COOKIE).into_iter();
    if lines.next().is_none() || lines.next().is_none() {
        return;
    }
    let all: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(joined) = HeaderValue::from_bytes(&all.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}
