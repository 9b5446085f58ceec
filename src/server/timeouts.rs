//! Time limits of client connections without a timer per request: each connection notes what it is
//! doing, and one sweep per worker looks at all of them a few times a second.

use std::cell::{Cell, LazyCell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::activity::{Activity, Stage, Ticks};
use super::places::Places;
use super::quiet::Leftovers;
use crate::body::{DRAIN_SILENCE, DRAIN_TIME, Pulse, Readers};
use crate::telemetry::{ClientTimeout, WorkerMetrics};

/// How long a client may take (docs/design/design.md 2, Times). Bodies in motion have no limit here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// From accept, or the end of the TLS handshake, to the first byte.
    pub first_byte: Duration,
    /// From a request's first byte to the end of its header.
    pub header: Duration,
    /// From a response's end to the next request's first byte.
    pub idle: Duration,
    /// From accept to the end of the TLS handshake.
    pub handshake: Duration,
    /// Without a byte of a body that has begun; zero: as long as it likes.
    pub transfer: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(30),
            header: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            handshake: Duration::from_secs(10),
            transfer: Duration::from_secs(60),
        }
    }
}

/// What a connection without a running request may still take once the drain began: it is closed
/// within a second, but a request that is on its way is not lost.
const DRAIN_IDLE: Duration = Duration::from_millis(400);

/// What a head that is half here may still take from the begin of the drain: nobody knows whether the rest ever comes.
const DRAIN_HEADER: Duration = Duration::from_millis(800);

/// A closed connection's unread input is read away for [`DRAIN_TIME`] with rests of [`DRAIN_SILENCE`] at most, see
/// `watched_io.rs`; for this long after a head that was refused for its form, whose rest nobody can tell from a request.
/// While draining, the process is not to wait for a client that keeps its socket open.
const HASTY_LINGER: Duration = Duration::from_secs(2);
const DRAIN_LINGER: Duration = Duration::from_millis(50);

/// A connection that has rested for less, in milliseconds, is not closed to make room.
const JUST_CAME: u64 = 100;

/// An HTTP/1 connection that is idle for so long, in milliseconds, is taken apart until its next request.
const RESTS_AFTER: u64 = 1000;

/// What a body that waits for its reader may rest beyond the limit, as a share of it. A reader is seen only when its window
/// opens, which it does by whole segments (RFC 9293 section 3.8.6.2.2), and machines that carry 64 KiB as one piece give
/// room back by as much: a reader of 1 KiB/s is then seen once in 64 s.
const READER_SHARE: u32 = 8;

/// Readers on this machine are asked for at most this often while something rests, as a share of the limit.
const ASKING_SHARE: u32 = 16;

/// Read from the system once in a look, and only if something rests.
type AskedReaders = LazyCell<Readers>;

/// How often the sweep looks while draining.
const DRAIN_PERIOD: Duration = Duration::from_millis(25);

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
    /// Of its requests: one for all of HTTP/1, one for each stream.
    pulses: RefCell<Vec<Rc<Pulse>>>,
    command: Cell<Command>,
    rest: Cell<Rest>,
    waker: RefCell<Option<Waker>>,
}

/// Whether an idle connection is taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    No,
    Wanted,
    Taken,
}

impl Entry {
    /// Whether it has been idle for a while, is so now, and its socket has taken everything.
    pub(super) fn is_to_rest(&self) -> bool {
        self.rest.get() == Rest::Wanted && self.activity.is_idle()
    }

    /// It rests from now on, or no longer.
    pub(super) fn rests(&self, rests: bool) {
        self.rest.set(if rests { Rest::Taken } else { Rest::No });
    }

    /// Wakes a connection that has been idle for so long that its buffers are better given back.
    /// Whether it does now.
    fn lay_to_rest(&self) -> bool {
        let is_new = self.rest.get() == Rest::No;
        if is_new {
            self.rest.set(Rest::Wanted);
            let waker = self.waker.borrow().clone();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        is_new
    }

    /// Looks at a request's bodies, too.
    pub(super) fn watch(&self, pulse: Rc<Pulse>) {
        self.pulses.borrow_mut().push(pulse);
    }

    /// A stream has ended.
    pub(super) fn forget(&self, pulse: &Rc<Pulse>) {
        let mut pulses = self.pulses.borrow_mut();
        if let Some(place) = pulses.iter().position(|known| Rc::ptr_eq(known, pulse)) {
            pulses.swap_remove(place);
        }
    }

    /// Requests whose bodies have rested for too long.
    fn stalled(&self, now: u64, limit: Duration, readers: Option<&AskedReaders>) -> Vec<Rc<Pulse>> {
        let of_client = self.activity.moved();
        let is_full = !self.activity.outlet.is_free();
        let rests_too_long = |pulse: &&Rc<Pulse>| {
            let Some(rested) = pulse.rests(of_client, now).map(Duration::from_millis) else {
                return false;
            };
            if rested > limit / 2
                && let Some(readers) = readers
                && let Some(ends) = pulse.held_within(&self.activity.outlet)
                && let Some(unread) = readers.unread(ends)
                && pulse.has_moved_at_its_reader(unread)
            {
                return false;
            }
            let waits_for_reader = is_full || pulse.is_held_by_backend();
            let limit = if waits_for_reader {
                limit.saturating_add(limit / READER_SHARE)
            } else {
                limit
            };
            rested > limit && !pulse.is_stalled()
        };
        let pulses = self.pulses.borrow();
        pulses.iter().filter(rests_too_long).cloned().collect()
    }

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
    /// When readers on this machine were asked for, by the ticks.
    asked: Cell<u64>,
    leftovers: Leftovers,
    metrics: WorkerMetrics,
    places: Places,
}

impl Sweep {
    pub(super) fn new(timeouts: Timeouts, metrics: WorkerMetrics, places: Places) -> Self {
        Self {
            timeouts,
            ticks: Arc::new(Ticks::new()),
            entries: RefCell::default(),
            draining: Cell::new(None),
            asked: Cell::new(0),
            leftovers: Leftovers::default(),
            metrics,
            places,
        }
    }

    /// A new connection.
    pub(super) fn enter(&self, stage: Stage) -> Rc<Entry> {
        let entry = Rc::new(Entry {
            activity: Arc::new(Activity::new(Arc::clone(&self.ticks), stage)),
            pulses: RefCell::default(),
            rest: Cell::new(Rest::No),
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
        let transfer = if limits.transfer.is_zero() {
            Duration::MAX
        } else {
            limits.transfer
        };
        let shortest = limits
            .first_byte
            .min(limits.header)
            .min(limits.idle)
            .min(limits.handshake)
            .min(transfer);
        let period = (shortest / 8).clamp(Duration::from_millis(5), Duration::from_millis(250));
        loop {
            let pause = if self.draining.get().is_some() {
                period.min(DRAIN_PERIOD)
            } else {
                period
            };
            tokio::time::sleep(pause).await;
            self.look(self.ticks.advance());
            // Taken only by a worker that has one to give: heard by one that has none, it would be lost.
            if self.places.has_wish()
                && let Some(longest) = self.longest_idle()
                && self.places.take_wish()
            {
                longest.tell(Command::Close);
            }
        }
    }

    /// Closes the connection that has rested longest; where none rests, one of those that have not sent a whole request yet.
    /// `None`: all of them are being answered, or have only just come.
    pub(super) fn close_longest_idle(&self) -> Option<Weak<Entry>> {
        let longest = self.longest_idle()?;
        longest.tell(Command::Close);
        Some(Rc::downgrade(&longest))
    }

    fn longest_idle(&self) -> Option<Rc<Entry>> {
        let now = self.ticks.advance();
        let entries = self.entries.borrow();
        entries
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|entry| entry.command() != Command::Close && !entry.activity.is_busy())
            .filter(|entry| now.saturating_sub(entry.activity.since()) > JUST_CAME)
            .min_by_key(|entry| (entry.activity.is_underway(), entry.activity.since()))
    }

    fn look(&self, now: u64) {
        let pause = self.timeouts.transfer / ASKING_SHARE;
        let may_ask = Duration::from_millis(now.saturating_sub(self.asked.get())) >= pause;
        if may_ask {
            self.asked.set(now);
        }
        let readers = may_ask.then(|| LazyCell::new(Readers::now as fn() -> Readers));
        let mut has_freed = false;
        self.entries.borrow_mut().retain(|entry| {
            let Some(entry) = entry.upgrade() else {
                has_freed = true;
                return false;
            };
            self.cut_stalled(&entry, now, readers.as_ref());
            self.look_at(&entry, now);
            let activity = &entry.activity;
            if activity.is_idle() && now.saturating_sub(activity.since()) > RESTS_AFTER {
                has_freed |= entry.lay_to_rest();
            }
            true
        });
        if has_freed {
            self.leftovers.came_about(now);
        }
        self.leftovers.give_back(now);
    }

    /// Ends transfers of which nothing moves: the connection of HTTP/1, the stream of HTTP/2, and what they hold at backends.
    fn cut_stalled(&self, entry: &Entry, now: u64, readers: Option<&AskedReaders>) {
        if self.timeouts.transfer.is_zero() {
            return;
        }
        for pulse in entry.stalled(now, self.timeouts.transfer, readers) {
            self.metrics.client_timed_out(ClientTimeout::Transfer);
            pulse.stalls();
            if entry.activity.stage() == Stage::Http1 {
                entry.activity.reset();
                entry.tell(Command::Close);
            }
        }
    }

    fn look_at(&self, entry: &Entry, now: u64) {
        let command = entry.command();
        let draining = command == Command::Drain;
        let activity = &entry.activity;
        let drain = self.draining.get();
        let Some(expired) = expired(activity, now, &self.timeouts, draining, drain) else {
            return;
        };
        if let (Some(which), Command::GoOn) = (expired, command) {
            self.metrics.client_timed_out(which);
            tracing::debug!(limit = which.name(), "a client was too slow");
            // HTTP/2 clients are told by GOAWAY, and closed at one of the next looks.
            if which == ClientTimeout::Idle && entry.activity.stage() == Stage::Http2 {
                entry.activity.waits_since(now);
                entry.tell(Command::Drain);
                return;
            }
        }
        entry.tell(Command::Close);
    }
}

/// Which limit has passed at `now`, if any. `None` inside is the linger's end, which is no fault
/// of the client. `drain`: when the process began to drain.
fn expired(
    activity: &Activity,
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
    let since = activity.since();
    let header = activity.header();
    let (began, limit, which) = match activity.stage() {
        Stage::Lingering => {
            let (limit, silence) = match (draining, activity.is_hasty()) {
                (true, _) => (DRAIN_LINGER, DRAIN_LINGER),
                (false, true) => (HASTY_LINGER, HASTY_LINGER),
                (false, false) => (DRAIN_TIME, DRAIN_SILENCE),
            };
            let is_silent = waited(since.max(activity.read_at())) > silence;
            return (is_silent || waited(since) > limit).then_some(None);
        }
        Stage::Handshake => (since, timeouts.handshake, ClientTimeout::Handshake),
        Stage::Http2 if activity.block() != 0 => {
            (activity.block(), timeouts.header, ClientTimeout::Header)
        }
        _ if activity.is_busy() => return None,
        Stage::Preface | Stage::Http1 if header != 0 => {
            let drained = drain.is_some_and(|began| waited(began.max(header)) > DRAIN_HEADER);
            if drained {
                return Some(Some(ClientTimeout::Header));
            }
            (header, timeouts.header, ClientTimeout::Header)
        }
        _ if activity.requests() == 0 => {
            (since, cap(timeouts.first_byte), ClientTimeout::FirstByte)
        }
        _ => (since, cap(timeouts.idle), ClientTimeout::Idle),
    };
    (waited(began) > limit).then_some(Some(which))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Traffic;
    use crate::config::Flavor;
    use crate::telemetry::Metrics;

    #[test]
    fn issue_15_1_what_waits_for_its_reader_has_an_eighth_more() {
        let started = Arc::default();
        let metrics = Metrics::new(Flavor::OpenCloud, "0", 1, started);
        let sweep = Sweep::new(Timeouts::default(), metrics.worker(0), Places::new(1, 1));
        let limit = Duration::from_secs(60);
        for (up, client_reads, backend_reads, cut_after) in [
            // Nobody sends.
            (true, true, true, 60),
            (false, true, true, 60),
            // The backend, or the client, does not read.
            (true, true, false, 67),
            (false, false, true, 67),
        ] {
            let entry = sweep.enter(Stage::Http1);
            let pulse = Rc::<Pulse>::default();
            let backend = Arc::new(Traffic::default());
            pulse.travels_by(Arc::clone(&backend));
            pulse.goes_up(up);
            pulse.comes_down(!up);
            entry.watch(pulse);
            entry.activity.has_tried(client_reads);
            backend.outlet.was_tried(backend_reads);
            let is_cut = |second: u64| !entry.stalled(1000 * second + 600, limit, None).is_empty();
            assert!(!is_cut(0));
            assert!(!is_cut(cut_after));
            assert!(is_cut(cut_after + 1), "{up} {client_reads} {backend_reads}");
        }
    }
}
