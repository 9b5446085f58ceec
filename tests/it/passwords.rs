//! Passwords, app passwords and public links: checked by the CS3 gateway, and each with the identity that belongs to it.

use serde_json::json;

use crate::support::backend::{FakeBackend, Told};
use crate::support::client::Answer;
use crate::support::deployment::proto::Message;
use crate::support::deployment::{Deployment, Fault, User};
use crate::support::gateway::{Builder, TestGateway};
use crate::support::issuer::{Endpoint, FakeIssuer, Fault as IssuerFault};

/// A deployment with `alan`, whose password is `sesame`, in front of a backend that is told tokens.
struct World {
    issuer: FakeIssuer,
    deployment: Deployment,
    backend: FakeBackend,
    gateway: TestGateway,
    alan: User,
}

impl World {
    async fn new() -> Self {
        Self::with(|gateway| gateway).await
    }

    async fn with(settings: impl FnOnce(Builder) -> Builder) -> Self {
        let (issuer, deployment) = (FakeIssuer::start().await, Deployment::start().await);
        let backend = FakeBackend::told(Told::RevaAndWhatTheClientSent).await;
        let alan = deployment.add(User {
            password: "sesame".to_owned(),
            app_passwords: vec!["for-the-phone".to_owned()],
            ..User::new("alan")
        });
        let share = ("link".to_owned(), "open".to_owned(), alan.id.clone());
        deployment.world.lock().shares.push(share);
        let gateway = TestGateway::new()
            .issuer(&issuer)
            .var("PROXY_USER_OIDC_CLAIM", "preferred_username")
            .var("PROXY_USER_CS3_CLAIM", "username")
            .var("PROXY_ROLE_ASSIGNMENT_DRIVER", "default")
            .var("PROXY_ENABLE_BASIC_AUTH", "true")
            .var("PROXY_ENABLE_APP_AUTH", "true")
            .backend("/dav/", &backend)
            .backend("/archiver", &backend);
        let gateway = settings(deployment.configure(gateway)).spawn().await;
        Self {
            issuer,
            deployment,
            backend,
            gateway,
            alan,
        }
    }

    async fn get(&self, path: &str, user: &str, password: &str) -> Answer {
        let call = self.gateway.get(path).basic(user, password);
        call.send().await
    }

    /// The token that the backend was told with the last request.
    fn told(&self) -> String {
        let seen = self.backend.the_request();
        assert_eq!(seen.header("authorization"), None);
        seen.header("x-access-token").unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_password_is_checked_once_and_its_session_serves_on() {
    let world = World::new().await;
    for _ in 0..3 {
        world.get("/dav/a", "alan", "sesame").await.is(200);
        world.told();
    }
    let checks = world.deployment.calls("Authenticate");
    // The password, and the identity.
    assert_eq!(checks, 2);
    // The directory is asked after a good password, because that lets disabled accounts in.
    assert!(world.deployment.calls("GetUserByClaim") >= 1);
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_disabled_account_is_403_although_its_password_is_right() {
    let world = World::new().await;
    world.deployment.world.lock().users[0].enabled = false;
    let answer = world.get("/dav/a", "alan", "sesame").await;
    answer.refused(403, "account_disabled");
    world.backend.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_password_is_its_accounts_whatever_claim_names_people_and_with_provisioning() {
    let world = World::with(|gateway| {
        gateway
            .var("PROXY_USER_OIDC_CLAIM", "employee")
            .var("PROXY_USER_CS3_CLAIM", "mail")
            .var("PROXY_AUTOPROVISION_ACCOUNTS", "true")
    })
    .await;
    for password in ["sesame", "for-the-phone"] {
        world.get("/dav/a", "alan", password).await.is(200);
        world.told();
    }
    assert_eq!(world.deployment.world.lock().users.len(), 1);
    world.gateway.stop().await;
}

#[tokio::test]
async fn an_app_passwords_identity_is_its_own_and_never_the_accounts() {
    let world = World::new().await;
    let mut told = Vec::new();
    for password in ["sesame", "for-the-phone", "sesame", "for-the-phone"] {
        world.get("/dav/a", "alan", password).await.is(200);
        told.push(world.told());
    }
    // The account's is renewed with each login; the password's own is what it came with.
    assert_eq!(told[1], told[3]);
    assert!(told[1] != told[0] && told[1] != told[2]);
    let token = world.issuer.token("alan").sign();
    world
        .gateway
        .get("/dav/a")
        .bearer(&token)
        .send()
        .await
        .is(200);
    assert_ne!(world.told(), told[1]);
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_wrong_password_is_401_without_a_word_of_tokens_and_guessing_is_slow() {
    let world = World::new().await;
    let wrong = world.get("/dav/a", "alan", "wrong").await;
    wrong.refused(401, "wrong_password");
    let challenges = wrong.headers.get_all("www-authenticate").iter();
    let challenges: Vec<_> = challenges.map(|value| value.to_str().unwrap()).collect();
    assert!(challenges[0].starts_with("Bearer "), "{challenges:?}");
    assert!(!challenges[0].contains("error="), "{challenges:?}");
    assert_eq!(
        challenges[1],
        "Basic realm=\"cloud.example\", charset=\"UTF-8\""
    );
    for number in 0..12 {
        let guess = world
            .get("/dav/a", "alan", &format!("guess-{number}"))
            .await;
        assert!(matches!(guess.status.as_u16(), 401 | 503));
    }
    let asked = world.deployment.calls("Authenticate");
    world
        .get("/dav/a", "alan", "another guess")
        .await
        .refused(503, "too_many_passwords");
    assert_eq!(world.deployment.calls("Authenticate"), asked);
    // Nothing, an empty one and one without a name are no passwords.
    for (user, password) in [("alan", ""), ("", "sesame")] {
        let answer = world.get("/dav/a", user, password).await;
        answer.refused(401, "wrong_password");
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn what_the_gateway_cannot_say_is_503_and_no_wrong_password() {
    let world = World::new().await;
    for _ in 0..4 {
        let fault = Fault::Grpc(14, "gone");
        world.deployment.fault("Authenticate", fault);
    }
    let answer = world.get("/dav/a", "alan", "sesame").await;
    answer.refused(503, "identity_unavailable");
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_public_link_is_let_in_on_its_own_paths_with_its_own_identity() {
    let world = World::new().await;
    let archive = "/archiver?id=1&public-token=link";
    world.get(archive, "public", "open").await.is(200);
    let links = world.told();
    world.get("/dav/a", "alan", "sesame").await.is(200);
    assert_ne!(world.told(), links);
    world
        .get(archive, "public", "shut")
        .await
        .refused(401, "wrong_password");
    world
        .gateway
        .get("/archiver?public-token=no")
        .send()
        .await
        .refused(401, "share_unknown");
    // Elsewhere the link opens nothing.
    let elsewhere = world.gateway.get("/dav/a?public-token=link").send().await;
    elsewhere.refused(401, "no_credential");
    assert_eq!(world.deployment.calls("CreateHome"), 1, "for alan alone");
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_117_a_token_that_is_refused_does_not_stand_in_the_way_of_a_link_beside_it() {
    let world = World::new().await;
    world.deployment.world.lock().shares.push((
        "free".to_owned(),
        String::new(),
        world.alan.id.clone(),
    ));
    let expired = world.issuer.token("alan").expires_in(-60).sign();
    let good = world.issuer.token("alan").sign();
    let archive = "/archiver?id=1&public-token=free";
    for h2 in [false, true] {
        let ask = |path: &str, token: &str| {
            let call = world.gateway.get(path).bearer(token);
            let call = if h2 { call.h2() } else { call };
            call.send()
        };
        let without = world.gateway.get(archive).send().await;
        without.is(200);
        let links = world.told();
        for token in [expired.as_str(), "opaque", "null", "a b"] {
            ask(archive, token).await.is(200);
            assert_eq!(world.told(), links, "{token}");
        }
        // A login that is good counts first.
        ask(archive, &good).await.is(200);
        assert_ne!(world.told(), links);
        // Neither is good: the token's refusal is told.
        for path in [
            "/archiver?public-token=no",
            "/archiver?public-token=link",
            "/archiver?id=1",
            "/dav/a?public-token=free",
        ] {
            ask(path, &expired).await.refused(401, "token_expired");
        }
    }
    // What cannot be decided now is 503, whatever else came.
    for _ in 0..4 {
        let fault = Fault::Grpc(14, "gone");
        world.deployment.fault("Authenticate", fault);
    }
    let call = world.gateway.get("/archiver?public-token=unseen");
    let answer = call.bearer(&expired).send().await;
    answer.refused(503, "identity_unavailable");
    world
        .issuer
        .fault(Endpoint::Userinfo, IssuerFault::Status(500));
    let undecided = world.issuer.token("alan").claim("jti", "other").sign();
    let call = world.gateway.get(archive).bearer(&undecided);
    call.send().await.refused(503, "issuer_unavailable");
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_114_guessing_a_links_password_is_slow_and_tells_the_backend_nothing() {
    let world = World::new().await;
    let archive = "/archiver?id=1&public-token=link";
    for number in 0..10 {
        let answer = world
            .get(archive, "public", &format!("guess-{number}"))
            .await;
        assert!([401, 503].contains(&answer.status.as_u16()), "{number}");
        world.backend.saw_nothing();
    }
    world.gateway.stop().await;
    // A refusal is one, whatever else is in the answer; and success without a token is none.
    let world = World::new().await;
    let ok = Message::new().message(1, &Message::new().number(1, 1));
    for (fault, status) in [
        (Fault::Cs3(8, "access denied"), 401),
        (Fault::Cs3(6, "not found"), 401),
        (Fault::Bytes(ok.0), 503),
    ] {
        world.deployment.fault("Authenticate", fault);
        let password = uuid::Uuid::new_v4().to_string();
        world.get(archive, "public", &password).await.is(status);
        world.backend.saw_nothing();
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_links_password_on_its_own_path_is_the_backends_business() {
    let world = World::new().await;
    let path = "/dav/public-files/link/a";
    for _ in 0..12 {
        world.get(path, "public", "open").await.is(200);
        let seen = world.backend.the_request();
        assert!(seen.header("authorization").unwrap().starts_with("Basic "));
        assert_eq!(seen.header("x-access-token"), None);
    }
    assert_eq!(world.deployment.calls("Authenticate"), 0);
    world.gateway.stop().await;
}

#[tokio::test]
async fn passwords_that_are_not_taken_are_no_credential() {
    let world = World::with(|gateway| {
        gateway
            .var("PROXY_ENABLE_BASIC_AUTH", "false")
            .var("PROXY_ENABLE_APP_AUTH", "false")
    })
    .await;
    let answer = world.get("/dav/a", "alan", "sesame").await;
    answer.refused(401, "no_credential");
    assert_eq!(world.deployment.calls("Authenticate"), 0);
    world.gateway.stop().await;
}

#[tokio::test]
async fn the_owner_of_an_account_has_one_role_and_one_home() {
    let world = World::new().await;
    let logins = (0..6).map(|number| {
        let token = world
            .issuer
            .token("alan")
            .claim("jti", json!(number))
            .sign();
        world.gateway.get("/dav/a").bearer(&token).send()
    });
    for answer in futures_util::future::join_all(logins).await {
        answer.is(200);
    }
    let state = world.deployment.world.lock();
    assert_eq!(state.assignments[&world.alan.id].len(), 1);
}
