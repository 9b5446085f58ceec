//! A client's half of the code flow with PKCE (RFC 6749 section 4.1, RFC 7636) at an issuer that runs here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Request, StatusCode};
use serde_json::Value;
use url::Url;

use super::canary;
use super::token::b64;
use super::user_agent::{FORM, address, form, send, target};

/// What the token endpoint gave out.
#[derive(Debug, Clone)]
pub(crate) struct Tokens(pub(crate) Value);

impl Tokens {
    /// Nothing of them may be seen anywhere.
    pub(crate) fn new(answer: Value) -> Self {
        for name in ["access_token", "refresh_token", "id_token"] {
            if let Some(token) = answer[name].as_str() {
                canary::secret(token);
            }
        }
        Self(answer)
    }

    fn text(&self, name: &str) -> &str {
        self.0[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }

    pub(crate) fn access(&self) -> &str {
        self.text("access_token")
    }

    pub(crate) fn id(&self) -> &str {
        self.text("id_token")
    }

    pub(crate) fn refresh(&self) -> &str {
        self.text("refresh_token")
    }
}

/// A client as the issuer knows it; one without a secret is public.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client<'a> {
    pub(crate) id: &'a str,
    pub(crate) secret: Option<&'a str>,
    pub(crate) redirect: &'a str,
}

impl Client<'_> {
    /// Where it sends the browser.
    pub(crate) fn authorization(&self, endpoint: &str, scope: &str) -> Url {
        let challenge =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier().as_bytes());
        let mut url = Url::parse(endpoint).unwrap();
        url.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", self.id),
            ("redirect_uri", self.redirect),
            ("scope", scope),
            ("state", "state-of-the-client"),
            ("nonce", "nonce-of-the-client"),
            ("code_challenge", &b64(challenge.as_ref())),
            ("code_challenge_method", "S256"),
        ]);
        url
    }

    pub(crate) async fn redeem(&self, endpoint: &str, code: &str) -> Tokens {
        let values = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect),
            ("code_verifier", &verifier()),
        ];
        let tokens = self.tokens(endpoint, &values).await;
        tokens.unwrap_or_else(|status| panic!("the code is refused: {status}"))
    }

    /// New tokens, or the status of the refusal.
    pub(crate) async fn refresh(&self, endpoint: &str, old: &Tokens) -> Result<Tokens, StatusCode> {
        let values = [
            ("grant_type", "refresh_token"),
            ("refresh_token", old.refresh()),
        ];
        self.tokens(endpoint, &values).await
    }

    pub(crate) async fn tokens(
        &self,
        endpoint: &str,
        values: &[(&str, &str)],
    ) -> Result<Tokens, StatusCode> {
        let url = Url::parse(endpoint).unwrap();
        let mut request = Request::post(target(&url)).header("content-type", FORM);
        let mut values = values.to_vec();
        match self.secret {
            Some(secret) => {
                let basic = STANDARD.encode(format!("{}:{secret}", self.id));
                request = request.header("authorization", format!("Basic {basic}"));
            }
            None => values.push(("client_id", self.id)),
        }
        let reply = send(address(&url), request, form(&values)).await;
        match reply.status {
            StatusCode::OK => Ok(Tokens::new(reply.json())),
            status => Err(status),
        }
    }
}

pub(crate) fn verifier() -> String {
    b64(&[7; 48])
}
