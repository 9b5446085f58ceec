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

pub(crate) use access_log::{AccessLog, Entry};
pub(crate) use control::{ControlMetrics, DirectoryOperation, IssuerCall, Outcome};
pub(crate) use exposition::Exposition;
pub use log::Log;
pub(crate) use log::START;
pub(crate) use metrics::{ClientTimeout, Metrics, WorkerMetrics};
pub(crate) use pool::{PoolCounters, PoolMetrics};
pub(crate) use writer::LogWriter;
