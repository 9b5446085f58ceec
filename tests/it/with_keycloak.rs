//! Logins at a real Keycloak, with the realm that deploy/keycloak makes: its own login form, offline sessions, every verify
//! method, every way out, its keys, and what becomes of people there.
//!
//! One server serves all of it, because it takes half a minute to start: each part has a realm of its own.

use std::time::Duration;

use davgate::door::model::{Account, Role, StoredRole};
use serde_json::{Value, json};

use crate::support::backend::{FakeBackend, Told};
use crate::support::client::Answer;
use crate::support::gateway::{Builder, TestGateway};
use crate::support::keycloak::{Browser, Keycloak, Realm, Tokens};

const METHOD: &str = "PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD";
const SKIP: (&str, &str) = ("PROXY_OIDC_SKIP_USER_INFO", "true");
const AUDIENCE: (&str, &str) = ("PROXY_OIDC_AUDIENCES", "opencloud");
const WEB: &str = "web";
const DESKTOP: &str = "OpenCloudDesktop";
const DESKTOP_REDIRECT: &str = "http://127.0.0.1/";
const SCOPE: &str = "openid profile email";
const GATE: &str = "gate";
const GATE_SECRET: &str = "canary-keycloak-gate-secret";

/// A gateway in front of a backend that is told `Remote-*`, and the realm whose logouts come to it.
struct Gate<'k> {
    backend: FakeBackend,
    gateway: TestGateway,
    realm: Realm<'k>,
}

impl<'k> Gate<'k> {
    /// A realm of its own, with the gateway as the address people open.
    async fn new(keycloak: &'k Keycloak, realm: &str, variables: &[(&str, &str)]) -> Self {
        let backend = FakeBackend::told(Told::Headers).await;
        let issuer = keycloak.issuer(realm);
        let gateway = with(&issuer, &backend, variables).spawn().await;
        let realm = keycloak
            .realm(realm, &format!("http://{}", gateway.addr))
            .await;
        // It was started before its issuer was there, and asks again a little later.
        let patience = Duration::from_secs(20);
        let ready = async {
            while gateway.debug("/readyz").await.0 != 200 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(patience, ready).await.unwrap();
        Self {
            backend,
            gateway,
            realm,
        }
    }

    /// Another gateway for the same realm.
    async fn beside(&self, variables: &[(&str, &str)]) -> TestGateway {
        with(&self.realm.url(), &self.backend, variables)
            .spawn()
            .await
    }

    fn redirect(&self) -> String {
        format!("http://{}/oidc-callback.html", self.gateway.addr)
    }

    async fn login(&self, person: &str) -> (Browser, Tokens) {
        self.realm.login(WEB, &self.redirect(), person, SCOPE).await
    }

    async fn request(&self, token: &str) -> Answer {
        request(&self.gateway, token).await
    }

    async fn refreshed(&self, client: &str, old: &Tokens) -> Tokens {
        self.realm.refresh(client, old).await.unwrap()
    }

    /// Asks until the answer has that status; a logout or a new key takes its moment.
    async fn becomes(&self, status: u16, token: &str) -> Answer {
        for _ in 0..100 {
            let answer = self.request(token).await;
            if answer.status == status {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("never {status}: {}", self.request(token).await.text());
    }

    /// The groups that the backend is told of.
    async fn groups(&self, gateway: &TestGateway, token: &str) -> Option<String> {
        self.backend.take_seen();
        request(gateway, token).await.is(200);
        let seen = self.backend.the_request();
        let groups = seen.header("remote-groups").unwrap_or_default();
        (!groups.is_empty()).then(|| groups.to_owned())
    }

    fn account(&self, name: &str) -> Account {
        let accounts = self.gateway.accounts();
        let mut accounts = accounts.into_iter();
        accounts.find(|account| account.username == name).unwrap()
    }
}

fn with(issuer: &str, backend: &FakeBackend, variables: &[(&str, &str)]) -> Builder {
    let gateway = TestGateway::new()
        .var("PROXY_OIDC_ISSUER", issuer)
        .var("PROXY_OIDC_CLIENT_ID", GATE)
        .var("PROXY_OIDC_CLIENT_SECRET", GATE_SECRET)
        .var("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc")
        .backend("/files/", backend);
    let set = |gateway: Builder, (name, value): &(&str, &str)| gateway.var(name, value);
    variables.iter().fold(gateway, set)
}

async fn request(gateway: &TestGateway, token: &str) -> Answer {
    gateway.get("/files/a").bearer(token).send().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keycloak_from_its_login_form_to_every_way_out() {
    let keycloak = Keycloak::start().await;
    every_verify_method_lets_the_access_token_in_and_no_other(&keycloak).await;
    issue_14_1_the_desktops_offline_session_outlives_the_browsers_logout(&keycloak).await;
    an_administrators_logout_ends_what_it_names(&keycloak).await;
    issue_14_5_keys_are_made_made_passive_and_disabled(&keycloak).await;
    people_are_renamed_leave_groups_and_roles_and_are_disabled(&keycloak).await;
    issue_14_3_an_unverified_address_finds_nobody(&keycloak).await;
    issue_14_6_service_clients_and_lightweight_tokens(&keycloak).await;
    an_outage_is_never_a_401(&keycloak).await;
}

async fn every_verify_method_lets_the_access_token_in_and_no_other(keycloak: &Keycloak) {
    let gate = Gate::new(keycloak, "methods", &[AUDIENCE]).await;
    gate.realm.service_client(GATE, GATE_SECRET).await;
    gate.realm
        .person("mara", "opencloudSpaceAdmin", &["crew"])
        .await;
    let (_, login) = gate.login("mara").await;
    for variables in [
        &[(METHOD, "jwt"), AUDIENCE][..],
        &[(METHOD, "jwt"), AUDIENCE, SKIP],
        &[(METHOD, "none")],
        &[(METHOD, "auto"), AUDIENCE],
        &[(METHOD, "introspection"), AUDIENCE],
        &[(METHOD, "introspection"), AUDIENCE, SKIP],
    ] {
        let gateway = gate.beside(variables).await;
        request(&gateway, login.access()).await.is(200);
        let seen = gate.backend.the_request();
        assert_eq!(seen.header("remote-user"), Some("mara"), "{variables:?}");
        assert_eq!(seen.header("remote-groups"), Some("crew"), "{variables:?}");
        let accounts = gateway.accounts();
        assert_eq!(accounts[0].role, Some(StoredRole::Known(Role::SpaceAdmin)));
        for other in [login.id(), login.refresh()] {
            let answer = request(&gateway, other).await;
            assert_eq!(answer.status, 401, "{variables:?}: {}", answer.text());
            let reasons = ["wrong_token_type", "token_algorithm", "token_rejected"];
            assert!(
                reasons.contains(&answer.reason().as_str()),
                "{variables:?}: {}",
                answer.reason()
            );
        }
        gateway.stop().await;
    }
    gate.gateway.stop().await;
}

async fn issue_14_1_the_desktops_offline_session_outlives_the_browsers_logout(keycloak: &Keycloak) {
    let gate = Gate::new(keycloak, "logout", &[]).await;
    gate.realm.person("mara", "opencloudUser", &[]).await;
    let (browser, web) = gate.login("mara").await;
    let scope = "openid profile email offline_access";
    let desktop = gate
        .realm
        .login_again(&browser, DESKTOP, DESKTOP_REDIRECT, scope)
        .await;
    for token in [&web, &desktop] {
        gate.request(token.access()).await.is(200);
    }
    let home = format!("http://{}/", gate.gateway.addr);
    gate.realm.log_out(&browser, &web, WEB, &home).await;
    for token in [&web, &desktop] {
        gate.becomes(401, token.access())
            .await
            .refused(401, "session_ended");
    }
    // The desktop goes on refreshing; what it gets has the same session id and is issued later.
    let mut desktop = desktop;
    for second in 0.. {
        tokio::time::sleep(Duration::from_secs(1)).await;
        desktop = gate.refreshed(DESKTOP, &desktop).await;
        if gate.request(desktop.access()).await.status == 200 {
            break;
        }
        assert!(second < 5, "the desktop is shut out");
    }
    assert!(
        gate.realm.refresh(WEB, &web).await.is_err(),
        "the browser's is over"
    );
    gate.gateway.stop().await;
}

async fn an_administrators_logout_ends_what_it_names(keycloak: &Keycloak) {
    let gate = Gate::new(keycloak, "admins", &[]).await;
    let mara = gate.realm.person("mara", "opencloudUser", &[]).await;
    let (_, first) = gate.login("mara").await;
    let (_, second) = gate.login("mara").await;
    for token in [&first, &second] {
        gate.request(token.access()).await.is(200);
    }
    // One session of two.
    let session = first.0["session_state"].as_str().unwrap().to_owned();
    gate.realm
        .admin("DELETE", &format!("/sessions/{session}"), &Value::Null)
        .await;
    gate.becomes(401, first.access())
        .await
        .refused(401, "session_ended");
    gate.request(second.access()).await.is(200);
    // All of one person: Keycloak tells of one session where the session is required, of the person where it is not.
    let required = json!({"attributes": {"backchannel.logout.session.required": "false"}});
    gate.realm.change_client(WEB, &required).await;
    let (_, third) = gate.login("mara").await;
    gate.request(third.access()).await.is(200);
    gate.realm
        .admin("POST", &format!("/users/{mara}/logout"), &Value::Null)
        .await;
    for token in [&second, &third] {
        gate.becomes(401, token.access()).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (_, next) = gate.login("mara").await;
    gate.request(next.access()).await.is(200);
    gate.gateway.stop().await;
}

async fn issue_14_5_keys_are_made_made_passive_and_disabled(keycloak: &Keycloak) {
    let limit = ("PROXY_OIDC_JWKS_REFRESH_RATE_LIMIT", "1");
    let gate = Gate::new(keycloak, "keys", &[limit, SKIP]).await;
    gate.realm.person("mara", "opencloudUser", &[]).await;
    let old = gate.realm.first_key().await;
    let (_, before) = gate.login("mara").await;
    gate.request(before.access()).await.is(200);
    gate.realm.new_key(200).await;
    let (_, after) = gate.login("mara").await;
    gate.request(after.access()).await.is(200);
    gate.realm.set_key(&old, false, true).await;
    gate.request(before.access()).await.is(200);
    gate.realm.set_key(&old, false, false).await;
    // It is seen when the set is fetched again, here because of a further key.
    gate.realm.new_key(300).await;
    gate.gateway.clock.advance(2);
    let (_, newest) = gate.login("mara").await;
    gate.becomes(200, newest.access()).await;
    gate.request(before.access())
        .await
        .refused(401, "unknown_key");
    gate.request(after.access()).await.is(200);
    gate.gateway.stop().await;
}

async fn people_are_renamed_leave_groups_and_roles_and_are_disabled(keycloak: &Keycloak) {
    let leaves = ("PROXY_AUTOPROVISION_GROUPS_ABSENT", "none");
    let gate = Gate::new(keycloak, "people", &[leaves]).await;
    let mara = gate
        .realm
        .person("mara", "opencloudUser", &["crew", "deck"])
        .await;
    let keeping = gate.beside(&[]).await;
    let (_, login) = gate.login("mara").await;
    for gateway in [&gate.gateway, &keeping] {
        let groups = gate.groups(gateway, login.access()).await;
        assert_eq!(groups.as_deref(), Some("crew,deck"));
    }
    let id = gate.account("mara").id;
    // Out of all groups: Keycloak leaves the claim out.
    for group in ["crew", "deck"] {
        let group = gate.realm.group(group).await;
        let path = format!("/users/{mara}/groups/{group}");
        gate.realm.admin("DELETE", &path, &Value::Null).await;
    }
    let login = gate.refreshed(WEB, &login).await;
    assert_eq!(gate.groups(&gate.gateway, login.access()).await, None);
    let kept = gate.groups(&keeping, login.access()).await;
    assert_eq!(kept.as_deref(), Some("crew,deck"), "the default keeps them");
    // Another name is the same account.
    let editable = json!({"editUsernameAllowed": true});
    gate.realm.admin("PUT", "", &editable).await;
    let mut user = gate
        .realm
        .admin("GET", &format!("/users/{mara}"), &Value::Null)
        .await;
    user["username"] = json!("mara.k");
    gate.realm
        .admin("PUT", &format!("/users/{mara}"), &user)
        .await;
    let login = gate.refreshed(WEB, &login).await;
    gate.request(login.access()).await.is(200);
    assert_eq!(gate.gateway.accounts().len(), 1);
    assert_eq!(gate.gateway.accounts()[0].id, id);
    // Without a role nobody comes in.
    let roles = format!("/users/{mara}/role-mappings/realm");
    let role = gate
        .realm
        .admin("GET", "/roles/opencloudUser", &Value::Null)
        .await;
    gate.realm.admin("DELETE", &roles, &json!([role])).await;
    let login = gate.refreshed(WEB, &login).await;
    gate.request(login.access()).await.refused(403, "no_role");
    gate.realm.admin("POST", &roles, &json!([role])).await;
    // Disabled: no refresh any more, and where the issuer is asked, nobody comes in for longer than the answer is kept.
    let login = gate.refreshed(WEB, &login).await;
    let asking = gate.beside(&[(METHOD, "none")]).await;
    request(&asking, login.access()).await.is(200);
    user["enabled"] = json!(false);
    gate.realm
        .admin("PUT", &format!("/users/{mara}"), &user)
        .await;
    assert!(gate.realm.refresh(WEB, &login).await.is_err());
    asking.clock.advance(11);
    request(&asking, login.access())
        .await
        .refused(401, "token_rejected");
    for gateway in [keeping, asking, gate.gateway] {
        gateway.stop().await;
    }
}

async fn issue_14_3_an_unverified_address_finds_nobody(keycloak: &Keycloak) {
    let by_mail = [
        ("PROXY_USER_OIDC_CLAIM", "email"),
        ("PROXY_USER_CS3_CLAIM", "mail"),
    ];
    let gate = Gate::new(keycloak, "mail", &by_mail).await;
    let mara = gate.realm.person("mara", "opencloudUser", &[]).await;
    let path = format!("/users/{mara}");
    let mut user = gate.realm.admin("GET", &path, &Value::Null).await;
    user["emailVerified"] = json!(false);
    gate.realm.admin("PUT", &path, &user).await;
    let (_, login) = gate.login("mara").await;
    gate.request(login.access())
        .await
        .refused(403, "mail_unverified");
    assert!(gate.gateway.accounts().is_empty());
    user["emailVerified"] = json!(true);
    gate.realm.admin("PUT", &path, &user).await;
    let login = gate.refreshed(WEB, &login).await;
    gate.request(login.access()).await.is(200);
    gate.gateway.stop().await;
}

async fn issue_14_6_service_clients_and_lightweight_tokens(keycloak: &Keycloak) {
    let service = ("PROXY_SERVICE_CLIENTS", "scanner=scan:user");
    let gate = Gate::new(keycloak, "clients", &[service]).await;
    gate.realm
        .service_client("scanner", "canary-scanner-secret")
        .await;
    gate.realm
        .service_client("stranger", "canary-stranger-secret")
        .await;
    for scope in ["", "openid"] {
        let token = gate
            .realm
            .client_credentials("scanner", "canary-scanner-secret", scope)
            .await;
        gate.request(token.access()).await.is(200);
        let seen = gate.backend.the_request();
        assert_eq!(seen.header("remote-user"), Some("scan"), "scope {scope:?}");
    }
    let stranger = gate
        .realm
        .client_credentials("stranger", "canary-stranger-secret", "")
        .await;
    gate.request(stranger.access())
        .await
        .refused(401, "token_rejected");
    // A lightweight token says nothing of the person; userinfo does.
    gate.realm.person("mara", "opencloudAdmin", &["crew"]).await;
    let light = json!({"attributes": {"client.use.lightweight.access.token.enabled": "true"}});
    gate.realm.change_client(WEB, &light).await;
    let (_, login) = gate.login("mara").await;
    gate.request(login.access()).await.is(200);
    assert_eq!(
        gate.account("mara").role,
        Some(StoredRole::Known(Role::Admin))
    );
    gate.gateway.stop().await;
}

async fn an_outage_is_never_a_401(keycloak: &Keycloak) {
    let gate = Gate::new(keycloak, "outage", &[]).await;
    gate.realm.person("mara", "opencloudUser", &[]).await;
    let (_, known) = gate.login("mara").await;
    gate.request(known.access()).await.is(200);
    let unseen = gate.refreshed(WEB, &known).await;
    keycloak.freeze();
    gate.request(known.access()).await.is(200);
    let answer = gate.request(unseen.access()).await;
    answer.is(503);
    assert!(answer.header("retry-after").is_some());
    keycloak.thaw();
    gate.becomes(200, unseen.access()).await;
    gate.gateway.stop().await;
}
