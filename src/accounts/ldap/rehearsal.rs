//! Writes that the server is asked about and does not do, for `davgate explain`.

use uuid::Uuid;

use super::connection::{Connection, OpError, code};
use super::escape;
use super::{
    AccountChange, AccountKey, DirectoryError, GroupReport, GroupSync, LdapDirectory, NewAccount,
};
use crate::model::Account;

impl LdapDirectory {
    /// Says what stands in the way of a new entry.
    pub(super) async fn rehearse_on(
        &self,
        connection: &mut Connection,
        new: &NewAccount,
    ) -> Result<(), OpError> {
        connection.rehearse().await?;
        let settings = &self.settings;
        let dn = escape::child(&settings.username, &new.username, &settings.user_base_dn);
        let id = (!settings.server_uuid).then(|| Uuid::new_v4().to_string());
        let attributes = self.new_entry(new, id.as_deref());
        match connection.add(&dn, attributes).await {
            Err(error) if error.code() == Some(code::ENTRY_ALREADY_EXISTS) => Ok(()),
            outcome => outcome,
        }
    }

    /// The attributes that would change.
    pub(super) async fn rehearse_update_on(
        &self,
        connection: &mut Connection,
        account: &Account,
        change: &AccountChange,
    ) -> Result<Vec<String>, OpError> {
        connection.rehearse().await?;
        self.update_on(connection, account, change).await
    }

    /// What would become of the groups.
    pub(super) async fn rehearse_groups_on(
        &self,
        connection: &mut Connection,
        account: &Account,
        sync: &GroupSync,
    ) -> Result<GroupReport, OpError> {
        connection.rehearse().await?;
        self.sync_groups_on(connection, account, sync).await
    }

    /// Where the account's entry is. One that is only rehearsed has the place that it would be made at.
    pub(super) async fn user_dn(
        &self,
        connection: &mut Connection,
        account: &Account,
    ) -> Result<String, OpError> {
        let key = AccountKey::UserId(account.id.clone());
        let found = self
            .find_entry(connection, &key, &["1.1".to_owned()])
            .await?;
        match found {
            Some(entry) => Ok(entry.dn),
            None if connection.rehearses() => {
                let settings = &self.settings;
                let base = &settings.user_base_dn;
                Ok(escape::child(&settings.username, &account.username, base))
            }
            None => Err(OpError::Directory(DirectoryError::Refused(
                "the account is gone".to_owned(),
            ))),
        }
    }
}
