//! `PROXY_COMPAT=auto`: the backends say which release they are, and its defaults apply (docs/design/design.md 1).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::StatusCode;
use serde_json::json;

use crate::support::backend::{FakeBackend, reply};
use crate::support::gateway::{Builder, TestGateway};
use crate::support::issuer::FakeIssuer;

fn served_by(issuer: &FakeIssuer, backend: &FakeBackend) -> Builder {
    TestGateway::new()
        .issuer(issuer)
        .yaml(
            "services",
            json!({"ocdav": backend.url(), "frontend": backend.url()}),
        )
        .raw_route(json!({"endpoint": "/", "service": "ocdav", "unprotected": true}))
}

/// The oldest release that the content security policy tells from the others, and the newest.
const OLD: &str = "opencloud-eu/awesome/";
const NEW: &str = "opencloud-eu/awesome-apps/";

async fn policy(gateway: &TestGateway) -> String {
    let answer = gateway.get("/x").send().await;
    answer.header("content-security-policy").unwrap().to_owned()
}

fn says(backend: &FakeBackend, version: &'static str) {
    backend.answers(move |seen| match seen.target.as_str() {
        "/status.php" => {
            reply(json!({"product": "OpenCloud", "productversion": version}).to_string())
        }
        _ => reply("ok"),
    });
}

#[tokio::test]
async fn the_release_that_answers_at_the_start_is_served_from_the_first_request_on() {
    let (issuer, backend) = (FakeIssuer::start().await, FakeBackend::start().await);
    says(&backend, "1.0.0");
    let gateway = served_by(&issuer, &backend).spawn().await;
    assert!(policy(&gateway).await.contains(OLD));
    assert!(!gateway.log_lines("defaults of opencloud-1").is_empty());
    gateway.stop().await;

    let gateway = served_by(&issuer, &backend)
        .var("PROXY_COMPAT", "opencloud-7")
        .spawn()
        .await;
    assert!(policy(&gateway).await.contains(NEW));
    gateway.stop().await;
}

#[tokio::test]
async fn a_backend_that_comes_later_is_asked_later() {
    let (issuer, backend) = (FakeIssuer::start().await, FakeBackend::start().await);
    let asked = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&asked);
    backend.answers(move |seen| {
        let mut answer = reply("not yet");
        if seen.target == "/status.php" {
            counted.fetch_add(1, Ordering::Relaxed);
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        answer
    });
    let gateway = served_by(&issuer, &backend).spawn().await;
    assert!(
        policy(&gateway).await.contains(NEW),
        "the newest until then"
    );
    assert!(asked.load(Ordering::Relaxed) > 0);
    says(&backend, "2.3.0");
    let begun = std::time::Instant::now();
    while !policy(&gateway).await.contains(OLD) {
        assert!(begun.elapsed().as_secs() < 30, "nobody asked again");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    gateway.stop().await;
}
