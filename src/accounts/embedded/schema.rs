//! The tables, and how an older file is brought up to date.

use rusqlite::{Connection, TransactionBehavior};

use super::{DirectoryError, sql_error};

/// One entry per version; never changed once released, only appended to.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE account (
        id TEXT PRIMARY KEY,
        username TEXT NOT NULL,
        canonical TEXT NOT NULL UNIQUE,
        display_name TEXT NOT NULL,
        mail TEXT,
        mail_key TEXT,
        user_type TEXT NOT NULL DEFAULT 'Member',
        enabled INTEGER NOT NULL DEFAULT 1,
        role TEXT
    ) STRICT;
    CREATE INDEX account_mail ON account (mail_key);
    CREATE TABLE identity (
        issuer TEXT NOT NULL,
        subject TEXT NOT NULL,
        account TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
        PRIMARY KEY (issuer, subject)
    ) STRICT;
    CREATE INDEX identity_account ON identity (account);
    CREATE TABLE attribute (
        account TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (account, name)
    ) STRICT;
    CREATE TABLE user_group (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        name_key TEXT NOT NULL UNIQUE,
        managed TEXT,
        external_id TEXT,
        UNIQUE (managed, external_id)
    ) STRICT;
    CREATE TABLE membership (
        account TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
        user_group TEXT NOT NULL REFERENCES user_group (id) ON DELETE CASCADE,
        PRIMARY KEY (account, user_group)
    ) STRICT;
"];

/// Brings the file to this program's version, in one transaction.
///
/// # Errors
/// [`DirectoryError::Unusable`] for a file of a newer davgate.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), DirectoryError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(sql_error)?;
    let missing = missing(&transaction)?;
    if missing.is_empty() {
        return Ok(());
    }
    for step in missing {
        transaction.execute_batch(step).map_err(sql_error)?;
    }
    transaction
        .pragma_update(None, "user_version", MIGRATIONS.len() as i64)
        .map_err(sql_error)?;
    transaction.commit().map_err(sql_error)
}

/// Whether there is nothing to bring up to date. Writes nothing.
///
/// # Errors
/// [`DirectoryError::Unusable`] for a file of another version.
pub(super) fn is_current(connection: &Connection) -> Result<(), DirectoryError> {
    if missing(connection)?.is_empty() {
        return Ok(());
    }
    Err(DirectoryError::Unusable(
        "the account file is of an older davgate; `davgate server` brings it up to date".to_owned(),
    ))
}

/// The steps from the file's version to ours.
fn missing(connection: &Connection) -> Result<&'static [&'static str], DirectoryError> {
    let found: usize = connection
        .pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
        .map_err(sql_error)?
        .try_into()
        .unwrap_or(usize::MAX);
    MIGRATIONS.get(found..).ok_or_else(|| {
        DirectoryError::Unusable(format!(
            "the account file has schema version {found}; this davgate knows up to {}",
            MIGRATIONS.len()
        ))
    })
}
