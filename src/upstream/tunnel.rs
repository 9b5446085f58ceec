//! Upgraded connections: opaque bytes both ways, from the backend's 101 until either side, the session or the drain ends it.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::BackendFault;
use super::call::{Ends, TunnelEnd};
use super::exchange::Answer;
use crate::body::{Body, Outcome};
use crate::headers::clean_response;
use crate::telemetry::PoolCounters;

/// How long the sides have to take leave.
const FAREWELL: Duration = Duration::from_secs(1);

/// A client that asked for another protocol.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) protocol: HeaderValue,
    pub(super) client: OnUpgrade,
}

/// Whether a protocol may be asked for. Another HTTP inside a tunnel would go past routes, authentication and the
/// removal of headers, so `h2c`, `HTTP/x` and `TLS/x` are not.
pub(super) fn is_tunnelled(protocol: &HeaderValue) -> bool {
    protocol.as_bytes().split(|b| *b == b',').all(|member| {
        let member = member.trim_ascii().to_ascii_lowercase();
        !member.is_empty()
            && ![&b"h2"[..], b"h3", b"http", b"tls"]
                .iter()
                .any(|prefix| member.starts_with(prefix))
    })
}

/// Turns the backend's 101 into ours and starts copying once ours is out.
pub(super) fn open(
    answer: Answer,
    wish: Option<Wish>,
    ends: Ends<'_>,
    counters: Arc<PoolCounters>,
    on_end: Option<Box<dyn FnOnce(TunnelEnd)>>,
) -> Result<Response<Body>, BackendFault> {
    let Answer {
        mut response,
        exchange,
    } = answer;
    let Some(wish) = wish else {
        return Err(BackendFault::Malformed(
            "101 that nobody asked for".to_owned(),
        ));
    };
    let Some(protocol) = response.headers().get(UPGRADE).cloned() else {
        return Err(BackendFault::Malformed("101 without Upgrade".to_owned()));
    };
    if !is_one_of(protocol.as_bytes(), wish.protocol.as_bytes()) {
        return Err(BackendFault::Malformed(
            "101 to another protocol".to_owned(),
        ));
    }
    let backend = hyper::upgrade::on(&mut response);
    let ends = ends.fired();
    tokio::task::spawn_local(async move {
        counters.tunnels.fetch_add(1, Ordering::Relaxed);
        let end = run(wish.client, backend, ends).await;
        counters.tunnels.fetch_sub(1, Ordering::Relaxed);
        // The connection's place in the pool is taken until here.
        exchange.finish(false);
        if let Some(on_end) = on_end {
            on_end(end);
        }
    });
    let (mut parts, _) = response.into_parts();
    clean_response(parts.status, &mut parts.headers);
    parts
        .headers
        .insert(CONNECTION, HeaderValue::from_static("upgrade"));
    parts.headers.insert(UPGRADE, protocol);
    parts.status = StatusCode::SWITCHING_PROTOCOLS;
    Ok(Response::from_parts(parts, Body::empty()))
}

fn is_one_of(chosen: &[u8], offered: &[u8]) -> bool {
    offered.split(|b| *b == b',').any(|member| {
        member
            .trim_ascii()
            .eq_ignore_ascii_case(chosen.trim_ascii())
    })
}

async fn run(
    client: OnUpgrade,
    backend: OnUpgrade,
    mut ends: Vec<Pin<Box<WaitForCancellationFutureOwned>>>,
) -> TunnelEnd {
    let received = Rc::new(Cell::new(0));
    let sent = Rc::new(Cell::new(0));
    let ended = std::future::poll_fn(|cx| {
        let fired = ends.iter_mut().any(|end| end.as_mut().poll(cx).is_ready());
        if fired {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    let outcome = async {
        let (Ok(client), Ok(backend)) = tokio::join!(client, backend) else {
            return Outcome::Cut;
        };
        let mut client = Counted::new(TokioIo::new(client), Rc::clone(&received));
        let mut backend = Counted::new(TokioIo::new(backend), Rc::clone(&sent));
        let copied = tokio::select! {
            copied = tokio::io::copy_bidirectional(&mut client, &mut backend) => Some(copied),
            () = ended => None,
        };
        let outcome = match copied {
            Some(Ok(_)) => return Outcome::Complete,
            Some(Err(_)) => Outcome::Cut,
            None => Outcome::Dropped,
        };
        // A side that does not listen any more must not keep the tunnel.
        let farewell = async {
            let _ = tokio::join!(client.shutdown(), backend.shutdown());
        };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
        outcome
    }
    .await;
    TunnelEnd {
        received: received.get(),
        sent: sent.get(),
        outcome,
    }
}

/// Counts what is read, also when the copying is cancelled.
struct Counted<T> {
    inner: T,
    read: Rc<Cell<u64>>,
}

impl<T> Counted<T> {
    fn new(inner: T, read: Rc<Cell<u64>>) -> Self {
        Self { inner, read }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Counted<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        let bytes = buf.filled().len() - before;
        self.read.set(self.read.get() + bytes as u64);
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Counted<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
