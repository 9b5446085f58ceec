//! TCP and TLS to backends, and the names behind them.

mod tls;
mod transport;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::BackendFault;
use crate::body::Traffic;
use crate::config::http::Upstream;
use crate::model::{Endpoint, Place};
use crate::trust::CaFileError;

pub(super) use transport::Transport;

/// How long an answer of the name service is used.
const NAME_TTL: Duration = Duration::from_secs(30);

/// Bytes that may wait encrypted for a backend that does not read.
const TLS_AHEAD: usize = 32 * 1024;

/// Opens connections. Made once, cloned into each worker.
#[derive(Clone)]
pub(crate) struct Connector {
    control: Handle,
    tls: Arc<rustls::ClientConfig>,
    /// The same, but offers HTTP/2; only where that is wanted.
    tls_http2: Option<Arc<rustls::ClientConfig>>,
    connect_timeout: Duration,
    handshake_timeout: Duration,
    keep_alive: Duration,
}

/// Why backends cannot be connected to at all: a configuration error.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// The file of certificate authorities cannot be used.
    #[error("backend_https_cacert (PROXY_HTTPS_CACERT): {0}")]
    CaFile(#[from] CaFileError),
    /// TLS cannot be set up.
    #[error("TLS to backends: {0}")]
    Tls(#[from] rustls::Error),
}

/// The addresses of one worker's backends, as last heard.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: RefCell<HashMap<(String, u16), KnownName>>,
}

#[derive(Debug, Clone)]
struct KnownName {
    addresses: Rc<[SocketAddr]>,
    until: Instant,
}

/// What a connection is made over.
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Connector {
    /// Reads the trusted certificates. Names are looked up on `control`, because the system's resolver blocks.
    ///
    /// # Errors
    /// See [`ConnectorError`].
    pub(crate) fn new(settings: &Upstream, control: Handle) -> Result<Self, ConnectorError> {
        let tls = tls::client_config(settings)?;
        Ok(Self {
            control,
            tls_http2: settings
                .http2
                .then(|| Arc::new(tls::with_http2(tls.clone()))),
            tls: Arc::new(tls),
            connect_timeout: settings.connect_timeout,
            handshake_timeout: settings.tls_handshake_timeout,
            keep_alive: settings.keep_alive,
        })
    }

    /// Whether HTTP/2 is offered to backends with TLS.
    pub(super) fn speaks_http2(&self) -> bool {
        self.tls_http2.is_some()
    }

    /// A connection to a backend's endpoint, TLS included. `http2`: offered, if there is TLS.
    pub(super) async fn connect(
        &self,
        endpoint: &Endpoint,
        names: &Names,
        http2: bool,
        traffic: Arc<Traffic>,
    ) -> Result<TokioIo<Transport>, BackendFault> {
        let socket = tokio::time::timeout(self.connect_timeout, self.socket(endpoint, names))
            .await
            .map_err(|_| BackendFault::Timeout(self.connect_timeout))?
            .map_err(|error| BackendFault::Unreachable(error.to_string()))?;
        if let Socket::Tcp(tcp) = &socket
            && let (Ok(ours), Ok(theirs)) = (tcp.local_addr(), tcp.peer_addr())
        {
            traffic.outlet.is_between(ours, theirs);
        }
        let tcp = match socket {
            Socket::Tcp(tcp) if endpoint.tls => tcp,
            Socket::Tcp(tcp) => return Ok(TokioIo::new(Transport::plain(tcp, traffic))),
            Socket::Unix(unix) => return Ok(TokioIo::new(Transport::unix(unix, traffic))),
        };
        let host = endpoint.host().unwrap_or_default();
        let name = tls::server_name(host).map_err(BackendFault::Unreachable)?;
        let tls = self
            .tls_http2
            .as_ref()
            .filter(|_| http2)
            .unwrap_or(&self.tls);
        let bounded = |session: &mut rustls::ClientConnection| {
            session.set_buffer_limit(Some(TLS_AHEAD));
        };
        let handshake = TlsConnector::from(Arc::clone(tls)).connect_with(name, tcp, bounded);
        let stream = tokio::time::timeout(self.handshake_timeout, handshake)
            .await
            .map_err(|_| BackendFault::Timeout(self.handshake_timeout))?
            .map_err(|error| BackendFault::Unreachable(format!("TLS: {error}")))?;
        Ok(TokioIo::new(Transport::tls(stream, traffic)))
    }

    async fn socket(&self, endpoint: &Endpoint, names: &Names) -> io::Result<Socket> {
        match &endpoint.place {
            Place::Tcp { host, port } => self.tcp(host, *port, names).await.map(Socket::Tcp),
            Place::Unix(path) => UnixStream::connect(path).await.map(Socket::Unix),
        }
    }

    async fn tcp(&self, host: &str, port: u16, names: &Names) -> io::Result<TcpStream> {
        let mut last = None;
        for address in self.addresses(host, port, names).await?.iter() {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    if !self.keep_alive.is_zero() {
                        let keep_alive = TcpKeepalive::new()
                            .with_time(self.keep_alive)
                            .with_interval(self.keep_alive);
                        SockRef::from(&stream).set_tcp_keepalive(&keep_alive)?;
                    }
                    return Ok(stream);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no address")))
    }

    async fn addresses(
        &self,
        host: &str,
        port: u16,
        names: &Names,
    ) -> io::Result<Rc<[SocketAddr]>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(Rc::new([SocketAddr::new(address, port)]));
        }
        let key = (host.to_owned(), port);
        let known = names.known.borrow().get(&key).cloned();
        if let Some(known) = &known
            && known.until > Instant::now()
        {
            return Ok(Rc::clone(&known.addresses));
        }
        let (host, port) = key.clone();
        let lookup = self.control.spawn_blocking(move || {
            (host.as_str(), port)
                .to_socket_addrs()
                .map(Iterator::collect::<Vec<_>>)
        });
        match (lookup.await.map_err(io::Error::other)?, known) {
            (Ok(found), _) if !found.is_empty() => {
                let addresses: Rc<[SocketAddr]> = found.into();
                let entry = KnownName {
                    addresses: Rc::clone(&addresses),
                    until: Instant::now() + NAME_TTL,
                };
                names.known.borrow_mut().insert(key, entry);
                Ok(addresses)
            }
            // A hiccup of the name service does not take a backend away whose address was known a moment ago.
            (_, Some(known)) => Ok(known.addresses),
            (Ok(_), None) => Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the name has no address",
            )),
            (Err(error), None) => Err(error),
        }
    }
}

impl Names {
    /// Forgets names that were not asked for lately.
    pub(super) fn sweep(&self, now: Instant) {
        self.known
            .borrow_mut()
            .retain(|_, known| now.saturating_duration_since(known.until) < 10 * NAME_TTL);
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector")
            .field("connect_timeout", &self.connect_timeout)
            .field("handshake_timeout", &self.handshake_timeout)
            .field("keep_alive", &self.keep_alive)
            .finish_non_exhaustive()
    }
}
