//! Who the client is and how it reached us, when there may be a proxy in front.
//!
//! `X-Forwarded-*` counts only from a peer in `PROXY_TRUSTED_PROXIES`; `Forwarded`, `X-Real-Ip` and the like never do.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::UPGRADE;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use ipnet::{IpNet, Ipv4Net};
use url::Url;

use crate::config::http::Http;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What is known about clients before a request arrives.
#[derive(Debug, Clone)]
pub struct Forwarding {
    trusted: Vec<IpNet>,
    public_host: String,
    public_https: bool,
    told: Arc<Told>,
}

/// What was said already: each is worth one line, not one a request.
#[derive(Debug, Default)]
struct Told {
    untrusted: AtomicBool,
    other_host: AtomicBool,
}

/// The client of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client<'r> {
    /// The client's address: the peer, or what a trusted proxy says. IPv4 stays IPv4.
    pub address: IpAddr,
    /// Whether the client used TLS.
    pub https: bool,
    /// The host (and port) the client asked for.
    pub host: Cow<'r, str>,
    /// A trusted proxy says that the client used plain HTTP.
    told_http: bool,
}

impl Forwarding {
    /// Takes the trusted proxies and the public URL from the listener's settings.
    #[must_use]
    pub fn new(http: &Http) -> Self {
        Self {
            trusted: http.trusted_proxies.iter().map(canonical_net).collect(),
            public_host: authority(&http.public_url),
            public_https: http.public_url.scheme() == "https",
            told: Arc::default(),
        }
    }

    /// The client behind a connection. `host` is the request's own; without one it is the public URL's.
    #[must_use]
    pub fn client<'r>(
        &self,
        peer: IpAddr,
        tls: bool,
        host: Option<&'r str>,
        headers: &'r HeaderMap,
    ) -> Client<'r> {
        let peer = peer.to_canonical();
        let mut client = Client {
            address: peer,
            https: tls,
            host: host.map_or_else(|| Cow::Owned(self.public_host.clone()), Cow::Borrowed),
            told_http: false,
        };
        if !self.is_trusted(peer) {
            return client;
        }
        let (address, hop) = self.rightmost_untrusted(peer, headers);
        client.address = address;
        let told = schemes(headers, hop);
        if let Some(https) = told.at_the_hop {
            client.https = https;
            client.told_http = !https && !told.any_https;
        }
        if let Some(host) = nearest(headers, HOST).filter(|host| is_host(host)) {
            client.host = Cow::Borrowed(host);
        }
        client
    }

    /// Tells, once, what looks like a mistake in the settings. To be called for the first request of a connection: the others
    /// come by the same way.
    pub fn look_for_mistakes(&self, client: &Client<'_>, peer: IpAddr, headers: &HeaderMap) {
        let peer = peer.to_canonical();
        if !self.is_trusted(peer) && headers.contains_key(FOR) && first(&self.told.untrusted) {
            tracing::warn!(
                %peer,
                "X-Forwarded-For comes from a peer that is not trusted, so that it has no effect; if that is your own proxy, name its network in PROXY_TRUSTED_PROXIES"
            );
        }
        self.compare_host(&client.host);
    }

    /// Everything that is told to clients names the public URL, so that one who came by another name is led away.
    fn compare_host(&self, host: &str) {
        let asked = host.strip_suffix(":443").unwrap_or(host);
        if !asked.eq_ignore_ascii_case(&self.public_host) && first(&self.told.other_host) {
            tracing::warn!(
                asked,
                public = self.public_host,
                "a client asked for another host than the public URL's; links, logins and uploads lead to the public URL, so set OC_URL (OCIS_URL) to what clients use"
            );
        }
    }

    /// Where a client that used plain HTTP is sent (308): the same target on the public URL's host. Only a trusted
    /// proxy's word counts, and only if the public URL is HTTPS. A client that asks for a tunnel follows nowhere.
    #[must_use]
    pub fn https_redirect(
        &self,
        client: &Client<'_>,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Option<HeaderValue> {
        if !client.told_http || !self.public_https || asks_for_tunnel(headers) {
            return None;
        }
        let target = uri.path_and_query()?.as_str();
        let location = format!("https://{}{target}", self.public_host);
        target
            .starts_with('/')
            .then(|| HeaderValue::from_bytes(location.as_bytes()).ok())
            .flatten()
    }

    /// The host (and port) of the public URL.
    #[must_use]
    pub fn public_host(&self) -> &str {
        &self.public_host
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|net| net.contains(&address))
    }

    /// Walks `X-Forwarded-For` from the right, where the nearest proxy wrote. What stands left of an address that is
    /// not trusted, or of something that is no address, may be made up. With the address comes its place, counted from the
    /// right: which proxy wrote it.
    fn rightmost_untrusted(&self, peer: IpAddr, headers: &HeaderMap) -> (IpAddr, usize) {
        let mut client = (peer, 0);
        let mut hop = 0;
        for line in headers.get_all(FOR).iter().rev() {
            let Ok(line) = line.to_str() else {
                return client;
            };
            for entry in line.rsplit(',') {
                let Some(address) = parse_address(entry.trim()) else {
                    return client;
                };
                client = (address, hop);
                if !self.is_trusted(address) {
                    return client;
                }
                hop += 1;
            }
        }
        client
    }
}

impl Client<'_> {
    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }
}

/// Whether nobody was here before.
fn first(told: &AtomicBool) -> bool {
    !told.load(Ordering::Relaxed) && !told.swap(true, Ordering::Relaxed)
}

/// What trusted proxies say of the scheme.
#[derive(Default)]
struct Schemes {
    /// Whether the proxy that saw the client saw it use TLS.
    at_the_hop: Option<bool>,
    /// Some proxy on the way says so. Then a redirect would lead here again.
    any_https: bool,
}

/// The word of the proxy at `hop`, counted from the right as addresses are. Of a shorter list the first counts: proxies that
/// pass it on add nothing to it.
fn schemes(headers: &HeaderMap, hop: usize) -> Schemes {
    let lines = headers.get_all(PROTO).iter().rev();
    let told = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
    let mut schemes = Schemes::default();
    for scheme in told.map(str::trim).take(hop + 1) {
        let is = |one: &str, tunnelled: &str| {
            scheme.eq_ignore_ascii_case(one) || scheme.eq_ignore_ascii_case(tunnelled)
        };
        schemes.at_the_hop = if is("https", "wss") {
            Some(true)
        } else if is("http", "ws") {
            Some(false)
        } else {
            None
        };
        schemes.any_https |= schemes.at_the_hop == Some(true);
    }
    schemes
}

/// A WebSocket or the like. HTTP/2 in the clear is another way of asking for a page.
fn asks_for_tunnel(headers: &HeaderMap) -> bool {
    let protocol = headers.get(UPGRADE).map(HeaderValue::as_bytes);
    protocol.is_some_and(|name| !name.to_ascii_lowercase().starts_with(b"h2"))
}

/// The last value of a header that proxies append to.
fn nearest(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let line = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    line.rsplit(',').next().map(str::trim)
}

/// An address, with or without port.
fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address = text.parse().ok().or_else(|| bare?.parse().ok());
    let address = address.or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()));
    address.map(|address| address.to_canonical())
}

/// A network of IPv4 addresses written as IPv6 (`::ffff:10.0.0.0/104`) is one of IPv4 addresses.
fn canonical_net(net: &IpNet) -> IpNet {
    let IpNet::V6(v6) = net else {
        return *net;
    };
    match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
        (Some(address), Some(length)) => Ipv4Net::new(address, length).map_or(*net, IpNet::V4),
        _ => *net,
    }
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        None => host.to_owned(),
        Some(port) => format!("{host}:{port}"),
    }
}

/// Whether the text is a host with an optional port, in the narrow form that no parser reads differently.
#[must_use]
pub(crate) fn is_host(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        return address.parse::<Ipv6Addr>().is_ok()
            && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (name, port) = match text.bytes().position(|byte| byte == b':') {
        Some(colon) => (&text[..colon], text.get(colon + 1..)),
        None => (text, None),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() <= 253 && are_labels(name) && port.is_none_or(is_port)
}

/// One pass, because every request has a host.
fn are_labels(name: &str) -> bool {
    let mut label = 0;
    for byte in name.bytes() {
        label = match byte {
            b'.' if label > 0 => 0,
            b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' if label < 63 => label + 1,
            _ => return false,
        };
    }
    label > 0
}

fn is_port(port: &str) -> bool {
    (1..=5).contains(&port.len())
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests;
