//! Log, access lines and metrics.

mod access_log;
mod histogram;
mod metrics;
mod writer;

pub use access_log::{AccessLog, Entry};
pub use metrics::{
    ClientTimeout, ControlMetrics, DirectoryOperation, IssuerCall, Metrics, Outcome, PoolMetrics,
    WorkerMetrics,
};
pub use writer::LogWriter;
