//! Log, access lines and metrics.

mod access_log;
mod control;
mod encode;
mod exposition;
mod histogram;
mod line;
mod log;
mod metrics;
mod pool;
mod writer;

pub use access_log::{AccessLog, Entry};
pub use control::{ControlMetrics, DirectoryOperation, IssuerCall, Outcome};
pub use exposition::Exposition;
pub use log::{Log, START};
pub use metrics::{ClientTimeout, Metrics, WorkerMetrics};
pub use pool::{PoolCounters, PoolMetrics};
pub use writer::LogWriter;
