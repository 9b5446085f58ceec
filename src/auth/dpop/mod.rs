//! Proofs of possession that come with a token (RFC 9449), as a resource server checks them.
//!
//! A proof is a small JWT, signed by the client's own key, about this very request. It makes a stolen token useless to
//! whoever has not got the key. Each request brings its own, so that they are checked also where the session is known.

mod nonces;
mod replays;
mod target;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, Method};
use serde_json::{Map, Value};

use super::json;
use super::jwk::Key;
use super::jws::Jws;
use super::jwt::numeric_date;
use crate::model::{Fault, Reason, UnixTime};

pub(crate) use nonces::Nonces;
pub(crate) use replays::Replays;
pub(crate) use target::Target;

/// Algorithms of a proof, for the challenge: all asymmetric ones that tokens may have.
pub(crate) const PROOF_ALGORITHMS: &str =
    "ES256 ES384 ES512 EdDSA Ed25519 PS256 PS384 PS512 RS256 RS384 RS512";

/// A proof is good for this long before and after its `iat`, because phones are often a minute off. With a nonce the
/// `iat` does not count.
const WINDOW_SECONDS: i64 = 120;

/// Longest proof; it holds a key, which may be one of RSA.
const MAX_PROOF: usize = 8 * 1024;

/// A proof whose signature and content fit the request and the token.
#[derive(Debug, Clone)]
pub struct Proof {
    thumbprint: String,
    id: [u8; 16],
    /// Stands for the key, at a fixed length.
    owner: [u8; 16],
    expires_at: UnixTime,
}

/// What a proof has to be about.
#[derive(Debug, Clone, Copy)]
pub struct ProvenRequest<'a> {
    /// The request's method.
    pub method: &'a Method,
    /// Where it went, in each form that a client may know.
    pub targets: &'a [Target],
    /// The token that came with it.
    pub token: &'a str,
    /// A proof needs one of these nonces, if there are any.
    pub nonces: Option<&'a Nonces>,
}

/// Why a proof does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The proof is missing, malformed, or about something else: 401.
    #[error("DPoP proof: {0}")]
    Invalid(String),
    /// The proof is good but for its nonce, which is missing or too old: 401 with this one.
    #[error("DPoP proof: without a nonce of the last minutes")]
    Nonce(String),
    /// More proofs than can be remembered came in within the time they are good for, of this key or altogether: 503.
    #[error("too many DPoP proofs at once")]
    Full,
}

impl ProofError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Invalid(_) | Self::Nonce(_) => Fault::Caller,
            Self::Full => Fault::Ours,
        }
    }

    /// The stable word.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Invalid(_) => Reason::DpopProof,
            Self::Nonce(_) => Reason::DpopNonce,
            Self::Full => Reason::SetupOverload,
        }
    }

    fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid(why.into())
    }
}

impl Proof {
    /// What another replica has to know of a proof that was used: id, key and end.
    #[must_use]
    pub fn told(&self) -> ([u8; 16], [u8; 16], UnixTime) {
        (self.id, self.owner, self.expires_at)
    }

    /// A proof that another replica told of. It says nothing but that it was used.
    #[must_use]
    pub fn heard(id: [u8; 16], owner: [u8; 16], expires_at: UnixTime) -> Self {
        Self {
            thumbprint: String::new(),
            id,
            owner,
            expires_at,
        }
    }

    /// Reads the proof of a request and checks all of it but two things: whether the token is bound to its key, and
    /// whether it was seen before (RFC 9449 section 4.3).
    ///
    /// # Errors
    /// [`ProofError::Invalid`].
    pub fn verify(
        headers: &HeaderMap,
        request: &ProvenRequest<'_>,
        now: UnixTime,
    ) -> Result<Self, ProofError> {
        let mut values = headers.get_all("dpop").iter();
        let (Some(proof), None) = (values.next(), values.next()) else {
            return Err(ProofError::invalid("not exactly one DPoP header"));
        };
        let proof = proof
            .to_str()
            .ok()
            .filter(|proof| proof.len() <= MAX_PROOF)
            .ok_or_else(|| ProofError::invalid("too long or no text"))?;
        let jws = Jws::parse(proof).map_err(|error| ProofError::invalid(error.to_string()))?;
        if jws.header.typ.as_deref() != Some("dpop+jwt") {
            return Err(ProofError::invalid("typ is not dpop+jwt"));
        }
        let jwk = own_key(proof)?;
        let key =
            Key::parse(&jwk).map_err(|fault| ProofError::invalid(format!("jwk: {}", fault.why)))?;
        jws.verify(&[&key])
            .map_err(|error| ProofError::invalid(error.to_string()))?;
        let claims = jws
            .claims()
            .map_err(|error| ProofError::invalid(error.to_string()))?;
        let expires_at = about(&claims, request, now)?;
        let thumbprint = thumbprint(&jwk).ok_or_else(|| ProofError::invalid("jwk"))?;
        Ok(Self {
            id: id(&thumbprint, text(&claims, "jti")?),
            owner: id(&thumbprint, ""),
            thumbprint,
            expires_at,
        })
    }

    /// The thumbprint of its key (RFC 7638), which a token bound to it has as `cnf.jkt` (RFC 9449 section 6.1).
    #[must_use]
    pub fn key(&self) -> &str {
        &self.thumbprint
    }
}

/// The public key in the header. Tokens' headers never have theirs looked at; a proof's key is judged by the token.
fn own_key(proof: &str) -> Result<Value, ProofError> {
    let header = proof.split('.').next().unwrap_or_default();
    URL_SAFE_NO_PAD
        .decode(header)
        .ok()
        .and_then(|bytes| json::object(&bytes).ok()?.remove("jwk"))
        .filter(Value::is_object)
        .ok_or_else(|| ProofError::invalid("no jwk in the header"))
}

/// Checks that the proof is about this request and token, now; says until when it is good at most.
fn about(
    claims: &Map<String, Value>,
    request: &ProvenRequest<'_>,
    now: UnixTime,
) -> Result<UnixTime, ProofError> {
    if text(claims, "htm")? != request.method.as_str() {
        return Err(ProofError::invalid("htm is not the request's method"));
    }
    let named = Target::parse(text(claims, "htu")?);
    if !named.is_some_and(|named| request.targets.contains(&named)) {
        return Err(ProofError::invalid(
            "htu is not the request's URL below the public one (OC_URL)",
        ));
    }
    let token = digest(&SHA256, request.token.as_bytes());
    if text(claims, "ath")? != URL_SAFE_NO_PAD.encode(token) {
        return Err(ProofError::invalid("ath is not the token's hash"));
    }
    let issued_at = claims
        .get("iat")
        .and_then(numeric_date)
        .ok_or_else(|| ProofError::invalid("iat is missing or no time"))?;
    if let Some(nonces) = request.nonces {
        let nonce = claims.get("nonce").and_then(Value::as_str);
        return if nonces.is_good(nonce.unwrap_or_default(), now) {
            Ok(UnixTime(now.0.saturating_add(2 * WINDOW_SECONDS)))
        } else {
            Err(ProofError::Nonce(nonces.current(now)))
        };
    }
    let age = now.0.saturating_sub(issued_at.0);
    if !(-WINDOW_SECONDS..=WINDOW_SECONDS).contains(&age) {
        return Err(ProofError::invalid(format!(
            "iat is {age} s ago; {WINDOW_SECONDS} s either way are accepted; PROXY_OIDC_DPOP_NONCE does without the \
             client's clock"
        )));
    }
    Ok(UnixTime(issued_at.0.saturating_add(WINDOW_SECONDS)))
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Result<&'a str, ProofError> {
    claims
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .ok_or_else(|| ProofError::invalid(format!("{name} is missing or no text")))
}

/// RFC 7638 section 3: the required members in the order of their names. Their values are base64url or names without
/// anything to escape, which the key's parser has made sure of.
fn thumbprint(jwk: &Value) -> Option<String> {
    let member = |name: &str| jwk.get(name)?.as_str();
    let canonical = match member("kty")? {
        "EC" => format!(
            r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#,
            member("crv")?,
            member("x")?,
            member("y")?
        ),
        "RSA" => format!(
            r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#,
            member("e")?,
            member("n")?
        ),
        "OKP" => format!(
            r#"{{"crv":"{}","kty":"OKP","x":"{}"}}"#,
            member("crv")?,
            member("x")?
        ),
        _ => return None,
    };
    Some(URL_SAFE_NO_PAD.encode(digest(&SHA256, canonical.as_bytes())))
}

/// What a proof is remembered by: `jti` is the client's own choice, so that it counts with the key only.
fn id(thumbprint: &str, jti: &str) -> [u8; 16] {
    let whole = digest(&SHA256, format!("{thumbprint}.{jti}").as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&whole.as_ref()[..16]);
    id
}

#[cfg(test)]
mod tests;
