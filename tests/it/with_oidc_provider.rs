//! Logins at the certified `oidc-provider`, in each of the ways it can be set up.

mod behind_the_gateway;
mod logout;

use futures_util::future::join_all;

use crate::issuers::contract::{self, Issuer};
use crate::support::backend::{FakeBackend, Told};
use crate::support::client::{Answer, Call};
use crate::support::code_flow::Tokens;
use crate::support::gateway::{Builder, TestGateway};
use crate::support::oidc_provider::{CLIENT_ID, CLIENT_SECRET, Login, OidcProvider};

/// Provider, backend and gateway; `/files/` leads to a backend that is told `Remote-*`.
struct Real {
    provider: OidcProvider,
    backend: FakeBackend,
    gateway: TestGateway,
}

impl Real {
    async fn new(options: &[&str], settings: impl FnOnce(Builder) -> Builder) -> Self {
        let provider = OidcProvider::start(options).await;
        let backend = FakeBackend::told(Told::Headers).await;
        let gateway = TestGateway::new()
            .var("PROXY_OIDC_ISSUER", provider.issuer())
            .var("PROXY_ROLE_ASSIGNMENT_DRIVER", "oidc")
            .backend("/files/", &backend);
        Self {
            gateway: settings(gateway).spawn().await,
            provider,
            backend,
        }
    }

    /// Opaque tokens that userinfo settles.
    async fn opaque() -> Self {
        Self::new(&[], |gateway| {
            gateway.var("PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD", "none")
        })
        .await
    }

    /// JWT access tokens, for which this provider has no userinfo.
    async fn jwt(alg: &str) -> Self {
        Self::new(&["--tokens", "jwt", "--alg", alg], |gateway| {
            gateway
                .var("PROXY_OIDC_SKIP_USER_INFO", "true")
                .var("PROXY_OIDC_AUDIENCES", "urn:davgate")
        })
        .await
    }

    fn get(&self, login: &Login) -> Call {
        self.gateway.get("/files/a").bearer(&login.access_token)
    }

    async fn request(&self, login: &Login) -> Answer {
        self.get(login).send().await
    }

    /// The backend got one request, of this user.
    #[track_caller]
    fn told(&self, user: &str) {
        let seen = self.backend.the_request();
        assert_eq!(seen.header("remote-user"), Some(user));
    }

    fn role_of(&self, user: &str) -> String {
        let accounts = self.gateway.accounts();
        let account = accounts
            .iter()
            .find(|account| account.username == user)
            .unwrap();
        format!("{:?}", account.role)
    }
}

#[tokio::test]
async fn opaque_tokens_are_settled_by_one_call_to_userinfo() {
    let real = Real::opaque().await;
    let mary = real.provider.login("mary").await;
    real.request(&mary).await.is(200);
    let seen = real.backend.the_request();
    assert_eq!(seen.header("remote-user"), Some("mary"));
    assert_eq!(seen.header("remote-name"), Some("Mary Kenneth Keller"));
    assert_eq!(seen.header("remote-email"), Some("mary@example.org"));
    assert_eq!(seen.header("remote-groups"), Some("machine-lovers"));
    assert!(real.role_of("mary").contains("User"));
    for _ in 0..5 {
        real.request(&mary).await.is(200);
    }
    assert_eq!(real.provider.calls("/me").await, 1);
    let alan = real.provider.login("alan").await;
    real.request(&alan).await.is(200);
    assert!(real.role_of("alan").contains("Admin"));
    let nobody = real.provider.login("norole").await;
    real.request(&nobody).await.refused(403, "no_role");
    real.gateway
        .get("/files/a")
        .bearer("made-up")
        .send()
        .await
        .refused(401, "token_rejected");
    real.gateway.stop().await;
}

#[tokio::test]
async fn opaque_tokens_are_settled_by_introspection_and_a_revoked_one_is_out() {
    let real = Real::new(&[], |gateway| {
        gateway
            .var("PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD", "introspection")
            .var("PROXY_OIDC_SKIP_USER_INFO", "true")
            .var("PROXY_OIDC_CLIENT_ID", CLIENT_ID)
            .var("PROXY_OIDC_CLIENT_SECRET", CLIENT_SECRET)
            .var("PROXY_OIDC_USERINFO_CACHE_TTL", "10s")
    })
    .await;
    let grace = real.provider.login("grace").await;
    real.request(&grace).await.is(200);
    real.told("grace");
    assert!(real.role_of("grace").contains("SpaceAdmin"));
    real.request(&grace).await.is(200);
    assert_eq!(real.provider.calls("/token/introspection").await, 1);
    assert_eq!(real.provider.calls("/me").await, 0);
    real.provider.revoke(&grace).await;
    real.gateway.clock.advance(11);
    real.request(&grace).await.refused(401, "token_rejected");
    real.gateway.stop().await;
}

#[tokio::test]
async fn introspection_with_a_wrong_secret_is_a_502() {
    let real = Real::new(&[], |gateway| {
        gateway
            .var("PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD", "introspection")
            .var("PROXY_OIDC_CLIENT_ID", CLIENT_ID)
            .var("PROXY_OIDC_CLIENT_SECRET", "not-the-secret")
    })
    .await;
    let mary = real.provider.login("mary").await;
    real.request(&mary).await.is(502);
    real.gateway.stop().await;
}

#[tokio::test]
async fn auto_takes_jwts_by_their_signature_and_opaque_tokens_by_introspection() {
    for (options, introspections) in [(&[][..], 1), (&["--tokens", "jwt"][..], 0)] {
        let real = Real::new(options, |gateway| {
            gateway
                .var("PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD", "auto")
                .var("PROXY_OIDC_SKIP_USER_INFO", "true")
                .var("PROXY_OIDC_CLIENT_ID", CLIENT_ID)
                .var("PROXY_OIDC_CLIENT_SECRET", CLIENT_SECRET)
        })
        .await;
        let mary = real.provider.login("mary").await;
        real.request(&mary).await.is(200);
        real.told("mary");
        let asked = real.provider.calls("/token/introspection").await;
        assert_eq!(asked, introspections, "{options:?}");
        real.gateway.stop().await;
    }
}

#[tokio::test]
async fn jwts_of_every_algorithm_are_settled_without_userinfo() {
    for alg in ["RS256", "PS256", "ES256", "ES512", "EdDSA"] {
        let real = Real::jwt(alg).await;
        let mary = real.provider.login("mary").await;
        real.request(&mary).await.is(200);
        real.told("mary");
        assert_eq!(real.provider.calls("/me").await, 0);
        // An ID token is no access token, whoever signed it.
        let id_token = mary.tokens["id_token"].as_str().unwrap();
        let call = real.gateway.get("/files/a").bearer(id_token);
        assert_eq!(call.send().await.status, 401, "{alg}");
        real.gateway.clock.advance(400);
        real.request(&mary).await.refused(401, "token_expired");
        real.gateway.stop().await;
    }
}

#[tokio::test]
async fn an_opaque_token_in_jwt_mode_is_refused_and_the_log_names_the_setting() {
    let real = Real::new(&[], |gateway| gateway).await;
    let mary = real.provider.login("mary").await;
    real.request(&mary).await.is(401);
    let lines = || {
        real.gateway
            .log_lines("PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD")
    };
    crate::support::until("a line with the setting", || !lines().is_empty()).await;
    real.gateway.stop().await;
}

#[tokio::test]
async fn signed_userinfo_is_verified_and_read() {
    for alg in ["RS256", "ES256"] {
        let real = Real::new(&["--userinfo", "signed", "--alg", alg], |gateway| {
            gateway.var("PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD", "none")
        })
        .await;
        let grace = real.provider.login("grace").await;
        real.request(&grace).await.is(200);
        real.told("grace");
        real.gateway.stop().await;
    }
}

#[tokio::test]
async fn a_refreshed_token_is_let_in_as_the_same_account() {
    for real in [Real::opaque().await, Real::jwt("RS256").await] {
        let first = real.provider.login("mary").await;
        real.request(&first).await.is(200);
        real.told("mary");
        let second = real.provider.refresh(&first).await;
        assert_ne!(first.access_token, second.access_token);
        real.request(&second).await.is(200);
        real.told("mary");
        assert_eq!(real.gateway.accounts().len(), 1);
        real.gateway.stop().await;
    }
}

#[tokio::test]
async fn f4_a_rotation_costs_one_fetch_of_the_keys_and_refuses_nobody() {
    let real = Real::jwt("ES256").await;
    let before = real.provider.login("mary").await;
    real.request(&before).await.is(200);
    let fetched = real.provider.calls("/jwks").await;
    real.provider.rotate(true).await;
    let logins = join_all((0..8).map(|_| real.provider.login("alan"))).await;
    for answer in join_all(logins.iter().map(|login| real.request(login))).await {
        answer.is(200);
    }
    real.request(&before).await.is(200);
    assert_eq!(real.provider.calls("/jwks").await, fetched + 1);
    real.gateway.stop().await;
}

impl Issuer for OidcProvider {
    fn url(&self) -> String {
        self.issuer().to_owned()
    }

    fn variables(&self) -> Vec<(String, String)> {
        let method = "PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD";
        vec![(method.to_owned(), "none".to_owned())]
    }

    async fn login(&self) -> Tokens {
        Tokens::new(OidcProvider::login(self, "grace").await.tokens)
    }

    async fn refresh(&self, old: &Tokens) -> Tokens {
        let login = Login::from(old.0.clone());
        Tokens::new(OidcProvider::refresh(self, &login).await.tokens)
    }

    fn freeze(&self) {
        OidcProvider::freeze(self);
    }

    fn thaw(&self) {
        OidcProvider::thaw(self);
    }
}

#[tokio::test]
async fn the_contract_of_issuers_holds() {
    contract::holds(&OidcProvider::start(&[]).await).await;
}
