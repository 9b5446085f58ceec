//! Strict JSON: no member twice, at most 32 levels. Two parsers must never read one token differently.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Deepest nesting, docs/design/hardening.md row 79.
const MAX_DEPTH: u8 = 32;

/// Parses one JSON object and nothing after it.
///
/// # Errors
/// On anything that is not one well-formed UTF-8 JSON object, on a repeated member at any level, and beyond 32 levels.
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: 0 }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(serde_json::Error::custom("not an object")),
    }
}

/// Reads a document of an issuer: as [`object`], but a byte order mark before it is skipped (RFC 8259 section 8.1 lets a
/// reader do that), and a member that is `null` is not there.
///
/// # Errors
/// As for [`object`].
pub(crate) fn document(bytes: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    let mut members = object(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))?;
    members.retain(|_, value| !value.is_null());
    Ok(members)
}

#[derive(Clone, Copy)]
struct Strict {
    depth: u8,
}

impl Strict {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self {
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("duplicate member"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn row_74_a_repeated_member_is_refused_at_any_level() {
        assert!(object(br#"{"exp":1,"exp":2}"#).is_err());
        assert!(object(br#"{"a":{"b":1,"b":1}}"#).is_err());
        assert!(object(br#"{"a":[{"b":1,"\u0062":1}]}"#).is_err());
        assert!(object(br#"{"a":{"b":1},"b":1}"#).is_ok());
    }

    #[test]
    fn row_79_depth_and_encoding_are_bounded() {
        let nested = |depth| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        assert!(object(nested(32).as_bytes()).is_ok());
        assert!(object(nested(33).as_bytes()).is_err());
        assert!(object(nested(100_000).as_bytes()).is_err());
        assert!(object(b"{\"a\":\"\xff\"}").is_err());
        assert!(object(br#"{"a":"\ud800"}"#).is_err());
        assert!(object(b"\xef\xbb\xbf{}").is_err());
        assert!(object(b"{} {}").is_err());
        assert!(object(b"[]").is_err());
        assert!(object(br#"{"a":1e400}"#).is_err());
    }

    #[test]
    fn issue_15_14_a_document_may_begin_with_a_mark_and_has_no_nulls() {
        let read = |text: &str| document(text.as_bytes()).map(Value::Object).ok();
        let expected = serde_json::json!({"a": 1, "o": {"x": null}});
        let text = r#"{"a":1,"b":null,"o":{"x":null}}"#;
        assert_eq!(read(&format!("\u{feff}{text}")), Some(expected.clone()));
        assert_eq!(read(text), Some(expected));
        assert_eq!(read(&format!("\u{feff}\u{feff}{text}")), None);
        assert_eq!(read(r#"{"a":null,"a":1}"#), None);
    }

    proptest! {
        #[test]
        fn whatever_passes_serde_json_reads_alike(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(map) = object(&bytes) {
                prop_assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), Value::Object(map));
            }
        }

        #[test]
        fn objects_survive_a_round_trip(names in proptest::collection::btree_map("[a-z\"\\\\é]{0,6}", any::<i64>(), 0..8)) {
            let text = serde_json::to_vec(&names).unwrap();
            let map = object(&text).unwrap();
            prop_assert_eq!(map.len(), names.len());
        }
    }
}
