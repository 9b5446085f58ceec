//! The drain: one state for the whole process, moved forward only, and the count of what still runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// How far the process is on its way out (docs/design/design.md 2, Signals and drain).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Everything is served.
    Serving,
    /// No new connections, idle ones are closed, running requests go on.
    Draining,
    /// Everything still open is cut.
    Ending,
}

/// Handle to the drain; clones share it. Started by a signal, watched by every worker.
#[derive(Debug, Clone)]
pub(crate) struct Drain {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    phase: watch::Sender<Phase>,
    streams: CancellationToken,
    transfer_timeout: Duration,
    stream_timeout: Duration,
    open: AtomicUsize,
    accepting: AtomicUsize,
    closed_one: Notify,
}

impl Drain {
    /// A drain that lets transfers run for `transfer_timeout` and streams (SSE, tunnels) for
    /// `stream_timeout` after [`Drain::run`].
    #[must_use]
    pub(crate) fn new(transfer_timeout: Duration, stream_timeout: Duration) -> Self {
        Self {
            shared: Arc::new(Shared {
                phase: watch::Sender::new(Phase::Serving),
                streams: CancellationToken::new(),
                transfer_timeout,
                stream_timeout,
                open: AtomicUsize::new(0),
                accepting: AtomicUsize::new(0),
                closed_one: Notify::new(),
            }),
        }
    }

    /// Where the process is.
    #[must_use]
    pub(crate) fn phase(&self) -> Phase {
        *self.shared.phase.borrow()
    }

    /// Whether [`Drain::run`] was called; `/readyz` is 503 then.
    #[must_use]
    pub(crate) fn is_draining(&self) -> bool {
        self.phase() != Phase::Serving
    }

    /// Waits until the drain begins.
    pub(crate) async fn begun(&self) {
        self.reached(Phase::Draining).await;
    }

    /// Waits until everything still open has to go.
    pub(crate) async fn ending(&self) {
        self.reached(Phase::Ending).await;
    }

    /// Fires when streams (SSE, tunnels) have to end: `stream_timeout` after the begin. Whoever
    /// copies bytes for a tunnel selects on it.
    #[must_use]
    pub(crate) fn streams_end(&self) -> CancellationToken {
        self.shared.streams.clone()
    }

    /// Starts the drain and returns when the last connection and tunnel is gone, at the latest when
    /// the transfers' time is over. Needs a tokio runtime; a second call only waits.
    pub(crate) async fn run(&self) {
        self.advance(Phase::Draining);
        let streams = self.shared.streams.clone();
        let stream_timeout = self.shared.stream_timeout;
        let transfer_timeout = self.shared.transfer_timeout;
        let clocks = async {
            tokio::time::sleep(stream_timeout.min(transfer_timeout)).await;
            streams.cancel();
            tokio::time::sleep(transfer_timeout.saturating_sub(stream_timeout)).await;
        };
        tokio::select! {
            () = self.emptied() => {}
            () = self.ending() => {}
            () = clocks => tracing::warn!(open = self.open(), "the drain's time is over, what is open is cut"),
        }
        self.end();
    }

    /// Cuts everything: the second signal, or the end of the drain's time.
    pub(crate) fn end(&self) {
        self.advance(Phase::Ending);
        self.shared.streams.cancel();
    }

    /// How many connections and tunnels are open.
    #[must_use]
    pub(crate) fn open(&self) -> usize {
        self.shared.open.load(Ordering::Acquire)
    }

    /// Counts one connection or tunnel until the guard is dropped. An upgraded socket leaves its
    /// connection, so a tunnel holds its own guard.
    #[must_use]
    pub(crate) fn count(&self) -> OpenGuard {
        self.shared.open.fetch_add(1, Ordering::AcqRel);
        OpenGuard {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Keeps the drain from being over while a worker may still accept, without being a connection.
    #[must_use]
    pub(super) fn accepting(&self) -> AcceptGuard {
        self.shared.accepting.fetch_add(1, Ordering::AcqRel);
        AcceptGuard {
            shared: Arc::clone(&self.shared),
        }
    }

    async fn emptied(&self) {
        loop {
            let notified = self.shared.closed_one.notified();
            // In this order: what accepts counts its connections before it is done.
            if self.shared.accepting.load(Ordering::Acquire) == 0 && self.open() == 0 {
                return;
            }
            notified.await;
        }
    }

    async fn reached(&self, phase: Phase) {
        let mut receiver = self.shared.phase.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = receiver.wait_for(|now| *now >= phase).await;
    }

    fn advance(&self, to: Phase) {
        self.shared.phase.send_if_modified(|now| {
            let forward = *now < to;
            if forward {
                *now = to;
            }
            forward
        });
    }
}

/// One open connection or tunnel, see [`Drain::count`].
#[derive(Debug)]
pub(crate) struct OpenGuard {
    shared: Arc<Shared>,
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        if self.shared.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.closed_one.notify_waiters();
        }
    }
}

/// A worker that may still accept, see [`Drain::accepting`].
#[derive(Debug)]
pub(super) struct AcceptGuard {
    shared: Arc<Shared>,
}

impl Drop for AcceptGuard {
    fn drop(&mut self) {
        if self.shared.accepting.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.closed_one.notify_waiters();
        }
    }
}
