//! The public listener: workers that own client connections, and what they hand to the gateway.

mod accept;
mod activity;
mod certificate;
mod connection;
mod descriptors;
mod drain;
mod framing;
mod handshake;
mod header_blocks;
mod places;
mod prefixed_io;
mod quiet;
mod room;
mod signals;
mod streams;
pub(crate) mod supervisor;
mod timeouts;
mod tls;
mod unreadable;
mod watched_io;
mod windows;

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use socket2::{SockRef, TcpKeepalive};

use crate::body::Body as RequestBody;
use crate::config::http::Http;
use crate::session::Remembered;
use crate::telemetry::WorkerMetrics;
use connection::Server;
use drain::AcceptGuard;
use timeouts::Sweep;

pub(crate) use activity::OddHead;
pub(crate) use certificate::TlsError;
pub(crate) use descriptors::raise_limit;
pub(crate) use drain::{Drain, Phase};
pub(crate) use signals::Signals;
pub(crate) use timeouts::Timeouts;
pub(crate) use tls::Tls;
pub(crate) use unreadable::UnreadableHead;

/// Any error of a body.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What the gateway does with a request. One value per worker, never shared between threads, so it
/// needs neither `Send` nor locks.
pub(crate) trait Handler: 'static {
    /// The body of its responses.
    type Body: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Unpin + 'static;

    /// Answers one request. Dropped when the client leaves (`HTTP/2` reset, closed socket).
    /// A response that never ends by itself (SSE) carries [`Stream`] in its extensions.
    fn handle(
        &self,
        connection: &Rc<Connection>,
        request: http::Request<RequestBody>,
    ) -> impl Future<Output = http::Response<Self::Body>>;

    /// The answer when [`Handler::handle`] panicked; without one the connection is closed or the stream
    /// reset. Such a panic is counted and logged.
    fn answer_to_panic(&self) -> Option<http::Response<Self::Body>> {
        None
    }

    /// The answer to an HTTP/1 head that cannot be read; its body has to be there at once. Without one the HTTP library's
    /// bare answer goes out. The connection is closed afterwards.
    fn unreadable(
        &self,
        _connection: &Connection,
        _head: UnreadableHead,
    ) -> Option<http::Response<Self::Body>> {
        None
    }
}

/// Marks a response, by its extensions, as a stream: at a drain it ends after
/// `PROXY_SHUTDOWN_STREAM_TIMEOUT` instead of `PROXY_SHUTDOWN_TIMEOUT`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream;

/// Facts of one client connection.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The other side of the socket; IPv4 in IPv6 is unmapped.
    pub peer: SocketAddr,
    /// The peer's address as text, made once.
    pub peer_text: HeaderValue,
    /// The session of the last request, so that the next one finds it sooner.
    pub remembered: Remembered,
    /// Whether its first request is still to come.
    pub awaits_first: Cell<bool>,
    /// TLS ends here.
    pub tls: bool,
    /// What the connection speaks.
    pub protocol: Protocol,
    /// The process's drain: tunnels hold [`Drain::count`] and select on [`Drain::streams_end`].
    pub drain: Drain,
}

impl Connection {
    /// Whether this is the first time that it is asked.
    pub(crate) fn is_new(&self) -> bool {
        self.awaits_first.replace(false)
    }
}

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.0 or 1.1.
    Http1,
    /// HTTP/2, by ALPN or prior knowledge.
    Http2,
}

/// Everything workers share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    tls: Option<Arc<rustls::ServerConfig>>,
    timeouts: Timeouts,
    drain: Drain,
    places: places::Places,
    per_address: Option<Arc<accept::AddressLimit>>,
}

impl Shared {
    /// Public connections there may be.
    #[must_use]
    pub(crate) fn most_connections(config: &Http) -> usize {
        config
            .max_connections
            .unwrap_or_else(|| descriptors::limit() / 5 * 4)
    }

    /// What `config.workers` workers share; with `tls`, TLS ends here.
    #[must_use]
    pub(crate) fn new(config: &Http, tls: Option<Arc<rustls::ServerConfig>>, drain: Drain) -> Self {
        let most = Self::most_connections(config);
        Self {
            tls,
            timeouts: Timeouts {
                transfer: config.transfer_idle_timeout,
                ..Timeouts::default()
            },
            drain,
            places: places::Places::new(config.workers, most),
            per_address: config
                .max_connections_per_address
                .map(accept::AddressLimit::new),
        }
    }

    /// The same with other time limits.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }
}

/// Bytes that the system may keep for a client before they are sent (TCP_NOTSENT_LOWAT). What a slow line has taken is seen in
/// steps of half of it; without it the system keeps megabytes, and a line of 10 KiB/s seems to stand still for minutes.
const UNSENT: u32 = 64 * 1024;

/// An idle peer that is gone without a word is found by TCP.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// The public port: the socket that was handed over, else one that is bound here, without SO_REUSEPORT, so that a taken port is
/// an error and not a share of it. Workers get clones ([`TcpListener::try_clone`]).
///
/// # Errors
/// If the address cannot be bound.
pub(crate) fn listen(
    addr: SocketAddr,
    handed_over: Option<TcpListener>,
) -> io::Result<TcpListener> {
    let listener = handed_over.map_or_else(|| TcpListener::bind(addr), Ok)?;
    listener.set_nonblocking(true)?;
    // Accepted sockets inherit these, so that they cost nothing each.
    let socket = SockRef::from(&listener);
    socket.set_tcp_notsent_lowat(UNSENT)?;
    let keep_alive = TcpKeepalive::new()
        .with_time(KEEP_ALIVE)
        .with_interval(KEEP_ALIVE_INTERVAL);
    socket.set_tcp_keepalive(&keep_alive)?;
    Ok(listener)
}

/// Starts worker `index`: a thread with a runtime of its own that serves connections of `listener`
/// until the drain is over. `make_handler` runs on that thread, inside the runtime.
///
/// # Errors
/// If the thread or its runtime cannot be made.
pub(crate) fn spawn_worker<H: Handler>(
    index: usize,
    listener: TcpListener,
    shared: Shared,
    metrics: WorkerMetrics,
    make_handler: impl FnOnce() -> H + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    // From now on, not from the thread's first step: a drain that begins at once waits for the queue.
    let open = shared.drain.accepting();
    std::thread::Builder::new()
        .name(format!("worker-{index}"))
        .spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build_local(tokio::runtime::LocalOptions::default())
            {
                Ok(runtime) => runtime,
                Err(error) => {
                    tracing::error!(%error, index, "a worker could not start");
                    shared.drain.end();
                    return;
                }
            };
            runtime.block_on(async move {
                run_worker(index, listener, make_handler(), shared, metrics, open).await;
            });
        })
}

/// Serves connections of `listener` until the drain is over; needs a local runtime. Returns only then, as
/// tunnels outlive their connections but not the runtime.
async fn run_worker<H: Handler>(
    index: usize,
    listener: TcpListener,
    handler: H,
    shared: Shared,
    metrics: WorkerMetrics,
    open: AcceptGuard,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, index, "a worker cannot listen");
            shared.drain.end();
            return;
        }
    };
    let sweep = Sweep::new(shared.timeouts, metrics.clone(), shared.places.clone());
    let sweep = Rc::new(sweep);
    let server = Rc::new(Server::new(handler, metrics));
    let drain = shared.drain.clone();
    let accepting = accept::accept(index, listener, server, Rc::clone(&sweep), shared);
    tokio::task::spawn_local(async move {
        accepting.await;
        drop(open);
    });
    let drained = async {
        drain.begun().await;
        sweep.drain();
        drain.ending().await;
    };
    tokio::select! {
        () = sweep.run() => {}
        () = drained => {}
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "clients are blocking sockets on threads of the test"
)]
mod tests;
