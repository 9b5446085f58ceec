use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Seconds since 1970-01-01 UTC, as in JWT `exp`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct UnixTime(pub i64);

impl UnixTime {
    /// This time plus `duration`, whole seconds, saturating.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)),
        )
    }

    /// This time minus `duration`, whole seconds, saturating.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)),
        )
    }

    /// How long ago `earlier` was; zero if it is ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// The wall clock everything reads. Tests hand in one they can move.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    shift: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The clock of the machine.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// The machine's clock, with a shift that [`Clock::advance`] moves.
    #[must_use]
    pub fn shifted() -> Self {
        Self {
            shift: Some(Arc::new(AtomicI64::new(0))),
        }
    }

    /// Moves a clock made by [`Clock::shifted`] by whole seconds; does nothing to the system's.
    pub fn advance(&self, seconds: i64) {
        if let Some(shift) = &self.shift {
            shift.fetch_add(seconds, Ordering::Relaxed);
        }
    }

    /// Now, in whole seconds.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        UnixTime(self.now_millis().div_euclid(1000))
    }

    /// Now, in milliseconds since 1970-01-01 UTC; for the times of log lines.
    #[must_use]
    pub fn now_millis(&self) -> i64 {
        let system = i64::try_from(since_1970().as_millis()).unwrap_or(i64::MAX);
        let shift = self
            .shift
            .as_ref()
            .map_or(0, |shift| shift.load(Ordering::Relaxed));
        system.saturating_add(shift.saturating_mul(1000))
    }

    /// Now, in nanoseconds since 1970-01-01 UTC, without the shift; for spans, which others hold against their own clocks.
    #[must_use]
    pub fn now_nanos(&self) -> u64 {
        u64::try_from(since_1970().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the system's clock"
)]
fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
