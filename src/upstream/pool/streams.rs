//! HTTP/2 to one backend: requests are streams of one connection as long as it takes them, and of a second one beyond.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use http::header::{CONNECTION, HOST, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::backend::{Grant, Opened};
use super::lease::{Lease, Permit, Task};
use super::{BackendPool, Protocol, Wanted};
use crate::body::Body;
use crate::upstream::BackendFault;
use crate::upstream::connect::Transport;

/// Streams of one connection, whatever its backend would take. With [`STREAM_WINDOW`] it bounds what slow clients hold.
const MAX_STREAMS: usize = 100;

/// What a backend may send of one answer ahead of its client.
const STREAM_WINDOW: u32 = 256 * 1024;

/// So large that answers whose clients do not read never stop those of others.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS as u32;

/// An answer's head, counted as HTTP/2 counts it (RFC 9113 section 6.5.2): [`crate::headers::MAX_ANSWER_FIELDS`] of the usual
/// size, and a few that are long.
const HEAD: u32 = 128 * 1024;

/// A connection that is silent for this long is asked whether it lives, and has the second time to say so.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The HTTP/2 connections of one worker to one backend.
#[derive(Debug, Default)]
pub(super) struct Streams {
    connections: RefCell<Vec<Rc<StreamConnection>>>,
    /// Held while one is opened, so that requests that arrive together share it.
    opening: Mutex<()>,
    /// The backend chose HTTP/1.1, and is not asked again until then.
    http1_until: Cell<Option<Instant>>,
}

/// A connection that many requests share.
pub(super) struct StreamConnection {
    sender: SendRequest<Body>,
    driver: Driver,
    streams: Cell<usize>,
    idle_since: Cell<Instant>,
    old_at: Instant,
    served: Cell<bool>,
    _permit: Permit,
    _task: Task,
}

/// What moves a connection's bytes; it alone knows how many streams the backend takes. Empty once the connection has ended,
/// so that nobody waits for it.
#[derive(Clone)]
struct Driver(Rc<RefCell<Option<Http2>>>);

type Http2 = Connection<TokioIo<Transport>, Body, LocalExecutor>;

/// One stream, from its request to the end of its answer.
pub(in crate::upstream) struct StreamLease {
    sender: SendRequest<Body>,
    connection: Rc<StreamConnection>,
    reused: bool,
}

impl Streams {
    /// A stream of a connection that has room.
    pub(super) fn take(&self, fresh: bool) -> Option<StreamLease> {
        let now = Instant::now();
        let connections = self.connections.borrow();
        let connection = connections.iter().find(|one| one.has_room(now))?;
        Some(StreamLease::new(Rc::clone(connection), fresh))
    }

    fn enter(&self, connection: StreamConnection) -> StreamLease {
        let connection = Rc::new(connection);
        self.connections.borrow_mut().push(Rc::clone(&connection));
        StreamLease::new(connection, true)
    }

    /// Streams now, less the connections they are on, which are counted by themselves.
    pub(super) fn busy(&self) -> usize {
        let connections = self.connections.borrow();
        let beyond_one = |one: &Rc<StreamConnection>| one.streams.get().saturating_sub(1);
        connections.iter().map(beyond_one).sum()
    }

    /// Whether the backend is known to speak HTTP/1.1 only.
    pub(super) fn are_refused(&self) -> bool {
        let until = self.http1_until.get();
        until.is_some_and(|until| Instant::now() < until)
    }

    fn refused_for(&self, time: Duration) {
        self.http1_until.set(Some(Instant::now() + time));
    }

    /// Drops connections that are of no further use; streams that run hold theirs.
    pub(super) fn sweep(&self, now: Instant, idle_timeout: Duration) {
        let is_of_use = |one: &Rc<StreamConnection>| {
            let idle = one.streams.get() == 0
                && now.saturating_duration_since(one.idle_since.get()) > idle_timeout;
            !idle && one.is_usable(now)
        };
        let (kept, dropped) = self.connections.take().into_iter().partition(is_of_use);
        let dropped: Vec<_> = dropped;
        self.connections.replace(kept);
        // Reaches back into the pool, so nothing may be borrowed.
        drop(dropped);
    }

    pub(super) fn close(&self) {
        drop(self.connections.take());
    }
}

impl BackendPool {
    /// A stream of a new connection, or of one that somebody else has opened meanwhile. The backend may choose HTTP/1.1.
    pub(super) async fn open_streams(
        self: &Rc<Self>,
        streams: &Streams,
        wanted: Wanted,
    ) -> Result<Lease, BackendFault> {
        let only_one = streams.opening.lock().await;
        if let Some(lease) = streams.take(wanted == Wanted::Fresh) {
            return Ok(Lease::Stream(lease));
        }
        if streams.are_refused() {
            drop(only_one);
            return Box::pin(self.lease(wanted, Protocol::Http1)).await;
        }
        let permit = match self.permit(Wanted::Fresh) {
            Some(permit) => permit,
            None => match self.wait().await? {
                Grant::Permit(permit) => permit,
                Grant::Connection(connection) => connection.into_permit(),
            },
        };
        match self.open(permit, true).await? {
            Opened::Http2(connection) => Ok(Lease::Stream(streams.enter(connection))),
            Opened::Http1(connection) => {
                streams.refused_for(self.shared.limits.max_age);
                Ok(Lease::fresh(connection, Rc::clone(self)))
            }
        }
    }
}

impl StreamConnection {
    /// Greets a backend that chose HTTP/2, and waits for its greeting: that says how many streams it takes.
    pub(super) async fn greet(
        io: TokioIo<Transport>,
        backend: &str,
        old_at: Instant,
        permit: Permit,
    ) -> Result<Self, BackendFault> {
        let handshake = Builder::new(LocalExecutor)
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true)
            .adaptive_window(false)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(64 * 1024)
            .max_header_list_size(HEAD)
            .initial_max_send_streams(0)
            .handshake(io);
        let (sender, connection) = handshake
            .await
            .map_err(|error| BackendFault::Unreachable(error.to_string()))?;
        let driver = Driver(Rc::new(RefCell::new(Some(connection))));
        let task = tokio::task::spawn_local(driver.clone().run(backend.to_owned()));
        let task = Task::new(task.abort_handle());
        let greeted = tokio::time::timeout(PING_TIMEOUT, driver.greeted()).await;
        if greeted.is_err() || driver.limit() == 0 {
            return Err(BackendFault::Unreachable("no HTTP/2 greeting".to_owned()));
        }
        Ok(Self {
            sender,
            driver,
            streams: Cell::new(0),
            idle_since: Cell::new(Instant::now()),
            old_at,
            served: Cell::new(false),
            _permit: permit,
            _task: task,
        })
    }

    fn is_usable(&self, now: Instant) -> bool {
        self.sender.is_ready() && now < self.old_at
    }

    fn has_room(&self, now: Instant) -> bool {
        self.is_usable(now) && self.streams.get() < self.driver.limit()
    }
}

impl Driver {
    /// Streams that the backend takes at once; 0 before its greeting has come.
    fn limit(&self) -> usize {
        let connection = self.0.try_borrow();
        let told = connection.map(|known| known.as_ref().map(Http2::current_max_send_streams));
        told.ok().flatten().unwrap_or(0).min(MAX_STREAMS)
    }

    fn has_ended(&self) -> bool {
        self.0
            .try_borrow()
            .is_ok_and(|connection| connection.is_none())
    }

    async fn run(self, backend: String) {
        let ended = std::future::poll_fn(|cx| match &mut *self.0.borrow_mut() {
            Some(connection) => Pin::new(connection).poll(cx),
            None => Poll::Ready(Ok(())),
        });
        if let Err(error) = ended.await {
            tracing::debug!(backend, %error, "backend connection ended");
        }
        drop(self.0.take());
    }

    /// Waits for the backend's greeting, or the connection's end. The library tells nobody that it came, so it is looked for.
    async fn greeted(&self) {
        let mut pause = Duration::from_micros(250);
        while self.limit() == 0 && !self.has_ended() {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

impl StreamLease {
    /// `fresh`: the request is not to be sent once more if it fails.
    fn new(connection: Rc<StreamConnection>, fresh: bool) -> Self {
        connection.streams.set(connection.streams.get() + 1);
        let served = connection.served.replace(true);
        Self {
            sender: connection.sender.clone(),
            reused: served && !fresh,
            connection,
        }
    }

    pub(super) fn is_reused(&self) -> bool {
        self.reused
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub(super) fn send(
        &mut self,
        request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Body>>>> + use<> {
        self.sender.try_send_request(as_stream(request))
    }
}

impl Drop for StreamLease {
    fn drop(&mut self) {
        let streams = &self.connection.streams;
        streams.set(streams.get() - 1);
        self.connection.idle_since.set(Instant::now());
    }
}

/// The head of an HTTP/1.1 request as HTTP/2 has it (RFC 9113 sections 8.2.2 and 8.3.1).
fn as_stream(mut request: Request<Body>) -> Request<Body> {
    let headers = request.headers_mut();
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    let host = headers.remove(HOST);
    let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    if let Some(authority) = authority {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        (parts.scheme, parts.authority) = (Some(Scheme::HTTPS), Some(authority));
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    }
    *request.version_mut() = Version::HTTP_2;
    request
}

/// Runs the HTTP library's tasks on the worker's own thread.
#[derive(Debug, Clone, Copy)]
pub(in crate::upstream) struct LocalExecutor;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

impl fmt::Debug for StreamConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamConnection")
            .field("streams", &self.streams.get())
            .field("limit", &self.driver.limit())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for StreamLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.connection.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_loses_what_http_2_has_no_place_for() {
        let request = Request::put("/a%2Fb?c")
            .header(HOST, "files.example:8443")
            .header(TRANSFER_ENCODING, "chunked")
            .header(CONNECTION, "te")
            .header("te", "trailers")
            .header("x-access-token", "t")
            .body(Body::empty())
            .unwrap();
        let request = as_stream(request);
        assert_eq!(request.uri(), "https://files.example:8443/a%2Fb?c");
        let names: Vec<&str> = request
            .headers()
            .keys()
            .map(http::HeaderName::as_str)
            .collect();
        assert_eq!(names, ["x-access-token", "te"]);
    }
}
