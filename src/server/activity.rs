//! What a client connection is doing, as it notes itself: for the sweep, for the drain, and for a look at the heads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use http::StatusCode;
use tokio::time::Instant;

use super::unreadable::UnreadableAnswer;
use crate::body::Outlet;

/// Marks a request, by its extensions, whose head was settled so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OddHead {
    /// The target had a fragment (RFC 9112 section 3.2 knows none).
    Fragment,
    /// Two parsers could see different requests.
    Framing,
}

/// Milliseconds since the worker started, as of the last sweep. A read of it costs no system call.
#[derive(Debug)]
pub(super) struct Ticks {
    started: Instant,
    now: AtomicU64,
}

impl Ticks {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            // Zero means "not set" in `Activity`.
            now: AtomicU64::new(1),
        }
    }

    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    pub(super) fn advance(&self) -> u64 {
        let now = 1 + u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.now.store(now, Ordering::Relaxed);
        now
    }
}

/// What a connection is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Stage {
    Handshake,
    /// Plain text, before it is known whether it is HTTP/1 or 2.
    Preface,
    Http1,
    Http2,
    Lingering,
}

impl Stage {
    fn from_u8(value: u8) -> Self {
        [
            Self::Handshake,
            Self::Preface,
            Self::Http1,
            Self::Http2,
            Self::Lingering,
        ]
        .into_iter()
        .find(|stage| *stage as u8 == value)
        .unwrap_or(Self::Lingering)
    }
}

/// Notes of one connection. Atomic only because an upgraded socket has to be `Send`; one thread
/// writes them, so no order is needed.
#[derive(Debug)]
pub(super) struct Activity {
    ticks: Arc<Ticks>,
    stage: AtomicU8,
    /// When the present wait began: accept, end of the handshake, end of the last response.
    since: AtomicU64,
    /// When the first byte of a request came in; 0: none came yet.
    header: AtomicU64,
    in_flight: AtomicU32,
    requests: AtomicU32,
    body: AtomicBool,
    odd_head: AtomicU8,
    /// Which request it is the head of, counted from 1.
    odd_request: AtomicU32,
    /// Reads and writes that moved something; when the last read was.
    moved: AtomicU64,
    read_at: AtomicU64,
    is_reset: AtomicBool,
    is_opaque: AtomicBool,
    /// The last answer refused a head that nobody can read in one way only.
    is_hasty: AtomicBool,
    /// Since when an HTTP/2 header block is unfinished; 0: none is.
    block: AtomicU64,
    /// The way of answers' bodies into the socket.
    pub(super) outlet: Outlet,
    pub(super) unreadable: UnreadableAnswer,
}

impl Activity {
    pub(super) fn new(ticks: Arc<Ticks>, stage: Stage) -> Self {
        Self {
            stage: AtomicU8::new(stage as u8),
            since: AtomicU64::new(ticks.now()),
            ticks,
            header: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            requests: AtomicU32::new(0),
            body: AtomicBool::new(false),
            odd_head: AtomicU8::new(0),
            odd_request: AtomicU32::new(0),
            moved: AtomicU64::new(0),
            read_at: AtomicU64::new(0),
            is_reset: AtomicBool::new(false),
            is_opaque: AtomicBool::new(false),
            is_hasty: AtomicBool::new(false),
            block: AtomicU64::new(0),
            outlet: Outlet::default(),
            unreadable: UnreadableAnswer::default(),
        }
    }

    #[cfg(test)]
    pub(super) fn for_tests() -> Self {
        Self::new(Arc::new(Ticks::new()), Stage::Http1)
    }

    /// Enters a stage; waiting starts anew.
    pub(super) fn enter(&self, stage: Stage) {
        let from = self.stage.swap(stage as u8, Ordering::Relaxed);
        self.since.store(self.ticks.now(), Ordering::Relaxed);
        if from == Stage::Handshake as u8 {
            self.header.store(0, Ordering::Relaxed);
        }
    }

    /// Since when it waits, in ticks.
    pub(super) fn since(&self) -> u64 {
        self.since.load(Ordering::Relaxed)
    }

    /// It waits since `now`.
    pub(super) fn waits_since(&self, now: u64) {
        self.since.store(now, Ordering::Relaxed);
    }

    /// When the first byte of a request came in, in ticks; 0: none came yet.
    pub(super) fn header(&self) -> u64 {
        self.header.load(Ordering::Relaxed)
    }

    pub(super) fn stage(&self) -> Stage {
        Stage::from_u8(self.stage.load(Ordering::Relaxed))
    }

    /// A request's header is complete; it runs until the guard is dropped.
    pub(super) fn request(self: &Arc<Self>, has_body: bool) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.body.store(has_body, Ordering::Relaxed);
        InFlight {
            activity: Arc::clone(self),
        }
    }

    /// An HTTP/1 request has begun to come in, but its header is not complete.
    pub(super) fn is_mid_header(&self) -> bool {
        self.stage() == Stage::Http1
            && self.in_flight.load(Ordering::Relaxed) == 0
            && self.header.load(Ordering::Relaxed) != 0
    }

    /// An HTTP/1 connection has answered everything, and its client has taken it all.
    pub(super) fn is_idle(&self) -> bool {
        self.stage() == Stage::Http1
            && self.requests() > 0
            && !self.is_busy()
            && self.header() == 0
            && self.outlet.is_free()
    }

    /// A handshake or a head has begun and is not complete.
    pub(super) fn is_underway(&self) -> bool {
        match self.stage() {
            Stage::Handshake => true,
            Stage::Preface | Stage::Http1 => self.header() != 0,
            Stage::Http2 => self.block() != 0,
            Stage::Lingering => false,
        }
    }

    /// Bytes came in.
    pub(super) fn has_read(&self) {
        let now = self.ticks.now();
        if self.header.load(Ordering::Relaxed) == 0 {
            self.header.store(now, Ordering::Relaxed);
        }
        self.read_at.store(now, Ordering::Relaxed);
        self.has_moved();
    }

    fn has_moved(&self) {
        let moved = self.moved.load(Ordering::Relaxed);
        self.moved.store(moved.wrapping_add(1), Ordering::Relaxed);
    }

    /// What has moved on its socket. Where requests share it, that says nothing of one of them.
    pub(super) fn moved(&self) -> u64 {
        if self.stage.load(Ordering::Relaxed) == Stage::Http1 as u8 {
            self.moved.load(Ordering::Relaxed)
        } else {
            0
        }
    }

    /// When bytes came in last, in ticks; 0: none came yet.
    pub(super) fn read_at(&self) -> u64 {
        self.read_at.load(Ordering::Relaxed)
    }

    /// An HTTP/2 header block has begun, or is complete.
    pub(super) fn is_in_block(&self, is_in: bool) {
        let since = if is_in { self.ticks.now() } else { 0 };
        self.block.store(since, Ordering::Relaxed);
    }

    /// Since when a header block is unfinished, in ticks; 0: none is.
    pub(super) fn block(&self) -> u64 {
        self.block.load(Ordering::Relaxed)
    }

    /// A request was answered so. After a head that two parsers could read differently nobody waits for what else comes.
    pub(super) fn is_answered(&self, status: StatusCode) {
        let is_hasty = matches!(status.as_u16(), 400 | 414 | 431 | 501);
        self.is_hasty.store(is_hasty, Ordering::Relaxed);
    }

    /// Its end is not waited for either.
    pub(super) fn is_hasty_now(&self) {
        self.is_hasty.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_hasty(&self) -> bool {
        self.is_hasty.load(Ordering::Relaxed)
    }

    /// It ends with a reset.
    pub(super) fn reset(&self) {
        self.is_reset.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_to_be_reset(&self) -> bool {
        self.is_reset.load(Ordering::Relaxed)
    }

    /// A request runs.
    pub(super) fn is_busy(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    /// How many requests there were, the running ones included.
    pub(super) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The head of that request is odd. Framing is the graver fault, and the first odd head is the last that is served.
    pub(super) fn has_odd_head(&self, request: u32, odd: OddHead) {
        let code = match odd {
            OddHead::Fragment => 1,
            OddHead::Framing => 2,
        };
        if self.odd_head.load(Ordering::Relaxed) == 0 {
            self.odd_request.store(request, Ordering::Relaxed);
        }
        if self.odd_request.load(Ordering::Relaxed) == request {
            self.odd_head.fetch_max(code, Ordering::Relaxed);
        }
    }

    /// Which request has an odd head; 0: none yet.
    pub(super) fn odd_request(&self) -> u32 {
        if self.odd_head.load(Ordering::Relaxed) == 0 {
            0
        } else {
            self.odd_request.load(Ordering::Relaxed)
        }
    }

    /// Its bytes are nobody's requests any more.
    pub(super) fn is_opaque_now(&self) {
        self.is_opaque.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_opaque(&self) -> bool {
        self.is_opaque.load(Ordering::Relaxed)
    }

    /// What was odd about the head of the request that begins now.
    pub(super) fn take_odd_head(&self) -> Option<OddHead> {
        if self.odd_head.load(Ordering::Relaxed) == 0
            || self.odd_request.load(Ordering::Relaxed) != self.requests().wrapping_add(1)
        {
            return None;
        }
        match self.odd_head.swap(0, Ordering::Relaxed) {
            1 => Some(OddHead::Fragment),
            _ => Some(OddHead::Framing),
        }
    }

    /// The last request had a body, which may not have been read to its end.
    pub(super) fn has_body(&self) -> bool {
        self.body.load(Ordering::Relaxed)
    }

    /// The socket was written to; whether it took anything.
    pub(super) fn has_tried(&self, has_taken: bool) {
        self.outlet.was_tried(has_taken);
        if !has_taken {
            return;
        }
        self.has_moved();
        // HTTP/2 pings would keep an unused connection for ever; there the end of a stream counts.
        if self.stage.load(Ordering::Relaxed) == Stage::Http1 as u8 {
            self.since.store(self.ticks.now(), Ordering::Relaxed);
        }
    }
}

/// A request that is being answered, held until its response's body is gone.
#[derive(Debug)]
pub(super) struct InFlight {
    activity: Arc<Activity>,
}

impl InFlight {
    /// The way of its answer into the socket.
    pub(super) fn outlet(&self) -> &Outlet {
        &self.activity.outlet
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let activity = &self.activity;
        if activity.in_flight.fetch_sub(1, Ordering::Relaxed) == 1 {
            activity.header.store(0, Ordering::Relaxed);
            activity
                .since
                .store(activity.ticks.now(), Ordering::Relaxed);
        }
    }
}
