//! Large bodies both ways, trailers, `Expect`, cuts.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::backend::{ReplyBody, reply};
use crate::support::client::empty;
use crate::support::large::large;
use crate::support::world::World;

#[tokio::test]
async fn a_body_over_http_2_arrives_whole() {
    let world = World::with(|gateway| gateway).await;
    let token = world.issuer.token("mara").sign();
    let (body, hash) = large(8 << 20);
    let call = world.gateway.call("PUT", "/files/a").bearer(&token).h2();
    call.stream(body).send().await.is(200);
    let seen = world.backend.the_request();
    assert_eq!(seen.body.bytes, 8 << 20);
    assert!(seen.body.sha256 == hash, "the bytes differ");
    world.gateway.stop().await;
}

fn with_trailer(text: &'static str, name: &'static str) -> ReplyBody {
    let mut trailers = HeaderMap::new();
    trailers.insert(name, HeaderValue::from_static("abc"));
    let frames = [
        Ok(Frame::data(Bytes::from_static(text.as_bytes()))),
        Ok(Frame::trailers(trailers)),
    ];
    StreamBody::new(stream::iter(frames)).boxed()
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let world = World::new().await;
    let token = world.issuer.token("mara").sign();
    world.backend.answers(|_| {
        let mut answer = Response::new(with_trailer("down", "x-test-checksum"));
        let name = HeaderValue::from_static("x-test-checksum");
        answer.headers_mut().insert("trailer", name);
        answer
    });
    let call = world.gateway.call("PUT", "/files/a").bearer(&token).h2();
    let call = call
        .header("te", "trailers")
        .header("trailer", "x-test-checksum");
    let answer = call
        .stream(with_trailer("up", "x-test-checksum"))
        .send()
        .await;
    answer.is(200);
    let seen = world.backend.the_request();
    assert_eq!(seen.body.start, b"up");
    assert_eq!(seen.body.trailers.unwrap()["x-test-checksum"], "abc");
    assert_eq!(answer.text(), "down");
    assert_eq!(answer.trailers.unwrap()["x-test-checksum"], "abc");
    world.gateway.stop().await;
}

async fn send_head(world: &World, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(world.gateway.addr).await.unwrap();
    let head = format!("{head}\r\nHost: cloud.example\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// What the gateway says next.
async fn next(stream: &mut TcpStream) -> String {
    let mut buffer = vec![0; 65_536];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut buffer));
    let count = read.await.expect("nothing came").unwrap();
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

#[tokio::test]
async fn a_body_is_asked_for_only_after_authentication() {
    let world = World::new().await;
    let head = "PUT /files/a HTTP/1.1\r\nContent-Length: 4\r\nExpect: 100-continue";
    let mut stranger = send_head(&world, head).await;
    let answer = next(&mut stranger).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    world.backend.saw_nothing();

    let token = world.issuer.token("mara").sign();
    let mut mara = send_head(&world, &format!("{head}\r\nAuthorization: Bearer {token}")).await;
    let answer = next(&mut mara).await;
    assert!(answer.starts_with("HTTP/1.1 100"), "{answer}");
    mara.write_all(b"body").await.unwrap();
    let answer = next(&mut mara).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(world.backend.the_request().body.start, b"body");

    let answer = world
        .gateway
        .raw("PUT /files/a HTTP/1.1\r\nContent-Length: 0\r\nExpect: wonders")
        .await;
    assert!(answer.starts_with("HTTP/1.1 417"), "{answer}");
    world.gateway.stop().await;
}

#[tokio::test]
async fn an_upload_that_the_client_breaks_off_is_seen_as_broken_by_the_backend() {
    let world = World::new().await;
    let token = world.issuer.token("mara").sign();
    let head = format!(
        "PUT /files/a HTTP/1.1\r\nContent-Length: 1000000\r\nAuthorization: Bearer {token}"
    );
    let mut stream = send_head(&world, &head).await;
    stream.write_all(&[7; 1000]).await.unwrap();
    drop(stream);
    let seen = world.backend.next_request().await;
    assert!(seen.body.cut, "{seen:?}");
    world.gateway.stop().await;
}

#[tokio::test]
async fn f17_an_early_refusal_by_the_backend_reaches_the_client() {
    let world = World::new().await;
    let token = world.issuer.token("mara").sign();
    world.backend.takes_over(|_| async {
        let mut answer = reply("too large");
        *answer.status_mut() = http::StatusCode::PAYLOAD_TOO_LARGE;
        answer
    });
    for h2 in [false, true] {
        let call = world.gateway.call("PUT", "/files/a").bearer(&token);
        let call = if h2 { call.h2() } else { call };
        let answer = call.stream(large(4 << 20).0).send().await;
        assert_eq!(answer.status, 413, "h2: {h2}");
        assert_eq!(answer.text(), "too large");
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn an_answer_to_head_has_the_length_and_no_body() {
    let world = World::new().await;
    let token = world.issuer.token("mara").sign();
    world.backend.answers(|seen| {
        let mut answer = reply("");
        if seen.method == "HEAD" {
            let length = HeaderValue::from_static("12345");
            answer.headers_mut().insert("content-length", length);
        }
        answer
    });
    let call = world.gateway.call("HEAD", "/files/a").bearer(&token);
    let answer = call.stream(empty()).send().await;
    answer.is(200);
    assert_eq!(answer.header("content-length"), Some("12345"));
    world.gateway.stop().await;
}
