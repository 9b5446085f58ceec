//! Server-sent events and tunnels: at once, both ways, and ended with the session.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::backend::{ReplyBody, full};
use crate::support::world::World;

const PATIENCE: Duration = Duration::from_secs(20);

async fn next_event(body: &mut Incoming) -> Option<Bytes> {
    let frame = tokio::time::timeout(PATIENCE, body.frame())
        .await
        .expect("no event");
    Some(frame?.ok()?.into_data().unwrap())
}

#[tokio::test]
async fn events_are_passed_on_one_by_one_and_at_once() {
    let world = World::new().await;
    let token = world.issuer.token("mara").sign();
    for h2 in [false, true] {
        // Events of their own: the first stream may not know yet that its client left, and would take them.
        let permits = world.backend.sends_events();
        let call = world.get("/files/events").bearer(&token);
        let call = if h2 { call.h2() } else { call };
        let mut body = call.open().await.into_body();
        for _ in 0..3 {
            permits.add_permits(1);
            assert_eq!(next_event(&mut body).await.unwrap(), "data: x\n\n");
        }
    }
    drop(world.backend);
    world.gateway.stop().await;
}

#[tokio::test]
async fn events_end_when_the_account_is_disabled() {
    let world = World::new().await;
    let permits = world.backend.sends_events();
    let token = world.issuer.token("mara").expires_in(3600).sign();
    let mut body = world
        .get("/files/events")
        .bearer(&token)
        .open()
        .await
        .into_body();
    permits.add_permits(1);
    next_event(&mut body).await.unwrap();
    world.gateway.set_enabled("mara", false);
    world.gateway.clock.advance(31);
    world.request(&token).await.refused(403, "account_disabled");
    assert_eq!(next_event(&mut body).await, None);
    world.gateway.stop().await;
}

#[tokio::test]
async fn events_end_a_minute_after_their_token() {
    let world = World::new().await;
    let permits = world.backend.sends_events();
    let token = world.issuer.token("mara").expires_in(60).sign();
    let mut body = world
        .get("/files/events")
        .bearer(&token)
        .open()
        .await
        .into_body();
    world.gateway.clock.advance(70);
    permits.add_permits(1);
    assert!(next_event(&mut body).await.is_some(), "within the minute");
    world.gateway.clock.advance(60);
    assert_eq!(next_event(&mut body).await, None);
    world.gateway.stop().await;
}

/// Answers 101 and sends back what comes.
async fn echo(request: Request<Incoming>) -> Response<ReplyBody> {
    let mut answer = Response::new(full(""));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let websocket = HeaderValue::from_static("websocket");
    answer.headers_mut().insert("upgrade", websocket);
    let upgrade = HeaderValue::from_static("upgrade");
    answer.headers_mut().insert("connection", upgrade);
    tokio::spawn(async move {
        let tunnel = hyper::upgrade::on(request).await.unwrap();
        let (mut from, mut to) = tokio::io::split(TokioIo::new(tunnel));
        let _ = tokio::io::copy(&mut from, &mut to).await;
    });
    answer
}

async fn open_tunnel(world: &World, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(world.gateway.addr).await.unwrap();
    let head = format!(
        "GET /files/socket HTTP/1.1\r\nHost: cloud.example\r\nAuthorization: Bearer {token}\r\n\
         Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(
            tokio::time::timeout(PATIENCE, stream.read_u8())
                .await
                .unwrap()
                .unwrap(),
        );
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    stream
}

#[tokio::test]
async fn a_websocket_is_tunneled_both_ways() {
    let world = World::new().await;
    world.backend.takes_over(echo);
    let token = world.issuer.token("mara").sign();
    let mut tunnel = open_tunnel(&world, &token).await;
    assert_eq!(
        world.backend.the_request().header("upgrade"),
        Some("websocket")
    );
    for message in [b"hello".as_slice(), &[0, 255, 13, 10], &[9; 5000]] {
        tunnel.write_all(message).await.unwrap();
        let mut back = vec![0; message.len()];
        let read = tunnel.read_exact(&mut back);
        tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
        assert_eq!(back, message);
    }
    drop(tunnel);
    world.gateway.stop().await;
}

#[tokio::test]
async fn a_tunnel_ends_when_its_account_is_disabled() {
    let world = World::new().await;
    world.backend.takes_over(echo);
    let token = world.issuer.token("mara").expires_in(3600).sign();
    let mut tunnel = open_tunnel(&world, &token).await;
    world.gateway.set_enabled("mara", false);
    world.gateway.clock.advance(31);
    world.request(&token).await.refused(403, "account_disabled");
    let mut rest = Vec::new();
    let end = tokio::time::timeout(PATIENCE, tunnel.read_to_end(&mut rest)).await;
    let _ = end.expect("the tunnel did not end");
    world.gateway.stop().await;
}

#[tokio::test]
async fn an_upgrade_without_a_token_is_a_401() {
    let world = World::new().await;
    let head = "GET /files/socket HTTP/1.1\r\nUpgrade: websocket";
    let answer = world.gateway.raw(head).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    world.backend.saw_nothing();
    world.gateway.stop().await;
}
