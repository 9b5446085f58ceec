//! One client connection: handshake, HTTP/1 or 2, the requests, and how it ends.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
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
use super::framing::Framing;
use super::header_blocks::HeaderBlocks;
use super::prefixed_io::{Heads, Prefixed};
use super::streams::{OpenStream, StreamExecutor};
use super::timeouts::{Command, Entry};
use super::windows::{self, Windows};
use super::{BoxError, Connection, Handler, Protocol, Stream};
use crate::body::{Body as RequestBody, Pulse};
use crate::model::Reason;
use crate::telemetry::WorkerMetrics;

/// What the HTTP library reads of a head, request line included, before it answers 414 or 431 itself. The limits that
/// clients are told of are smaller and the pipeline's (docs/design/design.md 2, Sizes): its answers say why, and carry a request id.
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
    http2: http2::Builder<StreamExecutor>,
    streams: StreamExecutor,
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
            .max_headers(crate::headers::MAX_FIELDS)
            .half_close(false)
            .ignore_invalid_headers(false)
            .pipeline_flush(false);
        let streams = StreamExecutor::default();
        let mut http2 = http2::Builder::new(streams.clone());
        http2
            // Without the library's pings: behind data that a slow line still has to carry, their answer is late. What rests
            // is ended by the sweep, and a peer that is gone by TCP (`listen`).
            .timer(TokioTimer::new())
            .keep_alive_interval(None)
            .max_concurrent_streams(windows::STREAMS)
            // As many as a client may have, so that leaving a page with all its requests is no attack.
            .max_pending_accept_reset_streams(windows::STREAMS as usize)
            .max_local_error_reset_streams(256)
            .max_header_list_size(HEAD_HTTP2)
            .max_frame_size(16 * 1024)
            .max_send_buf_size(64 * 1024);
        Self {
            handler,
            metrics,
            http1,
            http2,
            streams,
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
        facts.protocol = match alpn {
            Some(protocol) => protocol,
            None => io.sniff().await?,
        };
        let protocol = facts.protocol;
        let facts = Rc::new(facts);
        // The library keeps room for one answer's future as long as the connection lives; boxed, an idle one holds none.
        let (server, of_answers, of_service) =
            (Rc::clone(&self), Rc::clone(&facts), Rc::clone(entry));
        let answer = move |request, pulse, stream| {
            let (server, facts) = (Rc::clone(&server), Rc::clone(&of_answers));
            Box::pin(server.answer(facts, request, pulse, stream, Rc::clone(&of_service)))
        };
        // Boxed apart, so that an HTTP/1 connection does not pay for the size of an HTTP/2 one.
        match protocol {
            Protocol::Http1 => {
                entry.activity.enter(Stage::Http1);
                io.heads = Heads::Http1(Framing::new(Arc::clone(&entry.activity)));
                let pulse = Rc::<Pulse>::default();
                entry.watch(Rc::clone(&pulse));
                let answer = Rc::new(answer);
                loop {
                    let (answer, of_service) = (Rc::clone(&answer), Rc::clone(&pulse));
                    let service = service_fn(move |request: Request<Incoming>| {
                        of_service.begins();
                        answer(request, Rc::clone(&of_service), None)
                    });
                    let connection = self
                        .http1
                        .serve_connection(TokioIo::new(io), service)
                        .with_upgrades();
                    let mut connection = Box::pin(connection);
                    let unreadable = || self.answer_unreadable(&facts, entry);
                    let may_rest = || entry.is_to_rest() && pulse.is_over();
                    let served = drive(&mut connection, entry, unreadable, may_rest).await;
                    if let Driven::Ended(served) = served {
                        // What an upgraded socket carries from here on is nobody's answer.
                        entry.activity.unreadable.give::<H::Body>(None);
                        entry.activity.is_opaque_now();
                        served?;
                        break;
                    }
                    let Some(parts) = Pin::into_inner(connection).into_parts() else {
                        break;
                    };
                    io = parts.io.into_inner();
                    entry.rests(true);
                    let is_over = !io.rest(parts.read_buf, || entry.command()).await?;
                    entry.rests(false);
                    if is_over {
                        break;
                    }
                }
            }
            Protocol::Http2 => {
                entry.activity.enter(Stage::Http2);
                io.heads = Heads::Http2(HeaderBlocks::new(Arc::clone(&entry.activity)));
                let window = self.windows.open();
                let mut http2 = self.http2.clone();
                http2
                    .initial_stream_window_size(window.stream())
                    .initial_connection_window_size(window.connection());
                let (streams, of_service) = (self.streams.clone(), Rc::clone(entry));
                let service = service_fn(move |request: Request<Incoming>| {
                    let stream = OpenStream::begins(&of_service);
                    let pulse = Rc::clone(&stream.pulse);
                    streams.next_is(Rc::clone(&pulse));
                    answer(request, pulse, Some(stream))
                });
                let connection = http2.serve_connection(TokioIo::new(io), service);
                let mut connection = Box::pin(connection);
                let served = drive(&mut connection, entry, || false, || false).await;
                if let Driven::Ended(served) = served {
                    served?;
                }
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
        pulse: Rc<Pulse>,
        stream: Option<OpenStream>,
        entry: Rc<Entry>,
    ) -> Result<Response<TrackedBody<H::Body>>, BoxError> {
        if let Some(odd) = entry.activity.take_odd_head() {
            request.extensions_mut().insert(odd);
        }
        let in_flight = entry.activity.request(!request.body().is_end_stream());
        let request = request.map(|body| RequestBody::of_request(body, Rc::clone(&pulse)));
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
        entry.activity.is_answered(response.status());
        let is_stream = response.extensions_mut().remove::<Stream>().is_some();
        if is_stream {
            pulse.is_patient();
        }
        pulse.comes_down(!response.body().is_end_stream());
        Ok(response.map(|body| TrackedBody {
            body,
            ends: is_stream.then(|| Box::pin(connection.drain.streams_end().cancelled_owned())),
            rest: Bytes::new(),
            pulse,
            in_flight,
            stream,
        }))
    }
}

/// Why [`drive`] came back.
enum Driven {
    Ended(hyper::Result<()>),
    /// Nothing is under way, and has not been for a while.
    Rests,
}

/// Runs a connection and passes the drain on to it. `has_answered`: whether what its socket was waiting for is there now;
/// `may_rest`: whether it may be taken apart until something comes.
async fn drive<C: Graceful>(
    connection: &mut Pin<Box<C>>,
    entry: &Entry,
    has_answered: impl Fn() -> bool,
    may_rest: impl Fn() -> bool,
) -> Driven {
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
        match over {
            Poll::Ready(ended) => Poll::Ready(Driven::Ended(ended)),
            Poll::Pending if !told && may_rest() => Poll::Ready(Driven::Rests),
            Poll::Pending => Poll::Pending,
        }
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

impl<I, S, B> Graceful for http2::Connection<I, S, StreamExecutor>
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

/// Bytes of one piece of a stream's answer: as much as one frame has. That its client takes them is seen piece by piece.
const STREAM_PIECE: usize = 16 * 1024;

/// A response's body that keeps its request counted, gives out as much as is taken, and ends a stream when the drain says so.
#[derive(Debug)]
pub(super) struct TrackedBody<B> {
    body: B,
    ends: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    /// Of a piece that is too large for an HTTP/2 stream.
    rest: Bytes,
    pulse: Rc<Pulse>,
    in_flight: InFlight,
    stream: Option<OpenStream>,
}

impl<B> TrackedBody<B> {
    /// What of a piece goes out now.
    fn piece(&mut self, mut data: Bytes) -> Frame<Bytes> {
        self.pulse.moves();
        if self.stream.is_none() {
            self.in_flight.outlet().is_given(data.len());
        } else if data.len() > STREAM_PIECE {
            self.rest = data.split_off(STREAM_PIECE);
        }
        Frame::data(data)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for TrackedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(ends) = &mut self.ends
            && ends.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(None);
        }
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            return Poll::Ready(Some(Ok(self.piece(rest))));
        }
        if self.stream.is_none() {
            ready!(self.in_flight.outlet().poll_room(cx));
        }
        let polled = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(polled.map(|frame| {
            frame.map(|frame| match frame.into_data() {
                Ok(data) => self.piece(data),
                Err(trailers) => trailers,
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for TrackedBody<B> {
    fn drop(&mut self) {
        self.pulse.comes_down(false);
    }
}
