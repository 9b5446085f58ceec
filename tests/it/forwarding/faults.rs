//! Backends that are not there, speak nonsense or break off (F15, F16, docs/design/design.md 2, Backend faults).

use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;

use crate::support::backend::FakeBackend;
use crate::support::gateway::TestGateway;
use crate::support::issuer::FakeIssuer;
use crate::support::raw_backend::{RawBackend, Then};

/// A gateway before one backend of canned bytes.
async fn before(backend: &RawBackend) -> (FakeIssuer, TestGateway) {
    let issuer = FakeIssuer::start().await;
    let gateway = TestGateway::new()
        .issuer(&issuer)
        .raw_route(backend.open_route("/"))
        .spawn()
        .await;
    (issuer, gateway)
}

#[tokio::test]
async fn f15_a_backend_that_refuses_is_a_502_at_once() {
    let issuer = FakeIssuer::start().await;
    let gone = RawBackend::start(b"", Then::Close).await.open_route("/");
    let gateway = TestGateway::new()
        .issuer(&issuer)
        .raw_route(gone)
        .spawn()
        .await;
    for method in ["GET", "PUT", "PROPFIND"] {
        let start = Instant::now();
        let answer = gateway.call(method, "/a").body("x").send().await;
        answer.refused(502, "backend_unreachable");
        assert!(start.elapsed() < Duration::from_secs(2), "{method}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn answers_that_are_no_http_are_502() {
    for answer in [
        b"nonsense\r\n\r\n".as_slice(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"",
    ] {
        let backend = RawBackend::start(answer, Then::Close).await;
        let (_issuer, gateway) = before(&backend).await;
        let got = gateway.call("POST", "/a").body("x").send().await;
        let text = String::from_utf8_lossy(answer);
        assert_eq!(got.status, 502, "{text}: {}", got.text());
        gateway.stop().await;
    }
}

#[tokio::test]
async fn f16_a_body_that_breaks_off_is_seen_to_break_off() {
    for (answer, then) in [
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort".as_slice(),
            Then::Close,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
            Then::Reset,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
            Then::Close,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
            Then::Reset,
        ),
    ] {
        let backend = RawBackend::start(answer, then).await;
        let (_issuer, gateway) = before(&backend).await;
        for h2 in [false, true] {
            let call = gateway.get("/a");
            let call = if h2 { call.h2() } else { call };
            let got = call.open().await;
            assert_eq!(got.status(), 200);
            assert!(
                got.into_body().collect().await.is_err(),
                "{then:?}, h2: {h2}"
            );
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn f16_a_reset_leaves_other_requests_alone() {
    let issuer = FakeIssuer::start().await;
    let good = FakeBackend::start().await;
    let bad = RawBackend::start(
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx",
        Then::Reset,
    )
    .await;
    let gateway = TestGateway::new()
        .issuer(&issuer)
        .open("/good/", &good)
        .raw_route(bad.open_route("/"))
        .spawn()
        .await;
    let mut requests = tokio::task::JoinSet::new();
    for number in 0..40 {
        let bad = number % 2 == 0;
        let call = gateway.get(if bad { "/bad" } else { "/good/a" });
        requests.spawn(async move {
            let body = call.open().await.into_body().collect().await;
            assert_eq!(body.is_err(), bad);
        });
    }
    requests.join_all().await;
    assert_eq!(good.take_seen().len(), 20);
    gateway.stop().await;
}

#[tokio::test]
async fn a_request_that_may_not_be_repeated_is_sent_once() {
    let backend = RawBackend::start(b"", Then::Close).await;
    let (_issuer, gateway) = before(&backend).await;
    gateway.call("POST", "/a").body("x").send().await.is(502);
    assert_eq!(backend.requests(), 1);
    gateway.stop().await;
}

#[tokio::test]
async fn a_connection_that_the_backend_closed_meanwhile_is_not_the_clients_business() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let backend = RawBackend::start(answer, Then::Close).await;
    let (_issuer, gateway) = before(&backend).await;
    for _ in 0..20 {
        gateway.get("/a").send().await.is(200);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_backend() {
    let backend = RawBackend::start(b"", Then::Wait).await;
    let (_issuer, gateway) = before(&backend).await;
    let request = tokio::spawn(gateway.get("/a").try_open());
    crate::support::until("the request", || backend.requests() == 1).await;
    request.abort();
    gateway.stop().await;
}
