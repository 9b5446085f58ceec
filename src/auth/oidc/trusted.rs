//! One issuer: its documents and keys kept fresh, and what makes a login of a token of its.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

use crate::auth::jws::{Jws, Shape};
use crate::auth::jwt::{Times, check_binding, numeric_date};
use crate::auth::keys::Keys;
use crate::auth::provider::Provider;
use crate::auth::{
    AuthError, IssuerLogin, Publication, claims, client_credentials, introspection, json, jwt,
    token_kind, userinfo,
};
use crate::config::oidc::{FLAT_ISSUER, VerifyMethod};
use crate::credentials::BearerToken;
use crate::model::{Claims, Reason};

/// Between two refreshes of a discovery document.
const DISCOVERY_REFRESH: Duration = Duration::from_secs(3_600);
/// Between two tries while an issuer is silent; the client lets at most one through per second.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// One issuer whose tokens are believed.
pub(super) struct Trusted {
    pub(super) position: usize,
    pub(super) provider: Arc<Provider>,
    pub(super) keys: Keys,
}

/// What the token itself, or its issuer, said before userinfo.
struct Source {
    /// Vouched for by a signature or by introspection; empty where userinfo decides.
    claims: Map<String, Value>,
    /// The key, if it was a signature.
    key: Option<Publication>,
    was_introspected: bool,
    wants_userinfo: bool,
}

impl Trusted {
    /// Whether the token's signature holds by the keys that are at hand.
    pub(super) fn holds(&self, token: &str) -> bool {
        let is_by_keys = matches!(
            self.provider.settings.verify_method,
            VerifyMethod::Jwt | VerifyMethod::Auto
        );
        is_by_keys && Jws::parse(token).is_ok_and(|jws| self.keys.hold(&jws))
    }

    pub(super) fn takes_opaque(&self) -> bool {
        self.provider.settings.verify_method != VerifyMethod::Jwt
    }

    pub(super) fn is_ready(&self) -> bool {
        let needs_keys = matches!(
            self.provider.settings.verify_method,
            VerifyMethod::Jwt | VerifyMethod::Auto
        );
        self.provider.known().is_some() && (!needs_keys || self.keys.are_usable())
    }

    pub(super) async fn login(
        &self,
        token: &BearerToken,
        shape: Shape,
    ) -> Result<IssuerLogin, AuthError> {
        let settings = &self.provider.settings;
        let Source {
            mut claims,
            key,
            was_introspected,
            wants_userinfo,
        } = self.source(token, shape).await?;
        let service_client = (self.position == FLAT_ISSUER)
            .then(|| client_credentials::service_client(&claims, settings))
            .flatten();
        // A client's own token: userinfo has nothing about it, and issuers refuse to answer.
        let asks_userinfo = wants_userinfo && service_client.is_none();
        if asks_userinfo {
            let userinfo = userinfo::fetch(&self.provider, &self.keys, token, &claims).await?;
            if settings.userinfo_sub_check {
                userinfo::check_subject(&claims, &userinfo)?;
            }
            claims = claims::merge(claims, userinfo, settings.claims_merge);
        }
        let claims = Claims(claims);
        claims::admit(&claims, settings)?;
        let times = Times::read(&claims.0)?;
        let recheck = key.is_none() || times.expires_at.is_none();
        let text = |name: &str| claims.text(name).map(str::to_owned);
        Ok(IssuerLogin {
            issuer: self.position,
            subject: text("sub"),
            sid: text("sid").filter(|sid| !sid.is_empty()),
            client_id: client_credentials::client_id(&claims).map(str::to_owned),
            expires_at: times.expires_at,
            recheck_at: recheck.then(|| self.provider.clock.now().plus(settings.user_info_ttl)),
            issued_at: times.issued_at,
            was_asked_about: was_introspected || asks_userinfo,
            key,
            service_client,
            auth_time: claims.0.get("auth_time").and_then(numeric_date),
            claims,
        })
    }

    /// What there is before userinfo, by the verify method.
    async fn source(&self, token: &BearerToken, shape: Shape) -> Result<Source, AuthError> {
        let settings = &self.provider.settings;
        let is_own_jwt = match settings.verify_method {
            VerifyMethod::Jwt if shape == Shape::Opaque => return Err(opaque_in_jwt_mode()),
            VerifyMethod::Jwt if shape == Shape::Jwe => return Err(encrypted_in_jwt_mode()),
            VerifyMethod::Jwt => true,
            VerifyMethod::Auto => shape == Shape::Jws && self.is_own(token.reveal()).await?,
            VerifyMethod::None | VerifyMethod::Introspection => false,
        };
        if is_own_jwt {
            let (claims, key) = jwt::verify(token, &self.provider, &self.keys).await?;
            return Ok(Source {
                claims,
                key: Some(key),
                was_introspected: false,
                wants_userinfo: !settings.skip_user_info,
            });
        }
        if shape == Shape::Jws {
            token_kind::check_unverified(token.reveal(), settings)?;
        }
        let introspects = match settings.verify_method {
            VerifyMethod::Introspection => true,
            VerifyMethod::Auto => settings.client.is_some(),
            VerifyMethod::Jwt | VerifyMethod::None => false,
        };
        if introspects {
            return Ok(Source {
                claims: introspection::fetch(&self.provider, &self.keys, token).await?,
                key: None,
                was_introspected: true,
                wants_userinfo: !settings.skip_user_info,
            });
        }
        if !settings.audiences.is_empty() || !settings.verify_aud.is_empty() {
            return Err(AuthError::token(
                Reason::AudienceUnknown,
                "userinfo does not say whom a token that is no JWT of the issuer is for; name a client for introspection \
                 (PROXY_OIDC_CLIENT_ID, PROXY_OIDC_CLIENT_SECRET), or let the issuer give out JWT access tokens",
            ));
        }
        // Userinfo does not say what a token is bound to.
        check_binding(&Map::new(), token, settings)?;
        Ok(Source {
            claims: Map::new(),
            key: None,
            was_introspected: false,
            wants_userinfo: true,
        })
    }

    pub(super) async fn is_own(&self, token: &str) -> Result<bool, AuthError> {
        let Some(name) = unverified_issuer(token) else {
            return Ok(false);
        };
        let discovery = self.provider.discovery().await?;
        Ok(name == self.provider.settings.issuer
            || discovery.access_token_issuer.as_deref() == Some(name.as_str()))
    }

    /// Loads document and keys, and refreshes them for good. An outage changes nothing that is there.
    pub(super) async fn keep_fresh(self: Arc<Self>) {
        let issuer = self.provider.settings.issuer.as_str();
        let needs_keys = self.provider.settings.verify_method != VerifyMethod::None;
        let mut reported: Option<Instant> = None;
        loop {
            match self.load(needs_keys).await {
                Ok(()) => break,
                Err(error) => {
                    if reported.is_none_or(|at| at.elapsed() > Duration::from_secs(60)) {
                        tracing::warn!(issuer, %error, "the issuer cannot be used yet");
                        reported = Some(Instant::now());
                    }
                    sleep(RETRY).await;
                }
            }
        }
        if self.is_ready() {
            tracing::info!(issuer, "the issuer answers");
        }
        let (mut keys_at, mut document_at) = (
            Instant::now() + self.keys.refresh_interval(),
            Instant::now() + DISCOVERY_REFRESH,
        );
        loop {
            tokio::time::sleep_until(keys_at.min(document_at)).await;
            let now = Instant::now();
            if document_at <= now {
                let outcome = self.provider.refresh().await.map(drop);
                document_at = next(issuer, "discovery", outcome, DISCOVERY_REFRESH);
            }
            if keys_at <= now {
                let outcome = if needs_keys {
                    self.keys.refresh().await
                } else {
                    Ok(())
                };
                keys_at = next(issuer, "keys", outcome, self.keys.refresh_interval());
            }
        }
    }

    pub(super) async fn load(&self, needs_keys: bool) -> Result<(), AuthError> {
        let discovery = self.provider.discovery().await?;
        // Introspection needs keys for signed answers only.
        let has_keys = !discovery.jwks_uri.is_absent();
        let method = self.provider.settings.verify_method;
        let needs_keys = needs_keys && (has_keys || method != VerifyMethod::Introspection);
        if needs_keys && !self.keys.are_loaded() {
            self.keys.refresh().await?;
        }
        Ok(())
    }
}

/// When to refresh again: after the interval, or soon if it failed.
fn next(issuer: &str, what: &str, outcome: Result<(), AuthError>, interval: Duration) -> Instant {
    match outcome {
        Ok(()) => Instant::now() + interval,
        Err(error) => {
            tracing::warn!(issuer, what, %error, "not refreshed; the last good one stays");
            Instant::now() + interval.min(Duration::from_secs(5))
        }
    }
}

pub(super) fn opaque_in_jwt_mode() -> AuthError {
    AuthError::token(
        Reason::OpaqueToken,
        "the token is no JWT; set PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD to none or auto, or let the issuer hand out \
         JWT access tokens",
    )
}

fn encrypted_in_jwt_mode() -> AuthError {
    AuthError::token(
        Reason::OpaqueToken,
        "the token is encrypted (a JWE of five parts) and only its issuer can read it; set \
         PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD to none, auto or introspection, or let the issuer give out signed JWT \
         access tokens without encryption",
    )
}

/// `iss` of a JWT nobody has verified: good enough to know whom to ask, and for nothing else.
pub(super) fn unverified_issuer(token: &str) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    match json::object(&payload).ok()?.remove("iss")? {
        Value::String(name) => Some(name),
        _ => None,
    }
}
