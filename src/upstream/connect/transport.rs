//! The socket under a backend connection: counts what passes, and hears the backend out after it stopped reading.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

/// A socket to a backend.
///
/// A backend that refuses an upload answers and closes. Our next write fails then, but its answer waits in the socket
/// (F17 of hardening.md): a failed write is therefore kept back until reading has come to its end.
pub(in crate::upstream) struct Transport {
    stream: Stream,
    traffic: Arc<Traffic>,
    read_ended: bool,
}

enum Stream {
    Plain(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Bytes of one connection, to tell whether anything was sent or answered.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Traffic {
    read: AtomicU64,
    written: AtomicU64,
}

impl Traffic {
    /// Bytes the backend sent so far.
    pub(in crate::upstream) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes sent to the backend so far.
    pub(in crate::upstream) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Only the connection's own task writes, so no read-modify-write is needed.
    fn add(counter: &AtomicU64, bytes: usize) {
        counter.store(
            counter.load(Ordering::Relaxed) + bytes as u64,
            Ordering::Relaxed,
        );
    }
}

impl Transport {
    pub(super) fn plain(stream: TcpStream, traffic: Arc<Traffic>) -> Self {
        Self::of(Stream::Plain(stream), traffic)
    }

    pub(super) fn unix(stream: UnixStream, traffic: Arc<Traffic>) -> Self {
        Self::of(Stream::Unix(stream), traffic)
    }

    pub(super) fn tls(stream: TlsStream<TcpStream>, traffic: Arc<Traffic>) -> Self {
        Self::of(Stream::Tls(Box::new(stream)), traffic)
    }

    /// Whether the backend chose HTTP/2 (RFC 7301).
    pub(in crate::upstream) fn chose_http2(&self) -> bool {
        match &self.stream {
            Stream::Plain(_) | Stream::Unix(_) => false,
            Stream::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }

    fn of(stream: Stream, traffic: Arc<Traffic>) -> Self {
        Self {
            stream,
            traffic,
            read_ended: false,
        }
    }

    fn written(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Ready(Ok(bytes)) => {
                Traffic::add(&self.traffic.written, bytes);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) if self.must_hear_out(&error) => Poll::Pending,
            polled => polled,
        }
    }

    /// The reading side wakes the connection when it comes to its end.
    fn must_hear_out(&self, error: &io::Error) -> bool {
        !self.read_ended
            && matches!(
                error.kind(),
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
            )
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        if polled.is_ready() {
            let bytes = buf.filled().len() - before;
            Traffic::add(&this.traffic.read, bytes);
            this.read_ended |= bytes == 0;
        }
        polled
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        };
        this.written(polled)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = match (&mut this.stream, bufs) {
            // A plain send costs the kernel less than a list of one.
            (Stream::Plain(stream), [only]) => Pin::new(stream).poll_write(cx, only),
            (Stream::Plain(stream), several) => Pin::new(stream).poll_write_vectored(cx, several),
            (Stream::Unix(stream), bufs) => Pin::new(stream).poll_write_vectored(cx, bufs),
            (Stream::Tls(stream), bufs) => Pin::new(stream).poll_write_vectored(cx, bufs),
        };
        this.written(polled)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Unix(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        };
        match polled {
            Poll::Ready(Err(error)) if this.must_hear_out(&error) => Poll::Pending,
            polled => polled,
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
