//! Roles kept by the deployment's settings service, where its web client and its services ask for them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{RoleStore, RoleStoreError};
use crate::model::{Account, Reason, Role, StoredRole};
use crate::rpc::cs3::ServiceAccount;
use crate::rpc::settings::{RoleDefinition, Settings};
use crate::rpc::{RpcError, Turns};

/// The role store `settings`. Clones share what they know.
#[derive(Debug, Clone)]
pub(crate) struct SettingsRoles {
    settings: Settings,
    /// Who assigns; it has to be among the settings service's own service accounts.
    actor: ServiceAccount,
    turns: Turns,
    definitions: Arc<Mutex<Option<Definitions>>>,
}

/// The roles that the deployment has, as last heard.
#[derive(Debug, Clone)]
struct Definitions {
    roles: Arc<[RoleDefinition]>,
    until: Instant,
}

/// Roles are defined when the service starts.
const DEFINITIONS_FOR: Duration = Duration::from_secs(300);

impl SettingsRoles {
    /// Roles at this service, assigned by this account.
    #[must_use]
    pub(crate) fn new(settings: Settings, actor: ServiceAccount) -> Self {
        Self {
            settings,
            actor,
            turns: Turns::default(),
            definitions: Arc::default(),
        }
    }

    async fn definitions(&self) -> Result<Arc<[RoleDefinition]>, RpcError> {
        let known = self.known_definitions();
        if let Some(known) = known.filter(|known| Instant::now() < known.until) {
            return Ok(known.roles);
        }
        let roles: Arc<[RoleDefinition]> = self.settings.roles().await?.into();
        let fresh = Definitions {
            roles: Arc::clone(&roles),
            until: Instant::now() + DEFINITIONS_FOR,
        };
        *self.lock() = Some(fresh);
        Ok(roles)
    }

    fn known_definitions(&self) -> Option<Definitions> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Definitions>> {
        self.definitions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What the ids of an account's assignments say. The well-known ids are told apart without asking.
    async fn read(&self, ids: &[String]) -> Result<Option<StoredRole>, RpcError> {
        let known = |id: &String| Role::ALL.into_iter().find(|role| role.id() == id);
        if let [id] = ids
            && let Some(role) = known(id)
        {
            return Ok(Some(StoredRole::Known(role)));
        }
        let definitions = if ids.is_empty() {
            Arc::default()
        } else {
            self.definitions().await?
        };
        Ok(stored(ids, &definitions))
    }
}

/// An id that no role has counts as no assignment: it gives no right, and it is written over.
fn stored(ids: &[String], definitions: &[RoleDefinition]) -> Option<StoredRole> {
    let name_of = |id: &String| {
        let defined = definitions.iter().find(|one| one.id == *id);
        defined.map(|one| one.name.as_str())
    };
    let role_of = |id: &String| {
        let by_id = Role::ALL.into_iter().find(|role| role.id() == id);
        by_id.or_else(|| Role::from_name(name_of(id)?))
    };
    let mut roles: Vec<Role> = ids.iter().filter_map(role_of).collect();
    roles.sort_by_key(|role| Role::ALL.iter().position(|one| one == role));
    match (roles.first(), ids) {
        (Some(role), [_]) => Some(StoredRole::Known(*role)),
        // The rights of all of them add up; which is meant is decided anew, and written once more.
        (Some(role), _) => Some(StoredRole::Several(*role)),
        (None, _) => {
            let own = ids.iter().find_map(name_of)?;
            Some(StoredRole::Foreign(own.to_owned()))
        }
    }
}

#[async_trait]
impl RoleStore for SettingsRoles {
    async fn stored(&self, account: &Account) -> Result<Option<StoredRole>, RoleStoreError> {
        let ids = self.settings.roles_of(&account.id).await?;
        Ok(self.read(&ids).await?)
    }

    async fn assign(&self, account: &Account, role: Role) -> Result<(), RoleStoreError> {
        let _turn = self.turns.of(&account.id).await;
        let definitions = self.definitions().await?;
        let wanted = definitions.iter().find(|one| one.name == role.name());
        let wanted = wanted.ok_or_else(|| RoleStoreError {
            reason: Reason::RoleStoreRefused,
            detail: format!("the settings service defines no role `{role}`"),
        })?;
        // Somebody else may have written meanwhile; the same again would be one more write for nothing.
        let current = self.settings.roles_of(&account.id).await?;
        if current.len() == 1 && current[0] == wanted.id {
            return Ok(());
        }
        self.settings
            .assign(&account.id, &wanted.id, self.actor.id())
            .await?;
        Ok(())
    }

    fn is_writable(&self) -> bool {
        true
    }
}

impl From<RpcError> for RoleStoreError {
    fn from(error: RpcError) -> Self {
        let reason = match &error {
            RpcError::Credential { .. } => Reason::RoleStoreRefused,
            _ => Reason::RoleStoreUnavailable,
        };
        Self {
            reason,
            detail: error.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definitions() -> Vec<RoleDefinition> {
        let own = RoleDefinition {
            id: "0e0c9a52-3f11-4a45-8a7f-8f1d3a7c2a10".to_owned(),
            name: "auditor".to_owned(),
        };
        let mut all = vec![own];
        all.extend(Role::ALL.map(|role| RoleDefinition {
            id: role.id().to_owned(),
            name: role.name().to_owned(),
        }));
        all
    }

    fn read(ids: &[&str]) -> Option<StoredRole> {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        stored(&ids, &definitions())
    }

    #[test]
    fn one_assignment_is_the_role_and_several_are_none_to_rely_on() {
        assert_eq!(read(&[]), None);
        let user = Role::User.id();
        assert_eq!(read(&[user]), Some(StoredRole::Known(Role::User)));
        let twice = read(&[user, user]);
        assert_eq!(twice, Some(StoredRole::Several(Role::User)));
        let both = read(&[user, Role::Admin.id()]);
        assert_eq!(both, Some(StoredRole::Several(Role::Admin)));
    }

    #[test]
    fn an_id_that_no_role_has_is_no_role() {
        assert_eq!(read(&["00000000-0000-0000-0000-000000000000"]), None);
    }

    #[test]
    fn a_role_of_the_deployments_own_is_left_alone() {
        let own = read(&["0e0c9a52-3f11-4a45-8a7f-8f1d3a7c2a10"]);
        assert_eq!(own, Some(StoredRole::Foreign("auditor".to_owned())));
    }
}
