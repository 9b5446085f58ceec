//! Where an assigned role is kept: with the account itself, or at a service of its own.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::model::{Account, Fault, Reason, Role, StoredRole};

/// A place for roles. Every method may be repeated; writers of one account come one after the other.
#[async_trait]
pub trait RoleStore: Debug + Send + Sync {
    /// The role kept for an account as the directory just gave it. `None`: certainly none.
    ///
    /// # Errors
    /// [`RoleStoreError`]; nothing is known then.
    async fn stored(&self, account: &Account) -> Result<Option<StoredRole>, RoleStoreError>;

    /// Keeps this role for the account, in place of any other.
    ///
    /// # Errors
    /// [`RoleStoreError`]
    async fn assign(&self, account: &Account, role: Role) -> Result<(), RoleStoreError>;

    /// Whether roles are written at all; else they are kept in memory only.
    fn is_writable(&self) -> bool;

    /// Whether the role is part of the account, so that a new account is made with it in one write, and whoever makes an
    /// account at the same moment writes the same.
    fn is_part_of_account(&self) -> bool {
        false
    }
}

/// Why a store said nothing about a role.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct RoleStoreError {
    /// The stable word.
    pub reason: Reason,
    /// For the log.
    pub detail: String,
}

impl RoleStoreError {
    /// Whose fault it is: the store's, or the way's there.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        let _ = self;
        Fault::Remote
    }
}
