//! The client's socket as the sweep needs it: reads and writes are noted, and a close does not destroy an
//! answer on its way.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::activity::{Activity, Stage};

/// How much of an unread body is read away after the answer. A socket closed with unread input is reset, and a
/// reset may overtake the answer (hardening.md row 28).
const LINGER_BYTES: u32 = 256 * 1024;

/// The client's socket, which notes reads and writes in its [`Activity`].
#[derive(Debug)]
pub(super) struct WatchedIo {
    socket: TcpStream,
    activity: Arc<Activity>,
    lingered: u32,
}

impl WatchedIo {
    pub(super) fn new(socket: TcpStream, activity: Arc<Activity>) -> Self {
        Self {
            socket,
            activity,
            lingered: 0,
        }
    }
}

impl AsyncRead for WatchedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.has_read();
        }
        read
    }
}

impl AsyncWrite for WatchedIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, buf);
        if written.is_ready() {
            self.activity.has_written();
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let socket = Pin::new(&mut self.socket);
        let written = match bufs {
            // A plain send costs the kernel less than a list of one.
            [only] => socket.poll_write(cx, only),
            several => socket.poll_write_vectored(cx, several),
        };
        if written.is_ready() {
            self.activity.has_written();
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    /// Closes our direction; if a body may still be on its way, reads it away until the client closes
    /// its own, or the sweep ends the wait.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.activity.stage() != Stage::Lingering {
            ready!(Pin::new(&mut self.socket).poll_shutdown(cx))?;
            if !self.activity.has_body() {
                return Poll::Ready(Ok(()));
            }
            self.activity.enter(Stage::Lingering);
        }
        let mut scratch = [0; 4096];
        loop {
            let mut buf = ReadBuf::new(&mut scratch);
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut buf))?;
            let read = u32::try_from(buf.filled().len()).unwrap_or(u32::MAX);
            self.lingered = self.lingered.saturating_add(read);
            if read == 0 || self.lingered > LINGER_BYTES {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
