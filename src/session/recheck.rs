//! When an issuer is asked again about a token whose end it did not tell.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use crate::model::UnixTime;

/// The times of one session's re-checks. Most tokens tell their expiry and have none.
#[derive(Debug)]
pub(super) struct Recheck {
    due_at: AtomicI64,
    ahead_at: AtomicI64,
    failing_since: AtomicI64,
    running: AtomicBool,
}

impl Recheck {
    /// Due at `due_at`; started ahead of need, so that no request waits for it, at four fifths of the time till then. In the
    /// second of its making nobody is asked again: times are whole seconds.
    pub(super) fn new(now: UnixTime, due_at: UnixTime) -> Self {
        let life = due_at.0.saturating_sub(now.0);
        let ahead = (life / 5).max(1).min(life.saturating_sub(1));
        Self {
            due_at: AtomicI64::new(due_at.0),
            ahead_at: AtomicI64::new(due_at.0 - ahead),
            failing_since: AtomicI64::new(i64::MAX),
            running: AtomicBool::new(false),
        }
    }

    /// Whether the issuer has to be asked before the session may be used.
    pub(super) fn is_due(&self, now: UnixTime) -> bool {
        now.0 >= self.due_at.load(Ordering::Relaxed)
    }

    /// Whether it is time to ask, be it ahead of need.
    pub(super) fn is_wanted(&self, now: UnixTime) -> bool {
        now.0 >= self.ahead_at.load(Ordering::Relaxed)
    }

    /// Whether somebody asks already.
    pub(super) fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    /// Claims the right to ask; `false` if somebody has it.
    pub(super) fn begin(&self) -> bool {
        !self.running.swap(true, Ordering::AcqRel)
    }

    /// Gives the right back.
    pub(super) fn end(&self) {
        self.running.store(false, Ordering::Release);
    }

    /// The issuer could not be asked: the old answer serves on until `max_stale` after the first failure, and the issuer
    /// is asked again beside the requests after `retry`. `false` once that is over.
    pub(super) fn failed(&self, now: UnixTime, retry: Duration, max_stale: Duration) -> bool {
        let first = self
            .failing_since
            .fetch_min(now.0, Ordering::Relaxed)
            .min(now.0);
        let last = UnixTime(first).plus(max_stale);
        if now >= last {
            return false;
        }
        self.due_at.store(last.0, Ordering::Relaxed);
        let ahead = now.plus(retry).min(last);
        self.ahead_at.store(ahead.0, Ordering::Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_second_of_its_making_nobody_is_asked_again() {
        let now = UnixTime(1_000);
        for (life, wanted) in [(1, 1), (2, 1), (3, 2), (10, 8), (300, 240)] {
            let recheck = Recheck::new(now, UnixTime(now.0 + life));
            assert!(!recheck.is_wanted(UnixTime(now.0 + wanted - 1)), "{life}");
            assert!(recheck.is_wanted(UnixTime(now.0 + wanted)), "{life}");
            assert!(!recheck.is_due(UnixTime(now.0 + life - 1)), "{life}");
            assert!(recheck.is_due(UnixTime(now.0 + life)), "{life}");
        }
    }
}
