//! Tokens as an issuer makes them, and as it never would.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::canary;
use super::keys::Key;

/// A JWT in the making.
#[derive(Clone)]
pub(crate) struct Token {
    key: Key,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl Token {
    pub(super) fn new(key: &Key, claims: Map<String, Value>) -> Self {
        let header = json!({"alg": key.alg, "kid": key.kid, "typ": "at+jwt"});
        Self {
            key: key.clone(),
            header: header.as_object().unwrap().clone(),
            claims,
        }
    }

    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// Seconds from `iat`; negative: expired.
    pub(crate) fn expires_in(self, seconds: i64) -> Self {
        let issued = self.claims["iat"].as_i64().unwrap();
        self.claim("exp", issued + seconds)
    }

    /// Signed by a key other than the issuer's first.
    pub(crate) fn by(mut self, key: &Key) -> Self {
        self.key = key.clone();
        self.header("alg", key.alg).header("kid", key.kid.clone())
    }

    pub(crate) fn sign(self) -> String {
        let alg = self.header["alg"].as_str().unwrap_or_default().to_owned();
        self.sign_as(&alg)
    }

    /// Signed with this algorithm, whatever the header says.
    pub(crate) fn sign_as(self, alg: &str) -> String {
        let input = self.input();
        let signature = self.key.sign(alg, input.as_bytes());
        canary::secret(format!("{input}.{}", b64(&signature)))
    }

    /// Signed with RSASSA-PSS and a salt of no bytes, which RFC 7518 section 3.5 does not allow.
    pub(crate) fn sign_pss_without_salt(self) -> String {
        let input = self.input();
        let signature = self.key.sign_pss_without_salt(input.as_bytes());
        canary::secret(format!("{input}.{}", b64(&signature)))
    }

    /// Signed with HMAC, whatever the key is.
    pub(crate) fn sign_hs256(self, secret: &[u8]) -> String {
        let token = self.header("alg", "HS256");
        let input = token.input();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let tag = hmac::sign(&key, input.as_bytes());
        canary::secret(format!("{input}.{}", b64(tag.as_ref())))
    }

    /// With an empty signature.
    pub(crate) fn unsigned(self, alg: &str) -> String {
        format!("{}.", self.header("alg", alg).input())
    }

    fn input(&self) -> String {
        let part = |map: &Map<String, Value>| b64(&serde_json::to_vec(map).unwrap());
        format!("{}.{}", part(&self.header), part(&self.claims))
    }
}

pub(crate) fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
