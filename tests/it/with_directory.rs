//! The whole way: the certified provider logs in, processes of the gateway provision in a real slapd, and a real WebDAV
//! server has the file.

use std::collections::BTreeMap;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::client::{Answer, Call};
use crate::support::oidc_provider::{Login, OidcProvider};
use crate::support::process::GatewayProcess;
use crate::support::slapd::{BIND_DN, GROUPS, PASSWORD, Slapd, USERS};
use crate::support::webdav::WebDav;
use crate::support::world::World;

/// Attributes with their values, sorted.
type Entry = BTreeMap<String, Vec<String>>;

struct Site {
    provider: OidcProvider,
    directory: Slapd,
    files: WebDav,
    gateways: Vec<GatewayProcess>,
}

impl Site {
    async fn with_gateways(count: usize) -> Self {
        let mut site = Self {
            provider: OidcProvider::start(&[]).await,
            directory: Slapd::start().await,
            files: WebDav::start().await,
            gateways: Vec::new(),
        };
        for _ in 0..count {
            let gateway = site.gateway().await;
            site.gateways.push(gateway);
        }
        site
    }

    async fn gateway(&self) -> GatewayProcess {
        let route = json!({"endpoint": "/", "backend": self.files.url(), "identity": "headers"});
        let yaml = json!({"policies": [{"name": "default", "routes": [route]}]});
        let uri = self.directory.uri();
        let variables = [
            ("PROXY_OIDC_ISSUER", self.provider.issuer()),
            ("PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD", "none"),
            ("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc"),
            ("PROXY_ACCOUNT_BACKEND_TYPE", "ldap"),
            ("OC_LDAP_URI", &uri),
            ("OC_LDAP_BIND_DN", BIND_DN),
            ("OC_LDAP_BIND_PASSWORD", PASSWORD),
        ];
        GatewayProcess::start(&yaml, &variables).await
    }

    fn put(&self, gateway: usize, path: &str, login: &Login) -> Call {
        Call::new(self.gateways[gateway].addr, "PUT", path).bearer(&login.access_token)
    }

    async fn log_in_and_put(&self, account: &str) -> Answer {
        let login = self.provider.login(account).await;
        let call = self.put(0, "/files/note", &login);
        call.body(account.to_owned()).send().await
    }

    fn search(&self, base: &str) -> BTreeMap<String, Entry> {
        let output = Command::new("ldapsearch")
            .args(["-x", "-LLL", "-o", "ldif-wrap=no", "-H"])
            .arg(self.directory.uri())
            .args(["-D", BIND_DN, "-w", PASSWORD, "-s", "one", "-b", base])
            .output()
            .unwrap_or_else(|error| panic!("ldapsearch: {error}; run `make tools`"));
        assert!(output.status.success(), "{output:?}");
        let ldif = String::from_utf8(output.stdout).unwrap();
        ldif.split("\n\n")
            .filter(|text| !text.trim().is_empty())
            .map(entry)
            .collect()
    }

    fn user(&self, name: &str) -> Entry {
        self.search(USERS)[&format!("uid={name},{USERS}")].clone()
    }

    fn groups_of(&self, name: &str) -> Vec<String> {
        let member = format!("uid={name},{USERS}");
        self.search(GROUPS)
            .into_values()
            .filter(|group| group["member"].contains(&member))
            .map(|group| group["cn"][0].clone())
            .collect()
    }
}

/// An entry of LDIF (RFC 2849): its DN and attributes.
fn entry(text: &str) -> (String, Entry) {
    let mut attributes = Entry::new();
    for line in text.trim().lines() {
        let (name, value) = line.split_once(':').unwrap();
        let value = match value.strip_prefix(": ") {
            Some(encoded) => String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap(),
            None => value.trim_start().to_owned(),
        };
        attributes.entry(name.to_owned()).or_default().push(value);
    }
    attributes.values_mut().for_each(|values| values.sort());
    let dn = attributes.remove("dn").unwrap().remove(0);
    (dn, attributes)
}

fn expected(attributes: &[(&str, &[&str])]) -> Entry {
    let own = |value: &&str| (*value).to_owned();
    attributes
        .iter()
        .map(|(name, values)| ((*name).to_owned(), values.iter().map(own).collect()))
        .collect()
}

/// Takes the id out, which is a random UUID.
fn without_id(mut entry: Entry) -> Entry {
    let ids = entry.remove("openCloudUUID").expect("an id");
    let id: uuid::Uuid = ids[0].parse().unwrap();
    assert_eq!((ids.len(), id.get_version_num()), (1, 4));
    entry
}

#[tokio::test]
async fn a_first_login_makes_the_entries_of_contract_7_2_and_the_file_arrives() {
    let site = Site::with_gateways(1).await;
    site.log_in_and_put("mary").await.is(201);
    let stored = std::fs::read_to_string(site.files.store().join("note")).unwrap();
    assert_eq!(stored, "mary");

    let identity = format!(" $ {} $ sub-mary", site.provider.issuer());
    let classes = [
        "inetOrgPerson",
        "openCloudUser",
        "organizationalPerson",
        "person",
        "top",
    ];
    let user = expected(&[
        ("objectClass", &classes),
        ("uid", &["mary"]),
        ("cn", &["mary"]),
        ("sn", &["mary"]),
        ("displayName", &["Mary Kenneth Keller"]),
        ("mail", &["mary@example.org"]),
        ("openCloudUserType", &["Member"]),
        ("openCloudExternalIdentity", &[&identity]),
        ("employeeType", &["user"]),
    ]);
    assert_eq!(without_id(site.user("mary")), user);

    let members = [format!("uid=mary,{USERS}")];
    let group = expected(&[
        ("objectClass", &["groupOfNames", "openCloudObject", "top"]),
        ("cn", &["machine-lovers"]),
        ("member", &[&members[0]]),
        ("businessCategory", &[site.provider.issuer()]),
    ]);
    let groups = site.search(GROUPS);
    assert_eq!(groups.len(), 1);
    let made = groups[&format!("cn=machine-lovers,{GROUPS}")].clone();
    assert_eq!(without_id(made), group);
}

#[tokio::test]
async fn fifty_first_logins_on_two_processes_make_one_entry() {
    let site = Site::with_gateways(2).await;
    let logins = join_all((0..50).map(|_| site.provider.login("alan"))).await;
    let puts = logins.iter().enumerate().map(|(n, login)| {
        let call = site.put(n % 2, &format!("/files/{n}"), login);
        call.body("x").send()
    });
    for answer in join_all(puts).await {
        answer.is(201);
    }
    assert_eq!(site.search(USERS).len(), 1);
    assert_eq!(site.search(GROUPS).len(), 2);
    let mut groups = site.groups_of("alan");
    groups.sort();
    assert_eq!(groups, ["machine-lovers", "philosophy-haters"]);
    assert_eq!(site.user("alan")["employeeType"], ["admin"]);
}

#[tokio::test]
async fn groups_and_role_follow_the_next_token() {
    let site = Site::with_gateways(1).await;
    site.log_in_and_put("mary").await.is(201);
    let claims = json!({
        "groups": ["philosophy-haters"], "roles": ["opencloudSpaceAdmin"], "name": "Mary K.",
    });
    site.provider.knows("mary", claims).await;
    site.log_in_and_put("mary").await.is(201);
    assert_eq!(site.groups_of("mary"), ["philosophy-haters"]);
    let emptied = &site.search(GROUPS)[&format!("cn=machine-lovers,{GROUPS}")];
    assert_eq!(emptied["member"], [""]);
    let user = site.user("mary");
    assert_eq!(user["employeeType"], ["spaceadmin"]);
    assert_eq!(user["displayName"], ["Mary K."]);
    // A claim that is not there says nothing; one that is empty does.
    site.provider.knows("mary", json!({"groups": null})).await;
    site.log_in_and_put("mary").await.is(201);
    assert_eq!(site.groups_of("mary"), ["philosophy-haters"]);
    site.provider.knows("mary", json!({"groups": []})).await;
    site.log_in_and_put("mary").await.is(201);
    assert!(site.groups_of("mary").is_empty());
}

#[tokio::test]
async fn nobody_is_made_who_has_no_role() {
    let site = Site::with_gateways(1).await;
    site.log_in_and_put("norole").await.refused(403, "no_role");
    assert!(site.search(USERS).is_empty() && site.search(GROUPS).is_empty());
}

#[tokio::test]
async fn further_attributes_go_into_a_real_directory_and_follow_the_claims() {
    let directory = Slapd::start().await;
    let uri = directory.uri();
    let world = World::set(&[
        ("PROXY_ACCOUNT_BACKEND_TYPE", "ldap"),
        ("OC_LDAP_URI", &uri),
        ("OC_LDAP_BIND_DN", BIND_DN),
        ("OC_LDAP_BIND_PASSWORD", PASSWORD),
        (
            "PROXY_AUTOPROVISION_ATTRIBUTES",
            "preferredLanguage=locale,labeledURI=picture,departmentNumber=limits.gb",
        ),
    ])
    .await;
    let login = async || {
        let token = world.issuer.token("mara").sign();
        world.request(&token).await.is(200);
        let mut entries = directory.entries(USERS).await;
        entries.retain(|entry| entry.dn.starts_with("uid="));
        assert_eq!(entries.len(), 1);
        let entry = entries.remove(0);
        ["preferredLanguage", "labeledURI", "departmentNumber"].map(|name| {
            let values = entry.attrs.get(name).cloned().unwrap_or_default();
            values.join("|")
        })
    };
    world.issuer.knows("mara", "locale", "sv-SE");
    world
        .issuer
        .knows("mara", "picture", "https://idp.test/mara.png");
    world.issuer.knows("mara", "limits", json!({"gb": 5}));
    assert_eq!(login().await, ["sv-SE", "https://idp.test/mara.png", "5"]);
    // Changed, gone, and of a kind that is no text: only the first changes anything.
    world.issuer.knows("mara", "locale", "de");
    world.issuer.knows("mara", "picture", Value::Null);
    world
        .issuer
        .knows("mara", "limits", json!({"gb": {"soft": 5}}));
    assert_eq!(login().await, ["de", "https://idp.test/mara.png", "5"]);
    world.gateway.stop().await;
}
