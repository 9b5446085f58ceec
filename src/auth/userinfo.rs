//! Userinfo (OpenID Connect Core section 5.3): JSON or a signed JWT, and what its failures mean.

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value};

use super::jwk::shown;
use super::jws::Jws;
use super::jwt::Times;
use super::keys::Keys;
use super::provider::{Provider, bad_status};
use super::{AuthError, hints, json};
use crate::client::{Answer, Call};
use crate::credentials::BearerToken;
use crate::model::Reason;
use crate::telemetry::IssuerCall;

/// Fetches the claims of a token's person. `own` are the token's own claims, for the words of a refusal.
///
/// # Errors
/// 400, 401, 403 and an answer without `sub` are [`AuthError::Token`]; 429, 5xx, silence and garbage are
/// [`AuthError::Unavailable`].
pub(super) async fn fetch(
    provider: &Provider,
    keys: &Keys,
    token: &BearerToken,
    own: &Map<String, Value>,
) -> Result<Map<String, Value>, AuthError> {
    let discovery = provider.discovery().await?;
    let url = discovery.userinfo_endpoint.clone().ok_or_else(|| {
        AuthError::garbage(
            "discovery",
            "userinfo_endpoint is missing; PROXY_OIDC_SKIP_USER_INFO=true does without",
        )
    })?;
    let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.reveal()))
        .map_err(|_| AuthError::token(Reason::TokenMalformed, "not a header value"))?;
    authorization.set_sensitive(true);
    let call = Call::get(IssuerCall::Userinfo, url.url().clone())
        .header(AUTHORIZATION, authorization)
        .header(
            ACCEPT,
            HeaderValue::from_static("application/json, application/jwt"),
        );
    let answer = provider.send(call).await?;
    match answer.status {
        StatusCode::OK => {}
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return Err(AuthError::token(
                Reason::TokenRejected,
                format!(
                    "userinfo: status {}; {}",
                    answer.status.as_u16(),
                    hints::userinfo(own, token)
                ),
            ));
        }
        _ => return Err(bad_status("userinfo", &answer)),
    }
    let claims = if is_jwt(&answer) {
        signed(&answer, provider, keys).await?
    } else {
        json::object(&answer.body).map_err(|e| AuthError::garbage("userinfo", &e.to_string()))?
    };
    match claims.get("sub") {
        Some(Value::String(_)) => Ok(claims),
        _ => Err(AuthError::token(
            Reason::TokenRejected,
            "userinfo: no sub (OpenID Connect Core section 5.3.2)",
        )),
    }
}

/// The subject that token and userinfo agree on.
///
/// # Errors
/// [`AuthError::Token`] with `sub_mismatch` where they differ.
pub(super) fn check_subject(
    token: &Map<String, Value>,
    userinfo: &Map<String, Value>,
) -> Result<(), AuthError> {
    let (Some(own), Some(other)) = (token.get("sub"), userinfo.get("sub")) else {
        return Ok(());
    };
    if own == other {
        return Ok(());
    }
    Err(AuthError::token(
        Reason::SubMismatch,
        format!(
            "the token is of {}, userinfo of {}; PROXY_OIDC_USERINFO_SUB_CHECK=false accepts that",
            shown(&own.to_string()),
            shown(&other.to_string())
        ),
    ))
}

/// Whether the body is a JWT by its media type.
pub(super) fn is_jwt(answer: &Answer) -> bool {
    answer
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|media| {
            let media = media.trim().to_ascii_lowercase();
            media == "application/jwt" || media == "application/token-introspection+jwt"
        })
}

/// A signed answer: the issuer's keys, and its `iss` if it has one (row 89).
pub(super) async fn signed(
    answer: &Answer,
    provider: &Provider,
    keys: &Keys,
) -> Result<Map<String, Value>, AuthError> {
    let text = std::str::from_utf8(&answer.body)
        .map_err(|e| AuthError::garbage("answer", &e.to_string()))?;
    let jws = Jws::parse(text.trim_ascii())?;
    let claims = jws.claims()?;
    match claims.get("iss") {
        None => {}
        Some(Value::String(iss)) if *iss == provider.settings.issuer => {}
        Some(other) => {
            return Err(AuthError::token(
                Reason::WrongIssuer,
                format!("a signed answer with iss {}", shown(&other.to_string())),
            ));
        }
    }
    let times = Times::read(&claims)?;
    // Without iat an unknown key id could never be settled; the answer was made just now.
    let made = times.issued_at.unwrap_or_else(|| provider.clock.now());
    keys.verify(&jws, Some(made)).await?;
    Ok(claims)
}
