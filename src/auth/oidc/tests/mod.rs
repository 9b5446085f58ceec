//! What real providers emit (docs/design/identity-providers.md section 6), at the authenticator, and the rows of docs/design/hardening.md 3.6 and 3.7.

use std::time::Duration;

use serde_json::{Value, json};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::time::{Instant, sleep};

use super::*;
use crate::auth::fake_issuer::{FakeIssuer, NOW, Reply, Signer, client, clock, settings};
use crate::config::Secret;
use crate::config::oidc::ClientCredentials;
use crate::credentials::BearerToken;
use crate::model::{ClaimPath, UnixTime};

mod answers;
mod documents;
mod faults;
mod fixtures;
mod kinds;
mod logout_tokens;
mod rows;

/// An issuer with its server, its key and an authenticator that trusts it.
struct Setup {
    idp: FakeIssuer,
    key: Signer,
    name: String,
    clock: Clock,
    auth: OidcAuthenticator,
}

impl Setup {
    /// A plain issuer with one RSA key `k1`, userinfo skipped, settings changed by `change`.
    async fn new(change: impl FnOnce(&mut Issuer)) -> Self {
        Self::of(
            "https://idp.test",
            Signer::rsa(),
            json!({"alg": "RS256"}),
            change,
        )
        .await
    }

    async fn of(name: &str, key: Signer, jwk: Value, change: impl FnOnce(&mut Issuer)) -> Self {
        let idp = FakeIssuer::start().await;
        idp.publish(name, &[key.jwk("k1", &jwk)], &json!({}));
        Self::on(idp, name, key, change)
    }

    fn on(idp: FakeIssuer, name: &str, key: Signer, change: impl FnOnce(&mut Issuer)) -> Self {
        let mut settings = settings(name, &idp.origin());
        settings.skip_user_info = true;
        change(&mut settings);
        let clock = clock();
        let auth =
            OidcAuthenticator::new(&[settings], &client(), &clock, &Handle::current()).unwrap();
        Self {
            idp,
            key,
            name: name.to_owned(),
            clock,
            auth,
        }
    }

    /// Claims of a good token, changed: `null` removes a member.
    fn claims(&self, changes: &Value) -> Value {
        let mut claims = json!({"iss": self.name, "sub": "s-1", "exp": NOW + 290, "iat": NOW - 10});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    fn token(&self, changes: &Value) -> String {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": "k1"});
        self.key.sign(&header, &self.claims(changes))
    }

    async fn login(&self, token: &str) -> Result<IssuerLogin, AuthError> {
        self.auth.authenticate(&BearerToken::new(token)).await
    }

    async fn refusal(&self, token: &str) -> Reason {
        refusal(self.login(token).await)
    }

    async fn ready(&self) {
        ready(&self.auth).await;
    }
}

async fn ready(auth: &OidcAuthenticator) {
    tokio::time::timeout(Duration::from_secs(5), async {
        while !auth.is_ready() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

/// The reason of a 401.
#[track_caller]
fn refusal(outcome: Result<IssuerLogin, AuthError>) -> Reason {
    match outcome {
        Err(AuthError::Token { reason, .. }) => reason,
        other => panic!("no 401: {other:?}"),
    }
}

/// The reason of a 503.
#[track_caller]
fn unavailable(outcome: Result<IssuerLogin, AuthError>) -> Reason {
    match outcome {
        Err(AuthError::Unavailable { reason, .. }) => reason,
        other => panic!("no 503: {other:?}"),
    }
}

/// A token with a symmetric signature, as nobody may send it.
fn hs256(secret: &str, header: &Value, claims: &Value) -> String {
    let b64 = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", b64(header), b64(claims));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
    let tag = aws_lc_rs::hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
}
