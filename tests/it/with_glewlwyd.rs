//! Logins at a real glewlwyd, Debian's package: signed access tokens with roles as comma-joined text, userinfo with a
//! list, introspection of its own clients only, a name that ends in a slash.

use davgate::door::model::{Role, StoredRole};
use serde_json::json;

use crate::issuers::contract::{self, Issuer};
use crate::support::backend::{FakeBackend, Told};
use crate::support::client::Answer;
use crate::support::code_flow::Tokens;
use crate::support::free_address;
use crate::support::gateway::{Builder, TestGateway};
use crate::support::glewlwyd::{CLIENT_ID, CLIENT_SECRET, Glewlwyd, Login, PUBLIC_CLIENT};

const METHOD: &str = "PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD";
const SKIP: (&str, &str) = ("PROXY_OIDC_SKIP_USER_INFO", "true");

/// A gateway that trusts the issuer; `/files/` leads to a backend that is told `Remote-*`.
struct Gate {
    backend: FakeBackend,
    gateway: TestGateway,
}

impl Gate {
    async fn new(issuer: &Glewlwyd, variables: &[(&str, &str)]) -> Self {
        let backend = FakeBackend::told(Told::Headers).await;
        let gateway = TestGateway::new()
            .var("PROXY_OIDC_ISSUER", &issuer.url())
            .var("PROXY_OIDC_CLIENT_ID", CLIENT_ID)
            .var("PROXY_OIDC_CLIENT_SECRET", CLIENT_SECRET)
            .var("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc")
            .backend("/files/", &backend);
        let set = |gateway: Builder, (name, value): &(&str, &str)| gateway.var(name, value);
        Self {
            gateway: variables.iter().fold(gateway, set).spawn().await,
            backend,
        }
    }

    async fn request(&self, token: &str) -> Answer {
        self.gateway.get("/files/a").bearer(token).send().await
    }

    /// It is mara who comes in, with the role her claim says.
    async fn lets_mara_in(&self, login: &Login) {
        self.request(login.access_token()).await.is(200);
        let seen = self.backend.the_request();
        assert_eq!(seen.header("remote-user"), Some("mara"));
        let accounts = self.gateway.accounts();
        assert_eq!(accounts.len(), 1);
        assert_eq!(accounts[0].role, Some(StoredRole::Known(Role::SpaceAdmin)));
    }
}

#[tokio::test]
async fn a_code_login_with_pkce_is_let_in_by_every_verify_method_that_fits() {
    let issuer = Glewlwyd::start().await;
    let login = issuer.login(PUBLIC_CLIENT).await;
    for variables in [
        // The signature, and userinfo for the claims.
        &[(METHOD, "jwt")][..],
        // The token alone: there the roles are one text with commas. Its ID tokens bear no mark of their kind, only
        // another audience.
        &[(METHOD, "jwt"), SKIP, ("PROXY_OIDC_AUDIENCES", "openid")],
        &[(METHOD, "none")],
        &[(METHOD, "auto")],
    ] {
        let gate = Gate::new(&issuer, variables).await;
        gate.lets_mara_in(&login).await;
        let id_token = gate.request(login.id_token()).await;
        assert_eq!(id_token.status, 401, "{variables:?}: {}", id_token.text());
        gate.gateway.stop().await;
    }
}

#[tokio::test]
async fn a_refreshed_token_is_let_in_as_the_same_account() {
    let issuer = Glewlwyd::start().await;
    let gate = Gate::new(&issuer, &[]).await;
    let first = issuer.login(PUBLIC_CLIENT).await;
    gate.lets_mara_in(&first).await;
    let second = issuer.refresh(PUBLIC_CLIENT, &first).await;
    assert_ne!(first.access_token(), second.access_token());
    gate.lets_mara_in(&second).await;
    gate.gateway.stop().await;
}

#[tokio::test]
async fn introspection_knows_the_gateways_own_tokens_and_the_log_says_why_it_knows_no_others() {
    let issuer = Glewlwyd::start().await;
    let variables = [(METHOD, "introspection")];
    let gate = Gate::new(&issuer, &variables).await;
    let own = issuer.login(CLIENT_ID).await;
    gate.lets_mara_in(&own).await;
    let others = issuer.login(PUBLIC_CLIENT).await;
    let refused = gate.request(others.access_token()).await;
    refused.refused(401, "token_rejected");
    let id = refused.header("x-request-id").unwrap();
    let told = || {
        let lines = gate.gateway.log_lines(id);
        lines
            .iter()
            .any(|line| line.to_string().contains("not active"))
    };
    crate::support::until("a line that says what introspection said", told).await;
    gate.gateway.stop().await;
}

#[tokio::test]
async fn its_discovery_document_is_read_through_the_gateway() {
    let issuer = Glewlwyd::start().await;
    let rewrite = [("PROXY_OIDC_REWRITE_WELLKNOWN", "true")];
    let gate = Gate::new(&issuer, &rewrite).await;
    let target = "/.well-known/openid-configuration";
    let answer = gate.gateway.get(target).send().await;
    answer.is(200);
    let document = answer.json();
    assert_eq!(document["issuer"], issuer.url());
    let userinfo = format!("{}userinfo", issuer.url());
    assert_eq!(document["userinfo_endpoint"], userinfo);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    gate.gateway.stop().await;

    let slashless = issuer.url().trim_end_matches('/').to_owned();
    let variables = [("PROXY_OIDC_ISSUER", slashless.as_str())];
    let gate = Gate::new(&issuer, &variables).await;
    let login = issuer.login(PUBLIC_CLIENT).await;
    let answer = gate.request(login.access_token()).await;
    answer.refused(503, "issuer_mismatch");
    gate.gateway.stop().await;
}

/// As OpenCloud's own provider stands behind its proxy. `token` alone is no flow of OpenID Connect, and one that
/// OpenCloud documents.
#[tokio::test]
async fn the_code_and_both_implicit_flows_and_a_refresh_run_through_the_gateway() {
    let address = free_address();
    let issuer = Glewlwyd::start_behind(address).await;
    let backend = FakeBackend::told(Told::Headers).await;
    let gateway = TestGateway::new()
        .var("PROXY_HTTP_ADDR", &address.to_string())
        .var("PROXY_OIDC_ISSUER", &issuer.url())
        .var("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc")
        .backend("/files/", &backend)
        .raw_route(json!({
            "endpoint": "/api/", "backend": format!("http://{}", issuer.addr()),
            "unprotected": true, "identity": "none",
        }))
        .spawn()
        .await;
    let gate = Gate { backend, gateway };
    let login = issuer.login(PUBLIC_CLIENT).await;
    let refreshed = issuer.refresh(PUBLIC_CLIENT, &login).await;
    for login in [&login, &refreshed] {
        gate.lets_mara_in(login).await;
    }
    for response_type in ["token", "id_token token"] {
        let token = issuer.implicit(PUBLIC_CLIENT, response_type).await;
        gate.request(&token).await.is(200);
        let seen = gate.backend.the_request();
        assert_eq!(seen.header("remote-user"), Some("mara"), "{response_type}");
    }
    gate.gateway.stop().await;
}

impl Issuer for Glewlwyd {
    fn url(&self) -> String {
        Glewlwyd::url(self)
    }

    fn variables(&self) -> Vec<(String, String)> {
        vec![(METHOD.to_owned(), "jwt".to_owned())]
    }

    async fn login(&self) -> Tokens {
        Tokens::new(Glewlwyd::login(self, PUBLIC_CLIENT).await.0)
    }

    async fn refresh(&self, old: &Tokens) -> Tokens {
        let login = Login(old.0.clone());
        Tokens::new(Glewlwyd::refresh(self, PUBLIC_CLIENT, &login).await.0)
    }

    fn freeze(&self) {
        Glewlwyd::freeze(self);
    }

    fn thaw(&self) {
        Glewlwyd::thaw(self);
    }
}

#[tokio::test]
async fn the_contract_of_issuers_holds() {
    contract::holds(&Glewlwyd::start().await).await;
}
