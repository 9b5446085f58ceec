//! `PROXY_COMPAT=auto`: the backends say which release they are, and its defaults apply (docs/design/design.md 1).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::StatusCode;
use serde_json::json;

use crate::support::backend::{FakeBackend, reply};
use crate::support::gateway::{Builder, TestGateway};
use crate::support::issuer::FakeIssuer;
use crate::support::process::GatewayProcess;
use crate::support::until;

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

/// Names of services, variables and defaults of the wrong product: whoever started it that way hears it at the default level.
#[tokio::test]
async fn backends_of_the_other_product_are_told_with_the_flavour_to_set() {
    let (issuer, backend) = (FakeIssuer::start().await, FakeBackend::start().await);
    for (flavor, policy, product, version, other) in [
        ("opencloud", "default", "Infinite Scale", "7.1.2", "ocis"),
        ("ocis", "ocis", "OpenCloud", "4.0.3", "opencloud"),
    ] {
        backend.answers(move |seen| match seen.target.as_str() {
            "/status.php" => {
                reply(json!({"product": product, "productversion": version}).to_string())
            }
            _ => reply("ok"),
        });
        let yaml = json!({
            "services": {"ocdav": backend.url(), "frontend": backend.url()},
            "policies": [{"name": policy, "routes": [
                {"endpoint": "/", "service": "ocdav", "unprotected": true},
            ]}],
        });
        let vars = [
            ("PROXY_OIDC_ISSUER", issuer.url()),
            ("PROXY_LOG_LEVEL", ""),
            ("PROXY_FLAVOR", flavor),
        ];
        let gateway = GatewayProcess::start(&yaml, &vars).await;
        let told = format!("set PROXY_FLAVOR={other}");
        until(&told, || gateway.log().contains(&told)).await;
        let log = gateway.log();
        let line = log.lines().find(|line| line.contains(&told)).unwrap();
        assert!(line.contains("\"level\":\"warn\""), "{line}");
        assert!(line.contains(&format!("those of {flavor}")), "{line}");
        assert_eq!(log.matches(&told).count(), 1, "{log}");
    }
}
