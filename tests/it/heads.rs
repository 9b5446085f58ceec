//! Heads that are refused before anybody looks at what they ask for: sizes, `Expect`, methods, unread bodies.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt as _;

use crate::support::backend::FakeBackend;
use crate::support::client::{raw, status};
use crate::support::gateway::TestGateway;
use crate::support::issuer::FakeIssuer;
use crate::support::until;
use crate::support::world::World;

/// An open route, so that nothing but the head decides.
async fn open() -> (FakeIssuer, FakeBackend, TestGateway) {
    let issuer = FakeIssuer::start().await;
    let backend = FakeBackend::start().await;
    let gateway = TestGateway::new()
        .issuer(&issuer)
        .open("/data", &backend)
        .spawn()
        .await;
    (issuer, backend, gateway)
}

#[tokio::test]
async fn row_18_a_block_above_64_kib_is_431_with_a_reason_in_both_protocols() {
    let (_issuer, backend, gateway) = open().await;
    for (headers, fits) in [(60, true), (66, false)] {
        for h2 in [false, true] {
            let mut call = gateway.get("/data/x");
            for number in 0..headers {
                call = call.header(&format!("x-test-{number}"), &"v".repeat(1000));
            }
            let call = if h2 { call.h2() } else { call };
            let answer = call.send().await;
            if fits {
                answer.is(200);
                backend.the_request();
            } else {
                answer.refused(431, "header_too_large");
                backend.saw_nothing();
            }
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn row_18_heads_that_cannot_be_read_get_an_answer_like_any_other_refusal() {
    let (_issuer, backend, gateway) = open().await;
    let many: String = (0..129).map(|n| format!("X-{n}: 1\r\n")).collect();
    let long = "a".repeat(70_000);
    for (head, expected, reason) in [
        (
            format!("GET /data/x HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
            431,
            "header_too_large",
        ),
        (
            format!("GET /data/{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
            414,
            "target_too_long",
        ),
        (
            "GET /data/x HTTP/1.1\r\nHost : a\r\n\r\n".to_owned(),
            400,
            "unreadable_head",
        ),
    ] {
        let answer = raw(gateway.addr, head.as_bytes()).await;
        assert_eq!(status(&answer), expected, "{answer}");
        let (fields, body) = answer.split_once("\r\n\r\n").unwrap();
        let fields: Vec<_> = fields
            .split("\r\n")
            .filter_map(|line| line.split_once(": "))
            .collect();
        let field = |name: &str| {
            let mut values = fields
                .iter()
                .filter(|(field, _)| field.eq_ignore_ascii_case(name));
            let (_, value) = values
                .next()
                .unwrap_or_else(|| panic!("no {name}: {answer}"));
            assert!(values.next().is_none(), "{name} stands twice: {answer}");
            *value
        };
        assert_eq!(field("connection"), "close");
        assert_eq!(field("x-content-type-options"), "nosniff");
        assert_eq!(field("content-length"), body.len().to_string());
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let id = field("x-request-id");
        assert_eq!(
            (&body["reason"], &body["request-id"]),
            (&reason.into(), &id.into())
        );
        until("a line of the refusal", || {
            gateway.log_lines("\"refused\"").iter().any(|line| {
                line["reason"] == reason
                    && line["status"] == expected
                    && line["client.address"] == "127.0.0.1"
                    && line["request-id"] == id
            })
        })
        .await;
    }
    backend.saw_nothing();
    gateway.stop().await;
}

#[tokio::test]
async fn row_19_a_target_above_16_kib_is_414_in_both_protocols() {
    let (_issuer, backend, gateway) = open().await;
    for length in [16 * 1024 + 1, 60 * 1024] {
        let target = format!("/data/{}", "a".repeat(length - "/data/".len()));
        let answer = gateway.get(&target).send().await;
        answer.refused(414, "target_too_long");
        let answer = gateway.get(&target).h2().send().await;
        answer.refused(414, "target_too_long");
    }
    backend.saw_nothing();
    gateway.stop().await;
}

#[tokio::test]
async fn row_29_each_expectation_has_to_be_100_continue() {
    let (_issuer, backend, gateway) = open().await;
    for expect in ["Expect: foo", "Expect: 100-continue\r\nExpect: foo"] {
        let answer = gateway
            .raw(&format!("GET /data/x HTTP/1.1\r\n{expect}"))
            .await;
        assert_eq!(status(&answer), 417, "{answer}");
    }
    backend.saw_nothing();
    gateway.stop().await;
}

#[tokio::test]
async fn row_26_two_credentials_are_400_on_open_routes_too() {
    let (_issuer, backend, gateway) = open().await;
    let head = "GET /data/x HTTP/1.1\r\nAuthorization: Bearer a\r\nAuthorization: Basic b";
    let answer = gateway.raw(head).await;
    assert_eq!(status(&answer), 400, "{answer}");
    assert!(answer.contains("dup_auth"), "{answer}");
    backend.saw_nothing();
    gateway.stop().await;
}

#[tokio::test]
async fn a_405_says_what_is_allowed() {
    let (_issuer, _backend, gateway) = open().await;
    let answer = gateway.call("FOO", "/data/x").send().await;
    answer.refused(405, "method_not_allowed");
    assert!(answer.header("allow").unwrap().contains("PUT"));
    gateway.stop().await;
}

#[tokio::test]
async fn row_28_a_refusal_says_that_it_leaves_a_long_body_unread() {
    let world = World::new().await;
    for (head, closes) in [
        ("Content-Length: 1000000", true),
        ("Transfer-Encoding: chunked", true),
        ("Content-Length: 4\r\nExpect: 100-continue", true),
        ("Content-Length: 4", false),
    ] {
        let rest = if closes { "" } else { "body" };
        let next = if closes {
            String::new()
        } else {
            "GET /files/b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned()
        };
        let request = format!("PUT /files/a HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n{rest}{next}");
        let answer = raw(world.gateway.addr, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        let answers = answer.matches("HTTP/1.1 401").count();
        assert_eq!(answers, if closes { 1 } else { 2 }, "{answer}");
        assert_eq!(answer.matches("connection: close").count(), 1, "{answer}");
    }
    world.backend.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn what_the_gateway_answers_to_head_has_a_length_and_no_body() {
    let world = World::with(|gateway| gateway.var("PROXY_OIDC_REWRITE_WELLKNOWN", "true")).await;
    for (target, expected) in [
        ("/files/a", 401),
        ("/.well-known/openid-configuration", 200),
        ("/files/../a", 400),
    ] {
        let full = world.get(target).send().await;
        for h2 in [false, true] {
            let call = world.gateway.call("HEAD", target);
            let call = if h2 { call.h2() } else { call };
            let answer = call.send().await;
            answer.is(expected);
            assert!(answer.body.is_empty());
            let length = answer.header("content-length");
            assert_eq!(length, full.header("content-length"), "{target}");
        }
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn row_28_a_refused_body_of_moderate_size_is_read_and_the_connection_serves_on() {
    let world = World::new().await;
    let body = "x".repeat(200_000);
    let head = format!(
        "PUT /files/a HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let next = "GET /files/b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let parts = [head.as_bytes(), body.as_bytes(), next.as_bytes()];
    let answer = in_parts(world.gateway.addr, &parts).await;
    assert_eq!(answer.matches("HTTP/1.1 401").count(), 2, "{answer}");
    world.backend.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn an_upload_refused_on_http_2_ends_without_a_reset() {
    let world = World::new().await;
    let (sender, parts) = tokio::sync::mpsc::channel(1);
    let call = world.gateway.call("PUT", "/files/a").h2();
    let call = call.header("Content-Length", "8");
    let answer = call.stream(Parts(parts).boxed()).open();
    let answer = answer.await;
    assert_eq!(answer.status(), 401);
    // Nobody closed the stream: the rest is still taken.
    for part in ["1234", "5678"] {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        sender.send(part).await.expect("the stream was reset");
    }
    let body = answer.into_body().collect().await;
    assert!(body.is_ok(), "{body:?}");
    world.gateway.stop().await;
}

/// A body that comes as the test sends it.
struct Parts(tokio::sync::mpsc::Receiver<&'static str>);

impl http_body::Body for Parts {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        let part = self.0.poll_recv(cx);
        part.map(|part| Some(Ok(Frame::data(part?.into()))))
    }
}

/// The same as [`raw`], with a pause between the parts.
async fn in_parts(addr: std::net::SocketAddr, parts: &[&[u8]]) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    for part in parts {
        stream.write_all(part).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn rows_2_to_10_and_25_ambiguous_framing_is_400_and_the_connection_closed() {
    let (_issuer, backend, gateway) = open().await;
    let post = "POST /data/x HTTP/1.1\r\nHost: a\r\n";
    let chunks = "\r\n0\r\n\r\n";
    for request in [
        format!("{post}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
        format!("{post}Content-Length: 0003\r\n\r\nabc"),
        format!("{post}Transfer-Encoding: gzip, chunked\r\n{chunks}"),
        format!("{post}Transfer-Encoding: chunked, chunked\r\n{chunks}"),
        format!("{post}Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n{chunks}"),
        format!("{post}Connection: content-length\r\nContent-Length: 3\r\n\r\nabc"),
        format!("{}{post}\r\n", "\r\n".repeat(1000)),
        "GET /data/x HTTP/1.1\nHost: a\n\n".to_owned(),
    ] {
        let smuggled = "GET /data/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
        let began = std::time::Instant::now();
        let answer = raw(gateway.addr, format!("{request}{smuggled}").as_bytes()).await;
        assert_eq!(status(&answer), 400, "{request:?}: {answer}");
        assert_eq!(
            answer.matches("HTTP/1.1 ").count(),
            1,
            "{request:?}: {answer}"
        );
        assert!(answer.contains("framing"), "{request:?}: {answer}");
        assert!(began.elapsed() < std::time::Duration::from_millis(2500));
    }
    backend.saw_nothing();
    gateway.stop().await;
}

#[tokio::test]
async fn rows_10_and_57_an_odd_head_behind_another_in_one_packet_is_400_and_that_one_is_served() {
    let (_issuer, backend, gateway) = open().await;
    let first = "GET /data/first HTTP/1.1\r\nHost: a\r\n\r\n";
    let last = "GET /data/last HTTP/1.1\r\nHost: a\r\n\r\n";
    for odd in [
        "GET /data/#/x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /data/x HTTP/1.1\nHost: a\r\n\r\n",
        "POST /data/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    ] {
        let answer = raw(gateway.addr, format!("{first}{odd}{last}").as_bytes()).await;
        let statuses: Vec<&str> = answer
            .match_indices("HTTP/1.1 ")
            .map(|(at, _)| &answer[at + 9..at + 12])
            .collect();
        assert_eq!(statuses, ["200", "400"], "{odd:?}: {answer}");
        assert_eq!(backend.the_request().target, "/data/first", "{odd:?}");
    }
    gateway.stop().await;
}
