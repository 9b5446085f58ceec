//! The level of the log, which may change while the process runs.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::level_filters::LevelFilter;

use super::START;

/// The level in force. Clones are one level.
///
/// `tracing` asks once per place in the code whether it is heard and remembers the answer, and workers hear of a change: so
/// what may change costs a request nothing.
#[derive(Debug, Clone)]
pub struct LogLevel(Arc<watch::Sender<LevelFilter>>);

impl LogLevel {
    /// A level to begin with.
    pub(super) fn new(level: LevelFilter) -> Self {
        Self(Arc::new(watch::Sender::new(level)))
    }

    /// The level now.
    #[must_use]
    pub(crate) fn now(&self) -> LevelFilter {
        *self.0.borrow()
    }

    /// Puts another level in force, and says so in a line that is written at any level but off. `by`: who wants it.
    pub(crate) fn set(&self, level: LevelFilter, by: &'static str) {
        let tell = || {
            tracing::info!(target: START, log_level = %level, by, "the level of the log was changed");
        };
        if level == LevelFilter::OFF {
            tell();
        }
        self.0.send_replace(level);
        tracing_core::callsite::rebuild_interest_cache();
        if level != LevelFilter::OFF {
            tell();
        }
    }

    /// Hears of changes.
    pub(super) fn changes(&self) -> watch::Receiver<LevelFilter> {
        self.0.subscribe()
    }
}
