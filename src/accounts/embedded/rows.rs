//! Accounts as rows: find, create, change.

use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::{AccountChange, AccountKey, Created, DirectoryError, NewAccount, sql_error};
use crate::model::{Account, ExternalIdentity, Group, Role, StoredRole, UserType, canonical_name};

/// The account of that key; the one query that decides it is [`condition`]'s.
pub(super) fn find(
    connection: &Connection,
    key: &AccountKey,
) -> Result<Option<Account>, DirectoryError> {
    let (condition, values) = condition(key);
    let sql = format!("{SELECT} WHERE {condition} LIMIT 2");
    let mut statement = connection.prepare_cached(&sql).map_err(sql_error)?;
    let mut found = statement
        .query_map(rusqlite::params_from_iter(values), read_account)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(sql_error)?;
    if found.len() > 1 {
        return Err(DirectoryError::Ambiguous(describe(key).to_owned()));
    }
    let Some(mut account) = found.pop() else {
        return Ok(None);
    };
    account.identities = identities(connection, &account.id)?;
    account.groups = groups(connection, &account.id)?;
    Ok(Some(account))
}

/// All accounts in order of their names, without groups and identities.
pub(super) fn list(connection: &Connection) -> Result<Vec<Account>, DirectoryError> {
    connection
        .prepare(&format!("{SELECT} ORDER BY canonical"))
        .and_then(|mut statement| statement.query_map([], read_account)?.collect())
        .map_err(sql_error)
}

pub(super) fn create(connection: &Connection, new: &NewAccount) -> Result<Created, DirectoryError> {
    let id = Uuid::new_v4().to_string();
    let inserted = connection
        .execute(
            "INSERT INTO account (id, username, canonical, display_name, mail, mail_key, role)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (canonical) DO NOTHING",
            params![
                id,
                new.username,
                canonical_name(&new.username),
                new.display_name,
                new.mail,
                new.mail.as_deref().map(str::to_lowercase),
                new.role.map(Role::name),
            ],
        )
        .map_err(sql_error)?;
    if inserted == 0 {
        return Ok(Created::AlreadyExists);
    }
    if let Some(identity) = &new.identity
        && !add_identity(connection, &id, identity)?
    {
        // The identity came in meanwhile under another name; this row must not stay.
        connection
            .execute("DELETE FROM account WHERE id = ?1", [&id])
            .map_err(sql_error)?;
        return Ok(Created::AlreadyExists);
    }
    write_attributes(connection, &id, &new.attributes)?;
    find(connection, &AccountKey::UserId(id))?
        .map(|account| Created::New(Box::new(account)))
        .ok_or_else(|| DirectoryError::Unusable("a new account is not there".to_owned()))
}

pub(super) fn update(
    connection: &Connection,
    id: &str,
    change: &AccountChange,
) -> Result<(), DirectoryError> {
    let current = find(connection, &AccountKey::UserId(id.to_owned()))?
        .ok_or_else(|| DirectoryError::Refused("the account is gone".to_owned()))?;
    if let Some(identity) = &change.identity
        && !current.identities.contains(identity)
    {
        take_over(connection, &current, identity, &change.replaces)?;
    }
    if change.role.is_some()
        && let Some(StoredRole::Foreign(text)) = &current.role
    {
        return Err(DirectoryError::Refused(format!(
            "the role is {text:?}, which is no role name"
        )));
    }
    connection
        .execute(
            "UPDATE account SET display_name = coalesce(?2, display_name), mail = coalesce(?3, mail),
             mail_key = coalesce(?4, mail_key), role = coalesce(?5, role) WHERE id = ?1",
            params![
                id,
                change.display_name,
                change.mail,
                change.mail.as_deref().map(str::to_lowercase),
                change.role.map(Role::name),
            ],
        )
        .map_err(sql_error)?;
    write_attributes(connection, id, &change.attributes)
}

/// What [`update`] would change, in the words of `davgate account`.
pub(super) fn differing(
    connection: &Connection,
    id: &str,
    change: &AccountChange,
) -> Result<Vec<String>, DirectoryError> {
    let current = find(connection, &AccountKey::UserId(id.to_owned()))?
        .ok_or_else(|| DirectoryError::Refused("the account is gone".to_owned()))?;
    let name = change.display_name.as_ref();
    let mail = change.mail.as_ref();
    let identity = change.identity.as_ref();
    let role = change.role.map(StoredRole::Known);
    let parts = [
        (
            "display name",
            name.is_some_and(|name| *name != current.display_name),
        ),
        (
            "mail address",
            mail.is_some() && mail != current.mail.as_ref(),
        ),
        (
            "identity",
            identity.is_some_and(|one| !current.identities.contains(one)),
        ),
        ("role", role.is_some() && role != current.role),
    ];
    let parts = parts.iter().filter(|(_, differs)| *differs);
    let mut words: Vec<String> = parts.map(|(word, _)| (*word).to_owned()).collect();
    for (name, value) in &change.attributes {
        let known: Option<String> = connection
            .query_row(
                "SELECT value FROM attribute WHERE account = ?1 AND name = ?2",
                params![id, name],
                |row| row.get(0),
            )
            .optional()
            .map_err(sql_error)?;
        if known.as_ref() != Some(value) {
            words.push(name.clone());
        }
    }
    Ok(words)
}

/// Gives the account the identity; it may have no other but those that go, and those it has to have.
fn take_over(
    connection: &Connection,
    current: &Account,
    identity: &ExternalIdentity,
    replaces: &[ExternalIdentity],
) -> Result<(), DirectoryError> {
    let known = &current.identities;
    let is_same_issuer = |one: &ExternalIdentity| one.issuer == identity.issuer;
    let fits = if replaces.is_empty() {
        known.is_empty()
    } else {
        replaces.iter().all(|one| known.contains(one)) && !known.iter().any(is_same_issuer)
    };
    if !fits {
        return Err(DirectoryError::Conflict);
    }
    for former in replaces {
        connection
            .execute(
                "DELETE FROM identity WHERE issuer = ?1 AND subject = ?2 AND account = ?3",
                params![former.issuer, former.subject, current.id],
            )
            .map_err(sql_error)?;
    }
    if add_identity(connection, &current.id, identity)? {
        Ok(())
    } else {
        Err(DirectoryError::Conflict)
    }
}

const SELECT: &str =
    "SELECT id, username, display_name, mail, user_type, enabled, role FROM account";

fn condition(key: &AccountKey) -> (&'static str, Vec<String>) {
    match key {
        AccountKey::Username(name) => ("canonical = ?1", vec![canonical_name(name)]),
        AccountKey::Mail(mail) => ("mail_key = ?1", vec![mail.to_lowercase()]),
        AccountKey::UserId(id) => ("id = ?1", vec![id.clone()]),
        AccountKey::Identity(identity) => (
            "id = (SELECT account FROM identity WHERE issuer = ?1 AND subject = ?2)",
            vec![identity.issuer.clone(), identity.subject.clone()],
        ),
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

fn read_account(row: &Row<'_>) -> rusqlite::Result<Account> {
    let user_type: String = row.get(4)?;
    let role: Option<String> = row.get(6)?;
    Ok(Account {
        id: row.get(0)?,
        username: row.get(1)?,
        aliases: Vec::new(),
        display_name: row.get(2)?,
        mail: row.get(3)?,
        user_type: match user_type.as_str() {
            "Guest" => UserType::Guest,
            _ => UserType::Member,
        },
        enabled: row.get(5)?,
        groups: Vec::new(),
        role: role.map(|name| {
            Role::from_name(&name).map_or(StoredRole::Foreign(name), StoredRole::Known)
        }),
        identities: Vec::new(),
        tenant: None,
        uid_number: None,
        gid_number: None,
    })
}

fn identities(connection: &Connection, id: &str) -> Result<Vec<ExternalIdentity>, DirectoryError> {
    connection
        .prepare_cached("SELECT issuer, subject FROM identity WHERE account = ?1")
        .and_then(|mut statement| {
            statement
                .query_map([id], |row| {
                    Ok(ExternalIdentity {
                        issuer: row.get(0)?,
                        subject: row.get(1)?,
                    })
                })?
                .collect()
        })
        .map_err(sql_error)
}

fn groups(connection: &Connection, id: &str) -> Result<Vec<Group>, DirectoryError> {
    connection
        .prepare_cached(
            "SELECT user_group.id, name FROM user_group JOIN membership ON user_group = user_group.id
             WHERE account = ?1 ORDER BY name_key",
        )
        .and_then(|mut statement| {
            statement
                .query_map([id], |row| {
                    Ok(Group {
                        id: row.get(0)?,
                        name: row.get(1)?,
                    })
                })?
                .collect()
        })
        .map_err(sql_error)
}

/// Whether the identity is now this account's; it may be another's.
fn add_identity(
    connection: &Connection,
    id: &str,
    identity: &ExternalIdentity,
) -> Result<bool, DirectoryError> {
    connection
        .execute(
            "INSERT INTO identity (issuer, subject, account) VALUES (?1, ?2, ?3)
             ON CONFLICT (issuer, subject) DO NOTHING",
            params![identity.issuer, identity.subject, id],
        )
        .map_err(sql_error)?;
    let owner: Option<String> = connection
        .query_row(
            "SELECT account FROM identity WHERE issuer = ?1 AND subject = ?2",
            params![identity.issuer, identity.subject],
            |row| row.get(0),
        )
        .optional()
        .map_err(sql_error)?;
    Ok(owner.as_deref() == Some(id))
}

fn write_attributes(
    connection: &Connection,
    id: &str,
    attributes: &[(String, String)],
) -> Result<(), DirectoryError> {
    for (name, value) in attributes {
        connection
            .execute(
                "INSERT INTO attribute (account, name, value) VALUES (?1, ?2, ?3)
                 ON CONFLICT (account, name) DO UPDATE SET value = excluded.value
                 WHERE value <> excluded.value",
                params![id, name, value],
            )
            .map_err(sql_error)?;
    }
    Ok(())
}
