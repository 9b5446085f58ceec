//! The thread that writes log lines, so that a slow terminal or a full disk never stops a worker.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Takes finished lines; never blocks. Clones write to the same place.
#[derive(Debug, Clone)]
pub struct LogWriter {
    dropped: Arc<AtomicU64>,
}

impl LogWriter {
    /// A writer that throws everything away, for tests.
    #[must_use]
    pub fn disabled() -> Self {
        Self {
            dropped: Arc::default(),
        }
    }

    /// Lines that were dropped because the writer could not keep up; for [`super::Metrics::new`].
    #[must_use]
    pub fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }
}
