//! Userinfo (OpenID Connect Core section 5.3): JSON or a signed JWT, and what its failures mean.

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value};

use super::jwk::shown;
use super::jws::Jws;
use super::keys::Keys;
use super::provider::{Provider, bad_status};
use super::{AuthError, hints, json, subject};
use crate::client::{Answer, Call};
use crate::credentials::BearerToken;
use crate::model::Reason;
use crate::telemetry::IssuerCall;

/// Fetches the claims of a token's person. `own` are the token's own claims, for the words of a refusal.
///
/// # Errors
/// 400, 401, 403, 404 and an answer without `sub` are [`AuthError::Token`]; 429, 5xx, silence, garbage and what cannot be
/// verified are [`AuthError::Unavailable`].
pub(super) async fn fetch(
    provider: &Provider,
    keys: &Keys,
    token: &BearerToken,
    own: &Map<String, Value>,
) -> Result<Map<String, Value>, AuthError> {
    let discovery = provider.discovery().await?;
    let url = discovery.userinfo_endpoint.address()?;
    let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.reveal()))
        .map_err(|_| AuthError::token(Reason::TokenMalformed, "not a header value"))?;
    authorization.set_sensitive(true);
    let call = Call::get(IssuerCall::Userinfo, url)
        .header(AUTHORIZATION, authorization)
        .header(
            ACCEPT,
            HeaderValue::from_static("application/json, application/jwt"),
        );
    let answer = provider.send(call).await?;
    match answer.status {
        StatusCode::OK => {}
        StatusCode::BAD_REQUEST
        | StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::NOT_FOUND => {
            return Err(AuthError::token(
                Reason::TokenRejected,
                format!(
                    "userinfo: status {}; {}",
                    answer.status.as_u16(),
                    hints::userinfo(answer.status, own, token)
                ),
            ));
        }
        _ => return Err(bad_status("userinfo", &answer)),
    }
    let mut claims = if is_jwt(&answer) {
        signed("userinfo", &answer, provider, keys).await?
    } else {
        json::document(&answer.body).map_err(|e| AuthError::garbage("userinfo", &e.to_string()))?
    };
    subject::read(&mut claims)?;
    // A token that has no subject either is nobody's fault here; the account side says what that means.
    let is_lacking = own.is_empty() || own.contains_key("sub");
    if is_lacking && !claims.contains_key("sub") {
        return Err(AuthError::token(
            Reason::TokenRejected,
            "userinfo: no sub (OpenID Connect Core section 5.3.2)",
        ));
    }
    Ok(claims)
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

/// A signed answer: the issuer's keys, and its `iss` if it has one. One that cannot be verified says nothing about the
/// token that it was asked about.
///
/// # Errors
/// [`AuthError::Unavailable`].
pub(super) async fn signed(
    what: &'static str,
    answer: &Answer,
    provider: &Provider,
    keys: &Keys,
) -> Result<Map<String, Value>, AuthError> {
    let read = async {
        let text = std::str::from_utf8(&answer.body)
            .map_err(|e| AuthError::garbage("answer", &e.to_string()))?;
        let jws = Jws::parse(text.trim_start_matches('\u{feff}').trim_ascii())?;
        let mut claims = jws.claims()?;
        match claims.get("iss") {
            None | Some(Value::Null) => {}
            Some(Value::String(iss)) if *iss == provider.settings.issuer => {}
            Some(other) => {
                let detail = format!("iss is {}", shown(&other.to_string()));
                return Err(AuthError::token(Reason::WrongIssuer, detail));
            }
        }
        keys.verify(&jws).await?;
        claims.retain(|_, value| !value.is_null());
        Ok(claims)
    };
    let claims: Result<_, AuthError> = read.await;
    claims.map_err(|error| match error {
        AuthError::Token { reason, detail } => {
            let hint = if answer.body.iter().filter(|byte| **byte == b'.').count() == 4 {
                "; let the issuer send it signed or as plain JSON, davgate has no key to decrypt it"
            } else {
                ""
            };
            AuthError::garbage(what, &format!("{reason}: {detail}{hint}"))
        }
        other => other,
    })
}
