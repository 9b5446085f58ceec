//! Token introspection (RFC 7662) with our own client, and its signed form (RFC 9701).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use openidconnect::core::CoreClientAuthMethod;
use serde_json::{Map, Value};

use super::jwk::shown;
use super::jwt::{Times, check_audience, check_binding};
use super::keys::Keys;
use super::provider::{Provider, bad_status};
use super::userinfo::{is_jwt, signed};
use super::{AuthError, json, subject, token_kind};
use crate::client::Call;
use crate::config::oidc::ClientCredentials;
use crate::credentials::BearerToken;
use crate::model::Reason;
use crate::telemetry::IssuerCall;

/// Asks the issuer about a token.
///
/// # Errors
/// [`AuthError::Token`] if the token is not active, [`AuthError::Misconfigured`] if our own credentials are refused,
/// [`AuthError::Unavailable`] for everything else.
pub(super) async fn fetch(
    provider: &Provider,
    keys: &Keys,
    token: &BearerToken,
) -> Result<Map<String, Value>, AuthError> {
    let discovery = provider.discovery().await?;
    let url = discovery.introspection_endpoint.address()?;
    let client = provider
        .settings
        .client
        .as_ref()
        .ok_or_else(|| refused("no PROXY_OIDC_CLIENT_ID is set"))?;
    let by_post = discovery.client_auth == CoreClientAuthMethod::ClientSecretPost;
    let mut call = Call::get(IssuerCall::Introspection, url)
        .header(ACCEPT, HeaderValue::from_static("application/json"))
        .header(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
    if !by_post {
        call = call.header(AUTHORIZATION, basic(client)?);
    }
    call.method = Method::POST;
    call.body = form(token, by_post.then_some(client));
    let answer = provider.send(call).await?;
    match answer.status {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return Err(refused(&format!(
                "introspection: status {}",
                answer.status.as_u16()
            )));
        }
        StatusCode::BAD_REQUEST if answer.body.windows(14).any(|it| it == b"invalid_client") => {
            return Err(refused("introspection: invalid_client"));
        }
        _ => return Err(bad_status("introspection", &answer)),
    }
    let claims = if is_jwt(&answer) {
        match signed("introspection", &answer, provider, keys)
            .await?
            .remove("token_introspection")
        {
            Some(Value::Object(mut claims)) => {
                claims.retain(|_, value| !value.is_null());
                claims
            }
            _ => {
                return Err(AuthError::garbage(
                    "introspection",
                    "no token_introspection",
                ));
            }
        }
    } else {
        json::document(&answer.body)
            .map_err(|e| AuthError::garbage("introspection", &e.to_string()))?
    };
    let mut claims = active(claims, provider, &client.id)?;
    token_kind::check_claims(&claims)?;
    check_binding(&claims, token, &provider.settings)?;
    subject::read(&mut claims)?;
    Ok(claims)
}

/// Checks what the issuer says of the token.
fn active(
    mut claims: Map<String, Value>,
    provider: &Provider,
    client_id: &str,
) -> Result<Map<String, Value>, AuthError> {
    match claims.remove("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => {
            return Err(AuthError::token(
                Reason::TokenRejected,
                format!(
                    "introspection: not active; if the token is good, the issuer may tell {} nothing about tokens of \
                     other clients: add it to their audience",
                    shown(client_id)
                ),
            ));
        }
        _ => {
            return Err(AuthError::garbage(
                "introspection",
                "active is no truth value",
            ));
        }
    }
    match claims.get("iss") {
        None => {}
        Some(Value::String(iss)) if *iss == provider.settings.issuer => {}
        Some(other) => {
            return Err(AuthError::token(
                Reason::WrongIssuer,
                format!("introspection: iss {}", shown(&other.to_string())),
            ));
        }
    }
    // Dex puts what it does not know under ext.
    if let Some(Value::Object(ext)) = claims.remove("ext") {
        for (name, value) in ext {
            if !matches!(
                name.as_str(),
                "iss" | "sub" | "aud" | "exp" | "nbf" | "sid" | "cnf"
            ) {
                claims.entry(name).or_insert(value);
            }
        }
    }
    Times::read(&claims)?.check(provider.settings.leeway, provider.clock.now())?;
    check_audience(&claims, &provider.settings)?;
    Ok(claims)
}

/// The request (RFC 7662 section 2.1), with our credentials in it for `client_secret_post` (RFC 6749 section 2.3.1).
fn form(token: &BearerToken, credentials: Option<&ClientCredentials>) -> Bytes {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("token", token.reveal())
        .append_pair("token_type_hint", "access_token");
    if let Some(client) = credentials {
        form.append_pair("client_id", &client.id)
            .append_pair("client_secret", client.secret.reveal());
    }
    Bytes::from(form.finish())
}

/// `client_secret_basic`: both parts form-encoded first (RFC 6749 section 2.3.1).
fn basic(client: &ClientCredentials) -> Result<HeaderValue, AuthError> {
    let encode =
        |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(&client.id), encode(client.secret.reveal()));
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)))
        .map_err(|_| refused("the credentials are no header value"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn refused(detail: &str) -> AuthError {
    AuthError::Misconfigured {
        reason: Reason::IssuerCredentials,
        detail: detail.to_owned(),
    }
}
