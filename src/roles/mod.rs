//! The one role of an account: rules that decide it, and a store that keeps it.

mod rules;
mod store;

pub use rules::{Assigned, AssignedBy, RoleError, RoleRules, compare};
pub use store::{RoleStore, RoleStoreError};
