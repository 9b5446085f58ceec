//! The one role of an account: rules that decide it, and a store that keeps it.

mod rules;
mod settings;
mod store;
mod where_there;

pub use rules::{Assigned, AssignedBy, RoleError, RoleRules, compare};
pub use settings::SettingsRoles;
pub use store::{RoleStore, RoleStoreError};
pub use where_there::SettingsWhereThere;
