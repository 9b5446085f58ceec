//! `Location` and `Content-Location` of a backend's answer: what `Destination` was turned into is turned back, so that a
//! client that follows comes to us again (docs/design/design.md 2, Answers of backends).

use std::net::IpAddr;

use http::header::{CONTENT_LOCATION, LOCATION};
use http::{HeaderMap, HeaderValue};

use super::is_at_or_below;
use crate::model::{Endpoint, Place};

/// How client and backend know the place of one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocationScope<'s> {
    /// The node of the backend that answered.
    pub endpoint: &'s Endpoint,
    /// The path put before the request's.
    pub base_path: &'s str,
    /// `Host` as the backend got it.
    pub upstream_host: &'s str,
    /// `https` or `http`, as the client sees it.
    pub scheme: &'s str,
    /// The host (and port) the client asked for.
    pub host: &'s str,
    /// What was taken off the request's path.
    pub removed_prefix: Option<&'s str>,
}

/// Rewrites both headers where they name the backend, or us in the backend's way. Bodies are not touched.
pub(crate) fn turn_locations_back(headers: &mut HeaderMap, scope: LocationScope<'_>) {
    for name in [LOCATION, CONTENT_LOCATION] {
        if !headers.contains_key(&name) {
            continue;
        }
        for (_, value) in headers.iter_mut().filter(|(found, _)| **found == name) {
            let told = std::str::from_utf8(value.as_bytes()).ok();
            if let Some(told) = told.and_then(|told| scope.turned_back(told))
                && let Ok(told) = HeaderValue::from_str(&told)
            {
                *value = told;
            }
        }
    }
}

impl LocationScope<'_> {
    /// The reference as the client has to see it; `None` where it may stay.
    fn turned_back(&self, told: &str) -> Option<String> {
        if told.bytes().any(|b| b == b'\\' || b <= b' ' || b == 0x7f) {
            return None;
        }
        let (origin, target) = split(told)?;
        let (path, rest) = target.split_at(target.find(['?', '#']).unwrap_or(target.len()));
        let path = if path.is_empty() { "/" } else { path };
        let origin = match origin {
            Some(origin) if self.names_us(&origin) => format!("{}://{}", self.scheme, self.host),
            Some(_) => return None,
            None => String::new(),
        };
        let (prefix, path) = self.client_path(path);
        Some(format!("{origin}{prefix}{path}{rest}"))
    }

    /// What has to be put in front of a backend's path, and what remains of it.
    fn client_path<'p>(&'p self, path: &'p str) -> (&'p str, &'p str) {
        let base = self.base_path;
        let path = match path.strip_prefix(base) {
            _ if base.is_empty() => path,
            Some("") => "/",
            Some(rest) if rest.starts_with('/') => rest,
            // What is no path of the backend's can only be one of ours.
            _ => return ("", path),
        };
        match self.removed_prefix {
            Some(prefix) if !is_at_or_below(path, prefix) => (prefix, path),
            _ => ("", path),
        }
    }

    /// The backend's own origin, or our host with the backend's scheme or port.
    fn names_us(&self, origin: &Origin<'_>) -> bool {
        let backend_scheme = if self.endpoint.tls { "https" } else { "http" };
        let scheme = origin.scheme.unwrap_or(self.scheme);
        let port = origin.port.or_else(|| default_port(scheme));
        let is = |other: &str| scheme.eq_ignore_ascii_case(other);
        if !is(self.scheme) && !is(backend_scheme) {
            return false;
        }
        let (own, own_port) = match &self.endpoint.place {
            Place::Tcp { host, port } => (host.as_str(), Some(*port)),
            Place::Unix(_) => ("", None),
        };
        if origin.name.eq_ignore_ascii_case(own) && port.is_some() && port == own_port {
            return true;
        }
        [self.host, self.upstream_host].iter().any(|host| {
            let Some((name, named_port)) = name_and_port(host) else {
                return false;
            };
            // Of this machine every port may be another application's, the web server's at 80 too: a backend that leaves
            // the port out of `Host` is not believed there.
            let may_leave_port_out = named_port.is_none() || !is_loopback(name);
            let ports = [
                named_port,
                default_port(self.scheme).filter(|_| named_port.is_none()),
                own_port,
                default_port(backend_scheme).filter(|_| is(backend_scheme) && may_leave_port_out),
            ];
            origin.name.eq_ignore_ascii_case(name) && port.is_some() && ports.contains(&port)
        })
    }
}

/// Scheme, host and port of an absolute reference.
struct Origin<'r> {
    /// None in `//host/path`.
    scheme: Option<&'r str>,
    /// Without brackets.
    name: &'r str,
    port: Option<u16>,
}

/// Origin, if there is one, and what follows. `None` for what is relative to the request, and for other schemes.
fn split(reference: &str) -> Option<(Option<Origin<'_>>, &str)> {
    let (scheme, rest) = match reference.strip_prefix("//") {
        Some(rest) => (None, rest),
        None if reference.starts_with('/') => return Some((None, reference)),
        None => {
            let (scheme, rest) = reference.split_once("://")?;
            let is_web = ["http", "https"]
                .iter()
                .any(|web| scheme.eq_ignore_ascii_case(web));
            (Some(is_web.then_some(scheme)?), rest)
        }
    };
    let (authority, target) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (name, port) = name_and_port(authority)?;
    Some((Some(Origin { scheme, name, port }), target))
}

/// `None` for what is no plain `host` or `host:port`, a user's name in front included.
fn name_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (name, port) = rest.split_once(']')?;
        let port = match port.strip_prefix(':') {
            Some(port) => Some(port.parse().ok()?),
            None if port.is_empty() => None,
            None => return None,
        };
        return Some((name, port));
    }
    let (name, port) = match authority.split_once(':') {
        Some((name, port)) => (name, Some(port.parse().ok()?)),
        None => (authority, None),
    };
    (!name.is_empty() && !name.contains('@')).then_some((name, port))
}

/// `localhost`, what is below it (RFC 6761 section 6.3), and the addresses of the loopback.
fn is_loopback(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or(name);
    let address = name.parse::<IpAddr>();
    last.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

fn default_port(scheme: &str) -> Option<u16> {
    if scheme.eq_ignore_ascii_case("https") {
        Some(443)
    } else if scheme.eq_ignore_ascii_case("http") {
        Some(80)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Protocol;

    struct Site {
        endpoint: Endpoint,
        base_path: &'static str,
        scheme: &'static str,
        host: &'static str,
        upstream_host: &'static str,
        prefix: Option<&'static str>,
    }

    /// `https://cloud.example` in front of `http://10.0.0.5:8080`.
    fn place() -> Site {
        Site {
            endpoint: Endpoint::tcp(Protocol::Http, "10.0.0.5", 8080),
            base_path: "",
            scheme: "https",
            host: "cloud.example",
            upstream_host: "cloud.example",
            prefix: None,
        }
    }

    impl Site {
        fn told(&self, value: &str) -> String {
            let mut headers = HeaderMap::new();
            for name in [LOCATION, CONTENT_LOCATION] {
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
            let scope = LocationScope {
                endpoint: &self.endpoint,
                base_path: self.base_path,
                upstream_host: self.upstream_host,
                scheme: self.scheme,
                host: self.host,
                removed_prefix: self.prefix,
            };
            turn_locations_back(&mut headers, scope);
            assert_eq!(headers[LOCATION], headers[CONTENT_LOCATION]);
            headers[LOCATION].to_str().unwrap().to_owned()
        }
    }

    #[test]
    fn issue_15_25_the_backends_origin_and_its_scheme_or_port_on_our_host_become_ours() {
        let place = place();
        for told in [
            "http://10.0.0.5:8080/a/?b=c#d",
            "HTTP://10.0.0.5:8080/a/?b=c#d",
            "https://10.0.0.5:8080/a/?b=c#d",
            "//10.0.0.5:8080/a/?b=c#d",
            "http://cloud.example/a/?b=c#d",
            "http://Cloud.Example:80/a/?b=c#d",
            "http://cloud.example:8080/a/?b=c#d",
            "https://cloud.example:8080/a/?b=c#d",
            "//cloud.example:8080/a/?b=c#d",
            "//cloud.example/a/?b=c#d",
            "https://cloud.example/a/?b=c#d",
            "https://cloud.example:443/a/?b=c#d",
        ] {
            assert_eq!(place.told(told), "https://cloud.example/a/?b=c#d", "{told}");
        }
        assert_eq!(place.told("http://10.0.0.5:8080"), "https://cloud.example/");
        assert_eq!(
            place.told("http://10.0.0.5:8080?x"),
            "https://cloud.example/?x"
        );
    }

    #[test]
    fn issue_15_25_another_origin_and_a_relative_reference_are_left_alone() {
        let place = place();
        for told in [
            "https://idp.example/login?back=http://10.0.0.5:8080/a",
            "http://10.0.0.5/a",
            "http://10.0.0.5:8081/a",
            "https://cloud.example:8443/a",
            "https://cloud.example.evil/a",
            "https://user@cloud.example:8080/a",
            "http://cloud.example@evil.example/a",
            "//evil.example/a",
            "ftp://10.0.0.5:8080/a",
            "cloud.example:8080/a",
            "/a/b?c",
            "../b",
            "b",
            "?c",
            "",
            "/\\evil.example",
            "http://cloud.example:port/a",
        ] {
            assert_eq!(place.told(told), told);
        }
    }

    #[test]
    fn the_hosts_port_is_the_clients() {
        let place = Site {
            host: "cloud.example:9200",
            upstream_host: "cloud.example:9200",
            ..place()
        };
        for told in [
            "http://cloud.example:9200/a",
            "https://cloud.example:9200/a",
            "http://cloud.example/a",
            "http://cloud.example:8080/a",
        ] {
            assert_eq!(place.told(told), "https://cloud.example:9200/a", "{told}");
        }
        assert_eq!(
            place.told("https://cloud.example/a"),
            "https://cloud.example/a"
        );
    }

    #[test]
    fn issue_15_25_another_application_on_this_machine_is_left_alone() {
        for host in [
            "127.0.0.1:9200",
            "127.0.0.2:9200",
            "localhost:9200",
            "LocalHost.:9200",
            "files.localhost:9200",
            "[::1]:9200",
            "[::ffff:127.0.0.1]:9200",
        ] {
            let name = host.strip_suffix(":9200").unwrap();
            for tls in [false, true] {
                let backend = if tls { "https" } else { "http" };
                let mut place = Site {
                    endpoint: Endpoint::tcp(Protocol::Http, "127.0.0.1", 8080),
                    scheme: "http",
                    host,
                    upstream_host: host,
                    ..place()
                };
                place.endpoint.tls = tls;
                for port in ["", ":80", ":443", ":8081", ":9201", ":0"] {
                    for scheme in ["http:", "https:", ""] {
                        let told = format!("{scheme}//{name}{port}/a");
                        assert_eq!(place.told(&told), told, "for {host}");
                    }
                }
                for port in [9200, 8080] {
                    let told = format!("{backend}://{name}:{port}/a");
                    assert_eq!(place.told(&told), format!("http://{host}/a"), "{told}");
                }
            }
        }
    }

    #[test]
    fn behind_an_outer_proxy_either_name_is_ours() {
        let place = Site {
            upstream_host: "gateway.internal:9200",
            ..place()
        };
        for told in [
            "http://gateway.internal:9200/a",
            "http://gateway.internal/a",
            "http://cloud.example/a",
        ] {
            assert_eq!(place.told(told), "https://cloud.example/a", "{told}");
        }
    }

    #[test]
    fn an_address_of_ipv6_has_brackets() {
        let mut place = place();
        place.endpoint = Endpoint::tcp(Protocol::Http, "::1", 8080);
        assert_eq!(place.told("http://[::1]:8080/a"), "https://cloud.example/a");
        assert_eq!(place.told("http://[::2]:8080/a"), "http://[::2]:8080/a");
    }

    #[test]
    fn what_was_taken_off_the_path_is_put_back_where_it_is_not_there_already() {
        let mut place = Site {
            prefix: Some("/cloud/files"),
            ..place()
        };
        for (told, turned) in [
            ("/a?b", "/cloud/files/a?b"),
            ("/", "/cloud/files/"),
            ("/cloud/files/a", "/cloud/files/a"),
            ("/cloud/files", "/cloud/files"),
            ("/cloud/files2", "/cloud/files/cloud/files2"),
            (
                "http://10.0.0.5:8080/a",
                "https://cloud.example/cloud/files/a",
            ),
            (
                "https://cloud.example/cloud/files/a",
                "https://cloud.example/cloud/files/a",
            ),
            ("a", "a"),
            ("https://idp.example/a", "https://idp.example/a"),
        ] {
            assert_eq!(place.told(told), turned, "{told}");
        }
        place.base_path = "/base";
        for (told, turned) in [
            ("/base/a", "/cloud/files/a"),
            ("/base", "/cloud/files/"),
            ("/cloud/files/a", "/cloud/files/a"),
            ("/base2/a", "/base2/a"),
        ] {
            assert_eq!(place.told(told), turned, "{told}");
        }
    }

    proptest! {
        #[test]
        fn any_reference_is_turned_once(told in r"(https?:)?(//)?(10\.0\.0\.5|cloud\.example|x)?(:8080|:80|:x)?[/a?#\\.@]{0,8}") {
            let place = Site { prefix: Some("/files"), ..place() };
            let once = place.told(&told);
            // What is ours already stays, but for a path alone, which says nothing of whose it is.
            if once.starts_with("https://cloud.example/files") {
                prop_assert_eq!(place.told(&once), once);
            }
        }
    }
}
