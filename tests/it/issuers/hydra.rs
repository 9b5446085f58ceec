//! Ory Hydra: opaque tokens, JWTs that only their audience tells from its ID tokens, people with a subject per client.

use super::contract::{self, Issuer};
use crate::support::backend::{FakeBackend, Told};
use crate::support::client::Answer;
use crate::support::code_flow::{Client, Tokens};
use crate::support::gateway::TestGateway;
use crate::support::hydra::{Hydra, OPAQUE, PAIRWISE, SIGNED};
use crate::support::sample::sample_without;
use crate::support::until;

const METHOD: &str = "PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD";
const SKIP: (&str, &str) = ("PROXY_OIDC_SKIP_USER_INFO", "true");
const AUDIENCE: (&str, &str) = ("PROXY_OIDC_AUDIENCES", "opencloud");

/// One kind of its access tokens, and how the gateway is set for it.
struct Tokened<'h> {
    server: &'h Hydra,
    client: Client<'static>,
    variables: &'static [(&'static str, &'static str)],
}

impl Issuer for Tokened<'_> {
    fn url(&self) -> String {
        self.server.url()
    }

    fn variables(&self) -> Vec<(String, String)> {
        let mut all = sample_without("hydra", &[METHOD]);
        all.extend(
            self.variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        all
    }

    async fn login(&self) -> Tokens {
        self.server.login(&self.client).await
    }

    async fn refresh(&self, old: &Tokens) -> Tokens {
        self.server.refresh(&self.client, old).await
    }

    fn freeze(&self) {
        self.server.server.freeze();
    }

    fn thaw(&self) {
        self.server.server.thaw();
    }
}

#[tokio::test]
async fn the_contract_holds_with_opaque_tokens_jwts_and_pairwise_subjects() {
    let server = Hydra::start().await;
    let [pairwise, _] = PAIRWISE;
    for (client, variables) in [
        (OPAQUE, &[(METHOD, "none")][..]),
        (OPAQUE, &[(METHOD, "auto")]),
        (SIGNED, &[(METHOD, "jwt"), AUDIENCE]),
        (pairwise, &[(METHOD, "none")]),
    ] {
        let server = &server;
        contract::holds(&Tokened {
            server,
            client,
            variables,
        })
        .await;
    }
}

async fn gateway(server: &Hydra, variables: &[(&str, &str)]) -> (TestGateway, FakeBackend) {
    let backend = FakeBackend::told(Told::Headers).await;
    let mut gateway = TestGateway::new()
        .var("PROXY_OIDC_ISSUER", &server.url())
        .backend("/files/", &backend);
    for (name, value) in variables {
        gateway = gateway.var(name, value);
    }
    (gateway.spawn().await, backend)
}

async fn request(gateway: &TestGateway, token: &str) -> Answer {
    gateway.get("/files/a").bearer(token).send().await
}

#[tokio::test]
async fn issue_14_2_without_userinfo_the_audience_tells_its_jwts_from_its_id_tokens() {
    let server = Hydra::start().await;
    let tokens = server.login(&SIGNED).await;
    let (gateway, _backend) = gateway(&server, &[SKIP, AUDIENCE]).await;
    request(&gateway, tokens.access()).await.is(200);
    let answer = request(&gateway, tokens.id()).await;
    answer.refused(401, "wrong_audience");
    let answer = request(&gateway, tokens.refresh()).await;
    answer.refused(401, "opaque_token");
    gateway.stop().await;
}

#[tokio::test]
async fn issue_14_9_another_client_is_another_subject_and_the_line_says_so() {
    let server = Hydra::start().await;
    let [first, second] = PAIRWISE;
    let (gateway, _backend) = gateway(&server, &[(METHOD, "none")]).await;
    let tokens = server.login(&first).await;
    request(&gateway, tokens.access()).await.is(200);
    let answer = request(&gateway, server.login(&second).await.access()).await;
    answer.refused(403, "identity_conflict");
    let id = answer.header("x-request-id").unwrap();
    until("a line about pairwise subjects", || {
        let lines = gateway.log_lines(id);
        lines
            .iter()
            .any(|line| line.to_string().contains("pairwise"))
    })
    .await;
    assert_eq!(gateway.accounts().len(), 1);
    gateway.stop().await;
}

/// It is on the admin port, which the document does not name, and takes any credentials or none.
#[tokio::test]
async fn introspection_on_the_admin_port_knows_access_tokens_from_refresh_tokens() {
    let server = Hydra::start().await;
    let tokens = server.login(&OPAQUE).await;
    let url = server.introspection();
    let client = [
        (METHOD, "introspection"),
        SKIP,
        ("PROXY_OIDC_CLIENT_ID", "gate"),
        ("PROXY_OIDC_CLIENT_SECRET", "not-looked-at"),
    ];
    let [method, skip, id, secret] = client;
    let named = ("PROXY_OIDC_INTROSPECTION_URL", url.as_str());
    let (gateway, backend) = self::gateway(&server, &[method, skip, id, secret, named]).await;
    request(&gateway, tokens.access()).await.is(200);
    let seen = backend.the_request();
    assert_eq!(seen.header("remote-user"), Some("mara"));
    let answer = request(&gateway, tokens.refresh()).await;
    answer.refused(401, "wrong_token_type");
    for other in [tokens.id(), "made-up"] {
        let answer = request(&gateway, other).await;
        answer.refused(401, "token_rejected");
    }
    gateway.stop().await;
    // Without the address nobody can be asked, and the line names the setting.
    let (gateway, _backend) = self::gateway(&server, &client).await;
    let answer = request(&gateway, tokens.access()).await;
    answer.refused(503, "issuer_unavailable");
    let request_id = answer.header("x-request-id").unwrap();
    until("a line with the setting", || {
        let lines = gateway.log_lines(request_id);
        lines.iter().any(|line| line.to_string().contains(named.0))
    })
    .await;
    gateway.stop().await;
}
