//! URLs that a server signed: `oc-jwt-sig`, a JWT of the deployment's URL-signing secret (docs/design/contract.md 9.7).

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::Value;
use subtle::ConstantTimeEq;

use super::{Presented, SignedUrlError, form};
use crate::auth::json;
use crate::config::Secret;
use crate::model::UnixTime;

/// A URL that a server of the deployment signed for this request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerSigned {
    account_id: String,
    expires_at: UnixTime,
}

const NAME: &str = "oc-jwt-sig";
const MALFORMED: SignedUrlError = SignedUrlError::Malformed(NAME);

impl ServerSigned {
    /// Reads and verifies a request. `None`: it has no such signature.
    ///
    /// # Errors
    /// See [`SignedUrlError`]; without a secret there is no key.
    pub(crate) fn read(
        presented: &Presented<'_>,
        secret: Option<&Secret>,
        allowed: &[Method],
        now: UnixTime,
    ) -> Result<Option<Self>, SignedUrlError> {
        if !presented.query.contains(NAME) {
            return Ok(None);
        }
        let pairs = form::pairs(presented.query);
        let mut tokens = pairs.iter().filter(|(name, _)| name == NAME);
        let token = match (tokens.next(), tokens.next()) {
            (Some((_, token)), None) => token,
            (None, _) => return Ok(None),
            _ => return Err(MALFORMED),
        };
        let secret = secret.filter(|secret| !secret.reveal().is_empty());
        let secret = secret.ok_or(SignedUrlError::NoKey)?;
        if !allowed.contains(presented.method) {
            return Err(SignedUrlError::Method);
        }
        let claims = verified(token, secret)?;
        let expires_at = claims["exp"].as_i64().map(UnixTime).ok_or(MALFORMED)?;
        if now >= expires_at {
            return Err(SignedUrlError::Expired);
        }
        let text = |name: &str| claims[name].as_str().filter(|text| !text.is_empty());
        let target = text("target_url").ok_or(MALFORMED)?;
        let ours = target_of(presented, &pairs);
        if !bool::from(ours.as_bytes().ct_eq(target.as_bytes())) {
            return Err(SignedUrlError::Target);
        }
        Ok(Some(Self {
            account_id: text("sub").ok_or(MALFORMED)?.to_owned(),
            expires_at,
        }))
    }

    /// Whose right it is.
    #[must_use]
    pub(crate) fn account_id(&self) -> &str {
        &self.account_id
    }

    /// Until when.
    #[must_use]
    pub(crate) fn expires_at(&self) -> UnixTime {
        self.expires_at
    }
}

/// The address as it was signed: without the signature, the query sorted.
fn target_of(presented: &Presented<'_>, pairs: &[(String, String)]) -> String {
    let rest = form::encode(pairs.iter().filter(|(name, _)| name != NAME));
    let separator = if rest.is_empty() { "" } else { "?" };
    let path = form::path(presented.path);
    format!("{}{path}{separator}{rest}", presented.origin())
}

/// The claims of an HS256 JWT under this secret; no other algorithm is known here.
fn verified(token: &str, secret: &Secret) -> Result<Value, SignedUrlError> {
    let (signed, signature) = token.rsplit_once('.').ok_or(MALFORMED)?;
    let (header, payload) = signed.split_once('.').ok_or(MALFORMED)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| MALFORMED);
    let object = |part: &str| json::object(&decode(part)?).map_err(|_| MALFORMED);
    let header = object(header)?;
    if header.get("alg").and_then(Value::as_str) != Some("HS256") || header.contains_key("crit") {
        return Err(MALFORMED);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
    hmac::verify(&key, signed.as_bytes(), &decode(signature)?)
        .map_err(|_| SignedUrlError::Signature)?;
    Ok(Value::Object(object(payload)?))
}
