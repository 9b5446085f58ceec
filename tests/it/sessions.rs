//! One set-up a token however many ask, and what goes on while the issuer is away.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::client::CLOUD;
use crate::support::gateway::TestGateway;
use crate::support::issuer::{Endpoint, Fault};
use crate::support::keys::Key;
use crate::support::until;
use crate::support::world::World;

const CONNECTIONS: usize = 100;
const STREAMS: usize = 100;

/// 10,000 requests at once, as 100 streams on each of 100 connections; their statuses.
async fn stampede(gateway: &TestGateway, token: &str) -> Vec<u16> {
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (addr, bearer) = (gateway.addr, format!("Bearer {token}"));
        connections.spawn(async move {
            let io = TokioIo::new(TcpStream::connect(addr).await.unwrap());
            let (sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
                    .await
                    .unwrap();
            tokio::spawn(connection);
            let mut streams = JoinSet::new();
            for _ in 0..STREAMS {
                let mut sender = sender.clone();
                let request = Request::get(format!("http://{CLOUD}/files/a"))
                    .header("authorization", &bearer)
                    .body(Empty::<Bytes>::new())
                    .unwrap();
                streams.spawn(async move {
                    sender.ready().await.unwrap();
                    let answer = sender.send_request(request).await.unwrap();
                    let status = answer.status().as_u16();
                    answer.into_body().collect().await.unwrap();
                    status
                });
            }
            streams.join_all().await
        });
    }
    connections.join_all().await.concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f6_ten_thousand_requests_with_one_cold_token_ask_the_issuer_and_the_accounts_once() {
    let world = World::with(|gateway| gateway.var("PROXY_SESSION_SETUP_TIMEOUT", "60s")).await;
    let slow = Fault::Slow(Duration::from_secs(2));
    world.issuer.fault(Endpoint::Userinfo, slow);
    let token = world.issuer.token("mara").sign();
    let answers = stampede(&world.gateway, &token).await;
    assert_eq!(answers.len(), CONNECTIONS * STREAMS);
    assert!(answers.iter().all(|status| *status == 200));
    assert_eq!(world.issuer.calls(Endpoint::Userinfo), 1);
    let sessions = &world.gateway.running().reloader().process().sessions;
    let counters = sessions.counters();
    assert_eq!(counters.set_ups.load(Ordering::Relaxed), 1);
    assert!(counters.joined.load(Ordering::Relaxed) > 100);
    assert_eq!(world.gateway.accounts().len(), 1);
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_set_up_goes_on_when_its_client_leaves() {
    let world = World::new().await;
    let slow = Fault::Slow(Duration::from_millis(300));
    world.issuer.fault(Endpoint::Userinfo, slow);
    let token = world.issuer.token("mara").sign();
    let request = tokio::spawn(world.get("/files/a").bearer(&token).try_open());
    until("the call", || world.issuer.calls(Endpoint::Userinfo) == 1).await;
    request.abort();
    world.request(&token).await.is(200);
    assert_eq!(world.issuer.calls(Endpoint::Userinfo), 1);
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_set_up_that_takes_too_long_is_a_503_and_goes_on() {
    let world = World::with(|gateway| gateway.var("PROXY_SESSION_SETUP_TIMEOUT", "200ms")).await;
    let slow = Fault::Slow(Duration::from_secs(1));
    world.issuer.fault(Endpoint::Userinfo, slow);
    let token = world.issuer.token("mara").sign();
    let answer = world.request(&token).await;
    answer.refused(503, "setup_timeout");
    assert!(answer.header("retry-after").is_some());
    until_served(&world, &token).await;
    assert_eq!(world.issuer.calls(Endpoint::Userinfo), 1);
    world.gateway.stop().await;
}

#[tokio::test]
async fn f1_while_the_issuer_is_down_cached_tokens_go_on_and_new_ones_are_503() {
    let world = World::new().await;
    let known = world.issuer.token("mara").sign();
    world.request(&known).await.is(200);
    world.issuer.go_down().await;
    world.request(&known).await.is(200);
    let new = world.issuer.token("alan").sign();
    let start = Instant::now();
    let answer = world.request(&new).await;
    answer.refused(503, "issuer_unavailable");
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
    assert!(answer.header("retry-after").is_some());
    assert!(
        world
            .gateway
            .accounts()
            .iter()
            .all(|account| account.username != "alan")
    );
    world.request(&known).await.is(200);

    world.issuer.come_back().await;
    let back = Instant::now();
    while world.request(&new).await.status != 200 {
        assert!(
            back.elapsed() < Duration::from_secs(10),
            "not back within 10 s"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn f1_with_skip_user_info_new_tokens_too_go_on_while_the_issuer_is_down() {
    let world = World::token_only().await;
    let first = world.issuer.token("mara").sign();
    world.request(&first).await.is(200);
    world.issuer.go_down().await;
    let second = world.issuer.token("alan").sign();
    world.request(&second).await.is(200);
    world.gateway.stop().await;
}

#[tokio::test]
async fn f3_trouble_of_userinfo_is_503_and_never_kept() {
    let world = World::new().await;
    let token = world.issuer.token("mara").sign();
    for fault in [
        Fault::Status(500),
        Fault::Status(502),
        Fault::Body("<html>sorry</html>"),
        Fault::Body("[]"),
        Fault::Body("null"),
        Fault::Body("{\"sub\": \"sub-mara\""),
        Fault::Body(""),
    ] {
        world.issuer.fault(Endpoint::Userinfo, fault.clone());
        let answer = world.request(&token).await;
        assert_eq!(answer.status, 503, "{fault:?}: {}", answer.text());
        assert!(answer.header("retry-after").is_some(), "{fault:?}");
    }
    assert!(world.gateway.accounts().is_empty());
    world.issuer.heal(Endpoint::Userinfo);
    until_served(&world, &token).await;
    world.gateway.stop().await;
}

/// Back-off after failures is capped at five seconds, so everything is back within ten (docs/design/design.md 2, Times).
async fn until_served(world: &World, token: &str) {
    let start = Instant::now();
    loop {
        let answer = world.request(token).await;
        if answer.status == 200 {
            return;
        }
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{}",
            answer.text()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn f3_userinfo_that_refuses_the_token_is_a_401() {
    let world = World::new().await;
    for status in [400, 401, 403] {
        world
            .issuer
            .fault(Endpoint::Userinfo, Fault::Status(status));
        let token = world.issuer.token("mara").sign();
        world.request(&token).await.refused(401, "token_rejected");
    }
    world.issuer.fault(Endpoint::Userinfo, Fault::Body("{}"));
    let token = world.issuer.token("mara").sign();
    world.request(&token).await.is(401);
    world.gateway.stop().await;
}

#[tokio::test]
async fn f3_a_429_is_told_on_with_its_retry_after_and_the_issuer_left_alone() {
    let world = World::new().await;
    world.issuer.fault(Endpoint::Userinfo, Fault::TooMany(4));
    let first = world.issuer.token("mara").sign();
    let answer = world.request(&first).await;
    answer.refused(503, "issuer_unavailable");
    let after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=4).contains(&after), "{after}");
    let calls = world.issuer.calls(Endpoint::Userinfo);
    let second = world.issuer.token("alan").sign();
    world.request(&second).await.is(503);
    assert_eq!(world.issuer.calls(Endpoint::Userinfo), calls);
    world.issuer.heal(Endpoint::Userinfo);
    until_served(&world, &first).await;
    world.gateway.stop().await;
}

#[tokio::test]
async fn f3_bad_keys_and_documents_never_replace_good_ones() {
    let world = World::token_only().await;
    let token = world.issuer.token("mara").sign();
    world.request(&token).await.is(200);
    world.issuer.fault(Endpoint::Jwks, Fault::Body("<html>"));
    let stranger = Key::new("stranger", "ES256");
    let asks = world.issuer.token("mara").by(&stranger).sign();
    let answer = world.request(&asks).await;
    assert!(
        matches!(answer.status.as_u16(), 401 | 503),
        "{}",
        answer.text()
    );
    let other = world.issuer.token("alan").sign();
    world.request(&other).await.is(200);
    world.gateway.stop().await;
}

#[tokio::test]
async fn f4_a_new_key_is_fetched_when_its_first_token_comes() {
    let world = World::token_only().await;
    let old = world.issuer.token("mara").sign();
    world.request(&old).await.is(200);
    let key = Key::new("key-2", "ES256");
    world.issuer.rotate(key.clone(), true);
    // Given out after the keys were fetched, by more than the leeway.
    let iat = crate::support::now() + 10;
    let new = world.issuer.token("mara").by(&key).claim("iat", iat).sign();
    world.request(&new).await.is(200);
    assert_eq!(world.issuer.calls(Endpoint::Jwks), 2);
    world.gateway.stop().await;
}

#[tokio::test]
async fn f5_a_gateway_that_starts_before_its_issuer_serves_once_that_is_there() {
    let issuer = crate::support::issuer::FakeIssuer::start().await;
    let backend = crate::support::backend::FakeBackend::start().await;
    let token = issuer.token("mara").sign();
    issuer.go_down().await;
    let gateway = TestGateway::new()
        .issuer(&issuer)
        .backend("/files/", &backend)
        .open("/public/", &backend)
        .spawn()
        .await;
    gateway.get("/public/a").send().await.is(200);
    let answer = gateway.get("/files/a").bearer(&token).send().await;
    answer.refused(503, "issuer_unavailable");
    issuer.come_back().await;
    let world = World {
        issuer,
        backend,
        gateway,
    };
    until_served(&world, &token).await;
    world.gateway.stop().await;
}

#[tokio::test]
async fn an_opaque_token_serves_on_while_userinfo_fails() {
    let world = World::with(|gateway| {
        gateway
            .var("PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD", "none")
            .var("PROXY_OIDC_USERINFO_CACHE_TTL", "10s")
    })
    .await;
    let token = world.issuer.opaque("mara", Value::Null);
    world.request(&token).await.is(200);
    world.issuer.fault(Endpoint::Userinfo, Fault::Status(503));
    for _ in 0..3 {
        world.gateway.clock.advance(11);
        world.request(&token).await.is(200);
    }
    world.issuer.fault(Endpoint::Userinfo, Fault::Hang);
    world.gateway.clock.advance(11);
    let start = Instant::now();
    world.request(&token).await.is(200);
    assert!(
        start.elapsed() < Duration::from_millis(2_500),
        "{:?}",
        start.elapsed()
    );
    world.gateway.clock.advance(2 * 3600);
    world.issuer.fault(Endpoint::Userinfo, Fault::Status(503));
    world.request(&token).await.is(503);
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_disabled_account_is_out_within_the_ttl_and_in_again_when_enabled() {
    let world = World::new().await;
    let token = world.issuer.token("mara").expires_in(3600).sign();
    world.request(&token).await.is(200);
    world.gateway.set_enabled("mara", false);
    world.request(&token).await.is(200);
    world.gateway.clock.advance(31);
    world.request(&token).await.refused(403, "account_disabled");
    let other = world.issuer.token("mara").sign();
    world.request(&other).await.refused(403, "account_disabled");
    world.gateway.set_enabled("mara", true);
    world.gateway.clock.advance(6);
    world.request(&token).await.is(200);
    world.gateway.stop().await;
}

#[tokio::test]
async fn fifty_first_logins_at_once_make_one_account() {
    let world = World::new().await;
    let tokens: Vec<_> = (0..50).map(|_| world.issuer.token("mara").sign()).collect();
    let mut requests = JoinSet::new();
    for token in tokens {
        let call = world.get("/files/a").bearer(&token);
        requests.spawn(async move { call.send().await.status });
    }
    assert!(
        requests
            .join_all()
            .await
            .iter()
            .all(|status| *status == 200)
    );
    assert_eq!(world.gateway.accounts().len(), 1);
    world.gateway.stop().await;
}
