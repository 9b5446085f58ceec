//! Answers of backends as clients may see them (docs/design/design.md 2, Answers of backends).

use http::StatusCode;
use serde_json::json;

use crate::support::backend::{FakeBackend, Told, reply};
use crate::support::client::{raw, status};
use crate::support::gateway::TestGateway;
use crate::support::issuer::FakeIssuer;
use crate::support::raw_backend::{RawBackend, Then};

async fn open(backend: &FakeBackend) -> (FakeIssuer, TestGateway) {
    let issuer = FakeIssuer::start().await;
    let gateway = TestGateway::new().issuer(&issuer).open("/data", backend);
    let gateway = gateway.spawn().await;
    (issuer, gateway)
}

#[tokio::test]
async fn issue_15_23_a_length_that_is_no_plain_number_is_502() {
    let issuer = FakeIssuer::start().await;
    let lengths = [
        ("Content-Length: 2, 2", false),
        ("Content-Length: 2,2", false),
        ("Content-Length: 02", false),
        ("Content-Length: 00", false),
        ("Content-Length: +2", false),
        ("Content-Length: -2", false),
        ("Content-Length: 0x2", false),
        ("Content-Length: 2 2", false),
        ("Content-Length: ", false),
        ("Content-Length: 2\r\nContent-Length: 2", false),
        ("Content-Length: 2\r\nTransfer-Encoding: chunked", false),
        ("Content-Length: 2", true),
        ("X-Test-Length: none", true),
    ];
    for (length, is_fine) in lengths {
        let answer = format!("HTTP/1.1 200 OK\r\n{length}\r\nConnection: close\r\n\r\nok");
        let answer: &'static [u8] = Box::leak(answer.into_bytes().into_boxed_slice());
        let backend = RawBackend::start(answer, Then::Close).await;
        let gateway = TestGateway::new()
            .issuer(&issuer)
            .raw_route(backend.open_route("/data"))
            .spawn()
            .await;
        for h2 in [false, true] {
            let call = gateway.get("/data/x");
            let call = if h2 { call.h2() } else { call };
            let answer = call.send().await;
            if is_fine {
                answer.is(200);
                assert_eq!(answer.text(), "ok", "{length}");
            } else {
                answer.refused(502, "backend_malformed");
            }
        }
        gateway.stop().await;
    }
}

#[tokio::test]
async fn issue_15_23_a_204_has_no_length_on_either_protocol() {
    let issuer = FakeIssuer::start().await;
    let answer = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n";
    let backend = RawBackend::start(answer, Then::Close).await;
    let gateway = TestGateway::new()
        .issuer(&issuer)
        .raw_route(backend.open_route("/data"))
        .spawn()
        .await;
    for method in ["GET", "PUT", "DELETE", "HEAD"] {
        for h2 in [false, true] {
            let call = gateway.call(method, "/data/x");
            let call = if h2 { call.h2() } else { call };
            let answer = call.send().await;
            answer.is(204);
            assert_eq!(answer.header("content-length"), None, "{method}");
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn issue_15_23_answers_have_up_to_256_header_fields() {
    let answers = |count: usize| {
        move |_: &_| {
            let mut answer = reply("ok");
            for number in 0..count {
                let name: http::HeaderName = format!("x-test-{number}").parse().unwrap();
                let value = http::HeaderValue::from_static("0123456789abcdef0123456789abcdef");
                answer.headers_mut().insert(name, value);
            }
            answer
        }
    };
    let plain = FakeBackend::start().await;
    let (with_tls, pem) = FakeBackend::with_tls().await;
    let folder = crate::support::files::Folder::new("answers");
    let file = folder.0.join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    let issuer = FakeIssuer::start().await;
    let gateway = TestGateway::new()
        .issuer(&issuer)
        .var("PROXY_HTTPS_CACERT", file.to_str().unwrap())
        .var("PROXY_TRANSPORT_CLIENT_FORCE_ATTEMPT_HTTP2", "true")
        .open("/plain", &plain)
        .open("/tls", &with_tls)
        .spawn()
        .await;
    for (path, backend) in [("/plain", &plain), ("/tls", &with_tls)] {
        // Content-Length and Date come on top.
        for (count, is_fine) in [(110, true), (254, true), (300, false)] {
            backend.answers(answers(count));
            for h2 in [false, true] {
                let call = gateway.get(path);
                let call = if h2 { call.h2() } else { call };
                let answer = call.send().await;
                if is_fine {
                    answer.is(200);
                    assert!(answer.header(&format!("x-test-{}", count - 1)).is_some());
                } else {
                    answer.refused(502, "backend_malformed");
                }
            }
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn issue_15_23_requests_have_up_to_128_header_fields_on_both_protocols() {
    let backend = FakeBackend::start().await;
    let (_issuer, gateway) = open(&backend).await;
    for (count, is_fine) in [
        (99, true),
        (126, true),
        (128, true),
        (129, false),
        (180, false),
    ] {
        for h2 in [false, true] {
            let mut call = gateway.get("/data/x");
            // Host is one of them on HTTP/1.1.
            let own = if h2 { 0 } else { 1 };
            for number in own..count {
                call = call.header(&format!("x-test-{number}"), "v");
            }
            let call = if h2 { call.h2() } else { call };
            let answer = call.send().await;
            if is_fine {
                answer.is(200);
                backend.the_request();
            } else {
                answer.refused(431, "header_too_large");
                backend.saw_nothing();
            }
        }
    }
    // Browsers send a line for each cookie on HTTP/2.
    let mut call = gateway.get("/data/x").h2();
    for number in 0..200 {
        call = call.header("cookie", &format!("c{number}=x"));
    }
    call.send().await.is(200);
    backend.the_request();
    gateway.stop().await;
}

#[tokio::test]
async fn issue_15_25_a_client_that_follows_comes_back_to_the_gateway() {
    let backend = FakeBackend::told(Told::Headers).await;
    let issuer = FakeIssuer::start().await;
    let gateway = TestGateway::new()
        .issuer(&issuer)
        .var("PROXY_TRUSTED_PROXIES", "127.0.0.0/8")
        .route(
            "/files/",
            &backend,
            json!({"unprotected": true, "strip_prefix": "true"}),
        )
        .route("/web/", &backend, json!({"unprotected": true}))
        .spawn()
        .await;
    let own = backend.url();
    for (path, told, expected) in [
        (
            "/web/a",
            format!("{own}/web/b"),
            "https://cloud.example/web/b",
        ),
        (
            "/web/a",
            "http://cloud.example/web/b".to_owned(),
            "https://cloud.example/web/b",
        ),
        (
            "/web/a",
            format!("//cloud.example:{}/b", backend.addr.port()),
            "https://cloud.example/b",
        ),
        (
            "/web/a",
            "https://idp.example/login".to_owned(),
            "https://idp.example/login",
        ),
        ("/web/a", "/web/b?c=d".to_owned(), "/web/b?c=d"),
        (
            "/files/a",
            format!("{own}/b"),
            "https://cloud.example/files/b",
        ),
        ("/files/a", "/b".to_owned(), "/files/b"),
        ("/files/a", "/files/b".to_owned(), "/files/b"),
        ("/files/a", "b".to_owned(), "b"),
    ] {
        let location = told.clone();
        backend.answers(move |_| {
            let mut answer = reply("");
            *answer.status_mut() = StatusCode::FOUND;
            answer
                .headers_mut()
                .insert("location", location.parse().unwrap());
            answer
        });
        for h2 in [false, true] {
            let call = gateway.get(path).header("X-Forwarded-Proto", "https");
            let call = if h2 { call.h2() } else { call };
            let answer = call.send().await;
            answer.is(302);
            assert_eq!(answer.header("location"), Some(expected), "{path}: {told}");
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_101_that_nobody_asked_for_is_502() {
    let issuer = FakeIssuer::start().await;
    let answer =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let backend = RawBackend::start(answer, Then::Wait).await;
    let gateway = TestGateway::new()
        .issuer(&issuer)
        .raw_route(backend.open_route("/data"))
        .spawn()
        .await;
    gateway
        .get("/data/x")
        .send()
        .await
        .refused(502, "backend_malformed");
    let post = "POST /data/x HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n";
    let answer = raw(gateway.addr, post.as_bytes()).await;
    assert_eq!(status(&answer), 502, "{answer}");
    gateway.stop().await;
}
