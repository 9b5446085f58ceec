//! Reva tokens that come back: ocdav, frontend and others fetch and store file contents at the gateway's own `/data`, in
//! the name of the user whose token they were given (docs/design/contract.md, "The fact that stops every upload").

use http::HeaderValue;
use serde::Deserialize;

use super::hs256::Hs256;
use crate::config::Secret;
use crate::headers::PresentedReva;
use crate::model::UnixTime;

/// What the deployment's reva tokens are signed with, to tell them from made-up ones.
pub struct RevaKey(Hs256);

/// A reva token of this deployment, as a backend sent it. Nothing but [`RevaKey::verify`] makes one, and of all identity
/// headers it alone may go on from a request to a backend.
#[derive(Debug)]
pub struct ReturnedToken(HeaderValue);

/// How far the clocks of two machines may differ (docs/design/design.md 2, Headers).
const LEEWAY: f64 = 5.0;

#[derive(Deserialize)]
struct Claims {
    exp: f64,
}

impl RevaKey {
    /// The key of a secret; none without one, for an empty secret would be everybody's.
    #[must_use]
    pub fn new(secret: &Secret) -> Option<Self> {
        Hs256::new(secret).map(Self)
    }

    /// The token, if it is an HS256 JWT of this key and its end is ahead.
    #[must_use]
    pub fn verify(&self, presented: PresentedReva, now: UnixTime) -> Option<ReturnedToken> {
        let value = presented.into_value();
        let claims: Claims = self.0.verify(value.to_str().ok()?)?;
        #[expect(
            clippy::cast_precision_loss,
            reason = "times are exact in a double for millions of years"
        )]
        let is_ahead = claims.exp + LEEWAY > now.0 as f64;
        is_ahead.then_some(ReturnedToken(value))
    }
}

impl ReturnedToken {
    /// The header's value, unchanged.
    #[must_use]
    pub fn value(&self) -> &HeaderValue {
        &self.0
    }
}

impl std::fmt::Debug for RevaKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RevaKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::headers::Reserved;

    const SECRET: &str = "the deployment's secret, 32 bytes";
    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn signed(algorithm: Algorithm, claims: &Value, secret: &str) -> String {
        let key = EncodingKey::from_secret(secret.as_bytes());
        encode(&Header::new(algorithm), claims, &key).unwrap()
    }

    fn good() -> String {
        let claims = json!({"exp": NOW.0 + 60, "iss": "x", "user": {"username": "mara"}});
        signed(Algorithm::HS256, &claims, SECRET)
    }

    /// Through the same door as a request's header.
    fn passes(token: &[u8]) -> bool {
        let Ok(value) = HeaderValue::from_bytes(token) else {
            return false;
        };
        let mut request = http::Request::new(());
        request
            .headers_mut()
            .insert("x-access-token", value.clone());
        let (mut head, ()) = Reserved::default().clean(request).unwrap();
        let presented = head.take_reva().unwrap();
        let key = RevaKey::new(&Secret::new(SECRET)).unwrap();
        let returned = key.verify(presented, NOW);
        assert!(returned.as_ref().is_none_or(|one| one.value() == value));
        returned.is_some()
    }

    #[test]
    fn a_token_of_the_deployment_passes_as_it_is() {
        assert!(passes(good().as_bytes()));
    }

    #[test]
    fn row_31_another_key_algorithm_or_form_does_not_pass() {
        let claims = json!({"exp": NOW.0 + 60});
        for other in [
            signed(Algorithm::HS256, &claims, "another secret"),
            signed(Algorithm::HS384, &claims, SECRET),
            signed(Algorithm::HS512, &claims, SECRET),
            signed(Algorithm::HS256, &json!({"exp": "never"}), SECRET),
            signed(Algorithm::HS256, &json!({"exp": null}), SECRET),
            signed(Algorithm::HS256, &json!({}), SECRET),
            by_hand(r#"{"alg":"none"}"#),
            by_hand(r#"{"alg":"hs256"}"#),
            by_hand(r#"{"alg":"HS256","crit":["b64"],"b64":false}"#),
            by_hand(r#"{"alg":"HS256","alg":"HS256"}"#),
            by_hand("[]"),
            format!("{}=", good()),
            format!("{}.", good()),
            format!("Bearer {}", good()),
            good().replace('.', ".."),
            String::new(),
        ] {
            assert!(!passes(other.as_bytes()), "{other}");
        }
        assert!(passes(
            by_hand(r#"{"alg":"HS256","typ":"anything"}"#).as_bytes()
        ));
        assert!(RevaKey::new(&Secret::default()).is_none());
    }

    #[test]
    fn the_end_has_five_seconds_of_leeway() {
        for (exp, expected) in [(-6, false), (-5, false), (-4, true), (0, true), (9, true)] {
            let claims = json!({"exp": NOW.0 + exp});
            let token = signed(Algorithm::HS256, &claims, SECRET);
            assert_eq!(passes(token.as_bytes()), expected, "{exp}");
        }
    }

    /// Signed with the right key, whatever the header says.
    fn by_hand(header: &str) -> String {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let claims = json!({"exp": NOW.0 + 60}).to_string();
        let signed = format!(
            "{}.{}",
            encode(header.as_bytes()),
            encode(claims.as_bytes())
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let signature = encode(hmac::sign(&key, signed.as_bytes()).as_ref());
        format!("{signed}.{signature}")
    }

    proptest! {
        #[test]
        fn any_other_bytes_do_not_pass(at in 0_usize..200, byte in any::<u8>(), tail in "[A-Za-z0-9._-]{0,9}") {
            let mut token = good().into_bytes();
            let at = at % token.len();
            let changed = token[at] != byte;
            token[at] = byte;
            prop_assert_eq!(passes(&token), !changed);
            prop_assert!(!passes(tail.as_bytes()));
        }
    }
}
