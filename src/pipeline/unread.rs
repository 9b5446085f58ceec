//! The request's body until somebody wants it, and what becomes of it when nobody does.

use std::cell::Cell;

use http::Version;
use http::header::EXPECT;
use http::request::Parts;
use http_body::Body as _;

use crate::body::Body;

/// A body after whose refusal the connection serves on.
const MODERATE: u64 = 256 * 1024;

/// The body of a request that may still be refused.
pub(super) struct UnreadBody {
    body: Cell<Option<Body>>,
    is_http1: bool,
    is_awaited: bool,
}

impl UnreadBody {
    pub(super) fn new(head: &Parts, body: Body) -> Self {
        Self {
            is_http1: head.version <= Version::HTTP_11,
            is_awaited: head.version > Version::HTTP_10
                && head
                    .headers
                    .get_all(EXPECT)
                    .iter()
                    .any(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue")),
            body: Cell::new(Some(body)),
        }
    }

    /// The body for whoever reads it; empty if it was taken before.
    pub(super) fn take(&self) -> Body {
        self.body.take().unwrap_or_default()
    }

    /// The request was refused. Its body is read away, so that a client that sends first and reads last sees the answer, and
    /// none stumbles over a stream that is closed while it sends; but nothing is read where the sender waits for
    /// `100 Continue`. `true` if the connection has to end: after a body of moderate size it serves on.
    pub(super) fn refuse(&self) -> bool {
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) else {
            return false;
        };
        let is_moderate = body.size_hint().exact().is_some_and(|n| n <= MODERATE);
        // HTTP/1 reads the rest away on its way to the end of the connection.
        let ends = self.is_http1 && (self.is_awaited || !is_moderate);
        if !ends && !self.is_awaited {
            tokio::task::spawn_local(body.drain());
        }
        ends
    }
}
