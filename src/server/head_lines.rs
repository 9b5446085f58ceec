//! A look at the bytes of HTTP/1 heads for what the HTTP library settles without a word: a fragment in the target, lines
//! that end with a bare line feed, a second Content-Length, a heap of empty lines in front (hardening.md rows 2, 10, 25, 57).
//!
//! The library reads each of them in one way, so nothing is matched or forwarded differently; but whoever sends them may
//! have meant another. A head is only missed where requests are pipelined.

use std::sync::Arc;

use super::timeouts::Activity;

/// Marks a request, by its extensions, whose head was settled so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OddHead {
    /// The target had a fragment (RFC 9112 section 3.2 knows none).
    Fragment,
    /// Two parsers could see different requests.
    Framing,
}

/// Empty lines that may come before a request line (RFC 9112 section 2.2 wants at least one).
const MAX_EMPTY: u8 = 8;

const CONTENT_LENGTH: &[u8] = b"content-length:";

/// Where in the heads of a connection its bytes are.
#[derive(Debug)]
pub(super) struct HeadLines {
    activity: Arc<Activity>,
    /// How many requests there have to be before the next head begins.
    awaited: u32,
    place: Place,
    empty: u8,
    lengths: u8,
    /// The line's first bytes, in case it comes in pieces.
    start: [u8; CONTENT_LENGTH.len()],
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
            awaited: 0,
            place: Place::Elsewhere,
            empty: 0,
            lengths: 0,
            start: [0; CONTENT_LENGTH.len()],
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
            if self.activity.is_busy() || self.activity.requests() < self.awaited {
                return;
            }
            (self.place, self.empty, self.lengths) = (Place::Request, 0, 0);
            self.next_line();
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
        }
    }

    /// A part of a line, without its line feed.
    fn piece(&mut self, piece: &[u8]) {
        let [first, ..] = piece else { return };
        self.last = piece[piece.len() - 1];
        if self.place == Place::Request && memchr::memchr(b'#', piece).is_some() {
            self.activity.has_odd_head(OddHead::Fragment);
        }
        if let Some(free) = self.start.get_mut(self.started..)
            && !free.is_empty()
        {
            let taken = free.len().min(piece.len());
            if self.started == 0 {
                free[0] = *first;
            }
            // Of most lines the first letter says enough.
            if self.start[0].eq_ignore_ascii_case(&CONTENT_LENGTH[0]) {
                self.start[self.started..][..taken].copy_from_slice(&piece[..taken]);
            }
            self.started += taken;
        }
    }

    fn line_ends(&mut self) {
        if self.last != b'\r' {
            self.activity.has_odd_head(OddHead::Framing);
        }
        let is_empty = self.started == usize::from(self.last == b'\r');
        match self.place {
            Place::Request if is_empty => {
                self.empty = self.empty.saturating_add(1);
                if self.empty > MAX_EMPTY {
                    self.activity.has_odd_head(OddHead::Framing);
                }
            }
            Place::Request => self.place = Place::Header,
            Place::Header if is_empty => {
                self.place = Place::Elsewhere;
                self.awaited = self.activity.requests().wrapping_add(1);
            }
            _ => {
                if self.start.eq_ignore_ascii_case(CONTENT_LENGTH) {
                    self.lengths = self.lengths.saturating_add(1);
                }
                if self.lengths > 1 {
                    self.activity.has_odd_head(OddHead::Framing);
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
