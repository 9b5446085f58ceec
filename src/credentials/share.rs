//! A public link: its token, and what it is protected with (docs/design/contract.md 9.6).

use std::borrow::Cow;
use std::fmt;

use http::HeaderMap;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::{Password, PresentedToken};

/// A public link as its visitor sent it. Its secret is never printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The link's token, which is its name in URLs.
    pub token: String,
    /// What came with it.
    pub secret: ShareSecret,
}

/// What a visitor shows for a link that is protected.
#[derive(Clone, PartialEq, Eq)]
pub enum ShareSecret {
    /// A password; an empty one for links without.
    Password(Zeroizing<String>),
    /// A signature over the link, and when it ends.
    Signature {
        /// As the link's owner, or the backend, signed it.
        signature: Zeroizing<String>,
        /// RFC 3339.
        expiration: String,
    },
}

/// Where visitors of a link are let in by the link (docs/design/contract.md 9.6). Elsewhere its token says nothing: the backends of
/// public files check it themselves.
const PATHS: [&str; 4] = ["/archiver", "/app/open", "/app/new", "/ocs/"];

/// Longest token looked at; real ones have 15 characters.
const MAX_TOKEN: usize = 256;

impl Share {
    /// The link that a request for this path is about, if it is about one. `basic`: what came as a password.
    #[must_use]
    pub fn of(
        path: &str,
        query: Option<&str>,
        headers: &HeaderMap,
        basic: Option<PresentedToken<'_>>,
    ) -> Option<Self> {
        if !PATHS.iter().any(|prefix| path.starts_with(prefix)) {
            return None;
        }
        let parameter = |name: &str| {
            let query = query?;
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs.find(|(key, _)| key == name).map(|(_, value)| value)
        };
        let header = headers.get("public-token");
        let token = match header.map(|value| value.to_str().ok()) {
            Some(value) => Cow::Borrowed(value?),
            None => parameter("public-token")?,
        };
        let is_token = token.bytes().all(|byte| byte.is_ascii_graphic());
        if token.is_empty() || token.len() > MAX_TOKEN || !is_token {
            return None;
        }
        let secret = match parameter("signature") {
            Some(signature) => ShareSecret::Signature {
                signature: Zeroizing::new(signature.into_owned()),
                expiration: parameter("expiration")?.into_owned(),
            },
            None => {
                let password = basic.and_then(|encoded| Password::read(encoded.bytes()).ok());
                let text = password.map_or_else(String::new, |one| one.reveal().to_owned());
                ShareSecret::Password(Zeroizing::new(text))
            }
        };
        Some(Self {
            token: token.into_owned(),
            secret,
        })
    }
}

impl fmt::Debug for ShareSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShareSecret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::{Presented, presented};

    fn share(path: &str, query: Option<&str>, headers: &[(&'static str, &str)]) -> Option<Share> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let basic = match presented(&map) {
            Ok(Some(Presented::Basic(encoded))) => Some(encoded),
            _ => None,
        };
        Share::of(path, query, &map, basic)
    }

    fn with_password(token: &str, password: &str) -> Share {
        Share {
            token: token.to_owned(),
            secret: ShareSecret::Password(Zeroizing::new(password.to_owned())),
        }
    }

    #[test]
    fn a_link_is_named_by_a_header_or_the_query_and_on_its_own_paths_only() {
        let open = Some(with_password("abc", ""));
        assert_eq!(share("/archiver", None, &[("public-token", "abc")]), open);
        assert_eq!(share("/archiver", Some("id=1&public-token=abc"), &[]), open);
        assert_eq!(share("/app/open", Some("public-token=%61bc"), &[]), open);
        assert_eq!(
            share("/ocs/v1.php/config", Some("public-token=abc"), &[]),
            open
        );
        for path in ["/graph/v1.0/me", "/dav/files/mara", "/data", "/"] {
            assert_eq!(share(path, Some("public-token=abc"), &[]), None, "{path}");
        }
        for query in [
            None,
            Some(""),
            Some("public-token="),
            Some("public-token=a%00b"),
        ] {
            assert_eq!(share("/archiver", query, &[]), None, "{query:?}");
        }
    }

    #[test]
    fn row_115_a_protected_link_is_opened_by_a_password_or_a_signature() {
        // Of any user and the password `open`.
        let headers = [
            ("authorization", "Basic cHVibGljOm9wZW4="),
            ("public-token", "abc"),
        ];
        assert_eq!(
            share("/archiver", None, &headers),
            Some(with_password("abc", "open"))
        );
        let signed = share(
            "/archiver",
            Some("public-token=abc&signature=f00&expiration=2026"),
            &[],
        );
        let secret = ShareSecret::Signature {
            signature: Zeroizing::new("f00".to_owned()),
            expiration: "2026".to_owned(),
        };
        assert_eq!(signed.unwrap().secret, secret);
        // Never sent without its end.
        assert_eq!(
            share("/archiver", Some("public-token=abc&signature=f00"), &[]),
            None
        );
    }
}
