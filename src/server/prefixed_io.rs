//! A connection's bytes between socket and HTTP library: the first may have been looked at, HTTP/1 heads are, and a bare
//! answer of the library is exchanged for ours.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::Protocol;
use super::activity::Activity;
use super::framing::Framing;
use super::header_blocks::{HeaderBlocks, PREFACE};
use super::timeouts::Command;
use super::unreadable::UnreadableHead;

/// Who looks at heads as they come in.
#[derive(Debug)]
pub(super) enum Heads {
    /// Nobody yet.
    Unknown,
    Http1(Framing),
    Http2(HeaderBlocks),
}

/// A connection whose first bytes may have been looked at, and whose heads are.
#[derive(Debug)]
pub(super) struct Prefixed<I> {
    prefix: Bytes,
    /// How much of it was looked at before.
    seen: usize,
    io: I,
    pub(super) heads: Heads,
    /// How much of our own answer to an unreadable head has gone out.
    answered: usize,
    /// How many requests there were when all that was to be written had been.
    flushed: u32,
}

impl<I: AsyncRead + Unpin> Prefixed<I> {
    pub(super) fn new(io: I) -> Self {
        Self {
            prefix: Bytes::new(),
            seen: 0,
            io,
            heads: Heads::Unknown,
            answered: 0,
            flushed: 0,
        }
    }

    /// Reads just as far as the HTTP/2 preface matches. Before the first byte nothing but this small
    /// future is held for the connection.
    pub(super) async fn sniff(&mut self) -> std::io::Result<Protocol> {
        let mut buffer = [0; PREFACE.len()];
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..)
            && !rest.is_empty()
        {
            let read = self.io.read(rest).await?;
            filled += read;
            let seen = buffer.get(..filled).unwrap_or_default();
            if read == 0 || !PREFACE.starts_with(seen) {
                self.prefix = Bytes::copy_from_slice(seen);
                return Ok(Protocol::Http1);
            }
        }
        self.prefix = Bytes::from_static(PREFACE);
        Ok(Protocol::Http2)
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> Prefixed<I> {
    /// Waits for the next request without the HTTP library, whose buffers and state are most of what an idle connection costs.
    /// `read`: what the library had read and not used. `false`: the connection is over.
    pub(super) async fn rest(
        &mut self,
        read: Bytes,
        command: impl Fn() -> Command,
    ) -> std::io::Result<bool> {
        self.seen = read.len();
        self.prefix = read;
        if !self.prefix.is_empty() {
            return Ok(true);
        }
        let mut first = [0; 64];
        let came = std::future::poll_fn(|cx| {
            if command() != Command::GoOn {
                return Poll::Ready(Ok(None));
            }
            let mut buf = ReadBuf::new(&mut first);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
            Poll::Ready(Ok::<_, std::io::Error>(Some(buf.filled().len())))
        });
        match came.await? {
            Some(0) => Ok(false),
            Some(length) => {
                self.prefix = Bytes::copy_from_slice(first.get(..length).unwrap_or_default());
                Ok(true)
            }
            None => {
                self.io.shutdown().await?;
                Ok(false)
            }
        }
    }
}

impl<I> Prefixed<I> {
    fn http1(&self) -> Option<&Activity> {
        match &self.heads {
            Heads::Http1(lines) => Some(lines.activity()),
            Heads::Unknown | Heads::Http2(_) => None,
        }
    }
}

impl<I: AsyncWrite + Unpin> Prefixed<I> {
    /// The library's bare answer to an unreadable head, if these bytes are one and not a part of an answer that looks like it:
    /// before the last byte of an answer is flushed, nothing else is written.
    fn bare_answer(&self, bytes: &[u8]) -> Option<UnreadableHead> {
        let activity = self.http1()?;
        let head = UnreadableHead::of_bare_answer(bytes)?;
        (!activity.is_busy() && activity.requests() == self.flushed).then_some(head)
    }

    /// Sends our own answer in place of the library's bare one.
    fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        head: UnreadableHead,
        bare: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let Heads::Http1(lines) = &self.heads else {
            return Pin::new(&mut self.io).poll_write(cx, bare);
        };
        let Some(answer) = lines.activity().unreadable.ask(head) else {
            // Without a waker: the connection's task looks as soon as this poll is over.
            return Poll::Pending;
        };
        let Some(answer) = answer else {
            return Pin::new(&mut self.io).poll_write(cx, bare);
        };
        while let Some(rest @ [_, ..]) = answer.get(self.answered..) {
            match ready!(Pin::new(&mut self.io).poll_write(cx, rest))? {
                0 => return Poll::Ready(Ok(0)),
                sent => self.answered += sent,
            }
        }
        Poll::Ready(Ok(bare.len()))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Prefixed<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let read = if self.prefix.is_empty() {
            Pin::new(&mut self.io).poll_read(cx, buf)
        } else {
            let fits = buf.remaining().min(self.prefix.len());
            buf.put_slice(&self.prefix.split_to(fits));
            // And what comes after it: for a head that begins with so short a piece the HTTP library doubles its buffer,
            // as long as the connection lives. How the connection ends, the next read tells again.
            let _ = Pin::new(&mut self.io).poll_read(cx, buf);
            Poll::Ready(Ok(()))
        };
        let known = self.seen.min(buf.filled().len() - before);
        self.seen -= known;
        if let Some(new @ [_, ..]) = buf.filled().get(before + known..) {
            match &mut self.heads {
                Heads::Http1(lines) => lines.see(new),
                Heads::Http2(blocks) => blocks.see(new),
                Heads::Unknown => {}
            }
        }
        read
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Prefixed<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        match self.bare_answer(buf) {
            Some(head) => self.poll_answer(cx, head, buf),
            None => Pin::new(&mut self.io).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        if let [only] = bufs
            && let Some(head) = self.bare_answer(only)
        {
            return self.poll_answer(cx, head, only);
        }
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        if let Some(activity) = self.http1()
            && !activity.is_busy()
        {
            self.flushed = activity.requests();
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
