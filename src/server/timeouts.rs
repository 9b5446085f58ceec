//! Time limits of client connections without a timer per request: each connection notes what it is
//! doing, and one sweep per worker looks at all of them a few times a second.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use super::head_lines::OddHead;
use super::unreadable::UnreadableAnswer;
use crate::telemetry::{ClientTimeout, WorkerMetrics};

/// How long a client may take (design.md 2, Times). Bodies in motion have no limit here.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// From accept, or the end of the TLS handshake, to the first byte.
    pub first_byte: Duration,
    /// From a request's first byte to the end of its header.
    pub header: Duration,
    /// From a response's end to the next request's first byte.
    pub idle: Duration,
    /// From accept to the end of the TLS handshake.
    pub handshake: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(30),
            header: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            handshake: Duration::from_secs(10),
        }
    }
}

/// What a connection without a running request may still take once the drain began: it is closed
/// within a second, but a request that is on its way is not lost.
const DRAIN_IDLE: Duration = Duration::from_millis(400);

/// What a head that is half here may still take from the begin of the drain: nobody knows whether the rest ever comes.
const DRAIN_HEADER: Duration = Duration::from_millis(800);

/// A closed connection's unread input is read away for this long, see `watched_io.rs`; while draining, the
/// process is not to wait for a client that keeps its socket open.
const LINGER: Duration = Duration::from_secs(2);
const DRAIN_LINGER: Duration = Duration::from_millis(50);

/// How often the sweep looks while draining.
const DRAIN_PERIOD: Duration = Duration::from_millis(25);

/// Milliseconds since the worker started, as of the last sweep. A read of it costs no system call.
#[derive(Debug)]
pub(super) struct Ticks {
    started: Instant,
    now: AtomicU64,
}

impl Ticks {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            // Zero means "not set" in `Activity`.
            now: AtomicU64::new(1),
        }
    }

    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    fn advance(&self) -> u64 {
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
    pub(super) unreadable: UnreadableAnswer,
}

impl Activity {
    fn new(ticks: Arc<Ticks>, stage: Stage) -> Self {
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

    /// Bytes came in.
    pub(super) fn has_read(&self) {
        if self.header.load(Ordering::Relaxed) == 0 {
            self.header.store(self.ticks.now(), Ordering::Relaxed);
        }
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

    /// Bytes went out.
    pub(super) fn has_written(&self) {
        // HTTP/2 pings would keep an unused connection for ever; there the end of a stream counts.
        if self.stage.load(Ordering::Relaxed) == Stage::Http1 as u8 {
            self.since.store(self.ticks.now(), Ordering::Relaxed);
        }
    }

    /// Which limit has passed at `now`, if any. `None` inside is the linger's end, which is no fault
    /// of the client. `drain`: when the process began to drain.
    fn expired(
        &self,
        now: u64,
        timeouts: &Timeouts,
        draining: bool,
        drain: Option<u64>,
    ) -> Option<Option<ClientTimeout>> {
        let waited = |since: u64| Duration::from_millis(now.saturating_sub(since));
        let cap = |limit: Duration| {
            if draining {
                limit.min(DRAIN_IDLE)
            } else {
                limit
            }
        };
        let since = self.since.load(Ordering::Relaxed);
        let header = self.header.load(Ordering::Relaxed);
        let (began, limit, which) = match self.stage() {
            Stage::Lingering => {
                let limit = if draining { DRAIN_LINGER } else { LINGER };
                return (waited(since) > limit).then_some(None);
            }
            Stage::Handshake => (since, timeouts.handshake, ClientTimeout::Handshake),
            _ if self.in_flight.load(Ordering::Relaxed) > 0 => return None,
            Stage::Preface | Stage::Http1 if header != 0 => {
                let drained = drain.is_some_and(|began| waited(began.max(header)) > DRAIN_HEADER);
                if drained {
                    return Some(Some(ClientTimeout::Header));
                }
                (header, timeouts.header, ClientTimeout::Header)
            }
            _ if self.requests.load(Ordering::Relaxed) == 0 => {
                (since, cap(timeouts.first_byte), ClientTimeout::FirstByte)
            }
            _ => (since, cap(timeouts.idle), ClientTimeout::Idle),
        };
        (waited(began) > limit).then_some(Some(which))
    }
}

/// A request that is being answered, held until its response's body is gone.
#[derive(Debug)]
pub(super) struct InFlight {
    activity: Arc<Activity>,
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

/// What a connection is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Command {
    GoOn,
    /// No more requests after those that run.
    Drain,
    /// Close now.
    Close,
}

/// A connection as the sweep sees it; the connection's task holds it alive.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) activity: Arc<Activity>,
    command: Cell<Command>,
    waker: RefCell<Option<Waker>>,
}

impl Entry {
    pub(super) fn command(&self) -> Command {
        self.command.get()
    }

    /// The task that is to be woken by a new command.
    pub(super) fn register(&self, waker: &Waker) {
        match &mut *self.waker.borrow_mut() {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    fn tell(&self, command: Command) {
        if self.command.get() < command {
            self.command.set(command);
            let waker = self.waker.borrow().clone();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// All connections of one worker.
#[derive(Debug)]
pub(super) struct Sweep {
    timeouts: Timeouts,
    ticks: Arc<Ticks>,
    entries: RefCell<Vec<Weak<Entry>>>,
    /// Since when, by the ticks.
    draining: Cell<Option<u64>>,
    metrics: WorkerMetrics,
}

impl Sweep {
    pub(super) fn new(timeouts: Timeouts, metrics: WorkerMetrics) -> Self {
        Self {
            timeouts,
            ticks: Arc::new(Ticks::new()),
            entries: RefCell::default(),
            draining: Cell::new(None),
            metrics,
        }
    }

    /// A new connection.
    pub(super) fn enter(&self, stage: Stage) -> Rc<Entry> {
        let entry = Rc::new(Entry {
            activity: Arc::new(Activity::new(Arc::clone(&self.ticks), stage)),
            command: Cell::new(if self.draining.get().is_some() {
                Command::Drain
            } else {
                Command::GoOn
            }),
            waker: RefCell::default(),
        });
        self.entries.borrow_mut().push(Rc::downgrade(&entry));
        entry
    }

    /// Tells all connections that there will be no further requests.
    pub(super) fn drain(&self) {
        self.draining.set(Some(self.ticks.advance()));
        for entry in self.entries.borrow().iter().filter_map(Weak::upgrade) {
            entry.tell(Command::Drain);
        }
    }

    /// Looks at all connections for ever; precise to a quarter of a second with the usual limits.
    pub(super) async fn run(&self) {
        let limits = &self.timeouts;
        let shortest = limits
            .first_byte
            .min(limits.header)
            .min(limits.idle)
            .min(limits.handshake);
        let period = (shortest / 8).clamp(Duration::from_millis(5), Duration::from_millis(250));
        loop {
            let pause = if self.draining.get().is_some() {
                period.min(DRAIN_PERIOD)
            } else {
                period
            };
            tokio::time::sleep(pause).await;
            self.look(self.ticks.advance());
        }
    }

    fn look(&self, now: u64) {
        self.entries.borrow_mut().retain(|entry| {
            let Some(entry) = entry.upgrade() else {
                return false;
            };
            self.look_at(&entry, now);
            true
        });
    }

    fn look_at(&self, entry: &Entry, now: u64) {
        let command = entry.command();
        let draining = command == Command::Drain;
        let activity = &entry.activity;
        let drain = self.draining.get();
        let Some(expired) = activity.expired(now, &self.timeouts, draining, drain) else {
            return;
        };
        if let (Some(which), Command::GoOn) = (expired, command) {
            self.metrics.client_timed_out(which);
            tracing::debug!(limit = which.name(), "a client was too slow");
            // HTTP/2 clients are told by GOAWAY, and closed at one of the next looks.
            if which == ClientTimeout::Idle && entry.activity.stage() == Stage::Http2 {
                entry.activity.since.store(now, Ordering::Relaxed);
                entry.tell(Command::Drain);
                return;
            }
        }
        entry.tell(Command::Close);
    }
}
