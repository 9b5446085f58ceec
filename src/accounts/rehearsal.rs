//! Writes that are told and not done, for whoever wants to know what a login would do.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::{
    AccountChange, Created, DirectoryError, GroupReport, GroupSync, NewAccount, Provisioner,
};
use crate::model::{Account, Role, StoredRole, UserType};
use crate::roles::{RoleStore, RoleStoreError};

/// What would have been written, in order. Shared by all that rehearse one login.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unwritten(Arc<Mutex<Vec<String>>>);

impl Unwritten {
    /// Takes what came since the last time.
    #[must_use]
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, what: String) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.push(what);
    }
}

/// A provisioner that asks its backend whether a write could work, and leaves it at that.
#[derive(Debug)]
pub(crate) struct Rehearsal {
    backend: Arc<dyn Provisioner>,
    unwritten: Unwritten,
}

impl Rehearsal {
    /// Rehearses what `backend` would be given to write.
    #[must_use]
    pub(crate) fn new(backend: Arc<dyn Provisioner>, unwritten: Unwritten) -> Self {
        Self { backend, unwritten }
    }
}

#[async_trait]
impl Provisioner for Rehearsal {
    fn would_hide(&self, new: &NewAccount) -> Option<String> {
        self.backend.would_hide(new)
    }

    async fn create(&self, new: &NewAccount) -> Result<Created, DirectoryError> {
        self.backend.rehearse(new).await?;
        self.unwritten.add(format!("account `{}`", new.username));
        Ok(Created::New(Box::new(Account {
            id: "to be made".to_owned(),
            username: new.username.clone(),
            aliases: Vec::new(),
            display_name: new.display_name.clone(),
            mail: new.mail.clone(),
            user_type: UserType::Member,
            enabled: true,
            groups: Vec::new(),
            role: new.role.map(StoredRole::Known),
            identities: new.identity.iter().cloned().collect(),
            tenant: None,
            uid_number: None,
            gid_number: None,
        })))
    }

    async fn update(
        &self,
        account: &Account,
        change: &AccountChange,
    ) -> Result<(), DirectoryError> {
        let parts = self.backend.rehearse_update(account, change).await?;
        if !parts.is_empty() {
            let parts = parts.join(", ");
            self.unwritten
                .add(format!("{parts} of the account `{}`", account.username));
        }
        Ok(())
    }

    /// Nothing is told to the caller, who would read the account again.
    async fn sync_groups(
        &self,
        account: &Account,
        sync: &GroupSync,
    ) -> Result<GroupReport, DirectoryError> {
        let report = self.backend.rehearse_groups(account, sync).await?;
        for (names, what) in [
            (&report.created, "new group"),
            (&report.added, "member of"),
            (&report.removed, "member no more of"),
        ] {
            if !names.is_empty() {
                self.unwritten.add(format!("{what} {}", quoted(names)));
            }
        }
        for (names, why) in [
            (
                &report.unmanaged,
                "claims may not change it (PROXY_AUTOPROVISION_GROUPS_ADOPT)",
            ),
            (
                &report.missing,
                "it does not exist (PROXY_AUTOPROVISION_GROUP_CREATE)",
            ),
            (&report.refused, "the directory does not let it be changed"),
        ] {
            if !names.is_empty() {
                self.unwritten
                    .add(format!("not member of {}: {why}", quoted(names)));
            }
        }
        Ok(GroupReport::default())
    }

    async fn rehearse(&self, new: &NewAccount) -> Result<(), DirectoryError> {
        self.backend.rehearse(new).await
    }

    async fn rehearse_update(
        &self,
        account: &Account,
        change: &AccountChange,
    ) -> Result<Vec<String>, DirectoryError> {
        self.backend.rehearse_update(account, change).await
    }

    async fn rehearse_groups(
        &self,
        account: &Account,
        sync: &GroupSync,
    ) -> Result<GroupReport, DirectoryError> {
        self.backend.rehearse_groups(account, sync).await
    }
}

/// Names of groups come from claims: without what moves a cursor.
fn quoted(names: &[String]) -> String {
    let each = names.iter().map(|name| format!("{name:?}"));
    each.collect::<Vec<_>>().join(", ")
}

/// A role store that is read.
#[derive(Debug)]
pub(crate) struct RehearsedRoles {
    store: Arc<dyn RoleStore>,
    unwritten: Unwritten,
}

impl RehearsedRoles {
    /// Rehearses what `store` would be given to keep.
    #[must_use]
    pub(crate) fn new(store: Arc<dyn RoleStore>, unwritten: Unwritten) -> Self {
        Self { store, unwritten }
    }
}

#[async_trait]
impl RoleStore for RehearsedRoles {
    async fn stored(&self, account: &Account) -> Result<Option<StoredRole>, RoleStoreError> {
        self.store.stored(account).await
    }

    async fn assign(&self, _: &Account, role: Role) -> Result<(), RoleStoreError> {
        self.unwritten.add(format!("role {role}"));
        Ok(())
    }

    fn is_writable(&self) -> bool {
        self.store.is_writable()
    }

    fn is_part_of_account(&self) -> bool {
        self.store.is_part_of_account()
    }
}
