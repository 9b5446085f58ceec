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

    async fn update(&self, _: &Account, change: &AccountChange) -> Result<(), DirectoryError> {
        let attributes = change.attributes.iter().map(|(name, _)| name.as_str());
        let parts = [
            change.display_name.as_ref().map(|_| "display name"),
            change.mail.as_ref().map(|_| "mail address"),
            change.identity.as_ref().map(|_| "identity"),
            change.role.map(|_| "role"),
        ];
        let parts: Vec<&str> = parts.into_iter().flatten().chain(attributes).collect();
        self.unwritten
            .add(format!("{} of the account", parts.join(", ")));
        Ok(())
    }

    async fn sync_groups(&self, _: &Account, _: &GroupSync) -> Result<GroupReport, DirectoryError> {
        self.unwritten.add("what of the groups differs".to_owned());
        Ok(GroupReport::default())
    }

    async fn rehearse(&self, new: &NewAccount) -> Result<(), DirectoryError> {
        self.backend.rehearse(new).await
    }
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
