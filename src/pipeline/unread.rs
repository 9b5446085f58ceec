//! The request's body until somebody wants it, and what becomes of it when nobody does.

use std::cell::Cell;

use http::Version;
use http::header::EXPECT;
use http::request::Parts;
use http_body::Body as _;
use hyper::body::Incoming;

use crate::body::{Body, DRAIN_BYTES};

/// The body of a request that may still be refused.
pub(super) struct UnreadBody {
    body: Cell<Option<Incoming>>,
    is_http1: bool,
    is_awaited: bool,
}

impl UnreadBody {
    pub(super) fn new(head: &Parts, body: Incoming) -> Self {
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
        self.body.take().map_or_else(Body::empty, Body::from)
    }

    /// The request was refused. A body of moderate size is read away, so that the connection serves on (hardening.md row
    /// 28) and no client stumbles over a stream that is closed while it sends. Of a longer one, and of one whose sender
    /// waits for `100 Continue`, nothing is read; `true` if the connection has to end for that.
    pub(super) fn refuse(&self) -> bool {
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) else {
            return false;
        };
        let is_moderate = body.size_hint().exact().is_some_and(|n| n <= DRAIN_BYTES);
        if is_moderate && !self.is_awaited {
            tokio::task::spawn_local(Body::from(body).drain());
            return false;
        }
        // HTTP/2 has streams for that.
        self.is_http1
    }
}
