//! Log, access lines, metrics and spans.

mod access_log;
mod control;
mod encode;
mod exposition;
mod families;
mod histogram;
mod history;
mod level;
mod levels;
mod line;
mod log;
mod metrics;
mod overview;
mod pool;
mod process;
mod routes;
mod seldom;
/// Spans and who is traced.
pub(crate) mod traces;
mod writer;

pub(crate) use access_log::{AccessLog, Entry};
pub(crate) use control::{ControlMetrics, DirectoryOperation, IssuerCall, Outcome, SpanFate};
pub(crate) use exposition::Exposition;
pub(crate) use history::History;
pub(crate) use level::LogLevel;
pub(crate) use levels::Levels;
pub(crate) use levels::{IssuerLevel, PoolLevel};
pub use log::Log;
pub(crate) use log::START;
pub(crate) use metrics::{ClientTimeout, Culprit, Metrics, WorkerMetrics, method_label};
pub(crate) use pool::{PoolCounters, PoolMetrics};
pub(crate) use routes::{RouteCounters, RouteMetrics};
pub(crate) use seldom::Seldom;
pub(crate) use writer::LogWriter;
