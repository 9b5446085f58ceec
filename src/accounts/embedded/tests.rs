//! What only the embedded backend has: the file, its schema, the administrator's commands.

use std::path::PathBuf;

use super::*;
use crate::model::{Role, StoredRole};

struct TempFile(PathBuf);

impl TempFile {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("davgate-{}.db", uuid::Uuid::new_v4())))
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", self.0.display()));
        }
    }
}

fn new_account(name: &str) -> NewAccount {
    NewAccount {
        username: name.to_owned(),
        display_name: name.to_owned(),
        mail: None,
        identity: None,
        role: None,
        attributes: vec![],
    }
}

#[test]
fn a_file_of_a_newer_davgate_is_refused_and_not_touched() {
    let file = TempFile::new();
    drop(EmbeddedDirectory::open(&file.0).unwrap());
    let connection = Connection::open(&file.0).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let error = EmbeddedDirectory::open(&file.0).unwrap_err();
    assert!(matches!(error, DirectoryError::Unusable(text) if text.contains("99")));
}

#[test]
fn a_new_file_can_be_read_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let file = TempFile::new();
    let _directory = EmbeddedDirectory::open(&file.0).unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let name = format!("{}{suffix}", file.0.display());
        let mode = std::fs::metadata(&name).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_file_that_is_no_database_is_unusable() {
    let file = TempFile::new();
    std::fs::write(&file.0, "this is certainly not a database file, not at all").unwrap();
    assert!(matches!(
        EmbeddedDirectory::open(&file.0),
        Err(DirectoryError::Unusable(_))
    ));
}

#[tokio::test]
async fn an_administrator_sees_shuts_out_and_promotes_accounts_while_the_gateway_runs() {
    let file = TempFile::new();
    let directory = EmbeddedDirectory::open(&file.0).unwrap();
    directory.create(&new_account("mara")).await.unwrap();
    assert_eq!(admin::list(&file.0).unwrap().len(), 1);
    assert!(admin::set_enabled(&file.0, "MARA", false).unwrap());
    assert!(admin::set_role(&file.0, "mara", Role::Admin).unwrap());
    assert!(!admin::set_enabled(&file.0, "nobody", false).unwrap());
    let key = AccountKey::Username("mara".to_owned());
    let account = directory.find(&key).await.unwrap().unwrap();
    assert!(!account.enabled);
    assert_eq!(account.role, Some(StoredRole::Known(Role::Admin)));
}

#[test]
fn a_mistyped_path_makes_no_file() {
    let file = TempFile::new();
    assert!(admin::list(&file.0).is_err());
    assert!(!file.0.exists());
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_take_its_connection_along() {
    let file = TempFile::new();
    let directory = EmbeddedDirectory::open(&file.0).unwrap();
    for _ in 0..3 * CONNECTIONS {
        let _ = tokio::time::timeout(Duration::ZERO, directory.probe()).await;
    }
    directory.probe().await.unwrap();
}
