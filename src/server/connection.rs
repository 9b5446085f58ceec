//! One client connection: handshake, HTTP/1 or 2, the requests, and how it ends.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use http::{HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::activity::{InFlight, Stage};
use super::head_lines::HeadLines;
use super::prefixed_io::Prefixed;
use super::timeouts::{Command, Entry};
use super::windows::{self, Windows};
use super::{BoxError, Connection, Handler, Protocol, Stream};
use crate::model::Reason;
use crate::telemetry::WorkerMetrics;

/// What the HTTP library reads of a head, request line included, before it answers 414 or 431 itself. The limits that
/// clients are told of are smaller and the pipeline's (design.md 2, Sizes): its answers say why, and carry a request id.
const HEAD_HTTP1: usize = 128 * 1024;

/// The same for HTTP/2, which counts 32 bytes more for each field (RFC 9113 section 6.5.2). Not larger: the library has no
/// answer to a target that is too long for it but a reset.
const HEAD_HTTP2: u32 = 68 * 1024;

/// What serving a connection needs, one per worker.
#[derive(Debug)]
pub(super) struct Server<H> {
    pub(super) handler: H,
    pub(super) metrics: WorkerMetrics,
    http1: http1::Builder,
    http2: http2::Builder<LocalExecutor>,
    windows: Windows,
}

impl<H: Handler> Server<H> {
    pub(super) fn new(handler: H, metrics: WorkerMetrics) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            // Ours are swept (timeouts.rs); hyper's needs a timer per request.
            .header_read_timeout(None)
            // The read buffer itself may grow to hyper's 400 KiB: that is what makes uploads cheap.
            .max_header_size(HEAD_HTTP1)
            .half_close(false)
            .ignore_invalid_headers(false)
            .pipeline_flush(false);
        let mut http2 = http2::Builder::new(LocalExecutor);
        http2
            .timer(TokioTimer::new())
            .keep_alive_interval(std::time::Duration::from_secs(30))
            .keep_alive_timeout(std::time::Duration::from_secs(10))
            .max_concurrent_streams(100)
            .max_pending_accept_reset_streams(20)
            .max_local_error_reset_streams(256)
            .max_header_list_size(HEAD_HTTP2)
            .initial_connection_window_size(windows::CONNECTION)
            .max_frame_size(16 * 1024)
            .max_send_buf_size(64 * 1024);
        Self {
            handler,
            metrics,
            http1,
            http2,
            windows: Windows::default(),
        }
    }

    /// Serves a connection whose TLS handshake is over, or that has none, until it is closed or upgraded.
    pub(super) async fn serve<I>(
        self: Rc<Self>,
        io: I,
        mut facts: Connection,
        alpn: Option<Protocol>,
        entry: &Rc<Entry>,
    ) -> Result<(), BoxError>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut io = Prefixed::new(io);
        let lines = HeadLines::new(Arc::clone(&entry.activity));
        facts.protocol = match alpn {
            Some(protocol) => protocol,
            None => io.sniff().await?,
        };
        let of_service = Rc::clone(entry);
        let protocol = facts.protocol;
        let facts = Rc::new(facts);
        let (server, of_answers) = (Rc::clone(&self), Rc::clone(&facts));
        // The library keeps room for one answer's future as long as the connection lives; boxed, an idle one holds none.
        let service = service_fn(move |request: Request<Incoming>| {
            let (server, facts) = (Rc::clone(&server), Rc::clone(&of_answers));
            Box::pin(server.answer(facts, request, Rc::clone(&of_service)))
        });
        // Boxed apart, so that an HTTP/1 connection does not pay for the size of an HTTP/2 one.
        match protocol {
            Protocol::Http1 => {
                entry.activity.enter(Stage::Http1);
                io.lines = Some(lines);
                let connection = self
                    .http1
                    .serve_connection(TokioIo::new(io), service)
                    .with_upgrades();
                let unreadable = || self.answer_unreadable(&facts, entry);
                let served = drive(Box::pin(connection), entry, unreadable).await;
                // What an upgraded socket carries from here on is nobody's answer.
                entry.activity.unreadable.give::<H::Body>(None);
                served?;
            }
            Protocol::Http2 => {
                entry.activity.enter(Stage::Http2);
                let window = self.windows.open();
                let mut http2 = self.http2.clone();
                http2.initial_stream_window_size(window.stream());
                let connection = http2.serve_connection(TokioIo::new(io), service);
                drive(Box::pin(connection), entry, || false).await?;
            }
        }
        Ok(())
    }

    /// The answer in place of the HTTP library's bare one, if the socket has held one back.
    fn answer_unreadable(&self, connection: &Rc<Connection>, entry: &Entry) -> bool {
        let answer = &entry.activity.unreadable;
        let Some(head) = answer.wanted() else {
            return false;
        };
        answer.give(self.handler.unreadable(connection, head));
        true
    }

    async fn answer(
        self: Rc<Self>,
        connection: Rc<Connection>,
        mut request: Request<Incoming>,
        entry: Rc<Entry>,
    ) -> Result<Response<TrackedBody<H::Body>>, BoxError> {
        if let Some(odd) = entry.activity.take_odd_head() {
            request.extensions_mut().insert(odd);
        }
        let in_flight = entry.activity.request(!request.body().is_end_stream());
        // The handler's state is per request; what workers share is atomics and channels, which a panic cannot
        // leave half-changed.
        let handled = AssertUnwindSafe(self.handler.handle(&connection, request));
        let answered = handled.catch_unwind().await;
        let mut response = match answered {
            Ok(response) => response,
            Err(_) => {
                self.metrics.panicked();
                tracing::error!(reason = %Reason::Internal, "a request's handler panicked");
                // Without an answer of the handler's, hyper closes the connection or resets the stream.
                self.handler
                    .answer_to_panic()
                    .ok_or("a request's handler panicked")?
            }
        };
        let is_last = entry.command() != Command::GoOn
            && connection.protocol == Protocol::Http1
            && response.status() != http::StatusCode::SWITCHING_PROTOCOLS;
        if is_last {
            response
                .headers_mut()
                .insert(http::header::CONNECTION, HeaderValue::from_static("close"));
        }
        let is_stream = response.extensions_mut().remove::<Stream>().is_some();
        Ok(response.map(|body| TrackedBody {
            body,
            ends: is_stream.then(|| Box::pin(connection.drain.streams_end().cancelled_owned())),
            _in_flight: in_flight,
        }))
    }
}

/// Runs a connection and passes the drain on to it. `has_answered`: whether what its socket was waiting for is there now.
async fn drive<C: Graceful>(
    mut connection: Pin<Box<C>>,
    entry: &Entry,
    has_answered: impl Fn() -> bool,
) -> hyper::Result<()> {
    let mut told = false;
    std::future::poll_fn(|cx| {
        // Polled first, so that a request that has already come in is seen before the drain; a header
        // that is half here belongs to a request that will be answered, too.
        let mut over = connection.as_mut().poll(cx);
        if over.is_pending() && has_answered() {
            over = connection.as_mut().poll(cx);
        }
        let drains = entry.command() == Command::Drain && !entry.activity.is_mid_header();
        if over.is_pending() && drains && !told {
            told = true;
            connection.as_mut().shut_down();
            over = connection.as_mut().poll(cx);
        }
        over
    })
    .await
}

/// The two protocols' connections, as far as [`drive`] needs them.
trait Graceful: Future<Output = hyper::Result<()>> {
    /// HTTP/1: the running request is the last. HTTP/2: GOAWAY.
    fn shut_down(self: Pin<&mut Self>);
}

impl<I, S, B> Graceful for http1::UpgradeableConnection<I, S>
where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<BoxError>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    fn shut_down(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S, B> Graceful for http2::Connection<I, S, LocalExecutor>
where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<BoxError>,
    S::Future: 'static,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
    B: Body + 'static,
    B::Error: Into<BoxError>,
{
    fn shut_down(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Spawns HTTP/2 streams on the worker's own thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct LocalExecutor;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// A response's body that keeps its request counted, and ends a stream when the drain says so.
#[derive(Debug)]
pub(super) struct TrackedBody<B> {
    body: B,
    ends: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    _in_flight: InFlight,
}

impl<B: Body + Unpin> Body for TrackedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if let Some(ends) = &mut self.ends
            && ends.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
