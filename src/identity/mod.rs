//! What backends are told about a person, and what they need of one: identities, their sources, and homes.

mod deployment_homes;
mod gateway;
mod home;
mod hs256;
mod mint;
mod remote;
mod returned;
mod source;
mod transfer;

pub(crate) use deployment_homes::DeploymentHomes;
pub(crate) use gateway::GatewayIdentities;
pub use home::NoHomes;
pub(crate) use home::{HomeError, HomeMaker};
pub use mint::Minter;
pub(crate) use remote::{MAX_REMOTE_GROUPS, remote_headers};
pub(crate) use returned::{ReturnedToken, RevaKey};
pub(crate) use source::{IdentityError, IdentitySource, Issued};
pub(crate) use transfer::DataGateway;
