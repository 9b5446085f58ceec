//! JSON Web Keys (RFC 7517): which keys of an issuer's set may verify, parsed once.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::signature::{ParsedPublicKey, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::jose::{Algorithm, Family};
use super::{json, roca};

/// Most keys looked at, docs/design/hardening.md row 83.
const MAX_KEYS: usize = 1_000;
/// Smallest RSA exponent accepted.
const MIN_EXPONENT: u64 = 65_537;
/// A key id longer than this is not stored; it would only be copied into logs.
pub(crate) const MAX_KID: usize = 1_024;

/// Keys of one id that are tried for one token (docs/design/design.md 2, Keys).
const MAX_TRIED: usize = 4;

/// The usable keys of an issuer.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
    by_kid: HashMap<String, Vec<usize>>,
    left_out: Vec<LeftOut>,
}

/// One verification key, with the algorithms it may be used with.
pub(crate) struct Key {
    kid: Option<String>,
    /// The bytes that make the key, to tell a repeated key from another one under the same id.
    identity: Vec<u8>,
    parsed: Vec<(Algorithm, ParsedPublicKey)>,
    publication: Publication,
}

/// Whether the issuer still publishes a key: what was verified with it counts no longer than that.
#[derive(Debug, Clone, Default)]
pub struct Publication(Arc<AtomicBool>);

impl Publication {
    /// Whether the key has left the issuer's set.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn end(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// An entry of the set that may not verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// Its id.
    kid: Option<String>,
    /// What its type can verify; `None` if that cannot be told.
    family: Option<Family>,
    /// It is there for something else (encryption), which is nobody's trouble.
    on_purpose: bool,
    why: &'static str,
}

/// What a look-up by key id found.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// The keys to try, one at least, at most four.
    Keys(Vec<&'a Key>),
    /// The id is there, but its keys are for other algorithms.
    OtherAlgorithm(&'a Key),
    /// The id is there with nothing that may verify a token, by the issuer's own word.
    OtherUse,
    /// The issuer's trouble: no key can be used, or not the one of this id. Says why.
    Unusable(&'static str),
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
        let mut document = json::document(document).map_err(|e| NotAKeySet(e.to_string()))?;
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
        let mut set = Self::default();
        for entry in entries.iter().take(MAX_KEYS) {
            match Key::parse(entry) {
                Ok(key) => set.take(key),
                Err(fault) => set.left_out.push(LeftOut {
                    kid: entry.get("kid").and_then(Value::as_str).map(str::to_owned),
                    family: entry
                        .get("kty")
                        .and_then(Value::as_str)
                        .and_then(Family::of),
                    on_purpose: fault.on_purpose,
                    why: fault.why,
                }),
            }
        }
        Ok(set)
    }

    /// A key that is published twice is one.
    fn take(&mut self, key: Key) {
        if self.keys.iter().any(|known| known.same_as(&key)) {
            return;
        }
        if let Some(kid) = &key.kid {
            let at = self.keys.len();
            self.by_kid.entry(kid.clone()).or_default().push(at);
        }
        self.keys.push(key);
    }

    /// The keys of a token. Without a key id only a set of one key is unambiguous.
    pub(crate) fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Found<'_> {
        let named: Vec<&Key> = match (kid, self.keys.as_slice()) {
            (_, []) => return self.nothing_usable(),
            (Some(kid), keys) => {
                let places = self.by_kid.get(kid).into_iter().flatten();
                places.filter_map(|at| keys.get(*at)).collect()
            }
            (None, [only]) => vec![only],
            (None, _) => return Found::Ambiguous,
        };
        let fit = named.iter().filter(|key| key.fits(algorithm));
        let fit: Vec<&Key> = fit.copied().take(MAX_TRIED).collect();
        if !fit.is_empty() {
            return Found::Keys(fit);
        }
        let mut others = self.left_out.iter().filter(|one| {
            kid.is_some()
                && one.kid.as_deref() == kid
                && one.family.is_none_or(|family| family == algorithm.family())
        });
        if let Some(unusable) = others.clone().find(|one| !one.on_purpose) {
            return Found::Unusable(unusable.why);
        }
        match (named.first(), others.next()) {
            (Some(key), _) => Found::OtherAlgorithm(key),
            (None, Some(_)) => Found::OtherUse,
            (None, None) => Found::UnknownKid,
        }
    }

    fn nothing_usable(&self) -> Found<'_> {
        let why = self.left_out.iter().find(|one| !one.on_purpose);
        Found::Unusable(why.map_or("the issuer publishes no signing key", |one| one.why))
    }

    /// How many keys may verify.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether the other set has the same keys under the same ids.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.left_out == other.left_out
            && self.keys.len() == other.keys.len()
            && self.keys.iter().all(|key| other.has(key))
    }

    fn has(&self, key: &Key) -> bool {
        self.keys.iter().any(|own| own.same_as(key))
    }

    /// Takes the place of an older set: keys that stay go on as they were, those that left are over. Returns the ids that
    /// nobody has any more.
    pub(crate) fn follow(&mut self, older: &Self) -> Vec<String> {
        for key in &mut self.keys {
            if let Some(same) = older.keys.iter().find(|one| one.same_as(key)) {
                key.publication = same.publication.clone();
            }
        }
        for key in older.keys.iter().filter(|key| !self.has(key)) {
            key.publication.end();
        }
        let gone = older.by_kid.keys();
        gone.filter(|kid| !self.by_kid.contains_key(*kid))
            .cloned()
            .collect()
    }

    /// One line for each entry that cannot be used. Keys for encryption are usual, and worth no warning.
    pub(crate) fn log_left_out(&self, issuer: &str) {
        for LeftOut {
            kid,
            why,
            on_purpose,
            ..
        } in &self.left_out
        {
            let kid = shown(kid.as_deref().unwrap_or("-"));
            if *on_purpose {
                tracing::debug!(issuer, kid, why, "key of the issuer left out");
            } else {
                tracing::warn!(issuer, kid, why, "key of the issuer left out");
            }
        }
    }
}

/// Why an entry may not verify tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyFault {
    /// For the log.
    pub(crate) why: &'static str,
    /// The key is there for something else.
    on_purpose: bool,
}

impl From<&'static str> for KeyFault {
    fn from(why: &'static str) -> Self {
        Self {
            why,
            on_purpose: false,
        }
    }
}

impl Key {
    /// Reads one key.
    ///
    /// # Errors
    /// The reason why it may not verify tokens.
    pub(crate) fn parse(jwk: &Value) -> Result<Self, KeyFault> {
        let jwk = jwk.as_object().ok_or("no object")?;
        let kid = match member(jwk, "kid") {
            None => None,
            Some(Value::String(kid)) if kid.len() <= MAX_KID => Some(kid.clone()),
            Some(_) => return Err("kid is no short string".into()),
        };
        may_verify(jwk)?;
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]
            .iter()
            .any(|name| member(jwk, name).is_some())
        {
            return Err("private or symmetric".into());
        }
        let (algorithms, identity) = match text(jwk, "kty")? {
            "RSA" => rsa(jwk)?,
            "EC" => elliptic(jwk)?,
            "OKP" => edwards(jwk)?,
            _ => return Err("key type not accepted".into()),
        };
        Ok(Self {
            kid,
            identity,
            parsed: algorithms,
            publication: Publication::default(),
        })
    }

    /// Whether the issuer still publishes it, for as long as anybody asks.
    pub(crate) fn publication(&self) -> &Publication {
        &self.publication
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithms().any(|own| own == algorithm)
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

/// At most 64 bytes of a foreign string, for log lines (docs/design/hardening.md row 70).
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

/// A member that is there; `null` is not.
fn member<'a>(jwk: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    jwk.get(name).filter(|value| !value.is_null())
}

/// `use` and `key_ops`, RFC 7517 sections 4.2 and 4.3.
fn may_verify(jwk: &Map<String, Value>) -> Result<(), KeyFault> {
    let for_something_else = |why| KeyFault {
        why,
        on_purpose: true,
    };
    match member(jwk, "use") {
        None => {}
        Some(Value::String(purpose)) if purpose == "sig" => {}
        Some(Value::String(_)) => return Err(for_something_else("use is not sig")),
        Some(_) => return Err("use is no string".into()),
    }
    match member(jwk, "key_ops") {
        None => {}
        Some(Value::Array(operations)) if operations.iter().any(|op| op == "verify") => {}
        Some(Value::Array(_)) => return Err(for_something_else("key_ops has no verify")),
        Some(_) => return Err("key_ops is no list".into()),
    }
    match member(jwk, "kty").and_then(Value::as_str) {
        Some("oct") => Err(for_something_else("symmetric")),
        _ => Ok(()),
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
    let (x, y) = (coordinate(jwk, "x", size)?, coordinate(jwk, "y", size)?);
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
    match member(jwk, "alg") {
        None => Ok(None),
        Some(Value::String(name)) => Algorithm::from_name(name)
            .map(Some)
            .ok_or("alg is no accepted signature algorithm"),
        Some(_) => Err("alg is no string"),
    }
}

fn text<'a>(jwk: &'a Map<String, Value>, name: &str) -> Result<&'a str, &'static str> {
    jwk.get(name)
        .and_then(Value::as_str)
        .ok_or("a member is missing or no string")
}

/// RFC 7515 section 2 has no padding; issuers that send it are forgiven.
fn octets(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, &'static str> {
    URL_SAFE_NO_PAD
        .decode(text(jwk, name)?.trim_end_matches('='))
        .map_err(|_| "a member is no base64url")
}

/// A big-endian integer; leading zero bytes are forgiven.
fn positive(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, &'static str> {
    let bytes = significant(&octets(jwk, name)?).to_vec();
    if bytes.is_empty() {
        return Err("a number is zero");
    }
    Ok(bytes)
}

/// A coordinate has the length of its curve (RFC 7518 section 6.2.1.2); issuers that drop or add leading zero bytes are
/// forgiven.
fn coordinate(jwk: &Map<String, Value>, name: &str, size: usize) -> Result<Vec<u8>, &'static str> {
    let bytes = octets(jwk, name)?;
    let number = significant(&bytes);
    let missing = size
        .checked_sub(number.len())
        .ok_or("coordinates of the wrong length")?;
    Ok([vec![0; missing].as_slice(), number].concat())
}

fn significant(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests;
