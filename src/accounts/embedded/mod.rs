//! Accounts in one local SQLite file in WAL mode: for one machine, the demo, small sites.

/// What `davgate account` does.
pub(crate) mod admin;
mod groups;
mod rows;
mod schema;

use std::fmt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use tokio::sync::Semaphore;

use self::groups::Pen;
use super::{
    AccountChange, AccountKey, Capabilities, Created, DirectoryError, GroupReport, GroupSync,
    NewAccount, Provisioner, UserDirectory,
};
use crate::model::Account;

/// Connections kept open. SQLite has one writer; the others read beside it.
const CONNECTIONS: usize = 4;
/// How long a writer waits for another process (`davgate account`) to finish.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The accounts of one database file. Cheap to clone. Queries run on tokio's blocking threads.
#[derive(Clone)]
pub struct EmbeddedDirectory {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl fmt::Debug for EmbeddedDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedDirectory").finish_non_exhaustive()
    }
}

impl EmbeddedDirectory {
    /// Opens or creates the file with its folder and brings its schema up to date. Blocks; meant for the start.
    ///
    /// # Errors
    /// [`DirectoryError::Unavailable`] if the file cannot be opened, [`DirectoryError::Unusable`] if it was made by a
    /// newer davgate or is no database.
    pub fn open(file: &Path) -> Result<Self, DirectoryError> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(|error| {
                DirectoryError::Unavailable(format!("{}: {error}", folder.display()))
            })?;
        }
        make_private(file)
            .map_err(|error| DirectoryError::Unavailable(format!("{}: {error}", file.display())))?;
        let idle = (0..CONNECTIONS)
            .map(|_| connect(file))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self::of(idle))
    }

    /// Opens the file for looking only: neither it nor its folder is changed, also while a gateway writes to it. One that
    /// is not there is an empty database. Every write is [`DirectoryError::Refused`]. Blocks.
    ///
    /// # Errors
    /// As for [`EmbeddedDirectory::open`]; also for a file of an older davgate, which only [`EmbeddedDirectory::open`]
    /// brings up to date.
    pub fn open_read_only(file: &Path) -> Result<Self, DirectoryError> {
        let connection = if file.exists() {
            look_at(file)?
        } else {
            let mut empty = Connection::open_in_memory().map_err(sql_error)?;
            schema::migrate(&mut empty)?;
            empty
        };
        Ok(Self::of(vec![connection]))
    }

    fn of(idle: Vec<Connection>) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(idle.len())),
            idle: Arc::new(Mutex::new(idle)),
        }
    }

    /// Runs a query on a blocking thread. The connection goes back even if nobody waits for the answer any more.
    async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut Connection) -> Result<T, DirectoryError> + Send + 'static,
    ) -> Result<T, DirectoryError> {
        let closed = |_| DirectoryError::Unavailable("the database is closed".to_owned());
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(closed)?;
        let idle = Arc::clone(&self.idle);
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let pop = || idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut connection) = pop() else {
                return Err(DirectoryError::Unavailable("no connection".to_owned()));
            };
            let result = query(&mut connection);
            idle.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
            result
        });
        task.await
            .map_err(|error| DirectoryError::Unavailable(format!("query ended: {error}")))?
    }

    /// Runs a write as one transaction that excludes other writers from its first statement on.
    async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, DirectoryError> + Send + 'static,
    ) -> Result<T, DirectoryError> {
        self.run(move |connection| {
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(sql_error)?;
            let result = change(&transaction)?;
            transaction.commit().map_err(sql_error)?;
            Ok(result)
        })
        .await
    }
}

#[async_trait]
impl UserDirectory for EmbeddedDirectory {
    async fn find(&self, key: &AccountKey) -> Result<Option<Account>, DirectoryError> {
        let key = key.clone();
        self.run(move |connection| {
            // One transaction, so that account and groups are of the same moment.
            let transaction = connection.transaction().map_err(sql_error)?;
            rows::find(&transaction, &key)
        })
        .await
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            finds_identities: true,
            writes: true,
        }
    }

    async fn probe(&self) -> Result<(), DirectoryError> {
        self.run(|connection| {
            connection
                .query_row("SELECT count(*) FROM account WHERE id = ''", [], |_| Ok(()))
                .map_err(sql_error)
        })
        .await
    }
}

#[async_trait]
impl Provisioner for EmbeddedDirectory {
    async fn create(&self, new: &NewAccount) -> Result<Created, DirectoryError> {
        let new = new.clone();
        self.write(move |connection| rows::create(connection, &new))
            .await
    }

    async fn update(
        &self,
        account: &Account,
        change: &AccountChange,
    ) -> Result<(), DirectoryError> {
        let (id, change) = (account.id.clone(), change.clone());
        self.write(move |connection| rows::update(connection, &id, &change))
            .await
    }

    async fn sync_groups(
        &self,
        account: &Account,
        sync: &GroupSync,
    ) -> Result<GroupReport, DirectoryError> {
        let (id, sync) = (account.id.clone(), sync.clone());
        self.write(move |connection| groups::sync(Pen::writing(connection), &id, &sync))
            .await
    }

    /// Nothing but a broken file would stand in the way, and that shows when it is read.
    async fn rehearse(&self, _: &NewAccount) -> Result<(), DirectoryError> {
        Ok(())
    }

    async fn rehearse_update(
        &self,
        account: &Account,
        change: &AccountChange,
    ) -> Result<Vec<String>, DirectoryError> {
        let (id, change) = (account.id.clone(), change.clone());
        self.run(move |connection| rows::differing(connection, &id, &change))
            .await
    }

    async fn rehearse_groups(
        &self,
        account: &Account,
        sync: &GroupSync,
    ) -> Result<GroupReport, DirectoryError> {
        let (id, sync) = (account.id.clone(), sync.clone());
        self.run(move |connection| groups::sync(Pen::rehearsing(connection), &id, &sync))
            .await
    }
}

/// Creates the file for its owner alone, because SQLite would let everybody on the machine read who has an account; also
/// where a link leads to that is not there yet. Its side files get the same mode. One that exists keeps the mode it has.
fn make_private(file: &Path) -> std::io::Result<()> {
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(file);
    match made {
        // One that may only be read is SQLite's to judge.
        Err(error) if !file.exists() => Err(error),
        _ => Ok(()),
    }
}

fn connect(file: &Path) -> Result<Connection, DirectoryError> {
    let mut connection = Connection::open(file).map_err(sql_error)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sql_error)?;
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .map_err(sql_error)?;
    connection
        .pragma_update(None, "foreign_keys", true)
        .map_err(sql_error)?;
    schema::migrate(&mut connection)?;
    Ok(connection)
}

/// A connection that can write nothing. SQLite makes side files even for readers of a file in WAL mode, so where there are
/// none, which means that nobody writes, the file is declared not to change. The look takes a moment only.
fn look_at(file: &Path) -> Result<Connection, DirectoryError> {
    let mut uri = url::Url::from_file_path(std::path::absolute(file).unwrap_or_default())
        .map_err(|()| DirectoryError::Unavailable(format!("no file {}", file.display())))?;
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    uri.set_query(Some(if Path::new(&log).exists() {
        "mode=ro"
    } else {
        "mode=ro&immutable=1"
    }));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri.as_str(), flags).map_err(sql_error)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sql_error)?;
    schema::is_current(&connection)?;
    Ok(connection)
}

/// What can be tried again is unavailable; the rest is unusable.
fn sql_error(error: rusqlite::Error) -> DirectoryError {
    match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly | ErrorCode::ConstraintViolation) => {
            DirectoryError::Refused(error.to_string())
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) | None => {
            DirectoryError::Unusable(error.to_string())
        }
        Some(_) => DirectoryError::Unavailable(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
