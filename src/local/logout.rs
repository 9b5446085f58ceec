//! OpenID Connect Back-Channel Logout 1.0, section 2.5: the issuer says which session is over.

use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Response};
use http_body_util::{BodyExt as _, Limited};

use crate::auth::AuthError;
use crate::body::Body;
use crate::error::GatewayError;
use crate::headers::CleanHead;
use crate::model::Reason;
use crate::process::Process;

/// A logout token is far smaller.
const MAX_FORM: usize = 64 * 1024;

/// An issuer posts its form at once.
const FORM_TIMEOUT: Duration = Duration::from_secs(10);

/// Ends what the form's token names.
///
/// # Errors
/// A request that is none (400), and an issuer whose keys could not be had (503).
pub(super) async fn answer(
    process: &Process,
    head: &CleanHead,
    body: Body,
) -> Result<Response<Body>, GatewayError> {
    let token = logout_token(head, body).await?;
    let logout = process
        .issuers
        .verify_logout(&token)
        .await
        .map_err(|error| match error {
            AuthError::Unavailable { .. } => GatewayError::Credential(error),
            other => GatewayError::Logout {
                reason: other.reason(),
                description: "the logout token is not acceptable",
                detail: other.to_string(),
            },
        })?;
    let accounts = match &logout.sid {
        Some(sid) => process.sessions.accounts_of(logout.issuer, sid),
        None => Vec::new(),
    };
    let ended = process.sessions.end(&logout);
    process.replicas.logged_out(&logout);
    for account in accounts {
        let sid = logout.sid.as_deref().unwrap_or_default();
        process
            .events
            .logged_out(&account, sid, process.clock.now())
            .await;
    }
    tracing::info!(issuer = logout.issuer, ended, "back-channel logout");
    let mut response = super::json("null");
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn logout_token(head: &CleanHead, body: Body) -> Result<String, GatewayError> {
    let content_type = head
        .headers()
        .get(CONTENT_TYPE)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    let is_form = content_type
        .to_ascii_lowercase()
        .starts_with(b"application/x-www-form-urlencoded");
    if head.method() != Method::POST || !is_form {
        return Err(no_request("a POST form is expected"));
    }
    let collected =
        tokio::time::timeout(FORM_TIMEOUT, Limited::new(body, MAX_FORM).collect()).await;
    let Ok(Ok(form)) = collected else {
        return Err(no_request("the form is too large, too slow or broken off"));
    };
    let form = form.to_bytes();
    let mut tokens = url::form_urlencoded::parse(&form)
        .filter(|(name, _)| name == "logout_token")
        .map(|(_, value)| value);
    match (tokens.next(), tokens.next()) {
        (Some(token), None) => Ok(token.into_owned()),
        _ => Err(no_request("exactly one logout_token is expected")),
    }
}

fn no_request(description: &'static str) -> GatewayError {
    GatewayError::Logout {
        reason: Reason::LogoutRequest,
        description,
        detail: description.to_owned(),
    }
}
