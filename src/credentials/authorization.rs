//! The `Authorization` header of a request (RFC 6750 section 2.1, RFC 9449 section 7.1).

use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::{BearerToken, CredentialKind};
use crate::model::{Fault, Reason};

/// A scheme of `Authorization` that the gateway knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RFC 6750.
    Bearer,
    /// RFC 9449.
    Dpop,
    /// RFC 7617.
    Basic,
}

/// A credential this gateway can have checked, where it stands in the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented<'h> {
    /// A bearer token.
    Bearer(PresentedToken<'h>),
    /// A token that comes with a proof of possession in the `DPoP` header.
    Dpop(PresentedToken<'h>),
    /// A user name and a password, encoded.
    Basic(PresentedToken<'h>),
}

impl Presented<'_> {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> CredentialKind {
        match self {
            Self::Bearer(_) => CredentialKind::Bearer,
            Self::Dpop(_) => CredentialKind::Dpop,
            Self::Basic(_) => CredentialKind::Basic,
        }
    }
}

/// What stands in a token's place, in the header it came in. Neither copied nor looked at closely: a token that has a
/// session is known by the digest of its bytes, and nothing else ever has one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PresentedToken<'h>(&'h [u8]);

impl<'h> PresentedToken<'h> {
    /// The bytes, for their digest.
    #[must_use]
    pub fn bytes(self) -> &'h [u8] {
        self.0
    }

    /// The token, as a bearer.
    ///
    /// # Errors
    /// [`CredentialError::Malformed`] if it is not exactly one token.
    pub fn token(self) -> Result<BearerToken, CredentialError> {
        self.text().map(BearerToken::new)
    }

    /// The token's text.
    ///
    /// # Errors
    /// As for [`PresentedToken::token`].
    pub fn text(self) -> Result<&'h str, CredentialError> {
        match std::str::from_utf8(self.0) {
            Ok(text) if self.0.iter().all(|byte| is_token_byte(*byte)) => Ok(text),
            _ => Err(CredentialError::Malformed(
                "not exactly one token after the scheme",
            )),
        }
    }
}

impl std::fmt::Debug for PresentedToken<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PresentedToken(***)")
    }
}

/// Why what came is no credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// More than one `Authorization` header: backends could each believe another one.
    #[error("two Authorization headers")]
    Duplicate,
    /// A scheme of ours without exactly one credential after it.
    #[error("{0}")]
    Malformed(&'static str),
}

impl CredentialError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(self) -> Fault {
        Fault::Caller
    }

    /// The stable word.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Duplicate => Reason::DuplicateAuthorization,
            Self::Malformed(_) => Reason::MalformedCredential,
        }
    }
}

/// The scheme in which a request was sent, for what its client is told; `None` for none, and for one that is not ours.
#[must_use]
pub(crate) fn scheme(headers: &HeaderMap) -> Option<Scheme> {
    let value = headers.get(AUTHORIZATION)?;
    known(split(value.as_bytes()).0)
}

/// The credential of a request. `None` if there is no `Authorization` header, or one of a scheme that is none of ours:
/// RFC 6750 section 3.1 wants no error code in the challenge then. A token may be as
/// long as a header may.
///
/// # Errors
/// [`CredentialError`]
pub fn presented(headers: &HeaderMap) -> Result<Option<Presented<'_>>, CredentialError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(CredentialError::Duplicate);
    }
    let (scheme, rest) = split(value.as_bytes());
    let Some(scheme) = known(scheme) else {
        return Ok(None);
    };
    let start = rest
        .iter()
        .position(|byte| *byte != b' ')
        .unwrap_or(rest.len());
    let (_, token) = rest.split_at(start);
    if token.is_empty() {
        return Err(CredentialError::Malformed("no token after the scheme"));
    }
    let token = PresentedToken(token);
    Ok(Some(match scheme {
        Scheme::Bearer => Presented::Bearer(token),
        Scheme::Dpop => Presented::Dpop(token),
        Scheme::Basic => Presented::Basic(token),
    }))
}

fn split(value: &[u8]) -> (&[u8], &[u8]) {
    let end = value
        .iter()
        .position(|byte| matches!(byte, b' ' | b'\t'))
        .unwrap_or(value.len());
    value.split_at(end)
}

fn known(scheme: &[u8]) -> Option<Scheme> {
    if scheme.eq_ignore_ascii_case(b"Bearer") {
        Some(Scheme::Bearer)
    } else if scheme.eq_ignore_ascii_case(b"DPoP") {
        Some(Scheme::Dpop)
    } else if scheme.eq_ignore_ascii_case(b"Basic") {
        Some(Scheme::Basic)
    } else {
        None
    }
}

/// `b64token` of RFC 6750, and other visible characters that real opaque tokens have. Blank, comma and quote would
/// make a second word or a parameter list of it.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b',' | b';' | b'"' | b'\\' | b'<' | b'>')
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
            let (scheme, token) = match presented(&headers)? {
                None => return Ok(None),
                Some(Presented::Bearer(token)) => ("bearer", token),
                Some(Presented::Dpop(token)) => ("dpop", token),
                Some(Presented::Basic(token)) => ("basic", token),
            };
            Ok(Some((scheme, token.token()?.reveal().to_owned())))
        };
        read().map_err(CredentialError::reason)
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
        assert_eq!(read(&[b"bAsic x"]), Ok(Some(("basic", "x".to_owned()))));
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
        assert_eq!(read(&[b"Digest abc"]), Ok(None));
        assert_eq!(read(&[b"Bearerabc"]), Ok(None));
        assert_eq!(read(&[b""]), Ok(None));
    }

    #[test]
    fn issue_14_8_a_token_as_long_as_a_header_may_be_is_read() {
        for length in [16 * 1024 + 1, 22 * 1024, 32 * 1024] {
            let value = format!("Bearer {}", "a".repeat(length));
            assert_eq!(read(&[value.as_bytes()]), bearer(&"a".repeat(length)));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_one_clean_token_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut value = b"Bearer ".to_vec();
            value.extend(bytes);
            let Ok(value) = HeaderValue::from_bytes(&value) else { return Ok(()) };
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.clone());
            if let Ok(Some(Presented::Bearer(token))) = presented(&headers)
                && let Ok(token) = token.token()
            {
                let text = token.reveal();
                prop_assert!(!text.is_empty() && !text.contains([' ', ',', '"']));
                prop_assert!(value.as_bytes().ends_with(text.as_bytes()));
            }
        }
    }
}
