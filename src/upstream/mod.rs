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
mod trip;
mod tunnel;
mod upload;

pub(crate) use answer::EventStream;
pub use call::Ingress;
pub(crate) use call::{Call, Ends, TunnelEnd};
pub(crate) use connect::{Connector, ConnectorError};
pub(crate) use error::{BackendFault, UpstreamError};
pub(crate) use forward::Forwarder;
pub use head::backend_headers;
pub(crate) use trip::Trip;

#[cfg(test)]
mod tests;
