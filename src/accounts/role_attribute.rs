//! Roles kept with the account: an attribute of its entry, a column of its row.

use std::sync::Arc;

use async_trait::async_trait;

use super::{AccountChange, AccountError, DirectoryError, Provisioner};
use crate::model::{Account, Role, StoredRole};
use crate::roles::{RoleStore, RoleStoreError};

/// The role store of account backends that have room for a role.
#[derive(Debug, Clone)]
pub(crate) struct AccountAttribute {
    provisioner: Option<Arc<dyn Provisioner>>,
}

impl AccountAttribute {
    /// Without a provisioner roles are only read.
    #[must_use]
    pub(crate) fn new(provisioner: Option<Arc<dyn Provisioner>>) -> Self {
        Self { provisioner }
    }
}

#[async_trait]
impl RoleStore for AccountAttribute {
    async fn stored(&self, account: &Account) -> Result<Option<StoredRole>, RoleStoreError> {
        Ok(account.role.clone())
    }

    async fn assign(&self, account: &Account, role: Role) -> Result<(), RoleStoreError> {
        let Some(provisioner) = &self.provisioner else {
            return Ok(());
        };
        let change = AccountChange {
            role: Some(role),
            ..AccountChange::default()
        };
        let written = provisioner.update(account, &change).await;
        written.map_err(RoleStoreError::from)
    }

    fn is_writable(&self) -> bool {
        self.provisioner.is_some()
    }

    fn is_part_of_account(&self) -> bool {
        true
    }
}

impl From<DirectoryError> for RoleStoreError {
    fn from(error: DirectoryError) -> Self {
        let detail = error.to_string();
        Self {
            reason: AccountError::from(error).reason(),
            detail,
        }
    }
}
