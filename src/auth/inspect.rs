//! What a token says of itself before anybody has verified it. For `davgate explain`; nothing is decided by it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::json;
use super::jws::{Shape, shape};
use super::jwt::Times;
use crate::credentials::BearerToken;
use crate::model::UnixTime;

/// A token's own words.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inspection {
    /// What it is, in words.
    pub kind: &'static str,
    /// Its length.
    pub bytes: usize,
    /// `alg` of the header.
    pub algorithm: Option<String>,
    /// `kid` of the header.
    pub key_id: Option<String>,
    /// `typ` of the header.
    pub header_type: Option<String>,
    /// `iss`.
    pub issuer: Option<String>,
    /// `aud`, as JSON.
    pub audience: Option<String>,
    /// `azp`.
    pub authorized_party: Option<String>,
    /// `iat`.
    pub issued_at: Option<UnixTime>,
    /// `nbf`.
    pub not_before: Option<UnixTime>,
    /// `exp`.
    pub expires_at: Option<UnixTime>,
}

/// Reads what can be read; the rest stays empty.
#[must_use]
pub(crate) fn inspect(token: &BearerToken) -> Inspection {
    let text = token.reveal();
    let shape = shape(text);
    let part = |at| (shape == Shape::Jws).then(|| object(text, at)).flatten();
    let (header, claims) = (part(0).unwrap_or_default(), part(1).unwrap_or_default());
    let word = |map: &Map<String, Value>, name: &str| {
        map.get(name).and_then(Value::as_str).map(str::to_owned)
    };
    let times = Times::read(&claims).unwrap_or_default();
    Inspection {
        kind: match shape {
            Shape::Jws => "a signed JWT",
            Shape::Jwe => "an encrypted JWT (JWE)",
            Shape::Opaque => "an opaque token, no JWT",
        },
        bytes: text.len(),
        algorithm: word(&header, "alg"),
        key_id: word(&header, "kid"),
        header_type: word(&header, "typ"),
        issuer: word(&claims, "iss"),
        audience: claims.get("aud").map(Value::to_string),
        authorized_party: word(&claims, "azp"),
        issued_at: times.issued_at,
        not_before: times.not_before,
        expires_at: times.expires_at,
    }
}

fn object(token: &str, part: usize) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(part)?).ok()?;
    json::object(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_jwt_is_read_and_an_opaque_token_is_not() {
        let b64 = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({"alg": "RS256", "kid": "k1", "typ": "at+jwt"});
        let claims = json!({"iss": "https://idp.test", "aud": ["a"], "azp": "b", "exp": 7});
        let token = BearerToken::new(format!("{}.{}.c2ln", b64(header), b64(claims)));
        let found = inspect(&token);
        assert_eq!(found.kind, "a signed JWT");
        assert_eq!(found.key_id.as_deref(), Some("k1"));
        assert_eq!(found.issuer.as_deref(), Some("https://idp.test"));
        assert_eq!(found.audience.as_deref(), Some("[\"a\"]"));
        assert_eq!(found.expires_at, Some(UnixTime(7)));
        let opaque = inspect(&BearerToken::new("authelia_at_x.y"));
        assert_eq!(opaque.kind, "an opaque token, no JWT");
        assert_eq!(opaque.issuer, None);
    }

    proptest! {
        #[test]
        fn any_text_is_looked_at_without_harm(text in "\\PC{0,60}|[A-Za-z0-9_.-]{0,90}") {
            prop_assert_eq!(inspect(&BearerToken::new(text.clone())).bytes, text.len());
        }
    }
}
