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

#[tokio::test]
async fn a_look_changes_neither_the_file_nor_its_folder() {
    let folder = std::env::temp_dir().join(format!("davgate-{}", uuid::Uuid::new_v4()));
    let file = folder.join("accounts.db");
    let state = || {
        let mut files: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| !path.to_string_lossy().ends_with("-shm"))
            .map(|path| (std::fs::read(&path).unwrap(), path))
            .collect();
        files.sort();
        files
    };
    let mara = AccountKey::Username("mara".to_owned());
    let gateway = EmbeddedDirectory::open(&file).unwrap();
    gateway.create(&new_account("mara")).await.unwrap();
    // While a gateway has it open, and after that one ended and left no side files.
    for running in [Some(gateway), None] {
        let before = state();
        let look = EmbeddedDirectory::open_read_only(&file).unwrap();
        assert!(look.find(&mara).await.unwrap().is_some());
        let refused = look.create(&new_account("alan")).await;
        assert!(
            matches!(refused, Err(DirectoryError::Refused(_))),
            "{refused:?}"
        );
        drop(look);
        assert_eq!(state(), before, "with a gateway: {}", running.is_some());
    }
    let missing = EmbeddedDirectory::open_read_only(&folder.join("none.db")).unwrap();
    assert_eq!(missing.find(&mara).await.unwrap(), None);
    assert!(!folder.join("none.db").exists());
    std::fs::write(folder.join("empty.db"), "").unwrap();
    let older = EmbeddedDirectory::open_read_only(&folder.join("empty.db"));
    assert!(matches!(older, Err(DirectoryError::Unusable(_))));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn issue_15_10_a_database_behind_a_link_that_leads_nowhere_yet_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = std::env::temp_dir().join(format!("davgate-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir_all(folder.join("elsewhere")).unwrap();
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for (link, target) in [
        ("near.db", "real.db"),
        ("far.db", "elsewhere/real.db"),
        ("twice.db", "near2.db"),
    ] {
        std::os::unix::fs::symlink(target, folder.join(link)).unwrap();
    }
    std::os::unix::fs::symlink("elsewhere/last.db", folder.join("near2.db")).unwrap();
    for (link, target) in [
        ("near.db", "real.db"),
        ("far.db", "elsewhere/real.db"),
        ("twice.db", "elsewhere/last.db"),
        ("plain.db", "plain.db"),
    ] {
        drop(EmbeddedDirectory::open(&folder.join(link)).unwrap());
        assert_eq!(mode(&folder.join(target)), 0o600, "{link}");
    }
    let shared = folder.join("shared.db");
    std::fs::write(&shared, "").unwrap();
    std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o640)).unwrap();
    drop(EmbeddedDirectory::open(&shared).unwrap());
    assert_eq!(mode(&shared), 0o640, "what an administrator chose stays");
    std::fs::remove_dir_all(folder).unwrap();
}
