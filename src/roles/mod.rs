//! The one role of an account: rules that decide it, and a store that keeps it.

mod rules;
mod settings;
mod store;
mod where_there;

pub use rules::RoleRules;
pub(crate) use rules::{Assigned, AssignedBy, RoleError, compare};
pub(crate) use settings::SettingsRoles;
pub(crate) use store::{RoleStore, RoleStoreError};
pub(crate) use where_there::SettingsWhereThere;
