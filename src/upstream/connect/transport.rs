//! The socket under a backend connection: counts what passes, and hears the backend out after it stopped reading.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf, Take};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use crate::body::{Traffic, reads};

/// A socket to a backend.
///
/// A backend that refuses an upload answers and closes. Our next write fails then, but its answer waits in the socket
/// (F17 of docs/design/hardening.md): a failed write is therefore kept back until reading has come to its end.
pub(in crate::upstream) struct Transport {
    stream: Stream,
    traffic: Arc<Traffic>,
    read_ended: bool,
}

enum Stream {
    Plain(Take<TcpStream>),
    Unix(Take<UnixStream>),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    pub(super) fn plain(stream: TcpStream, traffic: Arc<Traffic>) -> Self {
        Self::of(Stream::Plain(stream.take(u64::MAX)), traffic)
    }

    pub(super) fn unix(stream: UnixStream, traffic: Arc<Traffic>) -> Self {
        Self::of(Stream::Unix(stream.take(u64::MAX)), traffic)
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
        self.traffic.outlet.was_tried(polled.is_ready());
        match polled {
            Poll::Ready(Ok(bytes)) => {
                self.traffic.has_written(bytes);
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
            Stream::Plain(stream) => reads::poll(stream, cx, buf),
            Stream::Unix(stream) => reads::poll(stream, cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        if polled.is_ready() {
            let bytes = buf.filled().len() - before;
            this.traffic.has_read(bytes);
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
            Stream::Plain(stream) => Pin::new(stream.get_mut()).poll_write(cx, buf),
            Stream::Unix(stream) => Pin::new(stream.get_mut()).poll_write(cx, buf),
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
            (Stream::Plain(stream), [only]) => Pin::new(stream.get_mut()).poll_write(cx, only),
            (Stream::Plain(stream), several) => {
                Pin::new(stream.get_mut()).poll_write_vectored(cx, several)
            }
            (Stream::Unix(stream), bufs) => {
                Pin::new(stream.get_mut()).poll_write_vectored(cx, bufs)
            }
            (Stream::Tls(stream), bufs) => Pin::new(stream).poll_write_vectored(cx, bufs),
        };
        this.written(polled)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.get_ref().is_write_vectored(),
            Stream::Unix(stream) => stream.get_ref().is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = match &mut this.stream {
            Stream::Plain(stream) => Pin::new(stream.get_mut()).poll_flush(cx),
            Stream::Unix(stream) => Pin::new(stream.get_mut()).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        };
        match polled {
            Poll::Ready(Err(error)) if this.must_hear_out(&error) => Poll::Pending,
            polled => polled,
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream.get_mut()).poll_shutdown(cx),
            Stream::Unix(stream) => Pin::new(stream.get_mut()).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
