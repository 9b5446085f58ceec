//! How settings name a gRPC server: a service of the registry, or an address in one of the forms that gRPC knows (docs/design/contract.md 1.1).

use super::{Endpoint, Place, Protocol, ServiceName};

/// What a setting such as `OC_REVA_GATEWAY` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Whoever registers under this name.
    Service(ServiceName),
    /// One place. A host name may have several addresses; whoever connects tries them in turn.
    Endpoint(Endpoint),
}

/// The port of a `dns:` name that has none.
const DEFAULT_PORT: u16 = 443;

impl Address {
    /// Reads `eu.opencloud.api.gateway`, `host:port`, `dns:[//resolver/]host[:port]`, `unix:path`, `unix:///path` and
    /// `kubernetes:///service.namespace:port`.
    ///
    /// # Errors
    /// What is wrong with the text, to be read after it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
        let endpoint = match scheme {
            "unix" => unix(rest)?,
            "dns" => tcp(after_authority(rest), Some(DEFAULT_PORT))?,
            // Within a cluster the name of a service is a name of its DNS.
            "kubernetes" => tcp(after_authority(rest), None)?,
            "" => return service(text),
            "http" | "https" => {
                return Err("is a URL; a gRPC server is named by host:port".to_owned());
            }
            _ => tcp(text, None)?,
        };
        Ok(Self::Endpoint(endpoint))
    }
}

fn service(text: &str) -> Result<Address, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if text.is_empty() || !text.chars().all(is_name) {
        return Err("is neither the name of a service nor an address".to_owned());
    }
    Ok(Address::Service(ServiceName::new(text)))
}

/// `//authority/rest` is `rest`; the authority names a resolver, and the system's is ours.
fn after_authority(rest: &str) -> &str {
    let Some(rest) = rest.strip_prefix("//") else {
        return rest;
    };
    let Some((authority, name)) = rest.split_once('/') else {
        // `kubernetes://service:port`, as some write it.
        return rest;
    };
    if name.is_empty() { authority } else { name }
}

fn unix(rest: &str) -> Result<Endpoint, String> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() {
        return Err("names no socket".to_owned());
    }
    Ok(Endpoint::unix(path))
}

fn tcp(text: &str, default_port: Option<u16>) -> Result<Endpoint, String> {
    let place = place(text, default_port)
        .ok_or_else(|| "has to end in host:port, with a port from 1 to 65535".to_owned())?;
    Ok(Endpoint {
        protocol: Protocol::Grpc,
        tls: false,
        place,
    })
}

/// `host:port`, `[v6]:port`; without a port only where there is a default.
pub(crate) fn place(text: &str, default_port: Option<u16>) -> Option<Place> {
    let (host, port) = match text.rsplit_once(':') {
        // The last colon of a bare IPv6 address is no port's.
        Some((host, _)) if host.contains(':') && !host.ends_with(']') => (text, None),
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let port = match port {
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => port.parse().ok()?,
        Some(_) => return None,
        None => default_port?,
    };
    let unbracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host = match unbracketed {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
        None if host.contains(':') => host.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
        None => host.to_owned(),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    let is_host = !host.is_empty() && host.len() <= 253 && host.chars().all(is_name);
    (is_host && port != 0).then_some(Place::Tcp { host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Option<String> {
        match Address::parse(text).ok()? {
            Address::Service(name) => Some(format!("service {name}")),
            Address::Endpoint(endpoint) => Some(endpoint.to_string()),
        }
    }

    #[test]
    fn every_form_of_a_grpc_target_is_read() {
        for (text, meaning) in [
            (
                "eu.opencloud.api.gateway",
                "service eu.opencloud.api.gateway",
            ),
            ("127.0.0.1:9142", "127.0.0.1:9142"),
            ("[::1]:9142", "[::1]:9142"),
            ("gateway:9142", "gateway:9142"),
            ("dns:gateway.example:9142", "gateway.example:9142"),
            ("dns:///gateway.example:9142", "gateway.example:9142"),
            ("dns://10.0.0.53/gateway.example", "gateway.example:443"),
            ("kubernetes:///gateway.files:9142", "gateway.files:9142"),
            ("kubernetes://gateway.files:9142/", "gateway.files:9142"),
            ("kubernetes:gateway.files:9142", "gateway.files:9142"),
            ("unix:/run/gateway.sock", "unix:/run/gateway.sock"),
            ("unix:///run/gateway.sock", "unix:/run/gateway.sock"),
            ("unix:gateway.sock", "unix:gateway.sock"),
        ] {
            assert_eq!(told(text).as_deref(), Some(meaning), "{text}");
        }
    }

    #[test]
    fn what_names_nothing_is_a_mistake() {
        for text in [
            "",
            "unix:",
            "dns:",
            "dns:///",
            "gateway:",
            "gateway:0",
            "gateway:+1",
            "gateway:65536",
            "gateway:http",
            "kubernetes:///gateway",
            "[gateway]:9142",
            "http://gateway:9142",
            "a b",
            "a/b:1",
        ] {
            assert_eq!(told(text), None, "{text}");
        }
    }
}
