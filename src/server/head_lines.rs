//! A look at the bytes of HTTP/1 heads for what the HTTP library settles without a word: a fragment in the target, lines
//! that end with a bare line feed, a second Content-Length, a heap of empty lines in front (hardening.md rows 2, 10, 25, 57).
//!
//! The library reads each of them in one way, so nothing is matched or forwarded differently; but whoever sends them may
//! have meant another. A head is only missed where it is pipelined after a body.

use std::sync::Arc;

use super::activity::{Activity, OddHead};

/// Empty lines that may come before a request line (RFC 9112 section 2.2 wants at least one).
const MAX_EMPTY: u8 = 8;

const CONTENT_LENGTH: &[u8] = b"content-length:";
const TRANSFER_ENCODING: &[u8] = b"transfer-encoding:";

/// Where in the heads of a connection its bytes are.
#[derive(Debug)]
pub(super) struct HeadLines {
    activity: Arc<Activity>,
    /// Which request's head this is, or was last; counted from 1.
    request: u32,
    place: Place,
    empty: u8,
    lengths: u8,
    is_coded: bool,
    /// The line's first bytes, in case it comes in pieces.
    start: [u8; TRANSFER_ENCODING.len()],
    started: usize,
    last: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A body, or a request that is not answered yet.
    Elsewhere,
    /// Before or in the request line.
    Request,
    /// In a header line.
    Header,
}

impl HeadLines {
    pub(super) fn new(activity: Arc<Activity>) -> Self {
        Self {
            activity,
            request: 0,
            place: Place::Elsewhere,
            empty: 0,
            lengths: 0,
            is_coded: false,
            start: [0; TRANSFER_ENCODING.len()],
            started: 0,
            last: 0,
        }
    }

    /// The connection's notes.
    pub(super) fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Looks at bytes that came in.
    pub(super) fn see(&mut self, mut bytes: &[u8]) {
        if self.place == Place::Elsewhere {
            if self.activity.is_busy() || self.activity.requests() < self.request {
                return;
            }
            self.head_begins(self.activity.requests().wrapping_add(1));
        }
        while self.place != Place::Elsewhere && !bytes.is_empty() {
            // A head is looked at whole, so the search has to be the fast one.
            let Some(end) = memchr::memchr(b'\n', bytes) else {
                return self.piece(bytes);
            };
            let (line, rest) = bytes.split_at(end);
            self.piece(line);
            self.line_ends();
            bytes = rest.get(1..).unwrap_or_default();
            // What comes together with a head that has no body is the next one.
            let has_body = self.lengths > 0 || self.is_coded;
            if self.place == Place::Elsewhere && !bytes.is_empty() && !has_body {
                self.head_begins(self.request.wrapping_add(1));
            }
        }
    }

    fn head_begins(&mut self, request: u32) {
        self.request = request;
        (self.place, self.empty, self.lengths, self.is_coded) = (Place::Request, 0, 0, false);
        self.next_line();
    }

    fn has_odd(&self, odd: OddHead) {
        self.activity.has_odd_head(self.request, odd);
    }

    /// A part of a line, without its line feed.
    fn piece(&mut self, piece: &[u8]) {
        let [first, ..] = piece else { return };
        self.last = piece[piece.len() - 1];
        if self.place == Place::Request && memchr::memchr(b'#', piece).is_some() {
            self.has_odd(OddHead::Fragment);
        }
        if let Some(free) = self.start.get_mut(self.started..)
            && !free.is_empty()
        {
            let taken = free.len().min(piece.len());
            if self.started == 0 {
                free[0] = *first;
            }
            // Of most lines the first letter says enough.
            if matches!(self.start[0], b'C' | b'c' | b'T' | b't') {
                self.start[self.started..][..taken].copy_from_slice(&piece[..taken]);
            }
            self.started += taken;
        }
    }

    fn line_ends(&mut self) {
        if self.last != b'\r' {
            self.has_odd(OddHead::Framing);
        }
        let is_empty = self.started == usize::from(self.last == b'\r');
        match self.place {
            Place::Request if is_empty => {
                self.empty = self.empty.saturating_add(1);
                if self.empty > MAX_EMPTY {
                    self.has_odd(OddHead::Framing);
                }
            }
            Place::Request => self.place = Place::Header,
            Place::Header if is_empty => self.place = Place::Elsewhere,
            _ => {
                let (length, _) = self.start.split_at(CONTENT_LENGTH.len());
                if length.eq_ignore_ascii_case(CONTENT_LENGTH) {
                    self.lengths = self.lengths.saturating_add(1);
                }
                self.is_coded |= self.start.eq_ignore_ascii_case(TRANSFER_ENCODING);
                if self.lengths > 1 {
                    self.has_odd(OddHead::Framing);
                }
            }
        }
        self.next_line();
    }

    fn next_line(&mut self) {
        (self.started, self.last, self.start[0]) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(chunks: &[&[u8]]) -> Option<OddHead> {
        let activity = Arc::new(Activity::for_tests());
        let mut lines = HeadLines::new(Arc::clone(&activity));
        for chunk in chunks {
            lines.see(chunk);
        }
        activity.take_odd_head()
    }

    #[test]
    fn row_57_a_fragment_is_seen_wherever_the_line_is_split() {
        let request = b"GET /graph/#/status HTTP/1.1\r\nHost: a\r\n\r\n";
        for at in 0..request.len() {
            let (first, second) = request.split_at(at);
            assert_eq!(seen(&[first, second]), Some(OddHead::Fragment), "{at}");
            let after_empty = seen(&[b"\r\n", first, second]);
            assert_eq!(after_empty, Some(OddHead::Fragment), "{at}");
        }
    }

    #[test]
    fn rows_2_10_and_25_framing_that_the_library_settles_is_seen() {
        let heap = "\r\n".repeat(9) + "GET / HTTP/1.1\r\n\r\n";
        for request in [
            "POST / HTTP/1.1\r\nContent-Length: 3\r\nA: b\r\ncontent-length: 3\r\n\r\nabc",
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            &heap,
        ] {
            let bytes = request.as_bytes();
            assert_eq!(seen(&[bytes]), Some(OddHead::Framing), "{request:?}");
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(seen(&single), Some(OddHead::Framing), "{request:?}");
        }
    }

    #[test]
    fn plain_heads_and_whatever_bodies_are_not() {
        let heads = [
            "GET / HTTP/1.1\r\nA: #\r\nContent-Length: 9\r\nContent-Length-X: 1\r\n\r\n#\n\n#",
            "\r\n\r\nGET /?a HTTP/1.1\r\n\r\n",
        ];
        for head in heads {
            assert_eq!(seen(&[head.as_bytes()]), None, "{head:?}");
        }
    }

    #[test]
    fn the_head_after_an_answered_request_is_looked_at() {
        let activity = Arc::new(Activity::for_tests());
        let mut lines = HeadLines::new(Arc::clone(&activity));
        lines.see(b"POST / HTTP/1.1\r\n\r\n");
        let running = activity.request(true);
        lines.see(b"POST /# HTTP/1.1\r\n");
        assert_eq!(activity.take_odd_head(), None, "it is a body");
        drop(running);
        lines.see(b"GET /# HTTP/1.1\r\n");
        assert_eq!(activity.take_odd_head(), Some(OddHead::Fragment));
    }

    #[test]
    fn row_57_a_pipelined_head_is_looked_at_and_is_its_own_requests() {
        let first = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let odd = "GET /# HTTP/1.1\r\nHost: a\r\n\r\n";
        let bytes = format!("{first}{first}{odd}{first}");
        // All at once, and with a piece that ends in the middle of a head.
        for at in [bytes.len(), first.len() + 9, 2 * first.len() + 3] {
            let activity = Arc::new(Activity::for_tests());
            let mut lines = HeadLines::new(Arc::clone(&activity));
            let (early, late) = bytes.as_bytes().split_at(at);
            lines.see(early);
            let mut verdicts = vec![activity.take_odd_head()];
            let running = activity.request(false);
            lines.see(late);
            drop(running);
            for _ in 0..3 {
                verdicts.push(activity.take_odd_head());
                drop(activity.request(false));
            }
            assert_eq!(
                verdicts,
                [None, None, Some(OddHead::Fragment), None],
                "{at}"
            );
        }
    }

    #[test]
    fn what_comes_with_a_head_that_has_a_body_is_not_taken_for_a_head() {
        for framing in ["Content-Length: 3", "transfer-encoding: chunked"] {
            let request = format!("POST / HTTP/1.1\r\n{framing}\r\n\r\nx#\nGET /# HTTP/1.1\n");
            let activity = Arc::new(Activity::for_tests());
            HeadLines::new(Arc::clone(&activity)).see(request.as_bytes());
            for _ in 0..3 {
                assert_eq!(activity.take_odd_head(), None, "{framing}");
                drop(activity.request(true));
            }
        }
    }

    proptest! {
        #[test]
        fn the_verdict_does_not_depend_on_the_pieces(
            head in "[GC#:a\r\n]{0,40}",
            size in 1_usize..9,
        ) {
            let pieces: Vec<&[u8]> = head.as_bytes().chunks(size).collect();
            prop_assert_eq!(seen(&pieces), seen(&[head.as_bytes()]));
        }
    }
}
