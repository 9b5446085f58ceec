//! The nouns everything else speaks of: accounts, roles, identities. No I/O, no HTTP.

mod account;
pub(crate) mod address;
mod claims;
mod clock;
mod fault;
mod reason;
mod requirement;
mod role;
mod service;
mod trace_context;

pub(crate) use account::canonical_name;
pub use account::{Account, ExternalIdentity, Group, StoredRole, UserType};
pub use address::Address;
pub use claims::{ClaimPath, Claims};
pub use clock::Clock;
pub(crate) use clock::UnixTime;
pub(crate) use fault::Fault;
pub use reason::Reason;
pub(crate) use requirement::ClaimRequirement;
pub use role::Role;
pub(crate) use service::Place;
pub use service::{Endpoint, Protocol, ServiceName};
pub(crate) use trace_context::TraceContext;
