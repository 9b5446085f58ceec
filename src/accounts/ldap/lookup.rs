//! Entries found by a key, with what makes an account of them: groups, and whether it is disabled.

use ldap3::Scope;

use super::connection::{Connection, OpError, Query, code};
use super::entry::{Entry, format_identity, id_bytes};
use super::escape::Filter;
use super::{LdapDirectory, directory};
use crate::accounts::{AccountKey, DirectoryError};
use crate::config::accounts::{DisableMechanism, LdapScope};
use crate::model::Account;
/// An identity search may hit entries that differ from it in case only; this many are looked through.
const IDENTITY_CANDIDATES: i32 = 20;

impl LdapDirectory {
    /// The entry and account of that key with groups; the account's state is whole or an error.
    pub(super) async fn find_on(
        &self,
        connection: &mut Connection,
        key: &AccountKey,
    ) -> Result<Option<Account>, OpError> {
        let Some(entry) = self
            .find_entry(connection, key, &self.user_attributes)
            .await?
        else {
            return Ok(None);
        };
        // Some directories ignore accents in a comparison; another person's address is not this one's.
        if let AccountKey::Mail(mail) = key {
            let wanted = mail.to_lowercase();
            let mails = entry.texts(&self.settings.mail);
            if !mails.iter().any(|mail| mail.to_lowercase() == wanted) {
                return Ok(None);
            }
        }
        let mut account = entry.account(&self.settings).map_err(OpError::Directory)?;
        for group in self.groups_of(connection, &entry.dn).await? {
            if self.is_disabling_group(&group.dn) {
                account.enabled = false;
            } else {
                account.groups.extend(group.group(&self.settings));
            }
        }
        account.groups.sort();
        if let DisableMechanism::Group(group) = &self.settings.disable
            && account.enabled
            && self.is_member(connection, group, &entry.dn).await?
        {
            account.enabled = false;
        }
        Ok(Some(account))
    }

    /// Exactly one entry, none, or an error; never the first of several.
    pub(super) async fn find_entry(
        &self,
        connection: &mut Connection,
        key: &AccountKey,
        attributes: &[String],
    ) -> Result<Option<Entry>, OpError> {
        let Some(condition) = self.condition(key) else {
            return Ok(None);
        };
        let query = Query {
            base: &self.settings.user_base_dn,
            scope: scope(self.settings.user_scope),
            filter: Filter::And(vec![
                Filter::Operator(self.settings.user_filter.clone()),
                Filter::equal("objectClass", &self.settings.user_object_class),
                condition,
            ]),
            attributes,
        };
        let limit = match key {
            AccountKey::Identity(_) => IDENTITY_CANDIDATES,
            _ => 2,
        };
        let (mut found, result) = connection.search_limited(&query, limit).await?;
        if let AccountKey::Identity(identity) = key {
            let attribute = &self.settings.external_identity;
            found.retain(|entry| entry.identities(attribute).contains(identity));
        }
        if found.len() > 1 {
            return Err(directory(DirectoryError::Ambiguous(
                describe(key).to_owned(),
            )));
        }
        if result.rc != 0 {
            return Err(OpError::Result(Box::new(result)));
        }
        // References to other servers' parts of the tree are not followed: no other client of the directory does, and at
        // the top of an Active Directory domain every answer has some.
        Ok(found.pop())
    }

    /// An entry that only the operator's filter keeps from being found.
    pub(super) async fn hidden_on(
        &self,
        connection: &mut Connection,
        keys: &[AccountKey],
    ) -> Result<Option<String>, OpError> {
        let conditions: Vec<Filter> = keys.iter().filter_map(|key| self.condition(key)).collect();
        if conditions.is_empty() {
            return Ok(None);
        }
        let attributes = ["1.1".to_owned()];
        let query = Query {
            base: &self.settings.user_base_dn,
            scope: scope(self.settings.user_scope),
            filter: Filter::And(vec![
                Filter::equal("objectClass", &self.settings.user_object_class),
                Filter::Or(conditions),
            ]),
            attributes: &attributes,
        };
        let (found, result) = connection.search_limited(&query, 1).await?;
        match (found.first(), result.rc) {
            (Some(entry), _) => Ok(Some(self.is_hidden(&entry.dn))),
            (None, 0) => Ok(None),
            (None, _) => Err(OpError::Result(Box::new(result))),
        }
    }

    /// What is said of an entry that the filter hides.
    pub(super) fn is_hidden(&self, dn: &str) -> String {
        format!(
            "the entry `{dn}` does not match OC_LDAP_USER_FILTER {}",
            self.settings.user_filter
        )
    }

    /// `None`: nothing can match.
    fn condition(&self, key: &AccountKey) -> Option<Filter> {
        let settings = &self.settings;
        Some(match key {
            AccountKey::Username(name) => Filter::equal(&settings.username, name),
            AccountKey::Mail(mail) => Filter::equal(&settings.mail, mail),
            AccountKey::UserId(id) => {
                let id = id_bytes(id, &settings.user_id, settings.id_is_octet_string)?;
                Filter::equal(&settings.user_id, id)
            }
            AccountKey::Identity(identity) => {
                Filter::equal(&settings.external_identity, format_identity(identity))
            }
        })
    }

    /// All groups with that member. `memberOf` is not asked: many servers do not keep it.
    pub(super) async fn groups_of(
        &self,
        connection: &mut Connection,
        user_dn: &str,
    ) -> Result<Vec<Entry>, OpError> {
        let member = Filter::equal(&self.settings.group_member, user_dn);
        connection.search_all(&self.group_query(member)).await
    }

    pub(super) fn group_query(&self, condition: Filter) -> Query<'_> {
        Query {
            base: &self.settings.group_base_dn,
            scope: scope(self.settings.group_scope),
            filter: Filter::And(vec![
                Filter::Operator(self.settings.group_filter.clone()),
                Filter::equal("objectClass", &self.settings.group_object_class),
                condition,
            ]),
            attributes: &self.group_attributes,
        }
    }

    /// Whether a group outside the group base has that member. A group that does not exist has none.
    async fn is_member(
        &self,
        connection: &mut Connection,
        group: &str,
        user_dn: &str,
    ) -> Result<bool, OpError> {
        let attributes = ["1.1".to_owned()];
        let query = Query {
            base: group,
            scope: Scope::Base,
            filter: Filter::equal(&self.settings.group_member, user_dn),
            attributes: &attributes,
        };
        let (found, result) = connection.search_limited(&query, 1).await?;
        match result.rc {
            0 => Ok(!found.is_empty()),
            code::NO_SUCH_OBJECT => Ok(false),
            _ => Err(OpError::Result(Box::new(result))),
        }
    }
}

fn scope(scope: LdapScope) -> Scope {
    match scope {
        LdapScope::Subtree => Scope::Subtree,
        LdapScope::OneLevel => Scope::OneLevel,
        LdapScope::Base => Scope::Base,
    }
}

fn describe(key: &AccountKey) -> &'static str {
    match key {
        AccountKey::Username(_) => "the user name",
        AccountKey::Mail(_) => "the mail address",
        AccountKey::UserId(_) => "the id",
        AccountKey::Identity(_) => "the identity",
    }
}
