//! The way back: backends store and fetch contents at the gateway's own `/data`, in the name of the user they serve
//! (docs/design/design.md 2, Headers: reva tokens of the backends).

use serde_json::{Value, json};

use crate::support::backend::{FakeBackend, Seen, Told};
use crate::support::canary;
use crate::support::client::Call;
use crate::support::gateway::{JWT_SECRET, TestGateway};
use crate::support::issuer::FakeIssuer;

/// What a backend makes of the secret that all of them share.
fn reva_token(exp: i64, secret: &str) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    let claims = json!({"iss": "x", "aud": ["reva"], "exp": exp, "user": {"username": "mara"}});
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap();
    canary::secret(token.clone());
    token
}

fn access_tokens(seen: &Seen) -> Vec<&str> {
    let values = seen.headers.get_all("x-access-token").iter();
    values.map(|value| value.to_str().unwrap()).collect()
}

/// `/dav/` is protected, everything else is open and told in its own way.
struct World {
    issuer: FakeIssuer,
    dav: FakeBackend,
    data: FakeBackend,
    others: Vec<(&'static str, FakeBackend)>,
    gateway: TestGateway,
}

impl World {
    async fn new() -> Self {
        let issuer = FakeIssuer::start().await;
        let dav = FakeBackend::told(Told::Reva).await;
        let data = FakeBackend::told(Told::Reva).await;
        let others = vec![
            ("/plain/", FakeBackend::told(Told::WhatTheClientSent).await),
            ("/headers/", FakeBackend::told(Told::Headers).await),
            ("/wopi/", FakeBackend::told(Told::Headers).await),
        ];
        let mut gateway = TestGateway::new()
            .issuer(&issuer)
            .backend("/dav/", &dav)
            .open("/data", &data);
        for (endpoint, backend) in &others {
            let keys = match *endpoint {
                "/wopi/" => {
                    json!({"unprotected": true, "identity": "reva", "skip_x_access_token": true})
                }
                _ => json!({"unprotected": true}),
            };
            gateway = gateway.route(endpoint, backend, keys);
        }
        Self {
            gateway: gateway.spawn().await,
            issuer,
            dav,
            data,
            others,
        }
    }

    fn now(&self) -> i64 {
        self.gateway.clock.now().0
    }
}

fn with(call: Call, token: &str) -> Call {
    call.header("X-Access-Token", token)
}

#[tokio::test]
async fn a_backend_stores_a_file_with_the_token_it_was_given() {
    let world = World::new().await;
    let bearer = world.issuer.token("mara").sign();
    let put = world.gateway.call("PUT", "/dav/spaces/a.txt");
    put.bearer(&bearer).body("content").send().await.is(200);
    let seen = world.dav.the_request();
    let given = access_tokens(&seen)[0].to_owned();
    for h2 in [false, true] {
        let call = world.gateway.call("PUT", "/data");
        let call = with(call, &given).header("X-Reva-Transfer", "transfer-token");
        let call = call.body("content");
        let call = if h2 { call.h2() } else { call };
        call.send().await.is(200);
        let seen = world.data.the_request();
        assert_eq!(access_tokens(&seen), [given.as_str()]);
        assert_eq!(seen.header("x-reva-transfer"), Some("transfer-token"));
        assert_eq!(seen.body.start, b"content");
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_31_any_other_token_is_dropped_on_the_open_route() {
    let world = World::new().await;
    let now = world.now();
    let good = reva_token(now + 60, JWT_SECRET);
    for (token, passes) in [
        (good.clone(), true),
        (reva_token(now - 3600, JWT_SECRET), false),
        (
            reva_token(now + 60, "another secret of 32 bytes or more"),
            false,
        ),
        (good.replace('.', "_"), false),
        ("admin".to_owned(), false),
        (String::new(), false),
    ] {
        for h2 in [false, true] {
            let call = with(world.gateway.get("/data/x"), &token);
            let call = if h2 { call.h2() } else { call };
            call.send().await.is(200);
            let seen = world.data.the_request();
            let expected = if passes {
                vec![token.as_str()]
            } else {
                Vec::new()
            };
            assert_eq!(access_tokens(&seen), expected);
        }
    }
    // Of two nobody can tell which counts; one that the connection claims for itself ends there.
    let twice = with(with(world.gateway.get("/data/x"), &good), &good);
    twice.send().await.is(200);
    assert!(access_tokens(&world.data.the_request()).is_empty());
    let named = with(world.gateway.get("/data/x"), &good);
    let named = named.header("Connection", "x-access-token");
    named.send().await.is(200);
    assert!(access_tokens(&world.data.the_request()).is_empty());
    // Other names of an identity never pass beside it.
    let beside = with(world.gateway.get("/data/x"), &good);
    let beside = beside
        .header("Remote-User", "admin")
        .header("X-Reva-Anything", "x");
    beside.send().await.is(200);
    let seen = world.data.the_request();
    assert_eq!(access_tokens(&seen), [good.as_str()]);
    assert_eq!(seen.header("x-reva-anything"), None);
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_31_no_token_passes_where_a_login_is_needed_or_another_identity_told() {
    let world = World::new().await;
    let good = reva_token(world.now() + 60, JWT_SECRET);
    let bearer = world.issuer.token("mara").sign();

    let call = with(world.gateway.get("/dav/spaces/a"), &good);
    call.send().await.refused(401, "no_credential");
    world.dav.saw_nothing();

    with(world.gateway.get("/dav/spaces/a"), &good)
        .bearer(&bearer)
        .send()
        .await
        .is(200);
    let seen = world.dav.the_request();
    let minted = access_tokens(&seen);
    assert!(minted.len() == 1 && minted[0] != good);
    canary::secret(minted[0].to_owned());

    for (method, path) in [
        ("OPTIONS", "/dav/spaces/a"),
        ("PROPFIND", "/dav/public-files/link/a"),
    ] {
        with(world.gateway.call(method, path), &good)
            .send()
            .await
            .is(200);
        assert!(access_tokens(&world.dav.the_request()).is_empty(), "{path}");
    }
    for (endpoint, backend) in &world.others {
        let call = with(world.gateway.get(&format!("{endpoint}a")), &good);
        call.send().await.is(200);
        assert!(
            access_tokens(&backend.the_request()).is_empty(),
            "{endpoint}"
        );
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_clients_bearer_beside_a_transfer_is_tolerated() {
    let issuer = FakeIssuer::start().await;
    let data = FakeBackend::told(Told::WhatTheClientSent).await;
    let gateway = TestGateway::new()
        .issuer(&issuer)
        .route(
            "/data",
            &data,
            json!({"unprotected": true, "identity": "reva"}),
        )
        .spawn()
        .await;
    let patch = gateway
        .call("PATCH", "/data/transfer-token")
        .bearer("anything");
    patch.body("content").send().await.is(200);
    let seen = data.the_request();
    assert_eq!(seen.method, "PATCH");
    assert_eq!(
        Value::from(seen.header("authorization")),
        json!("Bearer anything")
    );
    gateway.stop().await;
}
