//! What stands behind a name: a service as the registry knows it, and one address where a node of it answers.

use std::borrow::Borrow;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// The name of a service as it registers, `eu.opencloud.web.graph`. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceName(Arc<str>);

impl ServiceName {
    /// A name as it is written.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// Where the name lies in memory: the same for clones, and nobody else's while one of them lives.
    #[must_use]
    pub fn address(&self) -> usize {
        self.0.as_ptr().addr()
    }

    /// Whether nobody else has a clone of it.
    #[must_use]
    pub fn is_last(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for ServiceName {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

/// Maps of names are searched by text.
impl Borrow<str> for ServiceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What an endpoint speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// HTTP.
    Http,
    /// gRPC.
    Grpc,
}

/// Where an endpoint is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A host name or address without brackets, and a port.
    Tcp {
        /// Host.
        host: String,
        /// Port.
        port: u16,
    },
    /// A socket in the file system.
    Unix(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// One node of a service. Two nodes at one place are the same endpoint: a restarted process registers under a new id beside its
/// old one, and both mean its one address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// What it speaks.
    pub protocol: Protocol,
    /// Over TLS, by the node's own word. Nodes of gRPC never say so; there the client's setting counts.
    pub tls: bool,
    /// Where.
    pub place: Place,
}

impl Endpoint {
    /// An endpoint on a port of this machine.
    #[must_use]
    pub fn local(protocol: Protocol, port: u16) -> Self {
        Self::tcp(protocol, "127.0.0.1", port)
    }

    /// An endpoint on a port, without TLS.
    #[must_use]
    pub fn tcp(protocol: Protocol, host: &str, port: u16) -> Self {
        let host = host.to_owned();
        Self {
            protocol,
            tls: false,
            place: Place::Tcp { host, port },
        }
    }

    /// A gRPC endpoint on a socket.
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self {
            protocol: Protocol::Grpc,
            tls: false,
            place: Place::Unix(path.into()),
        }
    }

    /// As `Host` names it: without the scheme's own port.
    #[must_use]
    pub fn authority(&self) -> String {
        match (&self.place, self.tls) {
            (Place::Tcp { host, port: 443 }, true) | (Place::Tcp { host, port: 80 }, false) => {
                if host.contains(':') {
                    format!("[{host}]")
                } else {
                    host.clone()
                }
            }
            (Place::Tcp { .. }, _) => self.place.to_string(),
            (Place::Unix(_), _) => "localhost".to_owned(),
        }
    }

    /// The host that certificates and `Host` may name; none for a socket.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match &self.place {
            Place::Tcp { host, .. } => Some(host),
            Place::Unix(_) => None,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_told_as_a_person_would_write_it() {
        let told = |endpoint: Endpoint| endpoint.to_string();
        assert_eq!(
            told(Endpoint::local(Protocol::Http, 9120)),
            "127.0.0.1:9120"
        );
        assert_eq!(
            told(Endpoint::tcp(Protocol::Grpc, "::1", 9142)),
            "[::1]:9142"
        );
        let socket = Endpoint::unix("/run/gateway.sock");
        assert_eq!(told(socket), "unix:/run/gateway.sock");
    }
}
