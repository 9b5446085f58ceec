//! The way to the backends: a pool per worker and endpoint, and the one call that sends a request and streams both bodies.
//!
//! Everything here runs on a worker's own thread and takes no lock.

mod answer;
mod call;
mod connect;
mod error;
mod exchange;
mod forward;
mod head;
mod pool;
mod retry;
mod spare;
mod tunnel;
mod upload;

pub use answer::EventStream;
pub use call::{Call, Ends, Ingress, TunnelEnd};
pub use connect::{Connector, ConnectorError};
pub use error::{BackendFault, UpstreamError};
pub use forward::Forwarder;
pub use head::backend_headers;

#[cfg(test)]
mod tests;
