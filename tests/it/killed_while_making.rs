//! A gateway that is killed while it makes a user and his groups in a real slapd: whoever logs in next completes them.

use std::time::Duration;

use ldap3::{Ldap, Scope, SearchEntry};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::backend::{FakeBackend, Told};
use crate::support::client::Call;
use crate::support::issuer::{Endpoint, FakeIssuer};
use crate::support::process::GatewayProcess;
use crate::support::slapd::{BIND_DN, GROUPS, PASSWORD, Slapd, USERS};
use crate::support::until;

/// So many people, `make chaos` has a thousand. Every second time as many milliseconds after the issuer was asked as the number
/// says, below 40, the others as soon as the user stands in the directory, so that the kills fall on every step.
#[expect(clippy::disallowed_methods, reason = "no setting of the gateway")]
fn kills() -> u64 {
    std::env::var("CHAOS_KILLS").map_or(40, |text| text.parse().unwrap())
}

fn values<'a>(entry: &'a SearchEntry, attribute: &str) -> &'a [String] {
    entry.attrs.get(attribute).map_or(&[], Vec::as_slice)
}

async fn stands_in(admin: &mut Ldap, dn: &str) {
    let find = async |admin: &mut Ldap| {
        let search = admin.search(dn, Scope::Base, "(objectClass=*)", vec!["1.1"]);
        search.await.unwrap().success().is_ok()
    };
    while !find(admin).await {}
}

#[tokio::test]
async fn f21_a_gateway_killed_while_it_makes_a_user_leaves_nobody_half_made() {
    let (issuer, backend) = (
        FakeIssuer::start().await,
        FakeBackend::told(Told::Headers).await,
    );
    let directory = Slapd::start().await;
    let yaml = json!({"policies": [{"name": "default", "routes": [
        {"endpoint": "/", "backend": backend.url(), "identity": "headers"},
    ]}]});
    let uri = directory.uri();
    let vars = [
        ("PROXY_OIDC_ISSUER", issuer.url()),
        ("PROXY_ACCOUNT_BACKEND_TYPE", "ldap"),
        ("OC_LDAP_URI", &uri),
        ("OC_LDAP_BIND_DN", BIND_DN),
        ("OC_LDAP_BIND_PASSWORD", PASSWORD),
    ];
    let survivor = GatewayProcess::start(&yaml, &vars).await;
    let mut admin = directory.admin().await;
    let (mut cut, mut half_made) = (0, 0);
    for number in 0..kills() {
        let name = format!("person{number}");
        issuer.person(&name, &name);
        issuer.knows(&name, "groups", json!(["everybody", format!("of-{name}")]));
        let token = issuer.token(&name).sign();
        let victim = GatewayProcess::start(&yaml, &vars).await;
        let asked = issuer.calls(Endpoint::Userinfo);
        let mut connection = TcpStream::connect(victim.addr).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        until("the issuer's userinfo", || {
            issuer.calls(Endpoint::Userinfo) > asked
        })
        .await;
        let dn = format!("uid={name},{USERS}");
        if number % 2 == 0 {
            tokio::time::sleep(Duration::from_millis(number % 40)).await;
        } else {
            let watch = stands_in(&mut admin, &dn);
            let in_time = tokio::time::timeout(Duration::from_secs(20), watch);
            in_time.await.expect("nobody was made");
        }
        drop(victim); // by SIGKILL
        let mut answer = Vec::new();
        let read = connection.read_to_end(&mut answer).await;
        cut += usize::from(read.is_err() || answer.is_empty());
        let is_there = |entry: &SearchEntry| entry.dn == dn;
        let is_complete = directory
            .entries(GROUPS)
            .await
            .iter()
            .filter(|group| values(group, "member").contains(&dn))
            .count()
            == 2;
        let was_made = directory.entries(USERS).await.iter().any(is_there);
        half_made += usize::from(was_made && !is_complete);

        let login = Call::new(survivor.addr, "GET", "/").bearer(&token).send();
        login.await.is(200);
        let users = directory.entries(USERS).await;
        let user: Vec<_> = users.iter().filter(|user| is_there(user)).collect();
        assert_eq!(user.len(), 1, "{name}");
        assert_eq!(values(user[0], "openCloudUUID").len(), 1, "{name}");
        let identities = values(user[0], "openCloudExternalIdentity");
        assert_eq!(identities.len(), 1, "{name}");
    }
    assert!(cut > 0, "no kill came before an answer");
    assert!(half_made > 0, "no kill left anything to complete");

    let groups = directory.entries(GROUPS).await;
    let people: Vec<String> = (0..kills())
        .map(|n| format!("uid=person{n},{USERS}"))
        .collect();
    for group in &groups {
        assert_eq!(values(group, "openCloudUUID").len(), 1, "{}", group.dn);
        let members = values(group, "member");
        let known = |member: &String| member.is_empty() || people.contains(member);
        assert!(members.iter().all(known), "{}: {members:?}", group.dn);
    }
    for (number, dn) in people.iter().enumerate() {
        for name in ["everybody".to_owned(), format!("of-person{number}")] {
            let group = groups
                .iter()
                .find(|group| values(group, "cn") == [name.clone()]);
            let group = group.unwrap_or_else(|| panic!("no group {name}"));
            assert!(values(group, "member").contains(dn), "{dn} not in {name}");
        }
    }
    assert_eq!(groups.len(), 1 + people.len(), "a group of one name twice");
}
