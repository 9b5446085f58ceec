//! URLs that a person's client signed: `OC-Signature` and what belongs to it.

use http::Method;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Presented, SignedUrlError, form};
use crate::model::UnixTime;

/// A URL that would be good if its signature were.
#[derive(Clone)]
pub(crate) struct ClientSigned {
    username: String,
    expires_at: UnixTime,
    signature: String,
    /// What may have been signed: as it came, and with the `$` of a space's id written the other way.
    candidates: Vec<String>,
}

/// Names without meaning for who is meant; the signature does not cover them.
const UNSIGNED: [&str; 2] = ["OC-Signature", "OC-Algo"];
/// What the signature covers besides the rest of the query, in the order in which it stands there.
const SIGNED: [&str; 4] = ["OC-Credential", "OC-Date", "OC-Expires", "OC-Verb"];

impl ClientSigned {
    /// Reads a request. `None`: it has no such signature.
    ///
    /// # Errors
    /// Whatever can be told without the key.
    pub(crate) fn read(
        presented: &Presented<'_>,
        allowed: &[Method],
        now: UnixTime,
    ) -> Result<Option<Self>, SignedUrlError> {
        if !presented.query.contains("OC-Signature") {
            return Ok(None);
        }
        let pairs = form::pairs(presented.query);
        let one = |name: &'static str| {
            let mut values = pairs.iter().filter(|(key, _)| key == name);
            match (values.next(), values.next()) {
                (Some((_, value)), None) if !value.is_empty() => Ok(value.clone()),
                _ => Err(SignedUrlError::Malformed(name)),
            }
        };
        let (username, verb) = (one("OC-Credential")?, one("OC-Verb")?);
        let signature = one("OC-Signature")?;
        let (date, expires) = (one("OC-Date")?, one("OC-Expires")?);
        if !allowed.contains(presented.method) {
            return Err(SignedUrlError::Method);
        }
        if !verb.eq_ignore_ascii_case(presented.method.as_str()) {
            return Err(SignedUrlError::Verb);
        }
        let expires_at = end(&date, &expires)?;
        if now >= expires_at {
            return Err(SignedUrlError::Expired);
        }
        let is_free = |name: &str| !UNSIGNED.contains(&name) && !SIGNED.contains(&name);
        let rest = form::encode(pairs.iter().filter(|(name, _)| is_free(name)));
        let signed = form::encode(
            pairs
                .iter()
                .filter(|(name, _)| SIGNED.contains(&name.as_str())),
        );
        let separator = if rest.is_empty() { "" } else { "&" };
        let query = format!("{rest}{separator}{signed}");
        let path = form::path(presented.path);
        let origin = presented.origin();
        let candidates = spellings(&path)
            .into_iter()
            .map(|path| format!("{origin}{path}?{query}"))
            .collect();
        Ok(Some(Self {
            username,
            expires_at,
            signature,
            candidates,
        }))
    }

    /// Whose key it has to be signed with: a user name, in any case.
    #[must_use]
    pub(crate) fn username(&self) -> &str {
        &self.username
    }

    /// Its time is over then.
    #[must_use]
    pub(crate) fn expires_at(&self) -> UnixTime {
        self.expires_at
    }

    pub(super) fn signature(&self) -> &str {
        &self.signature
    }

    pub(super) fn candidates(&self) -> &[String] {
        &self.candidates
    }
}

/// The signature is a right, and the query may hold others.
impl std::fmt::Debug for ClientSigned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientSigned")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// A space's id has a `$` that proxies on the way write as `%24`, or the other way round.
fn spellings(path: &str) -> Vec<String> {
    let mut all = vec![path.to_owned()];
    for other in [path.replacen('$', "%24", 1), path.replacen("%24", "$", 1)] {
        if !all.contains(&other) {
            all.push(other);
        }
    }
    all
}

/// `date` plus `expires`, in whole seconds and never longer than was meant.
fn end(date: &str, expires: &str) -> Result<UnixTime, SignedUrlError> {
    let date =
        OffsetDateTime::parse(date, &Rfc3339).map_err(|_| SignedUrlError::Malformed("OC-Date"))?;
    let lifetime = seconds(expires).ok_or(SignedUrlError::Malformed("OC-Expires"))?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is too large is as good as for ever"
    )]
    let lifetime = lifetime.floor() as i64;
    Ok(UnixTime(date.unix_timestamp().saturating_add(lifetime)))
}

/// `1200`, `1200.5` and what else Go reads as a duration once an `s` stands behind it: `1h20m0`.
fn seconds(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut total = 0f64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, behind) = rest.split_at(end.unwrap_or(rest.len()));
        let number: f64 = number.parse().ok()?;
        let end = behind.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, behind) = behind.split_at(end.unwrap_or(behind.len()));
        let unit = match unit {
            "h" if !behind.is_empty() => 3_600.0,
            "m" if !behind.is_empty() => 60.0,
            "" => 1.0,
            "s" if !behind.is_empty() => 1.0,
            // The `s` behind makes milliseconds of an `m` at the end.
            "m" => 1e-3,
            _ => return None,
        };
        total += number * unit;
        rest = behind;
    }
    (total.is_finite() && !text.is_empty()).then_some(sign * total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_110_a_lifetime_is_seconds_or_what_go_makes_of_it() {
        for (text, wanted) in [
            ("1200", Some(1_200.0)),
            ("1200.5", Some(1_200.5)),
            ("1h20m0", Some(4_800.0)),
            ("-5", Some(-5.0)),
            ("0", Some(0.0)),
            ("", None),
            ("-", Some(-0.0)),
            ("NaN", None),
            ("1e9", None),
            ("1..5", None),
            ("5x", None),
        ] {
            assert_eq!(seconds(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn both_spellings_of_a_spaces_id_are_tried() {
        assert_eq!(spellings("/s$p"), ["/s$p", "/s%24p"]);
        assert_eq!(spellings("/s%24p"), ["/s%24p", "/s$p"]);
        assert_eq!(spellings("/plain"), ["/plain"]);
    }
}
