//! HS256 tokens (RFC 7515, RFC 7518 section 3.2) of secrets that the deployment shares: one algorithm, whatever a header
//! asks for.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::config::Secret;

/// The key of a shared secret.
pub(super) struct Hs256(hmac::Key);

#[derive(Deserialize)]
struct Header<'t> {
    alg: &'t str,
    /// No extension is understood here (RFC 7515 section 4.1.11).
    crit: Option<IgnoredAny>,
}

impl Hs256 {
    /// None without a secret, for an empty one would be everybody's.
    pub(super) fn new(secret: &Secret) -> Option<Self> {
        let secret = secret.reveal();
        (!secret.is_empty()).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())))
    }

    /// The claims of a token whose signature holds.
    pub(super) fn verify<C: DeserializeOwned>(&self, token: &str) -> Option<C> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        hmac::verify(&self.0, signed.as_bytes(), &decode(signature)?).ok()?;
        let header = decode(header)?;
        let header: Header<'_> = serde_json::from_slice(&header).ok()?;
        if header.alg != "HS256" || header.crit.is_some() {
            return None;
        }
        serde_json::from_slice(&decode(claims)?).ok()
    }

    /// A token of these claims, as JSON.
    pub(super) fn sign(&self, claims: &[u8]) -> String {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = hmac::sign(&self.0, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}
