//! Calls by gRPC to the services of the deployment: the CS3 gateway, roles, policies.
//!
//! Everything runs on the control runtime. An answer that refuses is a value; that nothing could be asked is an
//! [`RpcError`]. No header of a client ever becomes metadata.

mod channels;
mod connect;
/// The CS3 gateway: logins, users, homes.
pub(crate) mod cs3;
mod error;
/// LibreGraph: users and groups are made and changed there.
pub(crate) mod graph;
/// Traces to their collector.
pub(crate) mod otlp;
/// The policies service.
pub(crate) mod policies;
/// Roles, kept by the settings service.
pub(crate) mod settings;
mod turns;

#[cfg(test)]
mod vectors;

use channels::Call;

pub use channels::Channels;
pub(crate) use connect::TlsError;
pub use error::RpcError;
pub(crate) use turns::Turns;
