//! Creating and changing accounts, each in one write.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use ldap3::{Mod, Scope};
use uuid::Uuid;

use super::connection::{Attributes, Connection, OpError, Query, code};
use super::entry::{Entry, format_identity};
use super::escape::{self, Filter};
use super::{AccountChange, AccountKey, Created, DirectoryError, LdapDirectory, NewAccount};
use crate::model::{Account, ExternalIdentity, Role, StoredRole, UserType};

impl LdapDirectory {
    /// One add with everything docs/design/contract.md 7.2 lists.
    pub(super) async fn create_on(
        &self,
        connection: &mut Connection,
        new: &NewAccount,
    ) -> Result<Created, OpError> {
        let settings = &self.settings;
        let dn = escape::child(&settings.username, &new.username, &settings.user_base_dn);
        let id = (!settings.server_uuid).then(|| Uuid::new_v4().to_string());
        let attributes = self.new_entry(new, id.as_deref());
        match connection.add(&dn, attributes).await {
            Ok(()) => {}
            Err(error) if error.code() == Some(code::ENTRY_ALREADY_EXISTS) => {
                return self.read_obstacle(connection, &dn).await;
            }
            Err(error) => return Err(error),
        }
        // Only the server could tell whether its new entry matches.
        if self.user_predicate.is_some() && !self.matches_filter(connection, &dn).await? {
            let hidden = self.is_hidden(&dn);
            return Err(OpError::Directory(DirectoryError::Excluded(hidden)));
        }
        let Some(id) = id else {
            return self.read_created(connection, &dn).await;
        };
        Ok(Created::New(Box::new(Account {
            id,
            username: new.username.clone(),
            aliases: Vec::new(),
            display_name: new.display_name.clone(),
            mail: new.mail.clone(),
            user_type: UserType::Member,
            enabled: true,
            groups: Vec::new(),
            role: new.role.map(StoredRole::Known),
            identities: new.identity.iter().cloned().collect(),
            tenant: self.settings.user_tenant.as_ref().and_then(|tenant| {
                let mut attributes = new.attributes.iter();
                let own = attributes.find(|(name, _)| name.eq_ignore_ascii_case(tenant));
                own.map(|(_, value)| value.clone())
            }),
            uid_number: None,
            gid_number: None,
        })))
    }

    /// Something has the name of an account that nobody finds: another login made it just now, or it is none that searches
    /// for users see, and trying again would not help.
    async fn read_obstacle(
        &self,
        connection: &mut Connection,
        dn: &str,
    ) -> Result<Created, OpError> {
        let settings = &self.settings;
        let is_user = Filter::equal("objectClass", &settings.user_object_class);
        if !self.is_there(connection, dn, is_user).await? {
            let anything = Filter::Present("objectClass".to_owned());
            if self.is_there(connection, dn, anything).await? {
                return Err(OpError::Directory(DirectoryError::Excluded(format!(
                    "the entry `{dn}` has the name, but not the object class {} (OC_LDAP_USER_OBJECTCLASS)",
                    settings.user_object_class
                ))));
            }
        } else if !self.matches_filter(connection, dn).await? {
            let hidden = self.is_hidden(dn);
            return Err(OpError::Directory(DirectoryError::Excluded(hidden)));
        }
        Ok(Created::AlreadyExists)
    }

    async fn matches_filter(&self, connection: &mut Connection, dn: &str) -> Result<bool, OpError> {
        if self.settings.user_filter.is_empty() {
            return Ok(true);
        }
        let filter = Filter::Operator(self.settings.user_filter.clone());
        self.is_there(connection, dn, filter).await
    }

    /// Whether the entry of that name exists and matches.
    async fn is_there(
        &self,
        connection: &mut Connection,
        dn: &str,
        filter: Filter,
    ) -> Result<bool, OpError> {
        let attributes = ["1.1".to_owned()];
        let query = Query {
            base: dn,
            scope: Scope::Base,
            filter,
            attributes: &attributes,
        };
        let (found, result) = connection.search_limited(&query, 1).await?;
        match result.rc {
            0 => Ok(!found.is_empty()),
            code::NO_SUCH_OBJECT => Ok(false),
            _ => Err(OpError::Result(Box::new(result))),
        }
    }

    pub(super) fn new_entry(&self, new: &NewAccount, id: Option<&str>) -> Attributes {
        let settings = &self.settings;
        let mut classes = HashSet::from(["top".to_owned(), settings.user_object_class.clone()]);
        if settings
            .user_object_class
            .eq_ignore_ascii_case("inetOrgPerson")
        {
            classes.extend(["person".to_owned(), "organizationalPerson".to_owned()]);
        }
        if !settings.user_aux_class.is_empty() {
            classes.insert(settings.user_aux_class.clone());
        }
        let mut attributes: Attributes = vec![("objectClass".to_owned(), classes)];
        set(&mut attributes, &settings.username, &new.username);
        set(&mut attributes, &settings.display_name, &new.display_name);
        for required in ["cn", "sn"] {
            set(&mut attributes, required, &new.username);
        }
        if let Some(mail) = &new.mail {
            set(&mut attributes, &settings.mail, mail);
        }
        if let Some(id) = id {
            set(&mut attributes, &settings.user_id, id);
        }
        set(&mut attributes, &settings.user_type, "Member");
        if let Some(identity) = &new.identity {
            set(
                &mut attributes,
                &settings.external_identity,
                &format_identity(identity),
            );
        }
        if let Some(role) = new.role {
            set(&mut attributes, &settings.role, role.name());
        }
        for (name, value) in &new.attributes {
            set(&mut attributes, name, value);
        }
        attributes
    }

    /// The id was made by the server.
    async fn read_created(
        &self,
        connection: &mut Connection,
        dn: &str,
    ) -> Result<Created, OpError> {
        let query = Query {
            base: dn,
            scope: Scope::Base,
            filter: Filter::Present("objectClass".to_owned()),
            attributes: &self.user_attributes,
        };
        let (mut found, result) = connection.search_limited(&query, 1).await?;
        let Some(entry) = found.pop() else {
            return Err(OpError::Result(Box::new(result)));
        };
        let account = entry.account(&self.settings).map_err(OpError::Directory)?;
        Ok(Created::New(Box::new(account)))
    }

    /// Reads the entry, writes what differs in one modify, or nothing. The attributes that changed.
    pub(super) async fn update_on(
        &self,
        connection: &mut Connection,
        account: &Account,
        change: &AccountChange,
    ) -> Result<Vec<String>, OpError> {
        let mut wanted = self.user_attributes.clone();
        wanted.extend(change.attributes.iter().map(|(name, _)| name.clone()));
        let key = AccountKey::UserId(account.id.clone());
        let entry = self
            .find_entry(connection, &key, &wanted)
            .await?
            .ok_or_else(|| refused("the account is gone"))?;
        let (changes, claims) = self.changes(&entry, change)?;
        let names = names(&changes);
        if changes.is_empty() {
            return Ok(names);
        }
        let settings = &self.settings;
        let unclaimed = Filter::Not(Box::new(Filter::Present(
            settings.external_identity.clone(),
        )));
        // A value that is deleted by name has to be there: that is an assertion by itself.
        let moves = !change.replaces.is_empty();
        let assert = claims.is_some() && !moves && !self.no_assertions.load(Ordering::Relaxed);
        let only_if = assert.then_some(&unclaimed);
        match connection.modify(&entry.dn, changes.clone(), only_if).await {
            Err(error) if assert && error.code() == Some(code::UNAVAILABLE_CRITICAL_EXTENSION) => {
                self.no_assertions.store(true, Ordering::Relaxed);
                connection.modify(&entry.dn, changes, None).await?;
            }
            Err(error)
                if claims.is_some()
                    && matches!(
                        error.code(),
                        Some(
                            code::ASSERTION_FAILED
                                | code::ATTRIBUTE_OR_VALUE_EXISTS
                                | code::NO_SUCH_ATTRIBUTE
                        )
                    ) =>
            {
                return Err(OpError::Directory(DirectoryError::Conflict));
            }
            result => result?,
        }
        match claims {
            Some(identity) if !moves && self.no_assertions.load(Ordering::Relaxed) => {
                self.withdraw_if_contested(connection, &key, identity)
                    .await?;
            }
            _ => {}
        }
        Ok(names)
    }

    /// What differs from the entry, and the identity among it.
    fn changes<'c>(
        &self,
        entry: &Entry,
        change: &'c AccountChange,
    ) -> Result<(Vec<Mod<String>>, Option<&'c ExternalIdentity>), OpError> {
        let settings = &self.settings;
        let mut changes = Vec::new();
        let mut replace = |attribute: &str, value: &str| {
            let current = entry.texts(attribute);
            if current.contains(&value) {
                return;
            }
            if current.len() > 1 {
                // Further addresses and the like are not ours; only the first one is told to backends.
                changes.push(Mod::Delete(attribute.to_owned(), one(current[0])));
                changes.push(Mod::Add(attribute.to_owned(), one(value)));
            } else {
                changes.push(Mod::Replace(attribute.to_owned(), one(value)));
            }
        };
        if let Some(name) = &change.display_name {
            replace(&settings.display_name, name);
        }
        if let Some(mail) = &change.mail {
            replace(&settings.mail, mail);
        }
        for (name, value) in &change.attributes {
            replace(name, value);
        }
        match (change.role.map(Role::name), entry.role(&settings.role)) {
            (None, _) => {}
            (Some(_), Some(StoredRole::Foreign(_))) => {
                return Err(refused("the role attribute holds somebody else's data"));
            }
            (Some(role), _) => replace(&settings.role, role),
        }
        let Some(identity) = &change.identity else {
            return Ok((changes, None));
        };
        let owners = entry.identities(&settings.external_identity);
        if owners.contains(identity) {
            return Ok((changes, None));
        }
        let is_same_issuer = |owner: &ExternalIdentity| owner.issuer == identity.issuer;
        let fits = if change.replaces.is_empty() {
            owners.is_empty()
        } else {
            let is_owner = |former| owners.contains(former);
            change.replaces.iter().all(is_owner) && !owners.iter().any(is_same_issuer)
        };
        if !fits {
            return Err(OpError::Directory(DirectoryError::Conflict));
        }
        for former in &change.replaces {
            let value = entry.identity_value(&settings.external_identity, former);
            changes.push(Mod::Delete(
                settings.external_identity.clone(),
                one(value.unwrap_or_default()),
            ));
        }
        changes.push(Mod::Add(
            settings.external_identity.clone(),
            one(&format_identity(identity)),
        ));
        let aux = &settings.user_aux_class;
        let has_aux = entry
            .texts("objectClass")
            .iter()
            .any(|class| class.eq_ignore_ascii_case(aux));
        if !aux.is_empty() && !has_aux {
            changes.push(Mod::Add("objectClass".to_owned(), one(aux)));
        }
        Ok((changes, Some(identity)))
    }

    /// Without assertions two logins may both have written; then neither keeps the account.
    async fn withdraw_if_contested(
        &self,
        connection: &mut Connection,
        key: &AccountKey,
        identity: &ExternalIdentity,
    ) -> Result<(), OpError> {
        let entry = self
            .find_entry(connection, key, &self.user_attributes)
            .await?;
        let Some(entry) = entry else {
            return Err(refused("the account is gone"));
        };
        let attribute = &self.settings.external_identity;
        if entry.identities(attribute) == [identity.clone()] {
            return Ok(());
        }
        let ours = Mod::Delete(attribute.clone(), one(&format_identity(identity)));
        match connection.modify(&entry.dn, vec![ours], None).await {
            Ok(()) => {}
            Err(error) if error.code() == Some(code::NO_SUCH_ATTRIBUTE) => {}
            Err(error) => return Err(error),
        }
        Err(OpError::Directory(DirectoryError::Conflict))
    }
}

/// The attributes of these changes, each once.
fn names(changes: &[Mod<String>]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for change in changes {
        let (Mod::Add(name, _)
        | Mod::Delete(name, _)
        | Mod::Replace(name, _)
        | Mod::Increment(name, _)) = change;
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// A set with this one value, as the library wants them.
pub(super) fn one(value: &str) -> HashSet<String> {
    HashSet::from([value.to_owned()])
}

/// Adds a value; an attribute may be named by two settings.
fn set(attributes: &mut Attributes, name: &str, value: &str) {
    let known = attributes
        .iter_mut()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    match known {
        // The first one decides: an attribute map must not give a second user name.
        Some(_) => {}
        None => attributes.push((name.to_owned(), one(value))),
    }
}

fn refused(why: &str) -> OpError {
    OpError::Directory(DirectoryError::Refused(why.to_owned()))
}
