//! Request targets (RFC 9112 section 3.2) and the host a request is for.

use http::uri::Authority;
use http::{HeaderMap, Method, Uri, Version, header};

use super::{NormalPath, Root, RouteError};
use crate::forwarded::is_host;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    /// `OPTIONS *`: the server itself; answered here, never forwarded.
    Server,
    /// A path.
    Path(NormalPath<'a>),
}

impl<'a> Target<'a> {
    /// Reads the target of a request. Scheme and authority of an absolute target are left to [`effective_host`].
    ///
    /// # Errors
    /// CONNECT, TRACE and TRACK (405), `*` with another method, a target without a slash, and whatever [`NormalPath::parse`] refuses.
    pub(crate) fn parse(method: &Method, uri: &'a Uri, root: &Root) -> Result<Self, RouteError> {
        if method == Method::CONNECT || is_trace(method) {
            return Err(RouteError::MethodNotAllowed);
        }
        if uri.path() == "*" {
            return if method == Method::OPTIONS && uri.query().is_none() {
                Ok(Self::Server)
            } else {
                Err(RouteError::BadTarget)
            };
        }
        if uri.scheme().is_none() && uri.authority().is_some() {
            return Err(RouteError::BadTarget);
        }
        NormalPath::parse(uri.path(), uri.query(), root).map(Self::Path)
    }
}

/// What is answered with the request itself would show the client what its backend is told (RFC 9110 section 9.3.8). Not
/// every server minds the case of a method.
fn is_trace(method: &Method) -> bool {
    ["TRACE", "TRACK"]
        .iter()
        .any(|name| method.as_str().eq_ignore_ascii_case(name))
}

/// The path as routes see it, for the form of an answer. One that is refused is taken as it came.
#[must_use]
pub(crate) fn readable_path<'p>(
    target: &'p Result<Target<'_>, RouteError>,
    uri: &'p Uri,
    root: &Root,
) -> &'p str {
    match target {
        Ok(Target::Path(path)) => path.matched(),
        Ok(Target::Server) | Err(_) => {
            let path = uri.path();
            path.strip_prefix(root.as_str()).unwrap_or(path)
        }
    }
}

/// The host (and port) the client meant: the authority of an absolute target, else `Host`. `None` for HTTP/1.0 without
/// either. It is never used to choose a backend.
///
/// # Errors
/// [`RouteError::BadHost`]: no `Host` in HTTP/1.1, two of them, not a host, or in HTTP/2 one that is not `:authority`.
pub(crate) fn effective_host<'r>(
    version: Version,
    uri: &'r Uri,
    headers: &'r HeaderMap,
) -> Result<Option<&'r str>, RouteError> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (None, _) => None,
        (Some(host), None) => Some(host.to_str().map_err(|_| RouteError::BadHost)?),
        (Some(_), Some(_)) => return Err(RouteError::BadHost),
    };
    if host.is_none() && version == Version::HTTP_11 {
        return Err(RouteError::BadHost);
    }
    let authority = uri.authority().map(Authority::as_str);
    if [host, authority]
        .into_iter()
        .flatten()
        .any(|host| !is_host(host))
    {
        return Err(RouteError::BadHost);
    }
    if version >= Version::HTTP_2
        && let (Some(host), Some(authority)) = (host, authority)
        && !host.eq_ignore_ascii_case(authority)
    {
        return Err(RouteError::BadHost);
    }
    Ok(authority.or(host))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn host(version: Version, uri: &str, hosts: &[&str]) -> Result<Option<String>, RouteError> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, HeaderValue::from_str(host).unwrap());
        }
        effective_host(version, &uri.parse().unwrap(), &headers).map(|host| host.map(str::to_owned))
    }

    #[test]
    fn rows_13_and_41_a_missing_doubled_or_odd_host_is_refused() {
        let label = "a".repeat(256);
        for odd in [
            "a/b", "u@a", "a b", &label, "[::1", "", "a:", "a:x", "a:70000", "evil\"x", "a..b",
            "::1",
        ] {
            assert_eq!(
                host(Version::HTTP_11, "/x", &[odd]),
                Err(RouteError::BadHost),
                "{odd}"
            );
        }
        for hosts in [&[][..], &["a", "a"]] {
            assert_eq!(
                host(Version::HTTP_11, "/x", hosts),
                Err(RouteError::BadHost)
            );
        }
        for fine in [
            "a",
            "cloud.example:9200",
            "[::1]:9200",
            "10.0.0.1",
            "my_host",
            "a.",
        ] {
            assert_eq!(
                host(Version::HTTP_11, "/x", &[fine]),
                Ok(Some(fine.to_owned()))
            );
        }
        assert_eq!(host(Version::HTTP_10, "/x", &[]), Ok(None));
    }

    #[test]
    fn row_14_an_absolute_target_replaces_the_host() {
        let both = host(Version::HTTP_11, "http://evil/x", &["a"]);
        assert_eq!(both, Ok(Some("evil".to_owned())));
        let user = host(Version::HTTP_11, "http://u@evil/x", &["a"]);
        assert_eq!(user, Err(RouteError::BadHost));
    }

    #[test]
    fn row_65_authority_and_host_must_agree_in_http_2() {
        let version = Version::HTTP_2;
        assert_eq!(
            host(version, "https://a/x", &["b"]),
            Err(RouteError::BadHost)
        );
        assert_eq!(
            host(version, "https://a/x", &["A"]),
            Ok(Some("a".to_owned()))
        );
        assert_eq!(host(version, "https://a/x", &[]), Ok(Some("a".to_owned())));
    }

    #[test]
    fn rows_15_and_16_connect_and_targets_without_a_slash_are_refused() {
        let parse = |method: Method, uri: &str| {
            Target::parse(&method, &uri.parse().unwrap(), &Root::default()).map(|_| ())
        };
        assert_eq!(
            parse(Method::CONNECT, "evil:443"),
            Err(RouteError::MethodNotAllowed)
        );
        for trace in ["TRACE", "TRACK", "trace", "Track"] {
            let method = Method::from_bytes(trace.as_bytes()).unwrap();
            assert_eq!(parse(method, "/x"), Err(RouteError::MethodNotAllowed));
        }
        assert_eq!(parse(Method::GET, "*"), Err(RouteError::BadTarget));
        assert_eq!(parse(Method::GET, "foo"), Err(RouteError::BadTarget));
        assert_eq!(parse(Method::OPTIONS, "*"), Ok(()));
        assert_eq!(parse(Method::GET, "http://a/x"), Ok(()));
        assert_eq!(
            Target::parse(
                &Method::OPTIONS,
                &"*".parse().unwrap(),
                &Root::new("/cloud")
            ),
            Ok(Target::Server)
        );
    }
}
