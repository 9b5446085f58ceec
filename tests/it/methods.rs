//! Methods that go nowhere, hops that are counted, and who may change a connection's protocol.

use http::StatusCode;

use crate::support::backend::{FakeBackend, Told, reply};
use crate::support::client::{raw, status};
use crate::support::gateway::TestGateway;
use crate::support::issuer::FakeIssuer;

/// A protected and an open route of one backend that is told the reva token.
struct World {
    issuer: FakeIssuer,
    backend: FakeBackend,
    gateway: TestGateway,
}

impl World {
    async fn new() -> Self {
        let issuer = FakeIssuer::start().await;
        let backend = FakeBackend::told(Told::Reva).await;
        let gateway = TestGateway::new()
            .issuer(&issuer)
            .backend("/dav/", &backend)
            .open("/data", &backend)
            .spawn()
            .await;
        Self {
            issuer,
            backend,
            gateway,
        }
    }
}

#[tokio::test]
async fn issue_15_7_trace_goes_nowhere() {
    let world = World::new().await;
    let token = world.issuer.token("mara").sign();
    for method in ["TRACE", "TRACK", "trace"] {
        for path in [
            "/dav/spaces/a",
            "/dav/public-files/link/a",
            "/data/x",
            "/.well-known/x",
        ] {
            for h2 in [false, true] {
                let call = world.gateway.call(method, path).bearer(&token);
                let call = if h2 { call.h2() } else { call };
                let answer = call.header("Max-Forwards", "3").send().await;
                answer.refused(405, "method_not_allowed");
            }
        }
    }
    world.backend.saw_nothing();
    world.gateway.stop().await;
}

#[tokio::test]
async fn issue_15_26_options_counts_its_hops() {
    let world = World::new().await;
    for path in ["/dav/spaces/a", "/data/x"] {
        for h2 in [false, true] {
            let options = |hops: &str| {
                let call = world
                    .gateway
                    .call("OPTIONS", path)
                    .header("Max-Forwards", hops);
                if h2 { call.h2() } else { call }
            };
            for hops in ["0", "00"] {
                let answer = options(hops).send().await;
                assert!(answer.is(200).header("allow").is_some());
                world.backend.saw_nothing();
            }
            for (hops, left) in [
                ("1", "0"),
                ("10", "9"),
                ("99999999999999999999", "4294967294"),
                ("x", "x"),
                ("-1", "-1"),
            ] {
                options(hops).send().await.is(200);
                let seen = world.backend.the_request();
                assert_eq!(seen.header("max-forwards"), Some(left), "{hops}");
            }
        }
    }
    let get = world.gateway.get("/data/x").header("Max-Forwards", "0");
    get.send().await.is(200);
    let seen = world.backend.the_request();
    assert_eq!(seen.header("max-forwards"), Some("0"));
    world.gateway.stop().await;
}

#[tokio::test]
async fn issue_15_5_and_7_only_get_and_on_protected_routes_only_a_login_changes_the_protocol() {
    let world = World::new().await;
    let token = world.issuer.token("mara").sign();
    world.backend.answers(|seen| {
        let mut answer = reply("");
        if let Some(protocol) = seen.headers.get("upgrade") {
            *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            answer.headers_mut().insert("upgrade", protocol.clone());
            let upgrade = "upgrade".parse().unwrap();
            answer.headers_mut().insert("connection", upgrade);
        }
        answer
    });
    let ask = "Connection: close, Upgrade\r\nUpgrade: websocket";
    let bearer = format!("Authorization: Bearer {token}\r\n");
    for method in [
        "GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "OPTIONS", "HEAD", "LOCK",
    ] {
        for (path, login) in [
            ("/data/x", ""),
            ("/dav/spaces/a", bearer.as_str()),
            ("/dav/public-files/link/a", ""),
            ("/dav/public-files/link/a", bearer.as_str()),
        ] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: a\r\n{login}{ask}\r\nContent-Length: 0\r\n\r\n"
            );
            let answer = raw(world.gateway.addr, request.as_bytes()).await;
            let may = method == "GET" && (path == "/data/x" || !login.is_empty());
            assert_eq!(
                status(&answer),
                if may { 101 } else { 200 },
                "{request}{answer}"
            );
            let seen = world.backend.the_request();
            assert_eq!(seen.header("upgrade").is_some(), may, "{request}");
        }
    }
    let request = format!("OPTIONS /dav/spaces/a HTTP/1.1\r\nHost: a\r\n{ask}\r\n\r\n");
    let answer = raw(world.gateway.addr, request.as_bytes()).await;
    assert_eq!(status(&answer), 200, "{answer}");
    assert_eq!(world.backend.the_request().header("upgrade"), None);
    world.gateway.stop().await;
}

#[tokio::test]
async fn issue_15_5_a_426_says_what_to_change_to() {
    let world = World::new().await;
    world.backend.answers(|_| {
        let mut answer = reply("no");
        *answer.status_mut() = StatusCode::UPGRADE_REQUIRED;
        let upgrade = "upgrade".parse().unwrap();
        answer.headers_mut().insert("connection", upgrade);
        let protocol = "websocket".parse().unwrap();
        answer.headers_mut().insert("upgrade", protocol);
        answer
    });
    let answer = world.gateway.get("/data/x").send().await;
    answer.is(426);
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert_eq!(answer.header("connection"), Some("upgrade"));
    // HTTP/2 has no such header (RFC 9113 section 8.2.2), and the status alone says as much.
    let answer = world.gateway.get("/data/x").h2().send().await;
    answer.is(426);
    assert_eq!(answer.header("connection"), None);
    world.gateway.stop().await;
}

#[tokio::test]
async fn issue_15_23_what_http_1_0_expects_is_ignored() {
    let world = World::new().await;
    for expect in ["100-continue", "foo"] {
        let request = format!(
            "POST /data/x HTTP/1.0\r\nHost: a\r\nExpect: {expect}\r\nContent-Length: 4\r\n\r\nbody"
        );
        let answer = raw(world.gateway.addr, request.as_bytes()).await;
        assert_eq!(status(&answer), 200, "{answer}");
        assert!(!answer.contains(" 100 "), "{answer}");
        let seen = world.backend.the_request();
        assert_eq!(seen.header("expect"), None);
        assert_eq!(seen.body.start, b"body");
    }
    world.gateway.stop().await;
}

#[tokio::test]
async fn issue_15_23_an_empty_body_of_a_method_that_has_one_is_said_to_be_empty() {
    let world = World::new().await;
    for method in ["PUT", "POST", "PATCH", "PROPPATCH", "SEARCH", "REPORT"] {
        world
            .gateway
            .call(method, "/data/x")
            .h2()
            .send()
            .await
            .is(200);
        let over_http2 = world.backend.the_request();
        // The usual clients say it themselves; this one does not.
        let request = format!("{method} /data/x HTTP/1.1");
        assert_eq!(status(&world.gateway.raw(&request).await), 200, "{method}");
        let unsaid = world.backend.the_request();
        for seen in [over_http2, unsaid] {
            assert_eq!(seen.header("content-length"), Some("0"), "{method}");
            assert_eq!(seen.header("transfer-encoding"), None, "{method}");
        }
    }
    for method in ["GET", "DELETE", "PROPFIND", "OPTIONS"] {
        let request = format!("{method} /data/x HTTP/1.1");
        assert_eq!(status(&world.gateway.raw(&request).await), 200, "{method}");
        let seen = world.backend.the_request();
        assert_eq!(seen.header("content-length"), None, "{method}");
    }
    world.gateway.stop().await;
}
