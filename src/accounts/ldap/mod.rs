//! Accounts in an LDAP directory that davgate reads and writes itself (docs/design/contract.md 7).

mod asking;
mod candidates;
mod connection;
mod entry;
mod escape;
mod groups;
mod lookup;
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
use self::escape::Filter;
use self::pool::Connections;
use self::predicate::Predicate;
use super::{
    AccountChange, AccountKey, Capabilities, Created, DirectoryError, GroupReport, GroupSync,
    NewAccount, Provisioner, UserDirectory,
};
use crate::config::accounts::{DisableMechanism, Ldap};
use crate::config::ldap_syntax;
use crate::model::{Account, Reason};
use crate::telemetry::PoolLevel;

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
