//! Heads that the HTTP library cannot read. It answers them by itself, bare, before any handler sees them: what it writes is
//! held back, and the handler's answer goes out instead, with request id, reason and security headers.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::SystemTime;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::FutureExt as _;
use http::Response;
use http_body::Body;
use http_body_util::BodyExt as _;

/// Why a head cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum UnreadableHead {
    /// It breaks the grammar: 400.
    Malformed = 1,
    /// Its target is longer than the library keeps: 414.
    TargetTooLong = 2,
    /// It is longer than the library keeps, or has more than a hundred headers: 431.
    TooLarge = 3,
}

/// What the library's own answers begin with, in its words.
const STATUS_LINES: [(UnreadableHead, &[u8]); 3] = [
    (UnreadableHead::Malformed, b"400 Bad Request"),
    (UnreadableHead::TargetTooLong, b"414 URI Too Long"),
    (
        UnreadableHead::TooLarge,
        b"431 Request Header Fields Too Large",
    ),
];

/// How they go on; the date is all that follows.
const BARE: &[u8] = b"\r\nconnection: close\r\ncontent-length: 0\r\ndate: ";

impl UnreadableHead {
    /// Whether `written` is one whole bare answer. Ours never are: they have a request id.
    pub(super) fn of_bare_answer(written: &[u8]) -> Option<Self> {
        let status = written.strip_prefix(b"HTTP/1.1 ")?;
        if status.first() != Some(&b'4') {
            return None;
        }
        let (head, rest) = STATUS_LINES
            .iter()
            .find_map(|(head, line)| Some((*head, status.strip_prefix(*line)?)))?;
        let date = rest.strip_prefix(BARE)?.strip_suffix(b"\r\n\r\n")?;
        (!date.contains(&b'\r')).then_some(head)
    }
}

/// Where the socket asks for an answer and the connection's task, which has the handler, leaves it.
#[derive(Debug, Default)]
pub(super) struct UnreadableAnswer {
    /// An [`UnreadableHead`]; 0: none was seen.
    head: AtomicU8,
    /// Inside: `None` if the handler has none.
    text: OnceLock<Option<Bytes>>,
}

impl UnreadableAnswer {
    /// For the socket: the answer, once it is there.
    pub(super) fn ask(&self, head: UnreadableHead) -> Option<Option<&[u8]>> {
        self.head.store(head as u8, Ordering::Relaxed);
        self.text.get().map(Option::as_deref)
    }

    /// For the connection's task: what has to be answered.
    pub(super) fn wanted(&self) -> Option<UnreadableHead> {
        let code = self.head.load(Ordering::Relaxed);
        if code == 0 || self.text.get().is_some() {
            return None;
        }
        STATUS_LINES
            .iter()
            .map(|(head, _)| *head)
            .find(|head| *head as u8 == code)
    }

    /// The handler's answer, whose body has to be there at once.
    #[expect(
        clippy::disallowed_methods,
        reason = "`Date` is the machine's time, as in every answer the library writes"
    )]
    pub(super) fn give<B: Body<Data = Bytes>>(&self, response: Option<Response<B>>) {
        let text = response.and_then(|response| text(response, SystemTime::now()));
        // Asked once, as the connection ends after it.
        let _ = self.text.set(text);
    }
}

/// The answer as it goes over the wire; the connection is closed after it.
fn text<B: Body<Data = Bytes>>(response: Response<B>, now: SystemTime) -> Option<Bytes> {
    let (parts, body) = response.into_parts();
    let body = body.collect().now_or_never()?.ok()?.to_bytes();
    let mut text = BytesMut::with_capacity(1024 + body.len());
    let status = parts.status;
    let reason = status.canonical_reason().unwrap_or_default();
    let start = format!(
        "HTTP/1.1 {} {reason}\r\nconnection: close\r\ncontent-length: {}\r\ndate: {}\r\n",
        status.as_u16(),
        body.len(),
        httpdate::fmt_http_date(now),
    );
    text.put_slice(start.as_bytes());
    for (name, value) in &parts.headers {
        text.put_slice(name.as_str().as_bytes());
        text.put_slice(b": ");
        text.put_slice(value.as_bytes());
        text.put_slice(b"\r\n");
    }
    text.put_slice(b"\r\n");
    text.put_slice(&body);
    Some(text.freeze())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BAD_REQUEST: &[u8] =
        b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\
        date: Wed, 25 Nov 2026 01:07:44 GMT\r\n\r\n";

    #[test]
    fn only_a_whole_bare_answer_is_one() {
        let of = UnreadableHead::of_bare_answer;
        assert_eq!(of(BAD_REQUEST), Some(UnreadableHead::Malformed));
        for end in 0..BAD_REQUEST.len() {
            assert_eq!(of(&BAD_REQUEST[..end]), None, "{end}");
        }
        let ours = [BAD_REQUEST, b"{}"].concat();
        assert_eq!(of(&ours), None);
        let more = BAD_REQUEST.strip_suffix(b"\r\n").unwrap();
        let more = [more, b"x-request-id: 1\r\n\r\n"].concat();
        assert_eq!(of(&more), None);
    }

    #[test]
    fn the_socket_waits_until_the_task_has_given_its_answer() {
        let answer = UnreadableAnswer::default();
        assert_eq!(answer.wanted(), None);
        assert_eq!(answer.ask(UnreadableHead::TooLarge), None);
        assert_eq!(answer.wanted(), Some(UnreadableHead::TooLarge));
        answer.give(None::<Response<String>>);
        assert_eq!(answer.wanted(), None);
        assert_eq!(answer.ask(UnreadableHead::TooLarge), Some(None));
    }

    #[test]
    fn the_text_has_the_length_of_the_body() {
        let mut response = Response::new("gone".to_owned());
        response.headers_mut().insert("a", "b".parse().unwrap());
        let text = text(response, SystemTime::UNIX_EPOCH).unwrap();
        let wanted = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\
            date: Thu, 01 Jan 1970 00:00:00 GMT\r\na: b\r\n\r\ngone";
        assert_eq!(text, wanted);
    }

    proptest! {
        #[test]
        fn no_written_bytes_are_misread(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(UnreadableHead::of_bare_answer(&bytes), None);
        }
    }
}
