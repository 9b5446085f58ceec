//! What somebody on call sees of a request: its access line, the metrics, the status page's data.

use serde_json::{Value, json};

use crate::support::backend::{FakeBackend, Told, reply};
use crate::support::client::{Call, raw, status};
use crate::support::gateway::TestGateway;
use crate::support::issuer::FakeIssuer;
use crate::support::process::GatewayProcess;
use crate::support::until;

#[tokio::test]
async fn a_request_is_seen_with_user_route_and_backend_in_line_metrics_and_status() {
    let issuer = FakeIssuer::start().await;
    let (backend, failing) = (
        FakeBackend::told(Told::Headers).await,
        FakeBackend::told(Told::Headers).await,
    );
    failing.answers(|_| {
        let mut answer = reply("no");
        *answer.status_mut() = http::StatusCode::BAD_GATEWAY;
        answer
    });
    let dead = format!("http://{}", crate::support::free_address());
    let gateway = TestGateway::new()
        .issuer(&issuer)
        .backend("/files/", &backend)
        .backend("/failing/", &failing)
        .raw_route(json!({"endpoint": "/away/", "backend": dead, "unprotected": true}))
        .spawn()
        .await;
    let token = issuer.token("mara").sign();
    let agent = format!("rclone/1.60 {}", "x".repeat(400));
    let put = gateway.call("PUT", "/files/on-call").bearer(&token);
    put.header("user-agent", &agent)
        .body("hello")
        .send()
        .await
        .is(200);
    gateway
        .get("/failing/on-call")
        .bearer(&token)
        .send()
        .await
        .is(502);
    gateway.get("/away/on-call").send().await.is(502);

    let lines = || {
        let all = gateway.log_lines("access-log");
        let own = |line: &Value| {
            line["path"]
                .as_str()
                .is_some_and(|path| path.ends_with("/on-call"))
        };
        all.into_iter().filter(own).collect::<Vec<Value>>()
    };
    until("three access lines", || lines().len() == 3).await;
    let lines = lines();
    let line = |path: &str| lines.iter().find(|line| line["path"] == path).unwrap();
    let id = gateway.accounts()[0].id.clone();
    let put = line("/files/on-call");
    let address = backend.url().replace("http://", "");
    for (field, wanted) in [
        ("user", json!(id)),
        ("route", json!("/files/")),
        ("backend", json!(address)),
        ("backend-status", json!(200)),
        ("bytes-in", json!(5)),
        ("user-agent", json!(agent[..256])),
    ] {
        assert_eq!(put[field], wanted, "{field} of {put}");
    }
    let (waited, all) = (put["backend-duration"].as_f64(), put["duration"].as_f64());
    assert!(waited.unwrap() > 0.0 && waited <= all, "{put}");
    let away = line("/away/on-call");
    assert_eq!(away["backend-status"], Value::Null, "nobody answered");
    assert_eq!(away["user"], Value::Null, "nobody is known");
    assert_eq!(away["reason"], "backend_unreachable");
    assert_eq!(line("/failing/on-call")["backend-status"], 502);

    let (status, metrics) = gateway.debug("/metrics").await;
    assert_eq!(status, 200);
    for wanted in [
        format!("route_requests_total{{route=\"/files/\",backend=\"{address}\",class=\"2xx\"}} 1"),
        format!(
            "backend_answers_total{{backend=\"{address}\",endpoint=\"{address}\",class=\"2xx\"}} 1"
        ),
        format!(
            "issuer_requests_total{{issuer=\"{}\",class=\"2xx\"}} 1",
            issuer.url()
        ),
        format!("issuer_ready{{issuer=\"{}\"}} 1", issuer.url()),
        "faults_total{whose=\"backend\"} 2".to_owned(),
        "faults_total{whose=\"gateway\"} 0".to_owned(),
    ] {
        assert!(metrics.contains(&wanted), "{wanted} is not in\n{metrics}");
    }
    assert!(
        metrics
            .lines()
            .any(|line| line.starts_with("process_open_fds "))
    );

    let (status, text) = gateway.debug("/status.json").await;
    assert_eq!(status, 200);
    for personal in ["mara", id.as_str(), token.as_str(), "on-call"] {
        assert!(!text.contains(personal), "{personal} is in {text}");
    }
    let body = text.rsplit("\r\n\r\n").next().unwrap();
    let seen: Value = serde_json::from_str(body).unwrap();
    assert_eq!(seen["ready"], true);
    assert_eq!(seen["routes"][0]["route"], "/files/");
    assert_eq!(seen["issuers"][0]["ready"], true);
    let hour = seen["hour"]["refusals"]["backend_unreachable"].as_array();
    assert_eq!(hour.unwrap().last().unwrap(), 1);
    let backends = seen["counted"]["backends"].as_array().unwrap();
    let failed = backends
        .iter()
        .find(|one| one["endpoint"] == dead.replace("http://", ""));
    let last = &failed.unwrap()["last_failure"]["text"];
    assert!(last.as_str().unwrap().contains("not reachable"), "{last}");
    gateway.stop().await;
}

#[tokio::test]
async fn a_reload_makes_new_routes_count_and_old_ones_go_on() {
    let issuer = FakeIssuer::start().await;
    let backend = FakeBackend::told(Told::Headers).await;
    let mut gateway = TestGateway::new()
        .issuer(&issuer)
        .open("/old/", &backend)
        .spawn()
        .await;
    gateway.get("/old/a").send().await.is(200);
    let url = backend.url().to_owned();
    let is_in_force = gateway
        .reload(|yaml| {
            let routes = yaml["policies"][0]["routes"].as_array_mut().unwrap();
            routes.insert(
                0,
                json!({"endpoint": "/new/", "backend": url, "unprotected": true}),
            );
        })
        .await;
    assert!(is_in_force);
    gateway.get("/old/a").send().await.is(200);
    gateway.get("/new/a").send().await.is(200);
    let (_, metrics) = gateway.debug("/metrics").await;
    for (route, count) in [("/old/", 2), ("/new/", 1)] {
        let line = metrics.lines().find(|line| {
            line.contains("route_requests_total") && line.contains(&format!("route=\"{route}\""))
        });
        assert!(line.unwrap().ends_with(&format!(" {count}")), "{line:?}");
    }
    gateway.stop().await;
}

/// From `warn`, which has no access lines, up and back without a restart: by a reload and by the debug listener.
#[tokio::test]
async fn the_level_of_the_log_is_changed_in_a_running_process() {
    let issuer = FakeIssuer::start().await;
    let vars = [
        ("PROXY_LOG_LEVEL", ""),
        ("PROXY_OIDC_ISSUER", issuer.url()),
        ("PROXY_DEBUG_TOKEN", "debug-token"),
    ];
    let server = GatewayProcess::start(&json!({}), &vars).await;
    let asked = async |path: &str| {
        Call::new(server.addr, "GET", path).send().await.is(404);
    };
    let has_line = |path: &str| {
        let path = format!("\"path\":\"{path}\"");
        let is_access_line = |line: &str| line.contains("access-log") && line.contains(&path);
        server.log().lines().any(is_access_line)
    };
    let log = async |method: &str, query: &str, token: &str| {
        let head = "Host: localhost\r\nConnection: close\r\nAuthorization: Bearer";
        let request = format!("{method} /log{query} HTTP/1.1\r\n{head} {token}\r\n\r\n");
        raw(server.debug_addr, request.as_bytes()).await
    };
    let level = async || log("GET", "", "debug-token").await;
    let is_level = |answer: &str, level: &str| {
        let body = format!("\r\n\r\n{{\"level\":\"{level}\"}}");
        assert!(answer.ends_with(&body), "{answer}");
    };
    asked("/healthz").await;
    assert_eq!(status(&log("PUT", "?level=info", "wrong").await), 401);
    assert_eq!(status(&log("PUT", "?level=loud", "debug-token").await), 400);
    is_level(&level().await, "warn");
    assert_eq!(status(&log("PUT", "?level=info", "debug-token").await), 200);
    is_level(&level().await, "info");
    // A worker hears of it between two requests, and writes a line a moment after its request.
    let two = "/readyz";
    for _ in 0..1000 {
        asked(two).await;
        if has_line(two) {
            break;
        }
    }
    until("an access line", || has_line(two)).await;
    assert!(!has_line("/healthz"));

    server.write(&json!({"log": {"level": "error"}}));
    server.signal("HUP");
    let by_reload = || server.log().contains("\"by\":\"a reload\"");
    until("the reload's level", by_reload).await;
    is_level(&level().await, "error");
    let refused = Call::new(server.addr, "GET", "/graph/v1.0/me");
    refused.send().await.is(401);
    assert!(!server.log().contains("no_credential"), "{}", server.log());
}
