//! The files of deploy/ldap: a slapd made by them takes the accounts and groups that davgate makes.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::support::client::Call;
use crate::support::files::Folder;
use crate::support::free_address;
use crate::support::issuer::FakeIssuer;
use crate::support::process::GatewayProcess;

const PASSWORD: &str = "canary-directory-files";

struct Directory {
    addr: SocketAddr,
    child: Child,
    folder: Folder,
}

impl Directory {
    async fn start(suffix: &str) -> Self {
        let mut directory = Self::run(Folder::new("ldap"), suffix);
        directory.is_up().await;
        directory
    }

    fn run(folder: Folder, suffix: &str) -> Self {
        let addr = free_address();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/ldap/start");
        let child = Command::new(script)
            .env("LDAP_FOLDER", &folder.0)
            .env("LDAP_PASSWORD", PASSWORD)
            .env("LDAP_SUFFIX", suffix)
            .env("LDAP_URLS", format!("ldap://{addr}/"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            addr,
            child,
            folder,
        }
    }

    async fn is_up(&mut self) {
        for _ in 0..1_000 {
            if tokio::net::TcpStream::connect(self.addr).await.is_ok() {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "{ended:?}; install slapd: run `make tools`"
            );
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("slapd does not listen");
    }

    /// What an administrator finds.
    fn search(&self, suffix: &str, filter: &str) -> String {
        let output = Command::new("ldapsearch")
            .args(["-x", "-LLL", "-o", "ldif-wrap=no", "-w", PASSWORD])
            .args(["-H", &format!("ldap://{}", self.addr)])
            .args(["-D", &format!("cn=admin,{suffix}"), "-b", suffix, filter])
            .output()
            .unwrap_or_else(|error| panic!("ldapsearch: {error}; run `make tools`"));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn davgate_makes_people_and_groups_in_a_slapd_of_these_files() {
    let suffix = "dc=cloud";
    let mut directory = Directory::start(suffix).await;
    let issuer = FakeIssuer::start().await;
    let yaml = json!({"policies": [{"name": "default", "routes": [
        {"endpoint": "/", "backend": "http://127.0.0.1:1", "identity": "headers"},
    ]}]});
    let uri = format!("ldap://{}", directory.addr);
    // The settings of deploy/compose/opencloud-keycloak.yaml, but for the address.
    let variables = [
        ("PROXY_OIDC_ISSUER", issuer.url()),
        ("PROXY_ACCOUNT_BACKEND_TYPE", "ldap"),
        ("PROXY_AUTOPROVISION_CLAIM_GROUPS", "groups"),
        ("OC_LDAP_URI", &uri),
        ("OC_LDAP_INSECURE", "true"),
        ("OC_LDAP_BIND_DN", "cn=admin,dc=cloud"),
        ("OC_LDAP_BIND_PASSWORD", PASSWORD),
        ("OC_LDAP_USER_BASE_DN", "ou=users,dc=cloud"),
        ("OC_LDAP_GROUP_BASE_DN", "ou=groups,dc=cloud"),
    ];
    let gateway = GatewayProcess::start(&yaml, &variables).await;
    issuer.knows("mara", "groups", json!(["painters"]));
    let token = issuer.token("mara").sign();
    let answer = Call::new(gateway.addr, "GET", "/")
        .bearer(&token)
        .send()
        .await;
    // Let in; the backend is not there.
    assert_eq!(answer.status, 502, "{}", gateway.log());

    let person = directory.search(suffix, "(uid=mara)");
    for wanted in [
        "dn: uid=mara,ou=users,dc=cloud",
        "objectClass: openCloudUser",
        "openCloudUUID: ",
        // It begins with a blank, so the tool shows it encoded.
        "openCloudExternalIdentity:: ",
        "openCloudUserType: Member",
    ] {
        assert!(person.contains(wanted), "{wanted}: {person}");
    }
    let group = directory.search(suffix, "(cn=painters)");
    assert!(
        group.contains("member: uid=mara,ou=users,dc=cloud"),
        "{group}"
    );

    // A second start leaves what there is.
    directory.child.kill().unwrap();
    directory.child.wait().unwrap();
    let folder = std::mem::replace(&mut directory.folder, Folder::new("none"));
    let mut again = Directory::run(folder, suffix);
    again.is_up().await;
    assert_eq!(again.search(suffix, "(uid=mara)"), person);
}

#[tokio::test]
async fn the_directory_can_have_the_names_of_opencloud() {
    let directory = Directory::start("o=libregraph-idm").await;
    let found = directory.search("o=libregraph-idm", "(objectClass=*)");
    for dn in [
        "o=libregraph-idm",
        "ou=users,o=libregraph-idm",
        "ou=groups,o=libregraph-idm",
    ] {
        assert!(found.contains(&format!("dn: {dn}\n")), "{found}");
    }
    let _ = &directory.folder;
}
