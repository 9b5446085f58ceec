//! What a contract scenario needs besides the two traits: the administrator's hand.

use std::path::PathBuf;

use davgate::door::accounts::embedded::{EmbeddedDirectory, admin};
use davgate::door::accounts::ldap::LdapDirectory;
use davgate::door::accounts::{Provisioner, UserDirectory};

use crate::support::slapd::{self, GROUPS, Slapd, USERS};

/// A running backend.
pub(super) trait Backend {
    type Directory: UserDirectory + Provisioner + 'static;

    async fn start() -> Self;
    /// A new instance, as another process has.
    fn open(&self) -> Self::Directory;
    async fn disable(&self, username: &str);
    async fn set_raw_role(&self, username: &str, text: &str);
    /// A group somebody else made, with these marks.
    async fn add_group(&self, name: &str, marks: &[&str]);
    async fn count_accounts(&self) -> usize;
    async fn group_names(&self) -> Vec<String>;
    /// Something that changes with every write.
    async fn fingerprint(&self) -> Vec<String>;
}

pub(super) struct OverLdap(pub(super) Slapd);

impl Backend for OverLdap {
    type Directory = LdapDirectory;

    async fn start() -> Self {
        Self(Slapd::start().await)
    }

    fn open(&self) -> LdapDirectory {
        LdapDirectory::new(slapd::settings(&self.0.uri())).unwrap()
    }

    async fn disable(&self, username: &str) {
        let dn = format!("uid={username},{USERS}");
        self.0
            .replace(&dn, "openCloudUserEnabled", &["FALSE"])
            .await;
    }

    async fn set_raw_role(&self, username: &str, text: &str) {
        let dn = format!("uid={username},{USERS}");
        self.0.replace(&dn, "employeeType", &[text]).await;
    }

    async fn add_group(&self, name: &str, marks: &[&str]) {
        let id = uuid::Uuid::new_v4().to_string();
        let mut attributes: Vec<(&str, &[&str])> = vec![
            ("objectClass", &["groupOfNames", "openCloudObject", "top"]),
            ("member", &[""]),
        ];
        let (names, ids) = ([name], [id.as_str()]);
        attributes.push(("cn", &names));
        attributes.push(("openCloudUUID", &ids));
        if !marks.is_empty() {
            attributes.push(("businessCategory", marks));
        }
        self.0
            .add(&format!("cn={name},{GROUPS}"), &attributes)
            .await;
    }

    async fn count_accounts(&self) -> usize {
        self.0.entries(USERS).await.len()
    }

    async fn group_names(&self) -> Vec<String> {
        let groups = self.0.entries(GROUPS).await;
        let mut names: Vec<_> = groups.iter().map(|g| g.attrs["cn"][0].clone()).collect();
        names.sort();
        names
    }

    async fn fingerprint(&self) -> Vec<String> {
        let mut entries = self.0.entries(USERS).await;
        entries.extend(self.0.entries(GROUPS).await);
        let mut stamps: Vec<_> = entries
            .iter()
            .map(|entry| format!("{} {}", entry.dn, entry.attrs["entryCSN"][0]))
            .collect();
        stamps.sort();
        stamps
    }
}

pub(super) struct Embedded {
    folder: PathBuf,
}

impl Embedded {
    fn file(&self) -> PathBuf {
        self.folder.join("accounts.db")
    }

    fn sql(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.file()).unwrap()
    }
}

impl Backend for Embedded {
    type Directory = EmbeddedDirectory;

    async fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("davgate-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        Self { folder }
    }

    fn open(&self) -> EmbeddedDirectory {
        EmbeddedDirectory::open(&self.file()).unwrap()
    }

    async fn disable(&self, username: &str) {
        assert!(admin::set_enabled(&self.file(), username, false).unwrap());
    }

    async fn set_raw_role(&self, username: &str, text: &str) {
        let changed = self
            .sql()
            .execute(
                "UPDATE account SET role = ?2 WHERE username = ?1",
                [username, text],
            )
            .unwrap();
        assert_eq!(changed, 1);
    }

    async fn add_group(&self, name: &str, marks: &[&str]) {
        self.sql()
            .execute(
                "INSERT INTO user_group (id, name, name_key, managed) VALUES (?1, ?2, ?3, ?4)",
                rusqlite::params![
                    uuid::Uuid::new_v4().to_string(),
                    name,
                    name.to_lowercase(),
                    marks.first()
                ],
            )
            .unwrap();
    }

    async fn count_accounts(&self) -> usize {
        admin::list(&self.file()).unwrap().len()
    }

    async fn group_names(&self) -> Vec<String> {
        let connection = self.sql();
        let mut statement = connection
            .prepare("SELECT name FROM user_group ORDER BY name")
            .unwrap();
        let names = statement.query_map([], |row| row.get(0)).unwrap();
        names.map(Result::unwrap).collect()
    }

    async fn fingerprint(&self) -> Vec<String> {
        let connection = self.sql();
        let mut all = Vec::new();
        for table in [
            "account",
            "identity",
            "attribute",
            "user_group",
            "membership",
        ] {
            let mut statement = connection
                .prepare(&format!("SELECT * FROM {table}"))
                .unwrap();
            let columns = statement.column_count();
            let rows = statement
                .query_map([], |row| {
                    (0..columns)
                        .map(|column| row.get::<_, rusqlite::types::Value>(column))
                        .collect::<Result<Vec<_>, _>>()
                })
                .unwrap();
            all.extend(rows.map(|row| format!("{table} {:?}", row.unwrap())));
        }
        all.sort();
        all
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Runs every scenario over one backend.
macro_rules! contract {
    ($module:ident, $backend:ty: $($scenario:ident)+) => {
        mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                super::$scenario::<$backend>().await;
            })+
        }
    };
}

macro_rules! over_all_backends {
    ($($scenario:ident)+) => {
        $crate::accounts::backends::contract!(ldap, $crate::accounts::backends::OverLdap: $($scenario)+);
        $crate::accounts::backends::contract!(embedded, $crate::accounts::backends::Embedded: $($scenario)+);
    };
}

pub(super) use {contract, over_all_backends};
