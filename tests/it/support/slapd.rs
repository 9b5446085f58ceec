//! A real slapd of its own for one test: loopback, free port, temporary folder, OpenCloud's schema.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use davgate::door::config::Secret;
use davgate::door::config::accounts::{DisableMechanism, Ldap, LdapScope};
use ldap3::{LdapConnAsync, LdapConnSettings, Mod, Scope, SearchEntry};
use std::collections::HashSet;

use super::free_address;

pub(crate) const BASE: &str = "o=libregraph-idm";
pub(crate) const USERS: &str = "ou=users,o=libregraph-idm";
pub(crate) const GROUPS: &str = "ou=groups,o=libregraph-idm";
pub(crate) const BIND_DN: &str = "cn=admin,o=libregraph-idm";
pub(crate) const PASSWORD: &str = "canary-ldap-password";

/// How long a start may take on a loaded machine.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A running server. Stopped and removed when dropped.
pub(crate) struct Slapd {
    folder: PathBuf,
    port: u16,
    tls_port: u16,
    child: Option<Child>,
}

/// Certificate files for LDAPS and StartTLS.
pub(crate) struct TlsFiles {
    pub(crate) ca: PathBuf,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Slapd {
    /// Starts a server with an empty users and groups branch.
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Starts a server that speaks TLS by these files too.
    pub(crate) async fn start_with(tls: Option<&TlsFiles>) -> Self {
        assert!(
            Path::new("/usr/sbin/slapd").exists(),
            "install slapd (Debian: apt-get install slapd)"
        );
        let folder = std::env::temp_dir().join(format!("davgate-slapd-{}", uuid::Uuid::new_v4()));
        for name in ["config", "data"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        let mut server = Self {
            port: 0,
            tls_port: 0,
            child: None,
            folder,
        };
        server.load("0", &server.config(tls));
        server.load("1", TREE);
        // The ports are free when asked for, but another test may take one before slapd does.
        for _ in 0..5 {
            server.port = free_address().port();
            server.tls_port = free_address().port();
            if server.spawn().await {
                return server;
            }
        }
        panic!("slapd does not start; see {}", server.folder.display());
    }

    pub(crate) fn uri(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }

    /// LDAPS by the name the certificate has.
    pub(crate) fn tls_uri(&self) -> String {
        format!("ldaps://localhost:{}", self.tls_port)
    }

    /// StartTLS by the name the certificate has.
    pub(crate) fn start_tls_uri(&self) -> String {
        format!("ldap://localhost:{}", self.port)
    }

    /// Stops the server, as an update or a crash does.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again on the same port with the same data.
    pub(crate) async fn start_again(&mut self) {
        self.stop();
        assert!(self.spawn().await, "slapd does not come back");
    }

    /// An administrator's own connection.
    pub(crate) async fn admin(&self) -> ldap3::Ldap {
        let settings = LdapConnSettings::new().set_conn_timeout(Duration::from_secs(5));
        let (driver, mut ldap) = LdapConnAsync::with_settings(settings, &self.uri())
            .await
            .unwrap();
        tokio::spawn(driver.drive());
        ldap.simple_bind(BIND_DN, PASSWORD)
            .await
            .unwrap()
            .success()
            .unwrap();
        ldap
    }

    /// All entries below a base, with operational attributes.
    pub(crate) async fn entries(&self, base: &str) -> Vec<SearchEntry> {
        let mut admin = self.admin().await;
        let search = admin.search(base, Scope::OneLevel, "(objectClass=*)", vec!["*", "+"]);
        let (found, _) = search.await.unwrap().success().unwrap();
        found.into_iter().map(SearchEntry::construct).collect()
    }

    /// Adds an entry as an administrator would.
    pub(crate) async fn add(&self, dn: &str, attributes: &[(&str, &[&str])]) {
        let attributes = attributes
            .iter()
            .map(|(name, values)| (*name, values.iter().copied().collect::<HashSet<_>>()))
            .collect();
        let result = self.admin().await.add(dn, attributes).await.unwrap();
        result.success().unwrap();
    }

    /// Replaces an attribute as an administrator would.
    pub(crate) async fn replace(&self, dn: &str, attribute: &str, values: &[&str]) {
        let values = values.iter().copied().collect();
        let changes = vec![Mod::Replace(attribute, values)];
        let result = self.admin().await.modify(dn, changes).await.unwrap();
        result.success().unwrap();
    }

    fn config(&self, tls: Option<&TlsFiles>) -> String {
        let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/ldap/opencloud.ldif");
        let tls = tls.map_or_else(String::new, |tls| {
            format!(
                "olcTLSCACertificateFile: {}\nolcTLSCertificateFile: {}\nolcTLSCertificateKeyFile: {}\n",
                tls.ca.display(),
                tls.cert.display(),
                tls.key.display()
            )
        });
        format!(
            "dn: cn=config\nobjectClass: olcGlobal\ncn: config\nolcPidFile: {folder}/pid\n{tls}\n\
             dn: cn=module,cn=config\nobjectClass: olcModuleList\ncn: module\nolcModulePath: /usr/lib/ldap\nolcModuleLoad: back_mdb\n\n\
             dn: cn=schema,cn=config\nobjectClass: olcSchemaConfig\ncn: schema\n\n\
             include: file:///etc/ldap/schema/core.ldif\n\
             include: file:///etc/ldap/schema/cosine.ldif\n\
             include: file:///etc/ldap/schema/inetorgperson.ldif\n\
             include: file://{schema}\n\n\
             dn: olcDatabase=mdb,cn=config\nobjectClass: olcDatabaseConfig\nobjectClass: olcMdbConfig\nolcDatabase: mdb\n\
             olcSuffix: {BASE}\nolcRootDN: {BIND_DN}\nolcRootPW: {PASSWORD}\nolcDbDirectory: {folder}/data\n\
             olcDbMaxSize: 67108864\nolcDbNoSync: TRUE\n",
            folder = self.folder.display(),
        )
    }

    fn load(&self, database: &str, ldif: &str) {
        let file = self.folder.join(format!("{database}.ldif"));
        fs::write(&file, ldif).unwrap();
        let output = Command::new("/usr/sbin/slapadd")
            .args(["-n", database, "-F"])
            .arg(self.folder.join("config"))
            .arg("-l")
            .arg(file)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "slapadd -n {database}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Whether it answers on its port before it ends.
    async fn spawn(&mut self) -> bool {
        let log = fs::File::create(self.folder.join("slapd.log")).unwrap();
        let urls = format!(
            "ldap://127.0.0.1:{}/ ldaps://127.0.0.1:{}/",
            self.port, self.tls_port
        );
        let mut child = Command::new("/usr/sbin/slapd")
            .args(["-d", "0", "-h", &urls, "-F"])
            .arg(self.folder.join("config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let up = async {
            loop {
                if child.try_wait().unwrap().is_some() {
                    return false;
                }
                let address = (Ipv4Addr::LOCALHOST, self.port);
                if tokio::net::TcpStream::connect(address).await.is_ok() {
                    // Whoever has the port instead of it is not it.
                    return child.try_wait().unwrap().is_none();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let up = tokio::time::timeout(START_LIMIT, up).await.unwrap_or(false);
        if up {
            self.child = Some(child);
        } else {
            let _ = child.kill();
            let _ = child.wait();
        }
        up
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Settings with OpenCloud's defaults for the server at `uri`, plain transport on loopback.
pub(crate) fn settings(uri: &str) -> Ldap {
    Ldap {
        uris: vec![uri.to_owned()],
        cacert: None,
        insecure: false,
        start_tls: false,
        pool_size: 4,
        timeout: Duration::from_secs(5),
        bind_dn: BIND_DN.to_owned(),
        bind_password: Secret::new(PASSWORD),
        write_enabled: true,
        server_uuid: false,
        id_is_octet_string: false,
        user_base_dn: USERS.to_owned(),
        user_scope: LdapScope::Subtree,
        user_filter: String::new(),
        user_object_class: "inetOrgPerson".to_owned(),
        user_aux_class: "openCloudUser".to_owned(),
        user_id: "openCloudUUID".to_owned(),
        username: "uid".to_owned(),
        mail: "mail".to_owned(),
        display_name: "displayName".to_owned(),
        user_type: "openCloudUserType".to_owned(),
        user_tenant: None,
        external_identity: "openCloudExternalIdentity".to_owned(),
        role: "employeeType".to_owned(),
        disable: DisableMechanism::Attribute("openCloudUserEnabled".to_owned()),
        group_base_dn: GROUPS.to_owned(),
        group_create_base_dn: GROUPS.to_owned(),
        group_scope: LdapScope::Subtree,
        group_filter: String::new(),
        group_object_class: "groupOfNames".to_owned(),
        group_aux_class: "openCloudObject".to_owned(),
        group_id: "openCloudUUID".to_owned(),
        group_name: "cn".to_owned(),
        group_member: "member".to_owned(),
        group_managed: "businessCategory".to_owned(),
    }
}

const TREE: &str = "dn: o=libregraph-idm
objectClass: organization
o: libregraph-idm

dn: ou=users,o=libregraph-idm
objectClass: organizationalUnit
ou: users

dn: ou=groups,o=libregraph-idm
objectClass: organizationalUnit
ou: groups
";
