//! Compact JWS (RFC 7515): read strictly, verified with a key that decides the algorithm.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::jose::Algorithm;
use super::jwk::{Key, shown};
use super::{AuthError, json};
use crate::credentials::MAX_TOKEN;
use crate::model::Reason;

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
                return Err(malformed(
                    "five parts: the token is encrypted (JWE); let the issuer send a signed one",
                ));
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

    /// Checks the signature.
    ///
    /// # Errors
    /// [`AuthError::Token`] with `token_algorithm` if the key is not for the header's algorithm, `bad_signature` if the
    /// signature is not the key's.
    pub(crate) fn verify(&self, key: &Key) -> Result<(), AuthError> {
        match key.verify(
            self.header.algorithm,
            self.signed.as_bytes(),
            &self.signature,
        ) {
            Some(true) => Ok(()),
            Some(false) if self.header.has_nonce => Err(AuthError::token(
                Reason::BadSignature,
                "the header has a nonce: an access token for Microsoft Graph cannot be verified by others; \
                 let the client ask for a scope of its own API",
            )),
            Some(false) => Err(AuthError::token(
                Reason::BadSignature,
                format!("kid {}", shown(self.header.kid.as_deref().unwrap_or("-"))),
            )),
            None => Err(AuthError::token(
                Reason::TokenAlgorithm,
                format!(
                    "{} with a key for {}",
                    self.header.algorithm,
                    key.algorithms()
                        .map(Algorithm::name)
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            )),
        }
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
            Some(Value::String(typ)) => {
                let typ = typ.to_ascii_lowercase();
                Some(match typ.strip_prefix("application/") {
                    Some(short) => short.to_owned(),
                    None => typ,
                })
            }
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

/// Canonical base64url: no padding, no other alphabet, no stray bits (hardening.md row 80).
fn decode(part: &str, what: &str) -> Result<Vec<u8>, AuthError> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| malformed(&format!("{what} is no canonical base64url")))
}

fn malformed(detail: &str) -> AuthError {
    AuthError::token(Reason::TokenMalformed, detail)
}
