//! Accounts in an LDAP directory that davgate reads and writes itself (docs/design/contract.md 7).

mod asking;
mod candidates;
mod connection;
mod entry;
mod escape;
mod groups;
mod pool;
mod predicate;
mod rehearsal;
mod tls;
mod write;

use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use ldap3::Scope;
use tokio::time::timeout;

use self::connection::{Connection, OpError, Query, code};
use self::entry::{Entry, format_identity, id_bytes};
use self::escape::Filter;
use self::pool::Connections;
use self::predicate::Predicate;
use super::{
    AccountChange, AccountKey, Capabilities, Created, DirectoryError, GroupReport, GroupSync,
    NewAccount, Provisioner, UserDirectory,
};
use crate::config::accounts::{DisableMechanism, Ldap, LdapScope};
use crate::config::ldap_syntax;
use crate::model::{Account, Reason};
use crate::telemetry::PoolLevel;

/// An identity search may hit entries that differ from it in case only; this many are looked through.
const IDENTITY_CANDIDATES: i32 = 20;

/// The directory behind `*_LDAP_*`. One per process; safe to use from many tasks.
#[derive(Debug)]
pub struct LdapDirectory {
    settings: Ldap,
    connections: Connections,
    /// What a search for an account asks for.
    user_attributes: Vec<String>,
    /// What a search for groups asks for. Never the members: a group may have many thousands.
    group_attributes: Vec<String>,
    /// The group of the disabled users in comparable form.
    disabling_group: Option<String>,
    /// Set once the server refused an assertion control (RFC 4528).
    no_assertions: AtomicBool,
    /// The operator's filter for users, if there is one, to be held against entries that are not there yet.
    user_predicate: Option<Predicate>,
}

/// Runs an operation on a pooled connection. If the connection turns out broken, it runs once more on a fresh one: the
/// first request after the server was restarted has to succeed. Every operation reads before it writes, so that a second
/// run finds what the first one did.
macro_rules! on_connection {
    ($self:ident, $connection:ident => $operation:expr) => {{
        let mut retried = false;
        loop {
            let mut $connection = $self.connections.borrow().await?;
            match $operation.await {
                Err(OpError::Broken(why)) if !retried => {
                    tracing::debug!(why, "LDAP connection replaced");
                    retried = true;
                    drop($connection);
                    $self.connections.drop_idle();
                }
                result => break result,
            }
        }
    }};
}

impl LdapDirectory {
    /// A directory with these settings. Connects at first use.
    ///
    /// # Errors
    /// [`DirectoryError::Unusable`] names the setting that cannot be used: a URI, the CA file, a filter, an attribute name.
    pub fn new(settings: Ldap) -> Result<Self, DirectoryError> {
        check(&settings)?;
        let mut user_attributes = vec![
            settings.user_id.clone(),
            settings.username.clone(),
            settings.mail.clone(),
            settings.display_name.clone(),
            settings.user_type.clone(),
            settings.external_identity.clone(),
            settings.role.clone(),
            "uidNumber".to_owned(),
            "gidNumber".to_owned(),
            "objectClass".to_owned(),
        ];
        user_attributes.extend(settings.user_tenant.clone());
        if let DisableMechanism::Attribute(attribute) = &settings.disable {
            user_attributes.push(attribute.clone());
        }
        let disabling_group = match &settings.disable {
            DisableMechanism::Group(group) => Some(escape::normalised(group)),
            DisableMechanism::None | DisableMechanism::Attribute(_) => None,
        };
        Ok(Self {
            disabling_group,
            connections: Connections::new(&settings)?,
            user_attributes,
            group_attributes: vec![
                settings.group_id.clone(),
                settings.group_name.clone(),
                settings.group_managed.clone(),
            ],
            no_assertions: AtomicBool::new(false),
            user_predicate: Predicate::parse(&settings.user_filter),
            settings,
        })
    }

    /// The entry and account of that key with groups; the account's state is whole or an error.
    async fn find_on(
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
    async fn find_entry(
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
    async fn hidden_on(
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
    fn is_hidden(&self, dn: &str) -> String {
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
    async fn groups_of(
        &self,
        connection: &mut Connection,
        user_dn: &str,
    ) -> Result<Vec<Entry>, OpError> {
        let member = Filter::equal(&self.settings.group_member, user_dn);
        connection.search_all(&self.group_query(member)).await
    }

    fn group_query(&self, condition: Filter) -> Query<'_> {
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

#[async_trait]
impl UserDirectory for LdapDirectory {
    async fn find(&self, key: &AccountKey) -> Result<Option<Account>, DirectoryError> {
        let search = async { on_connection!(self, c => self.find_on(&mut c, key)) };
        match timeout(self.settings.timeout, search).await {
            Ok(result) => result.map_err(DirectoryError::from),
            Err(_) => Err(OpError::TimedOut.into()),
        }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            finds_identities: true,
            writes: self.settings.write_enabled,
        }
    }

    async fn hidden(&self, keys: &[AccountKey]) -> Result<Option<String>, DirectoryError> {
        if self.settings.user_filter.is_empty() {
            return Ok(None);
        }
        let search = async { on_connection!(self, c => self.hidden_on(&mut c, keys)) };
        match timeout(self.settings.timeout, search).await {
            Ok(result) => result.map_err(DirectoryError::from),
            Err(_) => Err(OpError::TimedOut.into()),
        }
    }

    fn pool(&self) -> Option<PoolLevel> {
        Some(self.connections.level())
    }

    async fn probe(&self) -> Result<(), DirectoryError> {
        let limit = self.settings.timeout;
        let probe = async { on_connection!(self, c => self.probe_on(&mut c, limit)) };
        match timeout(limit, probe).await {
            Ok(result) => result.map_err(DirectoryError::from),
            Err(_) => Err(OpError::TimedOut.into()),
        }
    }
}

#[async_trait]
impl Provisioner for LdapDirectory {
    fn would_hide(&self, new: &NewAccount) -> Option<String> {
        let predicate = self.user_predicate.as_ref()?;
        let id = (!self.settings.server_uuid).then_some("");
        let is_certain = predicate.holds(&self.new_entry(new, id)) == Some(false);
        is_certain.then(|| {
            format!(
                "a new entry for `{}` would not match OC_LDAP_USER_FILTER {}, so none is made",
                new.username, self.settings.user_filter
            )
        })
    }

    async fn create(&self, new: &NewAccount) -> Result<Created, DirectoryError> {
        self.writable()?;
        let result: Result<_, OpError> =
            async { on_connection!(self, c => self.create_on(&mut c, new)) }.await;
        Ok(result?)
    }

    async fn update(
        &self,
        account: &Account,
        change: &AccountChange,
    ) -> Result<(), DirectoryError> {
        self.writable()?;
        let result: Result<_, OpError> =
            async { on_connection!(self, c => self.update_on(&mut c, account, change)) }.await;
        result?;
        Ok(())
    }

    async fn sync_groups(
        &self,
        account: &Account,
        sync: &GroupSync,
    ) -> Result<GroupReport, DirectoryError> {
        self.writable()?;
        let result: Result<_, OpError> =
            async { on_connection!(self, c => self.sync_groups_on(&mut c, account, sync)) }.await;
        Ok(result?)
    }

    async fn rehearse(&self, new: &NewAccount) -> Result<(), DirectoryError> {
        self.writable()?;
        let result: Result<_, OpError> =
            async { on_connection!(self, c => self.rehearse_on(&mut c, new)) }.await;
        Ok(result?)
    }

    async fn rehearse_update(
        &self,
        account: &Account,
        change: &AccountChange,
    ) -> Result<Vec<String>, DirectoryError> {
        self.writable()?;
        let result: Result<_, OpError> =
            async { on_connection!(self, c => self.rehearse_update_on(&mut c, account, change)) }
                .await;
        Ok(result?)
    }

    async fn rehearse_groups(
        &self,
        account: &Account,
        sync: &GroupSync,
    ) -> Result<GroupReport, DirectoryError> {
        self.writable()?;
        let result: Result<_, OpError> =
            async { on_connection!(self, c => self.rehearse_groups_on(&mut c, account, sync)) }
                .await;
        Ok(result?)
    }
}

impl LdapDirectory {
    /// The server answers, and both bases are there: without one nobody is ever found.
    async fn probe_on(
        &self,
        connection: &mut Connection,
        limit: std::time::Duration,
    ) -> Result<(), OpError> {
        connection.probe(limit).await?;
        let attributes = ["1.1".to_owned()];
        for (base, setting) in [
            (&self.settings.user_base_dn, "OC_LDAP_USER_BASE_DN"),
            (&self.settings.group_base_dn, "OC_LDAP_GROUP_BASE_DN"),
        ] {
            let query = Query {
                base,
                scope: Scope::Base,
                filter: Filter::Present("objectClass".to_owned()),
                attributes: &attributes,
            };
            let (_, result) = connection.search_limited(&query, 1).await?;
            if result.rc == code::NO_SUCH_OBJECT {
                return Err(directory(DirectoryError::Misconfigured {
                    reason: Reason::DirectoryBase,
                    detail: format!(
                        "there is no entry `{base}`, or the bind user may not see it: {result}; correct {setting}"
                    ),
                }));
            }
        }
        Ok(())
    }

    fn writable(&self) -> Result<(), DirectoryError> {
        if self.settings.write_enabled {
            Ok(())
        } else {
            Err(DirectoryError::Refused(
                "the LDAP server is configured as read-only".to_owned(),
            ))
        }
    }
}

/// What would otherwise be found out at the first login.
fn check(settings: &Ldap) -> Result<(), DirectoryError> {
    let unusable =
        |what: &str, error: &str| Err(DirectoryError::Unusable(format!("{what} {error}")));
    for filter in [&settings.user_filter, &settings.group_filter] {
        if let Err(error) = ldap_syntax::filter(filter) {
            return unusable("LDAP filter", &error);
        }
    }
    let attributes = [
        &settings.user_id,
        &settings.username,
        &settings.mail,
        &settings.display_name,
        &settings.user_type,
        &settings.external_identity,
        &settings.role,
        &settings.group_id,
        &settings.group_name,
        &settings.group_member,
        &settings.group_managed,
    ];
    for attribute in attributes {
        if let Err(error) = ldap_syntax::attribute(attribute) {
            return unusable("LDAP attribute", &error);
        }
    }
    Ok(())
}

fn directory(error: DirectoryError) -> OpError {
    OpError::Directory(error)
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
