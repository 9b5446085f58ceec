//! OpenID Connect Back-Channel Logout 1.0, section 2.5: the issuer says which session is over.

use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::json;

use crate::auth::AuthError;
use crate::body::Body;
use crate::headers::CleanHead;
use crate::process::Process;
use crate::session::store::EndOf;

/// A logout token is far smaller.
const MAX_FORM: usize = 64 * 1024;

/// An issuer posts its form at once.
const FORM_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn answer(process: &Process, head: &CleanHead, body: Incoming) -> Response<Body> {
    let mut response = match end_session(process, head, body).await {
        Ok(()) => super::json("null"),
        Err(Failure::Request(description)) => {
            let mut response = super::json(
                json!({"error": "invalid_request", "error_description": description}).to_string(),
            );
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response
        }
        Err(Failure::Later(after)) => {
            let mut response = super::status(StatusCode::SERVICE_UNAVAILABLE);
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
            response
        }
    };
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

enum Failure {
    Request(&'static str),
    Later(Duration),
}

async fn end_session(process: &Process, head: &CleanHead, body: Incoming) -> Result<(), Failure> {
    let token = logout_token(head, body).await?;
    let logout = process
        .issuers
        .verify_logout(&token)
        .await
        .map_err(|error| match error {
            AuthError::Unavailable { retry_after, .. } => Failure::Later(retry_after),
            other => {
                tracing::warn!(reason = %other.reason(), detail = %other, "logout token refused");
                Failure::Request("the logout token is not acceptable")
            }
        })?;
    let what = match (&logout.sid, &logout.subject) {
        (Some(sid), _) => EndOf::Sid(sid),
        (None, Some(subject)) => EndOf::Subject(subject),
        (None, None) => return Err(Failure::Request("neither sid nor sub")),
    };
    let ended = process.sessions.end(logout.issuer, &what);
    tracing::info!(issuer = logout.issuer, ended, "back-channel logout");
    Ok(())
}

async fn logout_token(head: &CleanHead, body: Incoming) -> Result<String, Failure> {
    let content_type = head
        .headers()
        .get(CONTENT_TYPE)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    let is_form = content_type
        .to_ascii_lowercase()
        .starts_with(b"application/x-www-form-urlencoded");
    if head.method() != Method::POST || !is_form {
        return Err(Failure::Request("a POST form is expected"));
    }
    let collected =
        tokio::time::timeout(FORM_TIMEOUT, Limited::new(body, MAX_FORM).collect()).await;
    let Ok(Ok(form)) = collected else {
        return Err(Failure::Request(
            "the form is too large, too slow or broken off",
        ));
    };
    let form = form.to_bytes();
    let mut tokens = url::form_urlencoded::parse(&form)
        .filter(|(name, _)| name == "logout_token")
        .map(|(_, value)| value);
    match (tokens.next(), tokens.next()) {
        (Some(token), None) => Ok(token.into_owned()),
        _ => Err(Failure::Request("exactly one logout_token is expected")),
    }
}
