//! Credentials that are no tokens: read from method, target, path and headers.

use http::{HeaderMap, Method, Uri};

use super::{Credential, CredentialError, Password, PresentedToken, Share, SignedRequest};

/// Which of them there is somebody to check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Accepts {
    /// User names with passwords.
    pub passwords: bool,
    /// Public links.
    pub shares: bool,
    /// Signed URLs.
    pub signed_urls: bool,
}

impl Accepts {
    /// Whether a request without `Authorization` may have one.
    #[must_use]
    pub const fn without_header(self) -> bool {
        self.shares || self.signed_urls
    }
}

/// The credential of a request for `path` that brought no token; `basic`: what came as user name and password.
///
/// # Errors
/// [`CredentialError`]
pub(crate) fn offered(
    accepts: Accepts,
    (method, uri, path): (&Method, &Uri, &str),
    headers: &HeaderMap,
    basic: Option<PresentedToken<'_>>,
) -> Result<Option<Credential>, CredentialError> {
    // A link's password comes as a user's does, so that the link is looked for first.
    if accepts.shares
        && let Some(share) = Share::of(path, uri.query(), headers, basic)
    {
        return Ok(Some(Credential::Share(share)));
    }
    match basic {
        Some(encoded) if accepts.passwords => {
            let password = Password::read(encoded.bytes())?;
            Ok(Some(Credential::Basic(password)))
        }
        None if accepts.signed_urls => {
            Ok(SignedRequest::of(method, uri, headers).map(Credential::SignedUrl))
        }
        Some(_) | None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::{CredentialKind, Presented, presented};

    const ALL: Accepts = Accepts {
        passwords: true,
        shares: true,
        signed_urls: true,
    };

    fn kind(
        accepts: Accepts,
        uri: &'static str,
        authorization: Option<&str>,
    ) -> Option<CredentialKind> {
        let uri = Uri::from_static(uri);
        let mut headers = HeaderMap::new();
        headers.insert("host", "cloud.example".parse().unwrap());
        if let Some(value) = authorization {
            headers.insert("authorization", value.parse().unwrap());
        }
        let basic = match presented(&headers).unwrap() {
            Some(Presented::Basic(encoded)) => Some(encoded),
            _ => None,
        };
        let found = offered(accepts, (&Method::GET, &uri, uri.path()), &headers, basic);
        found.unwrap().map(|credential| credential.kind())
    }

    #[test]
    fn each_kind_is_read_where_it_belongs_and_only_where_it_is_taken() {
        let mara = Some("Basic bWFyYTpwdw==");
        let none = Accepts::default();
        for (uri, authorization, expected) in [
            ("/dav/a", mara, Some(CredentialKind::Basic)),
            ("/dav/a?public-token=abc", mara, Some(CredentialKind::Basic)),
            (
                "/archiver?public-token=abc",
                mara,
                Some(CredentialKind::Share),
            ),
            (
                "/archiver?public-token=abc",
                None,
                Some(CredentialKind::Share),
            ),
            (
                "/dav/a?OC-Signature=0",
                None,
                Some(CredentialKind::SignedUrl),
            ),
            // One credential is enough.
            ("/dav/a?OC-Signature=0", mara, Some(CredentialKind::Basic)),
            ("/dav/a", None, None),
        ] {
            assert_eq!(kind(ALL, uri, authorization), expected, "{uri}");
            assert_eq!(kind(none, uri, authorization), None, "{uri}");
        }
    }

    #[test]
    fn a_password_that_cannot_be_read_is_malformed_where_passwords_are_taken() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Basic %%%".parse().unwrap());
        let Some(Presented::Basic(encoded)) = presented(&headers).unwrap() else {
            panic!("not basic")
        };
        let uri = Uri::from_static("/dav/a");
        let read = |accepts| {
            offered(
                accepts,
                (&Method::GET, &uri, "/dav/a"),
                &headers,
                Some(encoded),
            )
        };
        assert!(read(ALL).is_err());
        assert!(read(Accepts::default()).unwrap().is_none());
    }
}
