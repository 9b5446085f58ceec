//! The answer of a backend on its way to the client.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRAILER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Response, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::call::Ends;
use super::exchange::Answer;
use crate::body::{Body, BodyError, Outcome, TrailerRule};
use crate::headers::{MAX_ANSWER_FIELDS, clean_response, list};

/// Marks, by its extensions, an answer that does not end by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventStream;

/// Whether the head frames its body in one way only; the text says what is wrong. The HTTP library takes more.
pub(super) fn check_framing(headers: &HeaderMap) -> Result<(), &'static str> {
    if headers.len() > MAX_ANSWER_FIELDS {
        return Err("more than 256 header fields");
    }
    let mut lengths = 0;
    for length in headers.get_all(CONTENT_LENGTH) {
        if !is_plain_length(length) {
            return Err("a Content-Length that is no plain number");
        }
        lengths += 1;
    }
    let mut encodings = list(headers, &TRANSFER_ENCODING);
    match (encodings.next(), encodings.next(), lengths) {
        (None, _, 0 | 1) => Ok(()),
        (None, _, _) => Err("more than one Content-Length"),
        (Some(_), _, 1..) => Err("Content-Length and Transfer-Encoding"),
        (Some(encoding), None, _) if encoding.eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err("a Transfer-Encoding other than chunked"),
    }
}

/// Digits only, as everybody writes them: a list, a sign or a leading zero may be read in two ways (RFC 9110 section 8.6).
fn is_plain_length(value: &HeaderValue) -> bool {
    let value = value.as_bytes();
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits && (value.len() == 1 || !value.starts_with(b"0"))
}

/// The answer for the client; its body holds the exchange until it ends.
pub(super) fn deliver(answer: Answer, trailers_wanted: bool, ends: Ends<'_>) -> Response<Body> {
    let Answer { response, exchange } = answer;
    let (mut parts, incoming) = response.into_parts();
    clean_response(parts.status, &mut parts.headers);
    if !trailers_wanted {
        parts.headers.remove(TRAILER);
    }
    // Ours is what the client speaks; the backend's version says nothing about it.
    parts.version = Version::HTTP_11;
    if incoming.is_end_stream() {
        exchange.finish(true);
        return Response::from_parts(parts, Body::empty());
    }
    exchange.comes_down();
    let body = Body::from(incoming)
        .with_trailers(if trailers_wanted {
            TrailerRule::default()
        } else {
            TrailerRule::Drop
        })
        .on_end(move |end| exchange.finish(end.outcome == Outcome::Complete));
    if !is_event_stream(&parts.headers) {
        return Response::from_parts(parts, body);
    }
    parts.extensions.insert(EventStream);
    let body = if body.size_hint().exact().is_none() {
        Body::stream(Ending::new(body, ends))
    } else {
        body
    };
    Response::from_parts(parts, body)
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = b"text/event-stream";
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let value = value.as_bytes();
        value.len() >= kind.len() && value[..kind.len()].eq_ignore_ascii_case(kind)
    })
}

/// An event stream that ends in order when its session ends or the process drains.
struct Ending {
    body: Option<Body>,
    ends: Vec<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Ending {
    fn new(body: Body, ends: Ends<'_>) -> Self {
        Self {
            body: Some(body),
            ends: ends.fired(),
        }
    }
}

impl HttpBody for Ending {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        if this
            .ends
            .iter_mut()
            .any(|end| end.as_mut().poll(cx).is_ready())
        {
            this.body = None;
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(body).poll_frame(cx));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
