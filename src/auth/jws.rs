//! Compact JWS (RFC 7515): read strictly, verified with a key that decides the algorithm.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::jose::Algorithm;
use super::jwk::{Key, shown};
use super::token_kind::media_type;
use super::{AuthError, json};
use crate::model::Reason;

/// Longest text that is read as a token. An access token is bounded by the header it comes in (32 KiB), so this is for
/// logout tokens and signed answers.
const MAX_TOKEN: usize = 64 * 1024;

/// A compact JWS whose signature nobody has looked at yet.
#[derive(Debug)]
pub(crate) struct Jws<'a> {
    /// The protected header.
    pub(crate) header: Header,
    /// Header and payload as they were signed.
    signed: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// The members of a header that count. `jwk`, `jku`, `x5u` and `x5c` are never looked at.
#[derive(Debug)]
pub(crate) struct Header {
    /// An accepted algorithm.
    pub(crate) algorithm: Algorithm,
    /// Key id.
    pub(crate) kid: Option<String>,
    /// Type, lower case, without `application/`.
    pub(crate) typ: Option<String>,
    /// Microsoft Graph hashes this into what it signs; nobody else can verify such a token.
    pub(crate) has_nonce: bool,
}

/// What a string is before anything is believed of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Three parts with a JSON header.
    Jws,
    /// Five parts with a JSON header.
    Jwe,
    /// Anything else.
    Opaque,
}

/// Tells a JWT from an opaque token by its header, not by its dots alone.
pub(crate) fn shape(token: &str) -> Shape {
    let dots = token.bytes().filter(|byte| *byte == b'.').take(5).count();
    let header_is_json = || {
        let head = token.split('.').next().unwrap_or_default();
        URL_SAFE_NO_PAD
            .decode(head)
            .is_ok_and(|bytes| bytes.trim_ascii_start().starts_with(b"{"))
    };
    match dots {
        2 if header_is_json() => Shape::Jws,
        4 if header_is_json() => Shape::Jwe,
        _ => Shape::Opaque,
    }
}

impl<'a> Jws<'a> {
    /// Reads a compact JWS.
    ///
    /// # Errors
    /// [`AuthError::Token`] if any byte of it could be read in two ways, or the header asks for what is not supported.
    pub(crate) fn parse(token: &'a str) -> Result<Self, AuthError> {
        if token.len() > MAX_TOKEN {
            return Err(AuthError::token(
                Reason::TokenTooLarge,
                format!("{} bytes", token.len()),
            ));
        }
        match token.bytes().filter(|byte| *byte == b'.').count() {
            2 => {}
            4 => {
                return Err(malformed("five parts: it is encrypted (JWE)"));
            }
            _ => return Err(malformed("not three parts")),
        }
        let (signed, signature) = token.rsplit_once('.').ok_or_else(|| malformed("no dot"))?;
        let (header, payload) = signed.split_once('.').ok_or_else(|| malformed("no dot"))?;
        if signature.is_empty() {
            return Err(malformed("no signature"));
        }
        let header = Header::parse(&decode(header, "header")?)?;
        Ok(Self {
            header,
            signed,
            payload: decode(payload, "payload")?,
            signature: decode(signature, "signature")?,
        })
    }

    /// The payload as a JSON object. Nothing in it is true before [`Jws::verify`].
    ///
    /// # Errors
    /// [`AuthError::Token`] unless it is one strict JSON object.
    pub(crate) fn claims(&self) -> Result<Map<String, Value>, AuthError> {
        json::object(&self.payload).map_err(|e| malformed(&format!("payload: {e}")))
    }

    /// Checks the signature with each of the keys, which are for the header's algorithm, and says which one it is of.
    ///
    /// # Errors
    /// [`AuthError::Token`] with `bad_signature` if it is of none.
    pub(crate) fn verify<'k>(&self, keys: &[&'k Key]) -> Result<&'k Key, AuthError> {
        let is_its = |key: &&&Key| {
            let signed = self.signed.as_bytes();
            key.verify(self.header.algorithm, signed, &self.signature) == Some(true)
        };
        if let Some(key) = keys.iter().find(is_its) {
            return Ok(*key);
        }
        let detail = if self.header.has_nonce {
            "the header has a nonce: an access token for Microsoft Graph cannot be verified by others; let the client ask \
             for a scope of its own API"
                .to_owned()
        } else {
            format!("kid {}", shown(self.header.kid.as_deref().unwrap_or("-")))
        };
        Err(AuthError::token(Reason::BadSignature, detail))
    }

    /// The refusal of a token whose key is for other algorithms.
    pub(crate) fn misfit(&self, key: &Key) -> AuthError {
        let names: Vec<_> = key.algorithms().map(Algorithm::name).collect();
        AuthError::token(
            Reason::TokenAlgorithm,
            format!(
                "{} with a key for {}",
                self.header.algorithm,
                names.join(", ")
            ),
        )
    }
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, AuthError> {
        let header = json::object(bytes).map_err(|e| malformed(&format!("header: {e}")))?;
        let algorithm = match header.get("alg") {
            Some(Value::String(name)) => Algorithm::from_name(name).ok_or_else(|| {
                let hint = if name.starts_with("HS") {
                    "; a symmetric signature is never accepted, choose an RSA or EC signing key at the issuer"
                } else {
                    ""
                };
                AuthError::token(
                    Reason::TokenAlgorithm,
                    format!("alg {}{hint}", shown(name)),
                )
            })?,
            _ => {
                return Err(AuthError::token(
                    Reason::TokenAlgorithm,
                    "alg is missing or no string",
                ));
            }
        };
        for member in ["crit", "zip", "b64"] {
            if header.contains_key(member) {
                return Err(AuthError::token(
                    Reason::TokenHeader,
                    format!("header {member} is not supported"),
                ));
            }
        }
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err(malformed("kid is no string")),
        };
        let typ = match header.get("typ") {
            None => None,
            Some(Value::String(typ)) => Some(media_type(typ)),
            Some(_) => return Err(malformed("typ is no string")),
        };
        Ok(Self {
            algorithm,
            kid,
            typ,
            has_nonce: header.contains_key("nonce"),
        })
    }
}

/// Canonical base64url: no padding, no other alphabet, no stray bits (docs/design/hardening.md row 80).
fn decode(part: &str, what: &str) -> Result<Vec<u8>, AuthError> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| malformed(&format!("{what} is no canonical base64url")))
}

fn malformed(detail: &str) -> AuthError {
    AuthError::token(Reason::TokenMalformed, detail)
}
