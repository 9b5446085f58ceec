//! What davgate promises in front of any issuer, asked of each one that runs in the tests: the document through the gateway, a
//! login, userinfo, a file written and read, a role, a refresh, wrong tokens, and an outage with its end.

use std::time::{Duration, Instant};

use davgate::door::model::{Role, StoredRole};
use http::Request;
use serde_json::{Value, json};
use url::Url;

use crate::support::backend::{FakeBackend, Told};
use crate::support::client::Answer;
use crate::support::code_flow::Tokens;
use crate::support::gateway::TestGateway;
use crate::support::user_agent::{address, send, target};
use crate::support::webdav::WebDav;

/// How an issuer is asked for what the contract needs.
pub(crate) trait Issuer {
    /// Its name.
    fn url(&self) -> String;

    /// What the gateway has to be told beside the name: the sample of the page about it where there is one, so that [`Issuer::login`] is a space admin.
    fn variables(&self) -> Vec<(String, String)>;

    /// Somebody logs in by the code flow with PKCE.
    async fn login(&self) -> Tokens;

    /// The same person's next tokens.
    async fn refresh(&self, old: &Tokens) -> Tokens;

    /// The server says nothing from now on, and takes connections all the same.
    fn freeze(&self);

    /// It goes on where it was.
    fn thaw(&self);
}

/// A gateway between an issuer, a WebDAV server, and a backend that shows what it is told.
struct Site<'i, I> {
    issuer: &'i I,
    gateway: TestGateway,
    store: WebDav,
    shown: FakeBackend,
}

/// Fails if the contract does not hold in front of this issuer.
pub(crate) async fn holds(issuer: &impl Issuer) {
    let site = Site::new(issuer).await;
    let document = site.the_document_comes_through_the_gateway().await;
    let tokens = issuer.login().await;
    let (person, claims) = site
        .userinfo_is_what_backends_are_told(&document, &tokens)
        .await;
    site.a_file_is_written_and_read(&tokens).await;
    site.the_role_is_the_claims(&person);
    site.no_other_token_counts(&tokens).await;
    site.a_refreshed_token_is_the_same_person(&tokens, &person, &claims)
        .await;
    site.an_outage_is_never_a_401().await;
    site.gateway.stop().await;
}

impl<'i, I: Issuer> Site<'i, I> {
    async fn new(issuer: &'i I) -> Self {
        let store = WebDav::start().await;
        let shown = FakeBackend::told(Told::Headers).await;
        let mut gateway = TestGateway::new()
            .var("PROXY_OIDC_ISSUER", &issuer.url())
            .var("PROXY_OIDC_REWRITE_WELLKNOWN", "true")
            .var("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc")
            .raw_route(
                json!({"endpoint": "/files/", "backend": store.url(), "identity": "headers"}),
            )
            .backend("/shown/", &shown);
        for (name, value) in issuer.variables() {
            gateway = gateway.var(&name, &value);
        }
        Self {
            issuer,
            gateway: gateway.spawn().await,
            store,
            shown,
        }
    }

    async fn request(&self, token: &str) -> Answer {
        self.gateway.get("/shown/a").bearer(token).send().await
    }

    async fn the_document_comes_through_the_gateway(&self) -> Value {
        let path = "/.well-known/openid-configuration";
        let answer = self.gateway.get(path).send().await;
        answer.is(200);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        let document = answer.json();
        let url = self.issuer.url();
        assert_eq!(document["issuer"], url);
        let own = Url::parse(&format!("{}{path}", url.trim_end_matches('/'))).unwrap();
        let own = send(address(&own), Request::get(target(&own)), String::new()).await;
        assert_eq!(document, own.ok().json(), "the issuer's own, unchanged");
        document
    }

    /// The name of the person and what userinfo says of them.
    async fn userinfo_is_what_backends_are_told(
        &self,
        document: &Value,
        tokens: &Tokens,
    ) -> (String, Value) {
        let url = Url::parse(document["userinfo_endpoint"].as_str().unwrap()).unwrap();
        let request = Request::get(target(&url))
            .header("authorization", format!("Bearer {}", tokens.access()));
        let claims = send(address(&url), request, String::new())
            .await
            .ok()
            .json();
        let person = claims["preferred_username"].as_str().unwrap().to_owned();
        self.is_told(tokens, &person, &claims).await;
        (person, claims)
    }

    async fn is_told(&self, tokens: &Tokens, person: &str, claims: &Value) {
        self.request(tokens.access()).await.is(200);
        let seen = self.shown.the_request();
        assert_eq!(seen.header("remote-user"), Some(person));
        assert_eq!(seen.header("remote-name"), claims["name"].as_str());
        assert_eq!(seen.header("remote-email"), claims["email"].as_str());
    }

    async fn a_file_is_written_and_read(&self, tokens: &Tokens) {
        let call = |method| self.gateway.call(method, "/files/letter.txt");
        let content = "Dear reader, this went through the gateway.";
        let token = tokens.access();
        let written = call("PUT").bearer(token).body(content).send().await;
        written.is(201);
        let stored = std::fs::read_to_string(self.store.store().join("letter.txt")).unwrap();
        assert_eq!(stored, content);
        let read = call("GET").bearer(token).send().await;
        read.is(200);
        assert_eq!(read.text(), content);
        let without = call("GET").send().await;
        assert_eq!(without.status, 401);
    }

    fn the_role_is_the_claims(&self, person: &str) {
        let accounts = self.gateway.accounts();
        assert_eq!(accounts.len(), 1, "{accounts:#?}");
        assert_eq!(accounts[0].username, person);
        assert_eq!(accounts[0].role, Some(StoredRole::Known(Role::SpaceAdmin)));
    }

    async fn no_other_token_counts(&self, tokens: &Tokens) {
        let access = tokens.access();
        // Not the last letters: some of their bits may say nothing.
        let (start, end) = access.split_at(access.len() - 12);
        let spoilt = format!("{start}{}", end.chars().rev().collect::<String>());
        for wrong in ["made-up", &spoilt, tokens.id(), tokens.refresh()] {
            let answer = self.request(wrong).await;
            assert_eq!(answer.status, 401, "{}", answer.text());
            self.shown.saw_nothing();
        }
    }

    async fn a_refreshed_token_is_the_same_person(
        &self,
        old: &Tokens,
        person: &str,
        claims: &Value,
    ) {
        let new = self.issuer.refresh(old).await;
        assert_ne!(new.access(), old.access());
        self.is_told(&new, person, claims).await;
        self.the_role_is_the_claims(person);
    }

    async fn an_outage_is_never_a_401(&self) {
        let known = self.issuer.login().await;
        let unseen = self.issuer.login().await;
        self.request(known.access()).await.is(200);
        self.issuer.freeze();
        self.request(known.access()).await.is(200);
        let answer = self.request(unseen.access()).await;
        self.issuer.thaw();
        assert_eq!(answer.status, 503, "{:?}", self.issuer.variables());
        assert!(answer.header("retry-after").is_some());
        let back = Instant::now();
        while self.request(unseen.access()).await.status != 200 {
            let waited = back.elapsed();
            assert!(waited < Duration::from_secs(15), "out for {waited:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
