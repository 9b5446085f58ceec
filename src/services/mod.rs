//! Names are not addresses: which endpoints stand behind a service's name, as far as is known at this moment.

mod directory;
pub(crate) mod registry;

pub(crate) use crate::model::Address;
pub use directory::Directory;
