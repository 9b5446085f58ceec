//! The one body of requests and responses inside the gateway: it streams, and it tells how it ended.

mod pulse;
mod readers;
pub(crate) mod reads;
mod traffic;

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

pub(crate) use pulse::Pulse;
pub(crate) use readers::{Ends, Readers};
use reads::UnderWay;
pub(crate) use traffic::{Outlet, Traffic};

/// How long an unwanted body is read away, whatever its length (docs/design/design.md 2, Transfers) ...
pub(crate) const DRAIN_TIME: Duration = Duration::from_secs(30);

/// ... and how long its sender may be silent meanwhile.
pub(crate) const DRAIN_SILENCE: Duration = Duration::from_secs(5);

/// A body on its way through. Not `Send`: it lives and dies on one worker.
///
/// Whoever wants to know how it ended (access log, connection pool) adds a hook with [`Body::on_end`]; hooks run exactly
/// once, at the last byte or when the body is dropped before it.
pub(crate) struct Body {
    kind: Kind,
    bytes: u64,
    failed: bool,
    trailers: TrailerRule,
    hook: Option<Hook>,
    /// Of the request it is the body of.
    pulse: Option<Rc<Pulse>>,
    under_way: Option<UnderWay>,
}

enum Kind {
    Empty,
    Full(Bytes),
    Incoming(Incoming),
    Stream(Pin<Box<dyn HttpBody<Data = Bytes, Error = BodyError>>>),
}

type Hook = Box<dyn FnOnce(BodyEnd)>;

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BodyEnd {
    /// Whether it ended as its framing promised.
    pub outcome: Outcome,
    /// Bytes of content that passed.
    pub bytes: u64,
}

/// Whether a body ended as its framing promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// To its last byte.
    Complete,
    /// Its source broke off.
    Cut,
    /// Its reader lost interest: the other side left.
    Dropped,
}

/// What happens to trailer fields.
#[derive(Debug, Clone)]
pub(crate) enum TrailerRule {
    /// They are swallowed.
    Drop,
    /// Those that say nothing about identity, routing or framing pass; nor may they have these names.
    Filter(Option<Arc<[HeaderName]>>),
}

impl Default for TrailerRule {
    fn default() -> Self {
        Self::Filter(None)
    }
}

/// A body that did not reach its end. The receiving side must see the cut, so it travels as an error to the HTTP library.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The source broke off or broke its framing.
    #[error("the body broke off: {0}")]
    Cut(#[from] hyper::Error),
    /// Nobody wants the rest: the answer came before the body was read.
    #[error("the body is no longer wanted")]
    Unwanted,
}

impl Body {
    /// No content.
    #[must_use]
    pub(crate) fn empty() -> Self {
        Self::of(Kind::Empty)
    }

    /// Content that is at hand.
    #[must_use]
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() {
            return Self::empty();
        }
        Self::of(Kind::Full(bytes))
    }

    /// Content from anywhere else.
    pub(crate) fn stream<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes, Error = BodyError> + 'static,
    {
        Self::of(Kind::Stream(Box::pin(body)))
    }

    /// Calls `hook` once, when the body ended or was dropped. Hooks run in the order they were added.
    #[must_use]
    pub(crate) fn on_end(mut self, hook: impl FnOnce(BodyEnd) + 'static) -> Self {
        self.hook = Some(match self.hook.take() {
            None => Box::new(hook),
            Some(earlier) => Box::new(move |end| {
                earlier(end);
                hook(end);
            }),
        });
        self
    }

    /// A request's body, with the notes of its request.
    pub(crate) fn of_request(incoming: Incoming, pulse: Rc<Pulse>) -> Self {
        let mut body = if incoming.is_end_stream() {
            Self::empty()
        } else {
            pulse.goes_up(true);
            Self::from(incoming)
        };
        body.pulse = Some(pulse);
        body
    }

    /// The notes of the request it is the body of.
    pub(crate) fn pulse(&self) -> Option<&Rc<Pulse>> {
        self.pulse.as_ref()
    }

    /// Reads a body that nobody wants, so that a client that sends first and reads last sees the answer, and its connection
    /// can be used again: for `DRAIN_TIME`, with rests of `DRAIN_SILENCE` at most. Never for a request that expects
    /// `100 Continue`.
    pub(crate) async fn drain(mut self) {
        let read = async {
            loop {
                let frame = std::future::poll_fn(|cx| Pin::new(&mut self).poll_frame(cx));
                let frame = tokio::time::timeout(DRAIN_SILENCE, frame).await;
                if !matches!(frame, Ok(Some(Ok(_)))) {
                    return;
                }
            }
        };
        // A sender that is too slow or too large is closed, which is what dropping the body does.
        let _ = tokio::time::timeout(DRAIN_TIME, read).await;
    }

    /// Sets what happens to trailers.
    pub(crate) fn with_trailers(mut self, rule: TrailerRule) -> Self {
        self.trailers = rule;
        self
    }

    fn of(kind: Kind) -> Self {
        Self {
            kind,
            bytes: 0,
            failed: false,
            trailers: TrailerRule::default(),
            hook: None,
            pulse: None,
            under_way: None,
        }
    }

    fn end(&mut self, outcome: Outcome) {
        self.under_way = None;
        if let Some(pulse) = &self.pulse {
            pulse.goes_up(false);
        }
        if let Some(hook) = self.hook.take() {
            hook(BodyEnd {
                outcome,
                bytes: self.bytes,
            });
        }
    }
}

impl From<Incoming> for Body {
    fn from(incoming: Incoming) -> Self {
        let mut body = Self::of(Kind::Incoming(incoming));
        body.under_way = Some(UnderWay::begins());
        body
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        loop {
            let polled = match &mut this.kind {
                Kind::Empty => None,
                Kind::Full(bytes) => {
                    let bytes = std::mem::take(bytes);
                    this.kind = Kind::Empty;
                    Some(Ok(Frame::data(bytes)))
                }
                Kind::Incoming(incoming) => {
                    ready!(Pin::new(incoming).poll_frame(cx)).map(|r| r.map_err(BodyError::from))
                }
                Kind::Stream(stream) => ready!(stream.as_mut().poll_frame(cx)),
            };
            if let Some(pulse) = &this.pulse {
                pulse.moves();
            }
            let Some(polled) = polled else {
                this.end(Outcome::Complete);
                return Poll::Ready(None);
            };
            let frame = match polled {
                Ok(frame) => frame,
                Err(error) => {
                    this.failed = true;
                    this.end(Outcome::Cut);
                    return Poll::Ready(Some(Err(error)));
                }
            };
            let frame = match frame.into_trailers() {
                Ok(mut trailers) => {
                    let TrailerRule::Filter(configured) = &this.trailers else {
                        continue;
                    };
                    let configured = configured.as_deref().unwrap_or_default();
                    crate::headers::filter_trailers(&mut trailers, configured);
                    if trailers.is_empty() {
                        continue;
                    }
                    // Nothing comes after trailers, and the HTTP library does not ask again.
                    this.end(Outcome::Complete);
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Err(frame) => frame,
            };
            if let Some(data) = frame.data_ref() {
                let bytes = data.len() as u64;
                this.bytes += bytes;
                if let Some(pulse) = &this.pulse {
                    pulse.receives(bytes);
                }
                // With a known length the HTTP library drops the body after the last byte without another poll.
                if this.inner_is_at_end() {
                    this.end(Outcome::Complete);
                }
            }
            return Poll::Ready(Some(Ok(frame)));
        }
    }

    fn is_end_stream(&self) -> bool {
        !self.failed && self.inner_is_at_end()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Incoming(incoming) => incoming.size_hint(),
            Kind::Stream(stream) => stream.size_hint(),
        }
    }
}

impl Body {
    fn inner_is_at_end(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Full(_) => false,
            Kind::Incoming(incoming) => incoming.is_end_stream(),
            Kind::Stream(stream) => stream.is_end_stream(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // What was at hand and not asked for answers a HEAD.
        let unasked = matches!(self.kind, Kind::Full(_));
        let outcome = if unasked || self.is_end_stream() {
            Outcome::Complete
        } else {
            Outcome::Dropped
        };
        self.end(outcome);
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Empty => "empty",
            Kind::Full(_) => "full",
            Kind::Incoming(_) => "incoming",
            Kind::Stream(_) => "stream",
        };
        write!(f, "Body({kind}, {} bytes so far)", self.bytes)
    }
}

#[cfg(test)]
mod tests;
