//! Roles by the settings service where there is one, else with the account.
//!
//! In front of OpenCloud and oCIS the web client and the services ask the settings service, whatever knows the accounts;
//! elsewhere there is none.

use std::sync::Arc;

use async_trait::async_trait;

use super::{RoleStore, RoleStoreError, SettingsRoles};
use crate::model::{Account, Role, ServiceName, StoredRole};
use crate::services::Directory;

/// Two stores, one of which counts at a time.
#[derive(Debug, Clone)]
pub(crate) struct SettingsWhereThere {
    settings: SettingsRoles,
    account: Arc<dyn RoleStore>,
    directory: Directory,
    service: ServiceName,
}

impl SettingsWhereThere {
    /// `settings` counts while somebody is known under that name.
    #[must_use]
    pub(crate) fn new(
        settings: SettingsRoles,
        account: Arc<dyn RoleStore>,
        directory: Directory,
        service: ServiceName,
    ) -> Self {
        Self {
            settings,
            account,
            directory,
            service,
        }
    }

    fn store(&self) -> &dyn RoleStore {
        if self.directory.is_announced(self.service.as_str()) {
            &self.settings
        } else {
            &*self.account
        }
    }
}

#[async_trait]
impl RoleStore for SettingsWhereThere {
    async fn stored(&self, account: &Account) -> Result<Option<StoredRole>, RoleStoreError> {
        self.store().stored(account).await
    }

    async fn assign(&self, account: &Account, role: Role) -> Result<(), RoleStoreError> {
        self.store().assign(account, role).await
    }

    fn is_writable(&self) -> bool {
        self.store().is_writable()
    }

    fn is_part_of_account(&self) -> bool {
        self.store().is_part_of_account()
    }
}
