//! The operations behind `davgate account list|disable|enable|role`. They work on the file while the gateway runs; it sees
//! a change within `PROXY_ACCOUNT_CACHE_TTL`.

use std::path::Path;

use rusqlite::{Connection, params};

use super::{DirectoryError, connect, rows, sql_error};
use crate::model::{Account, Role, canonical_name};

/// All accounts in order of their names, without groups and identities.
///
/// # Errors
/// [`DirectoryError`] if the file cannot be read. It is not created.
pub fn list(file: &Path) -> Result<Vec<Account>, DirectoryError> {
    rows::list(&open(file)?)
}

/// Lets an account in or shuts it out. `false`: there is no account of that name.
///
/// # Errors
/// [`DirectoryError`] if the file cannot be written.
pub fn set_enabled(file: &Path, username: &str, enabled: bool) -> Result<bool, DirectoryError> {
    open(file)?
        .execute(
            "UPDATE account SET enabled = ?2 WHERE canonical = ?1",
            params![canonical_name(username), enabled],
        )
        .map(|changed| changed > 0)
        .map_err(sql_error)
}

/// Gives an account a role. `false`: there is no account of that name.
///
/// # Errors
/// [`DirectoryError`] if the file cannot be written.
pub fn set_role(file: &Path, username: &str, role: Role) -> Result<bool, DirectoryError> {
    open(file)?
        .execute(
            "UPDATE account SET role = ?2 WHERE canonical = ?1",
            params![canonical_name(username), role.name()],
        )
        .map(|changed| changed > 0)
        .map_err(sql_error)
}

/// A mistyped path must not make an empty file.
fn open(file: &Path) -> Result<Connection, DirectoryError> {
    if file.exists() {
        connect(file)
    } else {
        Err(DirectoryError::Unavailable(format!(
            "no file {}",
            file.display()
        )))
    }
}
