//! The example server of Zitadel's library: a name that ends in a slash, encrypted access tokens, signed ones.

use super::contract::{self, Issuer};
use crate::support::backend::{FakeBackend, Told};
use crate::support::client::Answer;
use crate::support::code_flow::{Client, Tokens};
use crate::support::gateway::TestGateway;
use crate::support::sample::sample_without;
use crate::support::until;
use crate::support::zitadel::{GATE, OPAQUE, SIGNED, Zitadel};

const METHOD: &str = "PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD";

/// One kind of its access tokens, and the method for it.
struct Tokened<'z> {
    server: &'z Zitadel,
    client: Client<'static>,
    method: &'static str,
}

/// It has no roles of its own: what everybody has stands for one.
const ROLES: [(&str, &str); 2] = [
    ("PROXY_ROLE_ASSIGNMENT_OIDC_CLAIM", "custom_claim.other"),
    ("PROXY_ROLE_ASSIGNMENT_OIDC_MAPPING", "spaceadmin=stuff"),
];

impl Issuer for Tokened<'_> {
    fn url(&self) -> String {
        self.server.url().to_owned()
    }

    fn variables(&self) -> Vec<(String, String)> {
        let [id, secret] = ["PROXY_OIDC_CLIENT_ID", "PROXY_OIDC_CLIENT_SECRET"];
        let mut all = sample_without("zitadel", &[METHOD, id, secret]);
        let mut add = |name: &str, value: &str| all.push((name.to_owned(), value.to_owned()));
        add(METHOD, self.method);
        if let Some(own) = self.client.secret {
            add(id, self.client.id);
            add(secret, own);
        }
        for (name, value) in ROLES {
            add(name, value);
        }
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
async fn the_contract_holds_with_encrypted_and_with_signed_access_tokens() {
    let server = Zitadel::start().await;
    for (client, method) in [
        // Userinfo decides.
        (OPAQUE, "none"),
        (OPAQUE, "auto"),
        // The gateway's own client is in the audience and may introspect.
        (GATE, "introspection"),
        (GATE, "auto"),
        (SIGNED, "jwt"),
        (SIGNED, "auto"),
    ] {
        let server = &server;
        contract::holds(&Tokened {
            server,
            client,
            method,
        })
        .await;
    }
}

async fn gateway(issuer: &str, variables: &[(&str, &str)]) -> TestGateway {
    let backend = FakeBackend::told(Told::Headers).await;
    let mut gateway = TestGateway::new()
        .var("PROXY_OIDC_ISSUER", issuer)
        .backend("/files/", &backend);
    for (name, value) in variables {
        gateway = gateway.var(name, value);
    }
    gateway.spawn().await
}

async fn request(gateway: &TestGateway, tokens: &Tokens) -> Answer {
    let call = gateway.get("/files/a").bearer(tokens.access());
    call.send().await
}

#[tokio::test]
async fn issue_14_10_an_encrypted_token_where_jwts_are_expected_names_what_it_is_and_the_setting() {
    let server = Zitadel::start().await;
    let gateway = gateway(server.url(), &[]).await;
    let answer = request(&gateway, &server.login(&OPAQUE).await).await;
    answer.refused(401, "opaque_token");
    let id = answer.header("x-request-id").unwrap();
    until("a line that says it", || {
        let lines = gateway.log_lines(id);
        lines.iter().any(|line| {
            let line = line.to_string();
            line.contains(METHOD) && line.contains("encrypted")
        })
    })
    .await;
    gateway.stop().await;
}

#[tokio::test]
async fn its_name_without_the_slash_is_another_issuer() {
    let server = Zitadel::start().await;
    let gateway = gateway(server.url().trim_end_matches('/'), &[]).await;
    let answer = request(&gateway, &server.login(&SIGNED).await).await;
    answer.refused(503, "issuer_mismatch");
    gateway.stop().await;
}

/// Without the gateway's client in the audience nothing is said of a token.
#[tokio::test]
async fn introspection_of_another_clients_token_is_a_401_whose_line_says_why() {
    let server = Zitadel::start().await;
    let variables = [
        (METHOD, "introspection"),
        ("PROXY_OIDC_CLIENT_ID", GATE.id),
        ("PROXY_OIDC_CLIENT_SECRET", GATE.secret.unwrap()),
    ];
    let gateway = gateway(server.url(), &variables).await;
    let answer = request(&gateway, &server.login(&OPAQUE).await).await;
    answer.refused(401, "token_rejected");
    let id = answer.header("x-request-id").unwrap();
    until("a line that names the audience", || {
        let lines = gateway.log_lines(id);
        lines
            .iter()
            .any(|line| line.to_string().contains("audience"))
    })
    .await;
    gateway.stop().await;
}
