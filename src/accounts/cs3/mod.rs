//! Accounts as the deployment's own users service knows them, asked through the CS3 gateway.
//!
//! It finds by name, mail address or id, never by identity, and shows no disabled account: one is as good as none
//! (docs/design/design.md 2, CS3). It changes nothing; `accounts::graph` does.

use async_trait::async_trait;

use super::{AccountKey, Capabilities, DirectoryError, UserDirectory};
use crate::model::{Account, Group, UserType};
use crate::rpc::RpcError;
use crate::rpc::cs3::{self, Claim, Cs3, MachineLogins, User};

/// The account backend `cs3`. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Cs3Directory {
    cs3: Cs3,
    logins: MachineLogins,
}

impl Cs3Directory {
    /// Over a gateway, with the deployment's machine key.
    #[must_use]
    pub fn new(cs3: Cs3, logins: MachineLogins) -> Self {
        Self { cs3, logins }
    }

    /// Whom a login names is logged in at once: the same call finds the account and brings the token that it needs next.
    async fn log_in(&self, claim: Claim, value: &str) -> Result<Option<Account>, DirectoryError> {
        let granted = self.logins.log_in(claim, value).await?;
        granted.map(|granted| account(&granted.user)).transpose()
    }

    async fn look_up(&self, claim: Claim, value: &str) -> Result<Option<Account>, DirectoryError> {
        let user = self.cs3.user_by_claim(claim, value).await?;
        user.map(|user| account(&user)).transpose()
    }
}

#[async_trait]
impl UserDirectory for Cs3Directory {
    async fn find(&self, key: &AccountKey) -> Result<Option<Account>, DirectoryError> {
        match key {
            AccountKey::Username(name) => self.log_in(Claim::Username, name).await,
            AccountKey::Mail(mail) => self.log_in(Claim::Mail, mail).await,
            // The way accounts are kept fresh, which needs no token each time.
            AccountKey::UserId(id) => self.look_up(Claim::UserId, id).await,
            AccountKey::Identity(_) => Ok(None),
        }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            finds_identities: false,
            writes: false,
        }
    }

    async fn probe(&self) -> Result<(), DirectoryError> {
        // Nobody has an empty name; that the directory says so is what is wanted.
        self.look_up(Claim::Username, "").await.map(drop)
    }
}

/// A user of CS3 as an account.
pub(crate) fn account(user: &User) -> Result<Account, DirectoryError> {
    let id = user.id.as_ref().filter(|id| !id.opaque_id.is_empty());
    let id = id.ok_or_else(|| DirectoryError::Unusable("a user without an id".to_owned()))?;
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let number = |number: i64| (number != 0).then_some(number);
    Ok(Account {
        id: id.opaque_id.clone(),
        username: user.username.clone(),
        aliases: Vec::new(),
        display_name: user.display_name.clone(),
        mail: text(&user.mail),
        user_type: match id.kind() {
            cs3::UserType::Guest => UserType::Guest,
            cs3::UserType::Lightweight => UserType::Lightweight,
            _ => UserType::Member,
        },
        enabled: true,
        // Ids are all that is told of groups.
        groups: user
            .groups
            .iter()
            .map(|id| Group {
                id: id.clone(),
                name: id.clone(),
            })
            .collect(),
        role: None,
        identities: Vec::new(),
        tenant: text(&id.tenant_id),
        uid_number: number(user.uid_number),
        gid_number: number(user.gid_number),
    })
}

impl From<RpcError> for DirectoryError {
    fn from(error: RpcError) -> Self {
        let detail = error.to_string();
        match error {
            RpcError::Credential { .. } => Self::Refused(detail),
            RpcError::Unusable { .. } => Self::Unusable(detail),
            RpcError::NoNode { .. }
            | RpcError::Unreachable { .. }
            | RpcError::Timeout { .. }
            | RpcError::Failed { .. } => Self::Unavailable(detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::cs3::UserId;

    #[test]
    fn a_user_without_an_id_is_no_account() {
        for id in [None, Some(UserId::default())] {
            let user = User {
                id,
                ..User::default()
            };
            assert!(matches!(account(&user), Err(DirectoryError::Unusable(_))));
        }
    }

    #[test]
    fn a_user_is_taken_over_whole() {
        let id = UserId {
            idp: "https://cloud.example".to_owned(),
            opaque_id: "b1f74ec4".to_owned(),
            kind: cs3::UserType::Lightweight.into(),
            tenant_id: "t-7".to_owned(),
        };
        let user = User {
            id: Some(id),
            username: "alan".to_owned(),
            groups: vec!["509a9dcd".to_owned()],
            uid_number: 99,
            ..User::default()
        };
        let account = account(&user).unwrap();
        assert_eq!(
            (account.id.as_str(), account.username.as_str()),
            ("b1f74ec4", "alan")
        );
        assert_eq!(account.tenant.as_deref(), Some("t-7"));
        assert_eq!(account.user_type, UserType::Lightweight);
        assert_eq!((account.mail, account.gid_number), (None, None));
        assert_eq!(account.uid_number, Some(99));
        assert_eq!(account.groups[0].id, "509a9dcd");
    }
}
