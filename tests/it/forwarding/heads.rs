//! Heads on their way: prefixes, destinations, methods, sizes, cross-origin questions.

use serde_json::json;

use crate::support::backend::{FakeBackend, Told};
use crate::support::gateway::TestGateway;
use crate::support::issuer::FakeIssuer;
use crate::support::world::World;

#[tokio::test]
async fn a_prefix_that_is_taken_off_is_told() {
    let issuer = FakeIssuer::start().await;
    let backend = FakeBackend::told(Told::Headers).await;
    let gateway = TestGateway::new()
        .issuer(&issuer)
        .route("/webdisk/", &backend, json!({"strip_prefix": "/webdisk"}))
        .spawn()
        .await;
    let token = issuer.token("mara").sign();
    gateway
        .get("/webdisk/a/b?c")
        .bearer(&token)
        .send()
        .await
        .is(200);
    let seen = backend.the_request();
    assert_eq!(seen.target, "/a/b?c");
    assert_eq!(seen.header("x-forwarded-prefix"), Some("/webdisk"));
    let call = gateway.call("MOVE", "/webdisk/a").bearer(&token);
    let call = call.header("Destination", "http://cloud.example/webdisk/b%20c");
    call.send().await.is(200);
    let destination = backend
        .the_request()
        .header("destination")
        .unwrap()
        .to_owned();
    assert!(destination.ends_with("/b%20c"), "{destination}");
    assert!(!destination.contains("webdisk"), "{destination}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_destination_on_another_host_is_400_and_on_another_backend_502() {
    let issuer = FakeIssuer::start().await;
    let (files, other) = (FakeBackend::start().await, FakeBackend::start().await);
    let gateway = TestGateway::new()
        .issuer(&issuer)
        .open("/files/", &files)
        .open("/other/", &other)
        .spawn()
        .await;
    for (destination, status) in [
        ("http://evil.example/files/b", 400),
        ("http://cloud.example/other/b", 502),
        ("http://cloud.example/files/../other/b", 400),
        ("/files/b", 200),
        ("http://cloud.example/files/b", 200),
    ] {
        let call = gateway
            .call("MOVE", "/files/a")
            .header("Destination", destination);
        let answer = call.send().await;
        assert_eq!(answer.status, status, "{destination}: {}", answer.text());
    }
    assert_eq!(files.take_seen().len(), 2);
    other.saw_nothing();
    gateway.stop().await;
}

#[tokio::test]
async fn options_without_a_credential_goes_on_in_nobodys_name_and_with_one_is_checked() {
    let world = World::telling(Told::Nothing, |gateway| gateway).await;
    world
        .gateway
        .call("OPTIONS", "/files/a")
        .send()
        .await
        .is(200);
    assert_eq!(world.backend.the_request().method, "OPTIONS");
    let bad = world.issuer.token("mara").expires_in(-3600).sign();
    let call = world.gateway.call("OPTIONS", "/files/a").bearer(&bad);
    call.send().await.refused(401, "token_expired");
    world.backend.saw_nothing();
    world.gateway.stop().await;

    let strict = World::with(|gateway| gateway.var("PROXY_OPTIONS_REQUIRE_AUTH", "true")).await;
    strict
        .gateway
        .call("OPTIONS", "/files/a")
        .send()
        .await
        .is(401);
    strict.gateway.stop().await;
}

#[tokio::test]
async fn dav_requests_and_the_headers_of_sync_clients_pass_as_they_are() {
    let world = World::new().await;
    let token = world.issuer.token("mara").sign();
    let headers = [
        ("depth", "1"),
        ("overwrite", "F"),
        ("if-match", "\"abc\""),
        ("oc-checksum", "SHA1:abc"),
        ("oc-total-length", "7"),
        ("x-oc-mtime", "1700000000"),
        ("x-reva-transfer", "t"),
        ("upload-offset", "0"),
        ("tus-resumable", "1.0.0"),
        ("accept-encoding", "gzip"),
        ("range", "bytes=0-9"),
        ("user-agent", "mirall/5"),
        ("cookie", "a=b; c=d"),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
    ];
    for method in ["PROPFIND", "PUT", "MKCOL", "LOCK", "REPORT", "PATCH"] {
        let mut call = world.gateway.call(method, "/files/a").bearer(&token);
        for (name, value) in headers {
            call = call.header(name, value);
        }
        call.body("x").send().await.is(200);
        let seen = world.backend.the_request();
        assert_eq!(seen.method, method);
        for (name, value) in headers {
            assert_eq!(seen.header(name), Some(value), "{method}: {name}");
        }
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused_and_large_ones_pass() {
    let world = World::new().await;
    let token = world.issuer.token("mara").sign();
    let get = || world.get("/files/a").bearer(&token);
    get()
        .header("x-large", &"x".repeat(30_000))
        .send()
        .await
        .is(200);
    world.backend.the_request();
    let long = format!("GET /files/{} HTTP/1.1", "x".repeat(20_000));
    let answer = world.gateway.raw(&long).await;
    assert!(answer.starts_with("HTTP/1.1 414"), "{answer}");
    let wide = format!("GET /files/a HTTP/1.1\r\nX-Wide: {}", "x".repeat(40_000));
    let answer = world.gateway.raw(&wide).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    world.backend.saw_nothing();
    world.gateway.stop().await;
}
