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

pub use deployment_homes::DeploymentHomes;
pub use gateway::GatewayIdentities;
pub use home::{HomeError, HomeMaker, NoHomes};
pub use mint::Minter;
pub use remote::{MAX_REMOTE_GROUPS, remote_headers};
pub use returned::{ReturnedToken, RevaKey};
pub use source::{IdentityError, IdentitySource, Issued};
pub use transfer::{DataGateway, Transfer};
