//! How the services keep things in NATS (docs/design/contract.md 3.2 and 4.1): keys in base32, values in an envelope of JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::BASE32;
use serde::{Deserialize, Serialize};

/// Records above this size are nobody's: the longest seen is 16 KB, and NATS takes 1 MiB.
pub(crate) const MAX_RECORD: usize = 256 * 1024;

/// The key as it is stored: `<table>_<key>`, or the key alone without a table.
#[must_use]
pub fn stored_key(table: &str, key: &str) -> String {
    if table.is_empty() {
        BASE32.encode(key.as_bytes())
    } else {
        BASE32.encode(format!("{table}_{key}").as_bytes())
    }
}

/// The key that a stored one means.
///
/// # Errors
/// If it is no base32 of a text, or of another table.
pub(crate) fn plain_key(table: &str, stored: &str) -> Result<String, &'static str> {
    let bytes = BASE32
        .decode(stored.as_bytes())
        .map_err(|_| "its key is no base32")?;
    let text = String::from_utf8(bytes).map_err(|_| "its key is no UTF-8")?;
    if table.is_empty() {
        return Ok(text);
    }
    let rest = text
        .strip_prefix(table)
        .and_then(|rest| rest.strip_prefix('_'));
    rest.map(str::to_owned).ok_or("its key is of another table")
}

#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    key: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    data: std::borrow::Cow<'a, str>,
    #[serde(default)]
    metadata: Option<serde_json::Value>,
}

/// A value in its envelope.
#[must_use]
pub fn envelope(key: &str, value: &[u8]) -> Vec<u8> {
    let envelope = Envelope {
        key: key.into(),
        data: STANDARD.encode(value).into(),
        metadata: None,
    };
    serde_json::to_vec(&envelope).unwrap_or_default()
}

/// The value of an envelope.
///
/// # Errors
/// If it is no such envelope.
pub(crate) fn opened(record: &[u8]) -> Result<Vec<u8>, &'static str> {
    if record.len() > MAX_RECORD {
        return Err("it is too large");
    }
    let envelope: Envelope<'_> =
        serde_json::from_slice(record).map_err(|_| "its envelope is no JSON of key and data")?;
    STANDARD
        .decode(envelope.data.as_bytes())
        .map_err(|_| "its data is no base64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_the_services_write() {
        let key = "b1f74ec4-dd7e-11ef-a543-03775734d0f7";
        let stored =
            "ONUWO3TJNZTS223FPFZV6YRRMY3TIZLDGQWWIZBXMUWTCMLFMYWWCNJUGMWTAMZXG42TOMZUMQYGMNY=";
        assert_eq!(stored_key("signing-keys", key), stored);
        assert_eq!(plain_key("signing-keys", stored).as_deref(), Ok(key));
        assert_eq!(plain_key("", &stored_key("", key)).as_deref(), Ok(key));
        assert!(plain_key("service-registry", stored).is_err());
        for garbage in ["", "a", "ÄÖ", "======", "ONUWO3T", "77777777"] {
            assert!(plain_key("t", garbage).is_err(), "{garbage}");
        }
    }

    #[test]
    fn an_envelope_is_read_as_it_is_written() {
        let record = envelope("k", b"\x00\xffvalue");
        let text = r#"{"key":"k","data":"AP92YWx1ZQ==","metadata":null}"#;
        assert_eq!(record, text.as_bytes());
        assert_eq!(opened(&record).as_deref(), Ok(&b"\x00\xffvalue"[..]));
        let escaped = br#"{"metadata":{"a":1},"data":"AP92\u0059Wx1ZQ==","key":"\u006b","more":1}"#;
        assert_eq!(opened(escaped).as_deref(), Ok(&b"\x00\xffvalue"[..]));
    }

    #[test]
    fn what_is_no_envelope_is_none() {
        let large = format!(r#"{{"key":"k","data":"{}"}}"#, "A".repeat(MAX_RECORD));
        for garbage in [
            &b""[..],
            b"null",
            b"{}",
            b"[]",
            b"\xff\xfe",
            br#"{"key":"k","data":"*"}"#,
            br#"{"key":"k","data":1}"#,
            large.as_bytes(),
        ] {
            assert!(opened(garbage).is_err());
        }
    }
}
