//! Tokens that are bound to a client's key (RFC 9449), through the whole gateway.

use serde_json::{Value, json};

use crate::support::backend::{FakeBackend, Told};
use crate::support::client::{Answer, CLOUD, Call};
use crate::support::gateway::{Builder, TestGateway};
use crate::support::issuer::FakeIssuer;
use crate::support::keys::Key;
use crate::support::world::World;
use crate::support::{now, proof};

/// A client with a key and a token that is bound to it.
struct BoundClient {
    key: Key,
    token: String,
}

impl BoundClient {
    fn of(world: &World) -> Self {
        let key = Key::new("client", "ES256");
        let bound = json!({"jkt": proof::thumbprint(&key)});
        let token = world.issuer.token("mara").claim("cnf", bound).sign();
        Self { key, token }
    }

    /// A proof for one request; `change` spoils it.
    fn proof(&self, method: &str, path: &str, change: impl FnOnce(&mut Value)) -> String {
        let url = format!("{PUBLIC}{path}");
        proof::proof(&self.key, method, &url, Some(&self.token), change)
    }

    fn call(&self, world: &World, path: &str) -> Call {
        let call = world.get(path);
        call.header("Authorization", &format!("DPoP {}", self.token))
    }

    async fn get(&self, world: &World, proof: &str) -> Answer {
        let call = self.call(world, "/files/a?download=1");
        call.header("DPoP", proof).send().await
    }
}

/// The URL that clients know the gateway by.
const PUBLIC: &str = "https://cloud.example";

/// Where the token alone decides, and the gateway knows its own URL.
async fn world() -> World {
    World::set(&[
        ("PROXY_OIDC_SKIP_USER_INFO", "true"),
        ("PROXY_PUBLIC_URL", PUBLIC),
    ])
    .await
}

#[track_caller]
fn challenged(answer: &Answer, error: &str) {
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("DPoP "), "{challenge}");
    assert!(
        challenge.contains(&format!("error=\"{error}\"")),
        "{challenge}"
    );
    assert!(challenge.contains("algs=\"ES256 "), "{challenge}");
}

#[tokio::test]
async fn each_request_brings_its_own_proof() {
    let world = world().await;
    let client = BoundClient::of(&world);
    for _ in 0..3 {
        let proof = client.proof("GET", "/files/a", |_| {});
        client.get(&world, &proof).await.is(200);
        let seen = world.backend.the_request();
        assert_eq!(seen.header("remote-user"), Some("mara"));
        assert_eq!(seen.header("dpop"), None);
        let again = client.get(&world, &proof).await;
        again.refused(401, "dpop_proof");
        challenged(&again, "invalid_dpop_proof");
    }
    world.backend.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_proof_about_something_else_is_refused_also_where_the_session_is_known() {
    let world = world().await;
    let client = BoundClient::of(&world);
    let good = client.proof("GET", "/files/a", |_| {});
    client.get(&world, &good).await.is(200);
    world.backend.the_request();
    let bad = [
        client.proof("PUT", "/files/a", |_| {}),
        client.proof("GET", "/files/b", |_| {}),
        client.proof("GET", "/files/a", |claims| {
            claims["iat"] = json!(now() - 3_600)
        }),
        client.proof("GET", "/files/a", |claims| claims["ath"] = json!("AAAA")),
        "x.y.z".to_owned(),
    ];
    for proof in bad {
        let answer = client.get(&world, &proof).await;
        answer.refused(401, "dpop_proof");
        challenged(&answer, "invalid_dpop_proof");
    }
    let none = client.call(&world, "/files/a").send().await;
    none.refused(401, "dpop_proof");
    challenged(&none, "invalid_dpop_proof");

    let thief = BoundClient {
        key: Key::new("thief", "ES256"),
        token: client.token.clone(),
    };
    let answer = thief
        .get(&world, &thief.proof("GET", "/files/a", |_| {}))
        .await;
    answer.refused(401, "dpop_proof");
    challenged(&answer, "invalid_token");
    world.backend.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_82_a_bound_token_is_no_plain_bearer_before_or_after_it_was_proven() {
    let world = world().await;
    let client = BoundClient::of(&world);
    let plain = async || {
        world
            .request(&client.token)
            .await
            .refused(401, "bound_token")
            .clone()
    };
    plain().await;
    let proof = client.proof("GET", "/files/a", |_| {});
    client.get(&world, &proof).await.is(200);
    plain().await;
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_token_bound_to_nothing_is_not_proven_by_any_key() {
    let world = world().await;
    let free = BoundClient {
        token: world.issuer.token("mara").sign(),
        key: Key::new("client", "ES256"),
    };
    world.request(&free.token).await.is(200);
    let answer = free
        .get(&world, &free.proof("GET", "/files/a", |_| {}))
        .await;
    answer.refused(401, "dpop_proof");
    challenged(&answer, "invalid_token");
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_stronger_login_is_asked_for_in_the_scheme_of_the_proof() {
    let issuer = FakeIssuer::start().await;
    let backend = FakeBackend::told(Told::Headers).await;
    let gateway = TestGateway::new()
        .issuer(&issuer)
        .var("PROXY_OIDC_SKIP_USER_INFO", "true")
        .var("PROXY_PUBLIC_URL", PUBLIC)
        .route(
            "/mfa/",
            &backend,
            json!({"required_claims": ["acr=advanced"]}),
        )
        .route("/fresh/", &backend, json!({"max_age": "5m"}))
        .backend("/files/", &backend)
        .spawn()
        .await;
    let world = World {
        issuer,
        backend,
        gateway,
    };
    let client = BoundClient::of(&world);
    for (path, wanted) in [
        ("/mfa/a", "acr_values=\"advanced\""),
        ("/fresh/a", "max_age=\"300\""),
    ] {
        let call = client.call(&world, path);
        let proof = client.proof("GET", path, |_| {});
        let answer = call.header("DPoP", &proof).send().await;
        answer.refused(401, "insufficient_user_authentication");
        challenged(&answer, "insufficient_user_authentication");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.contains(wanted), "{challenge}");
        // A bearer is told as a bearer.
        let plain = world.issuer.token("mara").sign();
        let answer = world.get(path).bearer(&plain).send().await;
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer "), "{challenge}");
    }
    world.gateway.stop().await;

    let everywhere = |gateway: Builder| {
        gateway
            .var("PROXY_OIDC_SKIP_USER_INFO", "true")
            .var("PROXY_PUBLIC_URL", PUBLIC)
            .var("PROXY_OIDC_REQUIRED_CLAIMS", "acr=advanced")
    };
    let world = World::with(everywhere).await;
    let client = BoundClient::of(&world);
    let proof = client.proof("GET", "/files/a", |_| {});
    let answer = client.get(&world, &proof).await;
    challenged(&answer, "insufficient_user_authentication");
    world.gateway.stop().await;
}

#[tokio::test]
async fn with_nonces_a_client_comes_back_with_the_one_it_was_given_whatever_its_clock_says() {
    let world = World::with(|gateway| {
        gateway
            .var("PROXY_OIDC_SKIP_USER_INFO", "true")
            .var("PROXY_PUBLIC_URL", PUBLIC)
            .var("PROXY_OIDC_DPOP_NONCE", "true")
    })
    .await;
    let client = BoundClient::of(&world);
    let first = client
        .get(&world, &client.proof("GET", "/files/a", |_| {}))
        .await;
    first.refused(401, "dpop_nonce");
    challenged(&first, "use_dpop_nonce");
    world.backend.saw_nothing();
    let nonce = first.header("dpop-nonce").unwrap().to_owned();
    let with = |nonce: &str| {
        let nonce = nonce.to_owned();
        client.proof("GET", "/files/a", |claims| {
            claims["nonce"] = json!(nonce);
            claims["iat"] = json!(now() - 86_400);
        })
    };
    let proof = with(&nonce);
    let served = client.get(&world, &proof).await;
    served.is(200);
    // A used proof stays used, nonce or not.
    client.get(&world, &proof).await.refused(401, "dpop_proof");
    let next = served.header("dpop-nonce").unwrap().to_owned();
    client.get(&world, &with(&next)).await.is(200);
    // Nonces are forgotten after a few minutes; the token lives for five.
    world.gateway.clock.advance(241);
    let late = client.get(&world, &with(&nonce)).await;
    late.refused(401, "dpop_nonce");
    let fresh = late.header("dpop-nonce").unwrap();
    assert_ne!(fresh, nonce);
    client.get(&world, &with(fresh)).await.is(200);
    // Bearers have nothing to do with it.
    let bearer = world.request(&world.issuer.token("alan").sign()).await;
    bearer.is(200);
    assert_eq!(bearer.header("dpop-nonce"), None);
    world.gateway.stop().await;
}

#[tokio::test]
async fn issue_15_4_a_proof_is_about_the_public_url_whatever_host_the_client_names() {
    let world = world().await;
    let client = BoundClient::of(&world);
    for (host, url, is_good) in [
        (CLOUD, "https://Cloud.Example:443/files/%61", true),
        ("other.example", "https://cloud.example/files/a", true),
        // Made for another server, and carried here by whoever got hold of it.
        ("other.example", "https://other.example/files/a", false),
        ("other.example", "http://other.example/files/a", false),
        (CLOUD, "http://cloud.example/files/a", false),
    ] {
        let proof = client.proof("GET", "/files/a", |claims| claims["htu"] = json!(url));
        let call = client.call(&world, "/files/a").header("Host", host);
        let answer = call.header("DPoP", &proof).send().await;
        match is_good {
            true => answer.is(200),
            false => answer.refused(401, "dpop_proof"),
        };
    }
    world.gateway.stop().await;
}

/// The ways in which one who has the token alone may try to pass for one who has its key: schemes, and what follows.
fn ways(token: &str) -> Vec<String> {
    let mut ways = Vec::new();
    for scheme in [
        "Bearer", "bearer", "DPoP", "dpop", "Bearer\t", "Basic", "DPoP\t",
    ] {
        for words in [
            "",
            "DPoP ",
            "dpop ",
            "DPoP  ",
            "Bearer ",
            "DPoP\t",
            "Bearer DPoP ",
        ] {
            ways.push(format!("{scheme} {words}{token}"));
        }
    }
    ways
}

#[tokio::test]
async fn a_bound_token_without_its_proof_finds_no_session_however_it_is_sent() {
    let world = world().await;
    let owner = BoundClient::of(&world);
    for is_warm in [false, true] {
        if is_warm {
            let proof = owner.proof("GET", "/files/a", |_| {});
            owner.get(&world, &proof).await.is(200);
            world.backend.the_request();
        }
        for way in ways(&owner.token) {
            for is_h2 in [false, true] {
                let call = world.get("/files/a").header("Authorization", &way);
                let call = if is_h2 { call.h2() } else { call };
                let answer = call.send().await;
                assert_eq!(answer.status, 401, "{} warm {is_warm}", answer.text());
            }
        }
        world.backend.saw_nothing();
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_proof_by_a_thiefs_key_sets_nothing_up_and_stands_in_nobodys_way() {
    let world = world().await;
    let owner = BoundClient::of(&world);
    let thief = BoundClient {
        key: Key::new("thief", "ES256"),
        token: owner.token.clone(),
    };
    for _ in 0..2 {
        let proof = thief.proof("GET", "/files/a", |_| {});
        let answer = thief.get(&world, &proof).await;
        answer.refused(401, "dpop_proof");
        challenged(&answer, "invalid_token");
    }
    assert_eq!(world.gateway.accounts().len(), 0, "nobody was provisioned");
    for way in ways(&owner.token) {
        let call = world.get("/files/a").header("Authorization", &way);
        assert_eq!(call.send().await.status, 401);
    }
    world.backend.saw_nothing();
    // The refusal is the thief's alone.
    let proof = owner.proof("GET", "/files/a", |_| {});
    owner.get(&world, &proof).await.is(200);
    world.gateway.stop().await;
}
