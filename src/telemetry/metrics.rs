//! What is counted: a shard per worker, one for control, handles that are resolved once.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::control::{ControlMetrics, ControlShard};
use super::histogram::Histogram;
use super::levels::Levels;
use super::routes::{Classes, count_class};
use super::{PoolMetrics, RouteMetrics};
use crate::config::Flavor;
use crate::model::{Clock, Reason, UnixTime};

/// Methods with a label of their own: those registered for HTTP and WebDAV. The rest is `OTHER`, so
/// that a client cannot make series.
pub(super) const METHODS: [&str; 38] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "SEARCH",
    "ACL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "CONNECT",
    "LABEL",
    "LINK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "ORDERPATCH",
    "REBIND",
    "TRACE",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
    "OTHER",
];

/// All metrics of the process; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(super) inner: Arc<Inner>,
}

/// Says what stands at which level.
type AskLevels = Box<dyn Fn() -> Levels + Send + Sync>;

pub(super) struct Inner {
    pub(super) flavor: Flavor,
    pub(super) version: &'static str,
    pub(super) started: UnixTime,
    pub(super) workers: Vec<Arc<WorkerShard>>,
    pub(super) control: Arc<ControlShard>,
    pub(super) pools: Mutex<Vec<PoolMetrics>>,
    pub(super) routes: Mutex<Vec<RouteMetrics>>,
    /// Their names, in the order of the configuration.
    pub(super) issuers: OnceLock<Vec<String>>,
    levels: OnceLock<AskLevels>,
    /// Shared with the log writer, which counts there.
    pub(super) log_lines_dropped: Arc<AtomicU64>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("version", &self.version)
            .field("workers", &self.workers.len())
            .finish_non_exhaustive()
    }
}

impl Metrics {
    /// Metrics with one shard for each of `workers`; `log_lines_dropped` is the log writer's counter.
    #[must_use]
    pub(crate) fn new(
        flavor: Flavor,
        version: &'static str,
        workers: usize,
        log_lines_dropped: Arc<AtomicU64>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                flavor,
                version,
                started: Clock::system().now(),
                workers: (0..workers.max(1)).map(|_| Arc::default()).collect(),
                control: Arc::default(),
                pools: Mutex::default(),
                routes: Mutex::default(),
                issuers: OnceLock::new(),
                levels: OnceLock::new(),
                log_lines_dropped,
            }),
        }
    }

    /// The handle of worker `index`; indexes above the number of workers share shards.
    #[must_use]
    pub(crate) fn worker(&self, index: usize) -> WorkerMetrics {
        let shards = &self.inner.workers;
        WorkerMetrics {
            shard: shards
                .get(index % shards.len())
                .map(Arc::clone)
                .unwrap_or_default(),
        }
    }

    /// The handle of everything that runs on the control runtime.
    #[must_use]
    pub(crate) fn control(&self) -> ControlMetrics {
        ControlMetrics::new(Arc::clone(&self.inner.control))
    }

    /// The names of the issuers, in the order in which sessions count them. Said once, at the start.
    pub(crate) fn name_issuers(&self, names: Vec<String>) {
        // Said again it would be the same.
        let _ = self.inner.issuers.set(names);
    }

    /// Who says what stands at which level. Said once, at the start.
    pub(crate) fn ask_levels(&self, ask: impl Fn() -> Levels + Send + Sync + 'static) {
        let _ = self.inner.levels.set(Box::new(ask));
    }

    /// What stands at which level now, once there is somebody who knows.
    #[must_use]
    pub(crate) fn levels(&self) -> Option<Levels> {
        self.inner.levels.get().map(|ask| ask())
    }

    /// The counters of one worker's routes.
    #[must_use]
    pub(crate) fn routes(&self) -> RouteMetrics {
        let shard = RouteMetrics::default();
        let mut routes = self
            .inner
            .routes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        routes.push(shard.clone());
        shard
    }

    /// The counters of one worker's pools.
    #[must_use]
    pub(crate) fn pools(&self) -> PoolMetrics {
        let shard = PoolMetrics::default();
        let mut pools = self
            .inner
            .pools
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        pools.push(shard.clone());
        shard
    }
}

/// One worker's counters, on cache lines of their own.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct WorkerShard {
    pub(super) methods: [MethodShard; METHODS.len()],
    pub(super) in_flight: AtomicI64,
    pub(super) refusals: [AtomicU64; Reason::ALL.len()],
    pub(super) faults: [AtomicU64; Culprit::ALL.len()],
    pub(super) issuers: [Classes; MOST_ISSUERS],
    pub(super) session_hits: AtomicU64,
    pub(super) session_misses: AtomicU64,
    pub(super) connections: AtomicI64,
    pub(super) connections_total: AtomicU64,
    pub(super) timeouts: [AtomicU64; ClientTimeout::ALL.len()],
    pub(super) handshakes_failed: AtomicU64,
    pub(super) panics: AtomicU64,
}

impl Default for WorkerShard {
    fn default() -> Self {
        Self {
            methods: std::array::from_fn(|_| MethodShard::default()),
            in_flight: AtomicI64::new(0),
            refusals: std::array::from_fn(|_| AtomicU64::new(0)),
            faults: std::array::from_fn(|_| AtomicU64::new(0)),
            issuers: std::array::from_fn(|_| Classes::default()),
            session_hits: AtomicU64::new(0),
            session_misses: AtomicU64::new(0),
            connections: AtomicI64::new(0),
            connections_total: AtomicU64::new(0),
            timeouts: std::array::from_fn(|_| AtomicU64::new(0)),
            handshakes_failed: AtomicU64::new(0),
            panics: AtomicU64::new(0),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct MethodShard {
    pub(super) errors: AtomicU64,
    pub(super) duration: Histogram,
}

/// Issuers that are told apart; more share the last place.
const MOST_ISSUERS: usize = 16;

/// Whose fault it was that a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Culprit {
    /// Ours.
    Gateway,
    /// It gave no usable answer, or one of 500 and above.
    Backend,
    /// An issuer, the directory, or another service that is asked.
    Remote,
}

impl Culprit {
    pub(super) const ALL: [Self; 3] = [Self::Gateway, Self::Backend, Self::Remote];

    /// The label's value.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Backend => "backend",
            Self::Remote => "remote",
        }
    }
}

/// Which of a client's time limits ended its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientTimeout {
    /// Nothing came at all.
    FirstByte,
    /// A request's header took too long.
    Header,
    /// Nothing came after a response.
    Idle,
    /// The TLS handshake took too long.
    Handshake,
    /// Nothing of a body moved any more.
    Transfer,
}

impl ClientTimeout {
    pub(super) const ALL: [Self; 5] = [
        Self::FirstByte,
        Self::Header,
        Self::Idle,
        Self::Handshake,
        Self::Transfer,
    ];

    /// The label and the log's word.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::FirstByte => "first_byte",
            Self::Header => "header",
            Self::Idle => "idle",
            Self::Handshake => "handshake",
            Self::Transfer => "transfer",
        }
    }
}

/// What one worker counts: relaxed adds on memory that only it writes.
#[derive(Debug, Clone)]
pub(crate) struct WorkerMetrics {
    shard: Arc<WorkerShard>,
}

impl WorkerMetrics {
    /// A request's header is complete.
    pub(crate) fn request_started(&self) {
        self.shard.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// A request is over; pairs with [`WorkerMetrics::request_started`]. `status` is 499 if the
    /// client left.
    pub(crate) fn request_finished(&self, method: &str, status: u16, duration: Duration) {
        self.shard.in_flight.fetch_sub(1, Ordering::Relaxed);
        if let Some(shard) = self.shard.methods.get(method_index(method)) {
            shard.duration.observe(duration);
            if status >= 500 {
                shard.errors.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// A request with a session of the issuer at that place of the configuration is over.
    pub(crate) fn issuer_served(&self, issuer: usize, status: u16) {
        if let Some(classes) = self.shard.issuers.get(issuer.min(MOST_ISSUERS - 1)) {
            count_class(classes, status);
        }
    }

    /// A request failed.
    pub(crate) fn failed(&self, culprit: Culprit) {
        if let Some(count) = self.shard.faults.get(culprit as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A request was refused.
    pub(crate) fn refused(&self, reason: Reason) {
        if let Some(count) = self.shard.refusals.get(reason as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A token's session was found, or has to be set up.
    pub(crate) fn session_looked_up(&self, hit: bool) {
        let count = if hit {
            &self.shard.session_hits
        } else {
            &self.shard.session_misses
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// A client connected.
    pub(crate) fn connection_opened(&self) {
        self.shard.connections.fetch_add(1, Ordering::Relaxed);
        self.shard.connections_total.fetch_add(1, Ordering::Relaxed);
    }

    /// A client's connection is gone.
    pub(crate) fn connection_closed(&self) {
        self.shard.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many clients are connected to this worker.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn connections(&self) -> i64 {
        self.shard.connections.load(Ordering::Relaxed)
    }

    /// A client was too slow.
    pub(crate) fn client_timed_out(&self, which: ClientTimeout) {
        if let Some(count) = self.shard.timeouts.get(which as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A TLS handshake failed.
    pub(crate) fn handshake_failed(&self) {
        self.shard.handshakes_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// A request's handler panicked.
    pub(crate) fn panicked(&self) {
        self.shard.panics.fetch_add(1, Ordering::Relaxed);
    }
}

/// The method, where it has a label of its own, else `OTHER`.
pub(crate) fn method_label(method: &str) -> &'static str {
    METHODS
        .get(method_index(method))
        .copied()
        .unwrap_or("OTHER")
}

fn method_index(method: &str) -> usize {
    METHODS
        .iter()
        .position(|known| *known == method)
        .unwrap_or(METHODS.len() - 1)
}
