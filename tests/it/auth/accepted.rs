//! Tokens that are good, by each verify method.

use serde_json::{Value, json};

use crate::support::issuer::{CLIENT_ID, CLIENT_SECRET, Endpoint};
use crate::support::keys::Key;
use crate::support::now;
use crate::support::world::World;

#[tokio::test]
async fn a_jwt_of_the_issuer_reaches_the_backend_as_its_user() {
    let world = World::new().await;
    let token = world.issuer.token("mara").sign();
    let answer = world
        .gateway
        .get("/files/a.txt")
        .bearer(&token)
        .send()
        .await;
    answer.is(200);
    let seen = world.backend.the_request();
    assert_eq!(seen.target, "/files/a.txt");
    assert_eq!(seen.header("remote-user"), Some("mara"));
    assert_eq!(seen.header("remote-name"), Some("Mara Lindqvist"));
    assert_eq!(seen.header("remote-email"), Some("mara@example.org"));
    world.gateway.stop().await;
}

#[tokio::test]
async fn the_second_request_of_a_token_asks_nobody() {
    let world = World::new().await;
    let token = world.issuer.token("mara").sign();
    for _ in 0..5 {
        let answer = world.request(&token).await;
        answer.is(200);
    }
    for endpoint in [Endpoint::Discovery, Endpoint::Jwks, Endpoint::Userinfo] {
        assert_eq!(world.issuer.calls(endpoint), 1, "{endpoint:?}");
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn every_asymmetric_algorithm_is_accepted() {
    let world = World::token_only().await;
    let curves = ["ES256", "ES384", "ES512", "EdDSA"].map(|alg| Key::new(alg, alg));
    // One RSA key for all of them: making keys takes long.
    let rsa = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
        .map(|alg| Key::shared().named(alg).of(alg));
    let keys = [curves.as_slice(), rsa.as_slice()].concat();
    for key in &keys {
        world.issuer.rotate(key.clone(), true);
    }
    for key in &keys {
        let token = world.issuer.token("mara").by(key).sign();
        let answer = world.request(&token).await;
        assert_eq!(answer.status, 200, "{}: {}", key.alg, answer.text());
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn with_skip_user_info_the_token_alone_decides() {
    let world = World::token_only().await;
    let token = world
        .issuer
        .token("mara")
        .claim("name", "From Token")
        .sign();
    world.request(&token).await.is(200);
    assert_eq!(world.issuer.calls(Endpoint::Userinfo), 0);
    let seen = world.backend.the_request();
    assert_eq!(seen.header("remote-name"), Some("From Token"));
    world.gateway.stop().await;
}

#[tokio::test]
async fn userinfo_wins_over_the_token_but_not_over_its_subject_and_expiry() {
    let world = World::new().await;
    world.issuer.knows("mara", "name", "From Userinfo");
    world.issuer.knows("mara", "exp", now() - 1000);
    world
        .issuer
        .knows("mara", "iss", "https://elsewhere.example");
    let token = world
        .issuer
        .token("mara")
        .claim("name", "From Token")
        .sign();
    let answer = world.request(&token).await;
    answer.is(200);
    let seen = world.backend.the_request();
    assert_eq!(seen.header("remote-name"), Some("From Userinfo"));
    world.gateway.stop().await;
}

#[tokio::test]
async fn with_method_none_userinfo_decides_about_any_token() {
    let world =
        World::with(|gateway| gateway.var("PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD", "none")).await;
    let token = world.issuer.opaque("mara", Value::Null);
    for _ in 0..3 {
        world.request(&token).await.is(200);
    }
    assert_eq!(world.issuer.calls(Endpoint::Userinfo), 1);
    let answer = world
        .gateway
        .get("/files/a")
        .bearer("unknown-token")
        .send()
        .await;
    answer.refused(401, "token_rejected");
    world.gateway.stop().await;
}

#[tokio::test]
async fn an_opaque_token_that_the_issuer_revoked_is_refused_once_it_is_asked_about_again() {
    let world = World::with(|gateway| {
        gateway
            .var("PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD", "none")
            .var("PROXY_OIDC_USERINFO_CACHE_TTL", "10s")
    })
    .await;
    let token = world.issuer.opaque("mara", Value::Null);
    world.request(&token).await.is(200);
    world.issuer.revoke(&token);
    world.request(&token).await.is(200);
    world.gateway.clock.advance(11);
    let answer = world.request(&token).await;
    answer.refused(401, "token_rejected");
    world.gateway.stop().await;
}

#[tokio::test]
async fn introspection_decides_with_the_gateways_own_credentials() {
    let world = World::with(|gateway| {
        gateway
            .var("PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD", "introspection")
            .var("PROXY_OIDC_CLIENT_ID", CLIENT_ID)
            .var("PROXY_OIDC_CLIENT_SECRET", CLIENT_SECRET)
            .var("PROXY_OIDC_SKIP_USER_INFO", "true")
    })
    .await;
    let good = world.issuer.opaque("mara", json!({"exp": now() + 300}));
    world.request(&good).await.is(200);
    assert_eq!(world.issuer.calls(Endpoint::Userinfo), 0);
    // Row 91: an answer that is no answer is the issuer's trouble, not the token's.
    for (active, status) in [(json!(false), 401), (json!("true"), 503), (json!(1), 503)] {
        let bad = world.issuer.opaque("mara", json!({"active": active}));
        let answer = world.request(&bad).await;
        assert_eq!(answer.status, status, "row 91: {active}");
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn credentials_that_the_issuer_refuses_are_our_fault_and_not_the_tokens() {
    let world = World::with(|gateway| {
        gateway
            .var("PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD", "introspection")
            .var("PROXY_OIDC_CLIENT_ID", CLIENT_ID)
            .var("PROXY_OIDC_CLIENT_SECRET", "canary-wrong-client-secret")
    })
    .await;
    let token = world.issuer.opaque("mara", Value::Null);
    let answer = world.request(&token).await;
    answer.refused(502, "issuer_credentials");
    world.gateway.stop().await;
}

#[tokio::test]
async fn auto_takes_jwts_by_their_signature_and_anything_else_by_userinfo() {
    let world =
        World::with(|gateway| gateway.var("PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD", "auto")).await;
    let opaque = world.issuer.opaque("mara", Value::Null);
    world.request(&opaque).await.is(200);
    let jwt = world.issuer.token("alan").sign();
    world.request(&jwt).await.is(200);
    let forged = world
        .issuer
        .token("alan")
        .by(&Key::new("key-1", "RS256"))
        .sign();
    let answer = world.request(&forged).await;
    answer.refused(401, "bad_signature");
    world.gateway.stop().await;
}

#[tokio::test]
async fn an_audience_that_is_asked_for_has_to_be_there() {
    let world = World::with(|gateway| gateway.var("PROXY_OIDC_AUDIENCES", "davgate,cloud")).await;
    let one_of_two = world
        .issuer
        .token("mara")
        .claim("aud", json!(["other", "cloud"]));
    let answer = world
        .gateway
        .get("/files/a")
        .bearer(&one_of_two.sign())
        .send()
        .await;
    answer.is(200);
    for aud in [
        json!("other"),
        json!(["davgate.example"]),
        json!([]),
        Value::Null,
    ] {
        let token = world.issuer.token("mara").claim("aud", aud.clone()).sign();
        let answer = world.request(&token).await;
        assert_eq!(answer.status, 401, "row 77: {aud}");
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn the_times_of_a_token_have_five_seconds_of_leeway() {
    let world = World::token_only().await;
    for (token, status) in [
        (world.issuer.token("mara").expires_in(-2), 200),
        (world.issuer.token("mara").expires_in(-30), 401),
        (world.issuer.token("mara").claim("nbf", now() + 2), 200),
        (world.issuer.token("mara").claim("nbf", now() + 60), 401),
        (world.issuer.token("mara").claim("iat", now() + 3600), 200),
    ] {
        let answer = world
            .gateway
            .get("/files/a")
            .bearer(&token.sign())
            .send()
            .await;
        answer.is(status);
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_session_ends_when_its_token_does() {
    let world = World::new().await;
    let token = world.issuer.token("mara").expires_in(60).sign();
    world.request(&token).await.is(200);
    world.gateway.clock.advance(70);
    let answer = world.request(&token).await;
    answer.refused(401, "token_expired");
    world.gateway.stop().await;
}
