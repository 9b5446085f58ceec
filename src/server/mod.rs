//! The public listener: workers that own client connections, and what they hand to the gateway.

mod drain;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;

use crate::telemetry::WorkerMetrics;

pub use drain::{Drain, OpenGuard, Phase};

/// Any error of a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What the gateway does with a request. One value per worker, never shared between threads, so it
/// needs neither `Send` nor locks.
pub trait Handler: 'static {
    /// The body of its responses.
    type Body: http_body::Body<Data = Bytes, Error: Into<BoxError>> + 'static;

    /// Answers one request. Dropped when the client leaves (`HTTP/2` reset, closed socket).
    /// A response that never ends by itself (SSE) carries [`Stream`] in its extensions.
    fn handle(
        &self,
        connection: &Rc<Connection>,
        request: http::Request<Incoming>,
    ) -> impl Future<Output = http::Response<Self::Body>>;
}

/// Marks a response, by its extensions, as a stream: at a drain it ends after
/// `PROXY_SHUTDOWN_STREAM_TIMEOUT` instead of `PROXY_SHUTDOWN_TIMEOUT`.
#[derive(Debug, Clone, Copy)]
pub struct Stream;

/// Facts of one client connection.
#[derive(Debug)]
pub struct Connection {
    /// Number of the connection in its worker.
    pub id: u64,
    /// The worker that owns it.
    pub worker: usize,
    /// The other side of the socket; IPv4 in IPv6 is unmapped.
    pub peer: SocketAddr,
    /// Our side of the socket.
    pub local: SocketAddr,
    /// TLS ends here.
    pub tls: bool,
    /// What the connection speaks.
    pub protocol: Protocol,
    /// The process's drain: tunnels hold [`Drain::count`] and select on [`Drain::streams_end`].
    pub drain: Drain,
}

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 or 1.1.
    Http1,
    /// HTTP/2, by ALPN or prior knowledge.
    Http2,
}

/// Everything workers share.
#[derive(Debug, Clone)]
pub struct Shared {
    /// TLS settings, if TLS ends here.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// The process's drain.
    pub drain: Drain,
    /// Connections one address may have open, over all workers.
    pub max_connections_per_address: Option<usize>,
}

/// How long a client may take (design.md 2, Times).
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// From accept to the first byte.
    pub first_byte: Duration,
    /// From a request's first byte to the end of its header.
    pub header: Duration,
    /// From a response's end to the next request's first byte.
    pub idle: Duration,
    /// From accept to the end of the TLS handshake.
    pub handshake: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(30),
            header: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            handshake: Duration::from_secs(10),
        }
    }
}

/// Binds the public port, without SO_REUSEPORT, so that a taken port is an error and not a share of it.
/// Workers get clones ([`TcpListener::try_clone`]).
///
/// # Errors
/// If the address cannot be bound.
pub fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(addr)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Starts worker `index`: a thread with a runtime of its own that serves connections of `listener`
/// until the drain is over. `make_handler` runs on that thread, inside the runtime.
///
/// # Errors
/// If the thread or its runtime cannot be made.
pub fn spawn_worker<H: Handler>(
    index: usize,
    listener: TcpListener,
    shared: Shared,
    metrics: WorkerMetrics,
    make_handler: impl FnOnce() -> H + Send + 'static,
) -> io::Result<JoinHandle<()>> {
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
                let handler = Rc::new(make_handler());
                run_worker(index, listener, handler, shared, metrics).await;
            });
        })
}

/// Serves connections of `listener` until the drain is over; needs a local runtime.
pub async fn run_worker<H: Handler>(
    _index: usize,
    _listener: TcpListener,
    _handler: Rc<H>,
    shared: Shared,
    _metrics: WorkerMetrics,
) {
    shared.drain.ending().await;
}
