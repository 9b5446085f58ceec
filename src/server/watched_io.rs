//! The client's socket as the sweep needs it: reads and writes are noted, and a close does not destroy an
//! answer on its way.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf, Take};
use tokio::net::TcpStream;

use super::activity::{Activity, Stage};
use crate::body::reads;

/// How much is read away where nobody waits for an answer that explains itself: after a head that was refused for its form,
/// and on HTTP/2, where streams have their own ends.
const HASTY_BYTES: usize = 256 * 1024;

/// The client's socket, which notes reads and writes in its [`Activity`].
#[derive(Debug)]
pub(super) struct WatchedIo {
    socket: Take<TcpStream>,
    activity: Arc<Activity>,
    lingered: usize,
}

impl WatchedIo {
    pub(super) fn new(socket: TcpStream, activity: Arc<Activity>) -> Self {
        Self {
            socket: socket.take(u64::MAX),
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
        let read = reads::poll(&mut self.socket, cx, buf);
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
        let written = Pin::new(self.socket.get_mut()).poll_write(cx, buf);
        self.activity.has_tried(written.is_ready());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let socket = Pin::new(self.socket.get_mut());
        let written = match bufs {
            // A plain send costs the kernel less than a list of one.
            [only] => socket.poll_write(cx, only),
            several => socket.poll_write_vectored(cx, several),
        };
        self.activity.has_tried(written.is_ready());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.socket.get_mut()).poll_flush(cx)
    }

    /// Closes our direction; if a body may still be on its way, reads it away until the client closes its own, or the sweep
    /// ends the wait. A socket closed with unread input is reset, and a reset may overtake the answer (docs/design/hardening.md row 28).
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.activity.stage() != Stage::Lingering {
            ready!(Pin::new(self.socket.get_mut()).poll_shutdown(cx))?;
            if !self.activity.has_body() {
                return Poll::Ready(Ok(()));
            }
            if self.activity.stage() == Stage::Http2 {
                self.activity.is_hasty_now();
            }
            self.activity.enter(Stage::Lingering);
        }
        let mut scratch = [0; 16 * 1024];
        loop {
            let mut buf = ReadBuf::new(&mut scratch);
            ready!(Pin::new(self.socket.get_mut()).poll_read(cx, &mut buf))?;
            let read = buf.filled().len();
            self.lingered = self.lingered.saturating_add(read);
            let is_enough = self.activity.is_hasty() && self.lingered > HASTY_BYTES;
            if read == 0 || is_enough {
                return Poll::Ready(Ok(()));
            }
            self.activity.has_read();
        }
    }
}

/// A transfer that was cut for not moving is reset: nobody waits for the client to take what is left in the socket.
impl Drop for WatchedIo {
    fn drop(&mut self) {
        if self.activity.is_to_be_reset()
            && let Err(error) = self.socket.get_ref().set_zero_linger()
        {
            tracing::debug!(%error, "SO_LINGER");
        }
    }
}
