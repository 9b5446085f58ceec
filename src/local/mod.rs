//! What the gateway answers itself: discovery, webfinger, who gives out tokens, back-channel logout, `OPTIONS *`, the way to HTTPS.

mod logout;
mod protected_resource;
mod webfinger;

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW,
    CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION,
};
use http::{HeaderValue, Method, Response, StatusCode};

use crate::auth::{AuthError, WellKnown};
use crate::body::Body;
use crate::error::GatewayError;
use crate::headers::CleanHead;
use crate::process::{Process, RESOURCE_METADATA, Snapshot};
use crate::routes::{LOGOUT_PATH, NormalPath};

/// A path that never reaches a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `/.well-known/openid-configuration`, with the rewrite on.
    Discovery,
    /// `/.well-known/webfinger`, with `PROXY_WEBFINGER=native`.
    Webfinger,
    /// `/.well-known/oauth-protected-resource`, and below it.
    ProtectedResource,
    /// `/backchannel_logout`, with or without a slash.
    BackchannelLogout,
}

/// The endpoint of a path, if it is one.
#[must_use]
pub(crate) fn endpoint(snapshot: &Snapshot, path: &NormalPath<'_>) -> Option<Endpoint> {
    let matched = path.matched();
    match matched {
        "/.well-known/openid-configuration" => snapshot
            .config
            .rewrite_well_known
            .then_some(Endpoint::Discovery),
        "/.well-known/webfinger" => snapshot
            .config
            .webfinger
            .as_ref()
            .map(|_| Endpoint::Webfinger),
        // A web app behind would answer anything with its page, and the issuer would believe that somebody was logged out.
        _ if matched.strip_suffix('/').unwrap_or(matched) == LOGOUT_PATH => {
            Some(Endpoint::BackchannelLogout)
        }
        _ => path
            .without_prefix(RESOURCE_METADATA)
            .map(|_| Endpoint::ProtectedResource),
    }
}

impl Endpoint {
    /// Answers a request.
    ///
    /// # Errors
    /// A method the endpoint does not know, and a document of the issuer that is not at hand.
    pub(crate) async fn answer(
        self,
        process: &Process,
        snapshot: &Snapshot,
        path: &NormalPath<'_>,
        head: CleanHead,
        body: Body,
    ) -> Result<Response<Body>, GatewayError> {
        match self {
            Self::BackchannelLogout => logout::answer(process, &head, body).await,
            _ if head.method() == Method::OPTIONS => Ok(preflight()),
            _ if !is_read(head.method()) => Err(GatewayError::LocalMethod),
            Self::ProtectedResource => protected_resource::answer(process, snapshot, path),
            Self::Discovery => {
                let document = process.issuers.well_known().await.map_err(no_document)?;
                Ok(discovery(&document, &head))
            }
            Self::Webfinger => webfinger::answer(snapshot, &head),
        }
    }
}

/// 308 to the public URL.
#[must_use]
pub(crate) fn redirect(location: HeaderValue) -> Response<Body> {
    let mut response = status(StatusCode::PERMANENT_REDIRECT);
    response.headers_mut().insert(LOCATION, location);
    response
}

/// `OPTIONS *`: about the server, not about any backend.
#[must_use]
pub(crate) fn server_options() -> Response<Body> {
    let mut response = status(StatusCode::OK);
    response.headers_mut().insert(
        ALLOW,
        HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE, OPTIONS"),
    );
    response
}

fn discovery(document: &WellKnown, head: &CleanHead) -> Response<Body> {
    let known = head
        .headers()
        .get(IF_NONE_MATCH)
        .is_some_and(|tags| names_tag(tags, &document.etag));
    let mut response = if known {
        status(StatusCode::NOT_MODIFIED)
    } else {
        json(document.body.clone())
    };
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static(document.cache_control),
    );
    if let Ok(tag) = HeaderValue::from_str(&document.etag) {
        headers.insert(ETAG, tag);
    }
    response
}

/// RFC 9110 section 13.1.2, weak comparison.
fn names_tag(tags: &HeaderValue, tag: &str) -> bool {
    let tags = tags.to_str().unwrap_or_default();
    tags.trim() == "*"
        || tags
            .split(',')
            .any(|one| one.trim().trim_start_matches("W/") == tag)
}

fn preflight() -> Response<Body> {
    let mut response = status(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, HEAD, OPTIONS"),
    );
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
    response
}

fn no_document(error: AuthError) -> GatewayError {
    match error {
        AuthError::Unavailable {
            detail,
            retry_after,
            ..
        } => GatewayError::IssuerDocument {
            detail,
            retry_after,
        },
        other => GatewayError::Credential(other),
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn json(body: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::full(body));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
