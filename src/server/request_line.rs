//! A look at HTTP/1 request lines for what the HTTP library takes out of them without a word: the fragment.
//!
//! No request target has one (RFC 9112 section 3.2). What is matched and forwarded is the rest in any case; a line is only
//! missed where requests are pipelined.

use std::sync::Arc;

use super::timeouts::Activity;

/// Marks a request, by its extensions, whose target had a fragment.
#[derive(Debug, Clone, Copy)]
pub struct Fragment;

/// Where in the stream of a connection the next request line is.
#[derive(Debug)]
pub(super) struct RequestLines {
    activity: Arc<Activity>,
    /// How many requests there have to be before the next line begins.
    awaited: u32,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Headers, or a body.
    Elsewhere,
    /// Empty lines may come first (RFC 9112 section 2.2).
    BeforeLine,
    InLine,
}

impl RequestLines {
    pub(super) fn new(activity: Arc<Activity>) -> Self {
        Self {
            activity,
            awaited: 0,
            place: Place::Elsewhere,
        }
    }

    /// Looks at bytes that came in.
    pub(super) fn see(&mut self, mut bytes: &[u8]) {
        if self.place == Place::Elsewhere {
            if self.activity.is_busy() || self.activity.requests() < self.awaited {
                return;
            }
            self.place = Place::BeforeLine;
        }
        if self.place == Place::BeforeLine {
            let empty = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n'));
            bytes = &bytes[empty.count()..];
            if bytes.is_empty() {
                return;
            }
            self.place = Place::InLine;
        }
        let end = bytes.iter().position(|b| *b == b'\n');
        if bytes[..end.unwrap_or(bytes.len())].contains(&b'#') {
            self.activity.has_fragment();
        }
        if end.is_some() {
            self.place = Place::Elsewhere;
            self.awaited = self.activity.requests().wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment_in(chunks: &[&str]) -> bool {
        let activity = Arc::new(Activity::for_tests());
        let mut lines = RequestLines::new(Arc::clone(&activity));
        for chunk in chunks {
            lines.see(chunk.as_bytes());
        }
        activity.take_fragment()
    }

    #[test]
    fn row_57_a_fragment_is_seen_wherever_the_line_is_split() {
        let request = "GET /graph/#/status HTTP/1.1\r\nHost: a\r\n\r\n";
        for at in 0..request.len() {
            let (first, second) = request.split_at(at);
            assert!(fragment_in(&[first, second]), "{at}");
            assert!(fragment_in(&["\r\n", first, second]), "{at}");
        }
    }

    #[test]
    fn headers_bodies_and_later_lines_may_have_one() {
        assert!(!fragment_in(&["GET / HTTP/1.1\r\nA: #\r\n\r\n", "#\r\n#"]));
    }

    #[test]
    fn the_line_after_an_answered_request_is_looked_at() {
        let activity = Arc::new(Activity::for_tests());
        let mut lines = RequestLines::new(Arc::clone(&activity));
        lines.see(b"POST / HTTP/1.1\r\n\r\n");
        let running = activity.request(true);
        lines.see(b"POST /# HTTP/1.1\r\n");
        assert!(!activity.take_fragment(), "it is a body");
        drop(running);
        lines.see(b"GET /# HTTP/1.1\r\n");
        assert!(activity.take_fragment());
    }
}
