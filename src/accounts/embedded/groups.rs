//! Groups of the embedded accounts; the same rules as over LDAP (docs/design/design.md 2, Groups).

use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use uuid::Uuid;

use super::{DirectoryError, GroupReport, GroupSync, sql_error};
use crate::accounts::WantedGroup;
use crate::accounts::group_claim::group_key;

/// A connection, and whether what is to be written is written.
#[derive(Clone, Copy)]
pub(super) struct Pen<'c> {
    connection: &'c Connection,
    writes: bool,
}

impl<'c> Pen<'c> {
    pub(super) fn writing(connection: &'c Connection) -> Self {
        Self {
            connection,
            writes: true,
        }
    }

    /// What would be done is told, and nothing is written.
    pub(super) fn rehearsing(connection: &'c Connection) -> Self {
        Self {
            connection,
            writes: false,
        }
    }

    fn execute(self, sql: &str, values: impl Params) -> Result<(), DirectoryError> {
        if !self.writes {
            return Ok(());
        }
        let written = self.connection.execute(sql, values);
        written.map(drop).map_err(sql_error)
    }
}

/// Makes the account a member of exactly the wanted ones among the groups marked for the issuer.
pub(super) fn sync(
    pen: Pen<'_>,
    account: &str,
    sync: &GroupSync,
) -> Result<GroupReport, DirectoryError> {
    let mut report = GroupReport::default();
    let mut kept = Vec::new();
    for wanted in &sync.wanted {
        let Some(group) = settle(pen, wanted, sync, &mut report)? else {
            continue;
        };
        if !is_member(pen.connection, account, &group)? {
            pen.execute(
                "INSERT INTO membership (account, user_group) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                params![account, group],
            )?;
            report.added.push(wanted.name.clone());
        }
        kept.push(group);
    }
    for (id, name) in joined_and_marked(pen.connection, account, &sync.issuer)? {
        if !kept.contains(&id) {
            pen.execute(
                "DELETE FROM membership WHERE account = ?1 AND user_group = ?2",
                params![account, id],
            )?;
            report.removed.push(name);
        }
    }
    Ok(report)
}

fn is_member(connection: &Connection, account: &str, group: &str) -> Result<bool, DirectoryError> {
    connection
        .query_row(
            "SELECT 1 FROM membership WHERE account = ?1 AND user_group = ?2",
            params![account, group],
            |_| Ok(()),
        )
        .optional()
        .map(|found| found.is_some())
        .map_err(sql_error)
}

struct Stored {
    id: String,
    name: String,
    managed: Option<String>,
    external_id: Option<String>,
}

/// The id of the group a claim may change, made or renamed if need be; `None` if it has to be left alone.
fn settle(
    pen: Pen<'_>,
    wanted: &WantedGroup,
    sync: &GroupSync,
    report: &mut GroupReport,
) -> Result<Option<String>, DirectoryError> {
    let by_name = stored(
        pen.connection,
        "name_key = ?1 AND ?2 IS NOT NULL",
        &group_key(&wanted.name),
        &sync.issuer,
    )?;
    let by_id = match &wanted.external_id {
        Some(id) => stored(
            pen.connection,
            "external_id = ?1 AND managed = ?2",
            id,
            &sync.issuer,
        )?,
        None => None,
    };
    match (by_id, by_name) {
        (Some(group), None) => {
            rename(pen, &group.id, &wanted.name)?;
            Ok(Some(group.id))
        }
        // Its new name is taken by another group: it stays under the old one.
        (Some(group), Some(_)) => {
            if group.name != wanted.name && group_key(&group.name) == group_key(&wanted.name) {
                rename(pen, &group.id, &wanted.name)?;
            }
            Ok(Some(group.id))
        }
        (None, Some(group)) => {
            let ours = group.managed.as_deref() == Some(sync.issuer.as_str());
            if !(ours || (sync.adopt && group.managed.is_none())) {
                report.unmanaged.push(wanted.name.clone());
                return Ok(None);
            }
            if !ours || (group.external_id.is_none() && wanted.external_id.is_some()) {
                pen.execute(
                        "UPDATE user_group SET managed = ?2, external_id = coalesce(external_id, ?3) WHERE id = ?1",
                        params![group.id, sync.issuer, wanted.external_id],
                    )?;
            }
            Ok(Some(group.id))
        }
        (None, None) if !sync.create => {
            report.missing.push(wanted.name.clone());
            Ok(None)
        }
        (None, None) => {
            let id = Uuid::new_v4().to_string();
            pen.execute(
                    "INSERT INTO user_group (id, name, name_key, managed, external_id) VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![id, wanted.name, group_key(&wanted.name), sync.issuer, wanted.external_id],
                )?;
            report.created.push(wanted.name.clone());
            Ok(Some(id))
        }
    }
}

fn stored(
    connection: &Connection,
    condition: &str,
    key: &str,
    issuer: &str,
) -> Result<Option<Stored>, DirectoryError> {
    let read = |row: &Row<'_>| {
        Ok(Stored {
            id: row.get(0)?,
            name: row.get(1)?,
            managed: row.get(2)?,
            external_id: row.get(3)?,
        })
    };
    connection
        .query_row(
            &format!("SELECT id, name, managed, external_id FROM user_group WHERE {condition}"),
            params![key, issuer],
            read,
        )
        .optional()
        .map_err(sql_error)
}

fn rename(pen: Pen<'_>, id: &str, name: &str) -> Result<(), DirectoryError> {
    pen.execute(
        "UPDATE user_group SET name = ?2, name_key = ?3 WHERE id = ?1",
        params![id, name, group_key(name)],
    )
}

fn joined_and_marked(
    connection: &Connection,
    account: &str,
    issuer: &str,
) -> Result<Vec<(String, String)>, DirectoryError> {
    connection
        .prepare_cached(
            "SELECT user_group.id, name FROM user_group JOIN membership ON user_group = user_group.id
             WHERE account = ?1 AND managed = ?2",
        )
        .and_then(|mut statement| {
            statement
                .query_map([account, issuer], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
        .map_err(sql_error)
}
