//! The `Authorization` header of a request, read without asking anybody (RFC 6750 section 2.1, RFC 9449 section 7.1).

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::jws::MAX_TOKEN;
use super::{AuthError, BearerToken};
use crate::model::Reason;

/// A credential this gateway can have checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential<'h> {
    /// A bearer token.
    Bearer(Presented<'h>),
    /// A token that comes with a proof of possession in the `DPoP` header.
    Dpop(Presented<'h>),
}

/// What stands in a token's place, in the header it came in. Neither copied nor looked at closely: a token that has a
/// session is known by the digest of its bytes, and nothing else ever has one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Presented<'h>(&'h [u8]);

impl<'h> Presented<'h> {
    /// The bytes, for their digest.
    #[must_use]
    pub fn bytes(self) -> &'h [u8] {
        self.0
    }

    /// The token, as a bearer.
    ///
    /// # Errors
    /// [`AuthError::Token`] with `malformed_credential` if it is not exactly one token.
    pub fn token(self) -> Result<BearerToken, AuthError> {
        self.text().map(BearerToken::new)
    }

    /// The token of the `DPoP` scheme.
    ///
    /// # Errors
    /// As for [`Presented::token`].
    pub fn token_with_proof(self) -> Result<BearerToken, AuthError> {
        self.text().map(BearerToken::with_proof)
    }

    fn text(self) -> Result<&'h str, AuthError> {
        match std::str::from_utf8(self.0) {
            Ok(text) if self.0.iter().all(|byte| is_token_byte(*byte)) => Ok(text),
            _ => Err(malformed("not exactly one token after the scheme")),
        }
    }
}

impl std::fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Presented(***)")
    }
}

/// The credential of a request. `None` if there is no `Authorization` header, or one of a scheme that is not for
/// access tokens: RFC 6750 section 3.1 wants no error code in the challenge then.
///
/// # Errors
/// [`AuthError::Token`] with `dup_auth` for two headers (400), `malformed_credential` if there is no token, or
/// `token_too_large` (401).
pub fn credential(headers: &HeaderMap) -> Result<Option<Credential<'_>>, AuthError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(AuthError::token(
            Reason::DuplicateAuthorization,
            "two Authorization headers",
        ));
    }
    let bytes = value.as_bytes();
    let end = bytes
        .iter()
        .position(|byte| matches!(byte, b' ' | b'\t'))
        .unwrap_or(bytes.len());
    let (scheme, rest) = bytes.split_at(end);
    let wrap = if scheme.eq_ignore_ascii_case(b"Bearer") {
        Credential::Bearer as fn(_) -> _
    } else if scheme.eq_ignore_ascii_case(b"DPoP") {
        Credential::Dpop
    } else {
        return Ok(None);
    };
    let start = rest
        .iter()
        .position(|byte| *byte != b' ')
        .unwrap_or(rest.len());
    let (_, token) = rest.split_at(start);
    if token.is_empty() {
        return Err(malformed("no token after the scheme"));
    }
    if token.len() > MAX_TOKEN {
        return Err(AuthError::token(
            Reason::TokenTooLarge,
            format!("{} bytes", token.len()),
        ));
    }
    Ok(Some(wrap(Presented(token))))
}

/// `b64token` of RFC 6750, and other visible characters that real opaque tokens have. Blank, comma and quote would
/// make a second word or a parameter list of it.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b',' | b';' | b'"' | b'\\' | b'<' | b'>')
}

fn malformed(detail: &str) -> AuthError {
    AuthError::token(Reason::MalformedCredential, detail)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    /// The scheme in lower case, and the token.
    fn read(values: &[&[u8]]) -> Result<Option<(&'static str, String)>, Reason> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        let read = || {
            let (scheme, presented) = match credential(&headers)? {
                None => return Ok(None),
                Some(Credential::Bearer(presented)) => ("bearer", presented),
                Some(Credential::Dpop(presented)) => ("dpop", presented),
            };
            Ok(Some((scheme, presented.token()?.reveal().to_owned())))
        };
        read().map_err(|error| match error {
            AuthError::Token { reason, .. } => reason,
            other => panic!("{other}"),
        })
    }

    fn bearer(text: &str) -> Result<Option<(&'static str, String)>, Reason> {
        Ok(Some(("bearer", text.to_owned())))
    }

    #[test]
    fn the_scheme_ignores_case_and_takes_several_blanks() {
        assert_eq!(read(&[b"Bearer abc"]), bearer("abc"));
        assert_eq!(
            read(&[b"bEARER    a.b-c_d~e+f/g=="]),
            bearer("a.b-c_d~e+f/g==")
        );
        assert_eq!(read(&[b"dpop x"]), Ok(Some(("dpop", "x".to_owned()))));
    }

    #[test]
    fn more_or_fewer_words_are_malformed() {
        for value in [
            &b"Bearer"[..],
            b"Bearer  ",
            b"Bearer a b",
            b"Bearer a, Bearer b",
            b"Bearer a,b",
            b"Bearer\ta",
            b"Bearer \xc3\xa9",
            b"Bearer \"a\"",
        ] {
            assert_eq!(
                read(&[value]),
                Err(Reason::MalformedCredential),
                "{value:?}"
            );
        }
    }

    #[test]
    fn two_headers_are_ambiguous() {
        assert_eq!(
            read(&[b"Bearer a", b"Bearer a"]),
            Err(Reason::DuplicateAuthorization)
        );
        assert_eq!(
            read(&[b"Basic a", b"Bearer a"]),
            Err(Reason::DuplicateAuthorization)
        );
    }

    #[test]
    fn another_scheme_is_no_credential_of_ours() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[b"Basic abc"]), Ok(None));
        assert_eq!(read(&[b"Bearerabc"]), Ok(None));
        assert_eq!(read(&[b""]), Ok(None));
    }

    #[test]
    fn row_78_a_token_beyond_the_limit_is_refused() {
        let value = format!("Bearer {}", "a".repeat(MAX_TOKEN + 1));
        assert_eq!(read(&[value.as_bytes()]), Err(Reason::TokenTooLarge));
    }

    proptest! {
        #[test]
        fn any_bytes_give_one_clean_token_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut value = b"Bearer ".to_vec();
            value.extend(bytes);
            let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.clone());
            if let Ok(Some(Credential::Bearer(presented))) = credential(&headers)
                && let Ok(token) = presented.token()
            {
                let text = token.reveal();
                prop_assert!(!text.is_empty() && !text.contains([' ', ',', '"']));
                prop_assert!(value.as_bytes().ends_with(text.as_bytes()));
            }
        }
    }
}
