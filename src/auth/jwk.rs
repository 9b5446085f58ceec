//! JSON Web Keys (RFC 7517): which keys of an issuer's set may verify, parsed once.

use std::collections::HashMap;
use std::fmt;

use aws_lc_rs::signature::{ParsedPublicKey, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::jose::Algorithm;
use super::{json, roca};

/// Most keys looked at, hardening.md row 83.
const MAX_KEYS: usize = 1_000;
/// Smallest RSA exponent accepted.
const MIN_EXPONENT: u64 = 65_537;
/// A key id longer than this is not stored; it would only be copied into logs.
const MAX_KID: usize = 1_024;

/// The usable keys of an issuer.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
    by_kid: HashMap<String, usize>,
}

/// One verification key, with the algorithms it may be used with.
pub(crate) struct Key {
    kid: Option<String>,
    /// The bytes that make the key, to tell a repeated key from another one under the same id.
    identity: Vec<u8>,
    parsed: Vec<(Algorithm, ParsedPublicKey)>,
}

/// What a look-up by key id found.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// The key.
    Key(&'a Key),
    /// No key has that id.
    UnknownKid,
    /// The token has no key id and the set is not one single key.
    Ambiguous,
}

/// The document is no key set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no JSON Web Key Set: {0}")]
pub(crate) struct NotAKeySet(String);

impl KeySet {
    /// Reads a set. Keys that may not verify are left out one by one, each with a log line.
    ///
    /// # Errors
    /// If the document is no JSON object, or its `keys` is no list. A missing `keys` is an empty set: authentik sends
    /// `{}` where no signing key is chosen.
    pub(crate) fn parse(document: &[u8]) -> Result<Self, NotAKeySet> {
        let mut document = json::object(document).map_err(|e| NotAKeySet(e.to_string()))?;
        let entries = match document.remove("keys") {
            None => Vec::new(),
            Some(Value::Array(entries)) => entries,
            Some(_) => return Err(NotAKeySet("keys is no list".into())),
        };
        if entries.len() > MAX_KEYS {
            tracing::warn!(
                keys = entries.len(),
                "only the first 1000 keys are looked at"
            );
        }
        let mut keys: Vec<Key> = Vec::new();
        for (position, entry) in entries.iter().take(MAX_KEYS).enumerate() {
            match Key::parse(entry) {
                Ok(key) => keys.push(key),
                Err(why) => {
                    let kid = entry.get("kid").and_then(Value::as_str).unwrap_or_default();
                    tracing::warn!(
                        position,
                        kid = shown(kid),
                        why,
                        "key of the issuer left out"
                    );
                }
            }
        }
        Ok(Self::of(keys))
    }

    fn of(keys: Vec<Key>) -> Self {
        let mut set = Self::default();
        let mut ambiguous: Vec<String> = Vec::new();
        for key in keys {
            if set.keys.iter().any(|known| known.same_as(&key)) {
                continue;
            }
            if let Some(kid) = &key.kid {
                if set.by_kid.contains_key(kid) {
                    ambiguous.push(kid.clone());
                    continue;
                }
                set.by_kid.insert(kid.clone(), set.keys.len());
            }
            set.keys.push(key);
        }
        if !ambiguous.is_empty() {
            for kid in &ambiguous {
                tracing::warn!(
                    kid = shown(kid),
                    "different keys have one key id; all left out"
                );
            }
            set.keys
                .retain(|key| key.kid.as_ref().is_none_or(|kid| !ambiguous.contains(kid)));
            set.by_kid = set
                .keys
                .iter()
                .enumerate()
                .filter_map(|(at, key)| Some((key.kid.clone()?, at)))
                .collect();
        }
        set
    }

    /// The key of a token. Without a key id only a set of one key is unambiguous.
    pub(crate) fn find(&self, kid: Option<&str>) -> Found<'_> {
        match (kid, self.keys.as_slice()) {
            (Some(kid), keys) => self
                .by_kid
                .get(kid)
                .and_then(|at| keys.get(*at))
                .map_or(Found::UnknownKid, Found::Key),
            (None, [only]) => Found::Key(only),
            (None, _) => Found::Ambiguous,
        }
    }

    /// How many keys may verify.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether the other set has the same keys under the same ids.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.keys.len() == other.keys.len()
            && self
                .keys
                .iter()
                .all(|key| other.keys.iter().any(|o| o.same_as(key)))
    }
}

impl Key {
    /// Reads one key.
    ///
    /// # Errors
    /// The reason why it may not verify tokens.
    pub(crate) fn parse(jwk: &Value) -> Result<Self, &'static str> {
        let jwk = jwk.as_object().ok_or("no object")?;
        let kid = match jwk.get("kid") {
            None => None,
            Some(Value::String(kid)) if kid.len() <= MAX_KID => Some(kid.clone()),
            Some(_) => return Err("kid is no short string"),
        };
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]
            .iter()
            .any(|member| jwk.contains_key(*member))
        {
            return Err("private or symmetric");
        }
        may_verify(jwk)?;
        let (algorithms, identity) = match text(jwk, "kty")? {
            "RSA" => rsa(jwk)?,
            "EC" => elliptic(jwk)?,
            "OKP" => edwards(jwk)?,
            _ => return Err("key type not accepted"),
        };
        Ok(Self {
            kid,
            identity,
            parsed: algorithms,
        })
    }

    /// Checks a signature; `None` if the key is not for that algorithm.
    pub(crate) fn verify(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        let (_, key) = self.parsed.iter().find(|(own, _)| *own == algorithm)?;
        Some(key.verify_sig(message, signature).is_ok())
    }

    /// The algorithms it may be used with.
    pub(crate) fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.parsed.iter().map(|(algorithm, _)| *algorithm)
    }

    fn same_as(&self, other: &Self) -> bool {
        self.kid == other.kid
            && self.identity == other.identity
            && self.algorithms().eq(other.algorithms())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("kid", &self.kid)
            .field("algorithms", &self.algorithms().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// At most 64 bytes of a foreign string, for log lines (hardening.md row 70).
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(64)
        .flat_map(|c| {
            if c.is_control() {
                c.escape_default().collect::<Vec<_>>()
            } else {
                vec![c]
            }
        })
        .collect();
    let mut end = shown.len().min(64);
    while !shown.is_char_boundary(end) {
        end -= 1;
    }
    shown.truncate(end);
    shown
}

type Parsed = (Vec<(Algorithm, ParsedPublicKey)>, Vec<u8>);

/// `use` and `key_ops`, RFC 7517 sections 4.2 and 4.3.
fn may_verify(jwk: &Map<String, Value>) -> Result<(), &'static str> {
    match jwk.get("use") {
        None => {}
        Some(Value::String(purpose)) if purpose == "sig" => {}
        Some(_) => return Err("use is not sig"),
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) if operations.iter().any(|op| op == "verify") => Ok(()),
        Some(_) => Err("key_ops has no verify"),
    }
}

fn rsa(jwk: &Map<String, Value>) -> Result<Parsed, &'static str> {
    let n = positive(jwk, "n")?;
    let e = positive(jwk, "e")?;
    if n.len() < 256 || (n.len() == 256 && n.first().is_none_or(|top| top & 0x80 == 0)) {
        return Err("RSA key below 2048 bits");
    }
    if n.len() > 1_024 {
        return Err("RSA key above 8192 bits");
    }
    let exponent = e
        .iter()
        .try_fold(0_u64, |value, byte| {
            value.checked_mul(256)?.checked_add(u64::from(*byte))
        })
        .ok_or("RSA exponent too large")?;
    if exponent < MIN_EXPONENT || exponent.is_multiple_of(2) {
        return Err("RSA exponent too small or even");
    }
    if roca::is_vulnerable(&n) {
        return Err("RSA key of a broken generator (CVE-2017-15361)");
    }
    let algorithms: Vec<Algorithm> = match algorithm(jwk)? {
        Some(algorithm) => vec![algorithm],
        None => Algorithm::RSA.to_vec(),
    };
    let components = RsaPublicKeyComponents { n: &n, e: &e };
    let parsed = algorithms
        .into_iter()
        .map(|algorithm| {
            let parameters = algorithm.rsa().ok_or("alg does not fit an RSA key")?;
            let key = components
                .to_parsed_public_key(parameters)
                .map_err(|_| "RSA key not accepted")?;
            Ok((algorithm, key))
        })
        .collect::<Result<_, &'static str>>()?;
    Ok((parsed, [n, e].concat()))
}

fn elliptic(jwk: &Map<String, Value>) -> Result<Parsed, &'static str> {
    let (own, size) = match text(jwk, "crv")? {
        "P-256" => (Algorithm::Es256, 32),
        "P-384" => (Algorithm::Es384, 48),
        "P-521" => (Algorithm::Es512, 66),
        _ => return Err("curve not accepted"),
    };
    let (x, y) = (octets(jwk, "x")?, octets(jwk, "y")?);
    if x.len() != size || y.len() != size {
        return Err("coordinates of the wrong length");
    }
    let point = [&[4_u8], x.as_slice(), y.as_slice()].concat();
    one(jwk, own, point)
}

fn edwards(jwk: &Map<String, Value>) -> Result<Parsed, &'static str> {
    if text(jwk, "crv")? != "Ed25519" {
        return Err("curve not accepted");
    }
    let x = octets(jwk, "x")?;
    if x.len() != 32 {
        return Err("coordinate of the wrong length");
    }
    one(jwk, Algorithm::EdDsa, x)
}

fn one(
    jwk: &Map<String, Value>,
    own: Algorithm,
    identity: Vec<u8>,
) -> Result<Parsed, &'static str> {
    if algorithm(jwk)?.is_some_and(|named| named != own) {
        return Err("alg does not fit the curve");
    }
    let parameters = own.curve().ok_or("curve not accepted")?;
    let key = ParsedPublicKey::new(parameters, &identity).map_err(|_| "point not on the curve")?;
    Ok((vec![(own, key)], identity))
}

/// The key's `alg`, if it has one.
fn algorithm(jwk: &Map<String, Value>) -> Result<Option<Algorithm>, &'static str> {
    match jwk.get("alg") {
        None => Ok(None),
        Some(Value::String(name)) => Algorithm::from_name(name)
            .map(Some)
            .ok_or("alg is no accepted signature algorithm"),
        Some(_) => Err("alg is no string"),
    }
}

fn text<'a>(jwk: &'a Map<String, Value>, member: &str) -> Result<&'a str, &'static str> {
    jwk.get(member)
        .and_then(Value::as_str)
        .ok_or("a member is missing or no string")
}

fn octets(jwk: &Map<String, Value>, member: &str) -> Result<Vec<u8>, &'static str> {
    URL_SAFE_NO_PAD
        .decode(text(jwk, member)?)
        .map_err(|_| "a member is no base64url")
}

/// A big-endian integer; issuers that send a leading zero byte are forgiven.
fn positive(jwk: &Map<String, Value>, member: &str) -> Result<Vec<u8>, &'static str> {
    let bytes = octets(jwk, member)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = bytes.get(zeros..).unwrap_or_default().to_vec();
    if bytes.is_empty() {
        return Err("a number is zero");
    }
    Ok(bytes)
}

#[cfg(test)]
#[path = "jwk_tests.rs"]
mod tests;
