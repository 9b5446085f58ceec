//! Logins at a real Keycloak, with the realm that deploy/keycloak makes: its own login form, offline sessions, every verify
//! method, every way out, its keys, and what becomes of people there.
//!
//! One server serves all of it, because it takes half a minute to start: each part has a realm of its own.

mod logouts;
mod mistakes;
mod outages;
mod people;
mod tokens;

use std::time::Duration;

use davgate::door::model::Account;

use crate::issuers::contract::{self, Issuer};
use crate::support::backend::{FakeBackend, Told};
use crate::support::client::Answer;
use crate::support::gateway::{Builder, TestGateway};
use crate::support::keycloak::{Browser, Keycloak, Realm, Tokens};
use crate::support::sample::sample_without;

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
    the_contract_holds(&keycloak).await;
    tokens::issue_14_2_every_verify_method_lets_the_access_token_in_and_no_other(&keycloak).await;
    tokens::issue_14_5_keys_are_made_made_passive_and_disabled(&keycloak).await;
    tokens::issue_14_6_service_clients_and_lightweight_tokens(&keycloak).await;
    tokens::a_bound_token_counts_with_a_proof_of_its_key_only(&keycloak).await;
    logouts::issue_14_1_the_desktops_offline_session_outlives_the_browsers_logout(&keycloak).await;
    logouts::an_administrators_logout_ends_what_it_names(&keycloak).await;
    logouts::a_logout_of_all_is_told_to_nobody_and_bounded_by_the_method(&keycloak).await;
    people::issue_14_4_people_are_renamed_leave_groups_and_roles_and_are_disabled(&keycloak).await;
    people::issue_14_3_an_unverified_address_finds_nobody(&keycloak).await;
    mistakes::issue_14_7_encrypted_userinfo_and_deleted_people(&keycloak).await;
    mistakes::issue_14_8_somebody_in_300_groups_comes_in(&keycloak).await;
    mistakes::issue_14_9_another_address_of_keycloak(&keycloak).await;
    mistakes::issue_14_10_each_line_names_the_setting_that_is_wrong(&keycloak).await;
    outages::work_goes_on_while_the_server_is_silent(&keycloak).await;
}

/// A realm as the contract of all issuers asks for it.
struct InContract<'k>(Realm<'k>);

impl Issuer for InContract<'_> {
    fn url(&self) -> String {
        self.0.url()
    }

    fn variables(&self) -> Vec<(String, String)> {
        sample_without("keycloak", &[])
    }

    async fn login(&self) -> Tokens {
        let (_, tokens) = self.0.login(DESKTOP, DESKTOP_REDIRECT, "mara", SCOPE).await;
        tokens
    }

    async fn refresh(&self, old: &Tokens) -> Tokens {
        self.0.refresh(DESKTOP, old).await.unwrap()
    }

    fn freeze(&self) {
        self.0.keycloak().freeze();
    }

    fn thaw(&self) {
        self.0.keycloak().thaw();
    }
}

async fn the_contract_holds(keycloak: &Keycloak) {
    let realm = keycloak.realm("contract", "http://cloud.example").await;
    realm.person("mara", "opencloudSpaceAdmin", &["crew"]).await;
    contract::holds(&InContract(realm)).await;
}
