//! The nouns everything else speaks of: accounts, roles, identities. No I/O, no HTTP.

mod account;
pub(crate) mod address;
mod claims;
mod clock;
mod fault;
mod reason;
mod role;
mod service;

pub use account::{Account, ExternalIdentity, Group, StoredRole, UserType, canonical_name};
pub use address::Address;
pub use claims::{ClaimPath, Claims};
pub use clock::{Clock, UnixTime};
pub use fault::Fault;
pub use reason::Reason;
pub use role::Role;
pub use service::{Endpoint, Place, Protocol, ServiceName};
