//! Readiness, and a process that is told to end (F5, F20, docs/design/design.md 2, Signals and drain).

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::support::backend::FakeBackend;
use crate::support::client::{Call, raw, status};
use crate::support::gateway::TestGateway;
use crate::support::issuer::FakeIssuer;
use crate::support::process::GatewayProcess;

#[tokio::test]
async fn f5_readiness_waits_for_the_issuer_and_health_does_not() {
    let issuer = FakeIssuer::start().await;
    issuer.go_down().await;
    let backend = FakeBackend::start().await;
    let gateway = TestGateway::new()
        .issuer(&issuer)
        .backend("/files/", &backend)
        .spawn()
        .await;
    assert_eq!(gateway.debug("/healthz").await.0, 200);
    assert_eq!(gateway.debug("/readyz").await.0, 503);
    issuer.come_back().await;
    let start = Instant::now();
    while gateway.debug("/readyz").await.0 != 200 {
        assert!(start.elapsed() < Duration::from_secs(10), "not ready");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Once ready, an outage does not make it unready while keys are there.
    issuer.go_down().await;
    assert_eq!(gateway.debug("/readyz").await.0, 200);
    gateway.stop().await;
}

async fn process(issuer: &FakeIssuer, backend: &FakeBackend) -> GatewayProcess {
    process_with(issuer, backend, &[]).await
}

async fn process_with(
    issuer: &FakeIssuer,
    backend: &FakeBackend,
    variables: &[(&str, &str)],
) -> GatewayProcess {
    let policy = json!({"name": "default", "routes": [
        {"endpoint": "/", "backend": backend.url(), "unprotected": true, "identity": "none"},
    ]});
    let variables = [&[("PROXY_OIDC_ISSUER", issuer.url())], variables].concat();
    GatewayProcess::start(&json!({"policies": [policy]}), &variables).await
}

#[tokio::test]
async fn f20_a_running_upload_finishes_and_nothing_new_is_let_in() {
    let (issuer, backend) = (FakeIssuer::start().await, FakeBackend::start().await);
    let mut gateway = process(&issuer, &backend).await;
    let (sender, receiver) = mpsc::channel::<Bytes>(1);
    let frames = stream::unfold(receiver, |mut receiver| async {
        Some((Ok(Frame::data(receiver.recv().await?)), receiver))
    });
    let call = Call::new(gateway.addr, "PUT", "/upload").stream(StreamBody::new(frames).boxed());
    let upload = tokio::spawn(call.send());
    sender.send(Bytes::from_static(b"first")).await.unwrap();
    sender.send(Bytes::from_static(b" second")).await.unwrap();
    gateway.signal("TERM");
    let start = Instant::now();
    while let Ok(mut stream) = TcpStream::connect(gateway.addr).await {
        let request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let mut answer = String::new();
        // One that waited in the queue when it closed is reset.
        if stream.write_all(request).await.is_ok() {
            let _ = stream.read_to_string(&mut answer).await;
        }
        assert!(
            answer.is_empty() || matches!(status(&answer), 200 | 503),
            "{answer}"
        );
        assert!(start.elapsed() < Duration::from_secs(10), "still open");
    }
    let ready = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(status(&raw(gateway.debug_addr, ready).await), 503);
    sender.send(Bytes::from_static(b" third")).await.unwrap();
    drop(sender);
    upload.await.unwrap().is(200);
    let seen = backend.take_seen();
    let upload = seen.iter().find(|seen| seen.method == "PUT").unwrap();
    assert_eq!(upload.body.start, b"first second third");
    assert!(gateway.ended().await.success());
}

#[tokio::test]
async fn a_process_without_requests_ends_at_once_when_told() {
    for signal in ["TERM", "INT"] {
        let (issuer, backend) = (FakeIssuer::start().await, FakeBackend::start().await);
        let mut gateway = process(&issuer, &backend).await;
        // An idle connection is no reason to wait.
        let _idle = TcpStream::connect(gateway.addr).await.unwrap();
        Call::new(gateway.addr, "GET", "/a").send().await.is(200);
        let start = Instant::now();
        gateway.signal(signal);
        assert!(gateway.ended().await.success(), "{signal}");
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{:?}",
            start.elapsed()
        );
    }
}

#[tokio::test]
async fn what_the_end_of_the_drain_cuts_is_logged_as_that_and_not_as_a_client_that_left() {
    let (issuer, backend) = (FakeIssuer::start().await, FakeBackend::start().await);
    let short = [("PROXY_SHUTDOWN_TIMEOUT", "300ms")];
    let mut gateway = process_with(&issuer, &backend, &short).await;
    backend.takes_over(|request| async move {
        if request.uri().path() == "/silent" {
            return std::future::pending().await;
        }
        let first = stream::iter([Ok(Frame::data(Bytes::from_static(b"first")))]);
        let frames = futures_util::StreamExt::chain(first, stream::pending());
        http::Response::new(StreamBody::new(frames).boxed())
    });
    let silent = tokio::spawn(Call::new(gateway.addr, "GET", "/silent").try_open());
    backend.next_request().await;
    let answer = Call::new(gateway.addr, "GET", "/download").open().await;
    let mut download = answer.into_body();
    download.frame().await.unwrap().unwrap();
    gateway.signal("TERM");
    assert!(
        download.frame().await.is_none_or(|frame| frame.is_err()),
        "cut"
    );
    assert!(silent.await.unwrap().is_err());
    gateway.ended().await;
    let log = gateway.log();
    for (path, status) in [("/silent", 503), ("/download", 200)] {
        let path = format!("\"path\":\"{path}\"");
        let line = log.lines().find(|line| line.contains(&path)).unwrap();
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (&line["status"], &line["reason"]),
            (&json!(status), &json!("draining"))
        );
    }
}

#[tokio::test]
async fn a_second_signal_ends_a_drain_within_two_seconds() {
    let (issuer, backend) = (FakeIssuer::start().await, FakeBackend::start().await);
    let mut gateway = process(&issuer, &backend).await;
    backend.takes_over(|_| std::future::pending());
    let call = Call::new(gateway.addr, "GET", "/a");
    let request = tokio::spawn(call.try_open());
    backend.next_request().await;
    gateway.signal("TERM");
    let start = Instant::now();
    while TcpStream::connect(gateway.addr).await.is_ok() {
        assert!(start.elapsed() < Duration::from_secs(10), "still open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let again = Instant::now();
    gateway.signal("TERM");
    gateway.ended().await;
    assert!(
        again.elapsed() < Duration::from_secs(4),
        "{:?}",
        again.elapsed()
    );
    request.abort();
}

#[tokio::test]
async fn a_hang_up_reloads_and_does_not_end() {
    let (issuer, backend) = (FakeIssuer::start().await, FakeBackend::start().await);
    let mut gateway = process(&issuer, &backend).await;
    gateway.signal("HUP");
    Call::new(gateway.addr, "GET", "/a").send().await.is(200);
    gateway.signal("TERM");
    assert!(gateway.ended().await.success());
}
