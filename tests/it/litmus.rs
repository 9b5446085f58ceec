//! The WebDAV conformance suite `litmus`, against a WebDAV server directly and through the gateway: same results.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::json;

use crate::support::gateway::TestGateway;
use crate::support::hop::hop;
use crate::support::issuer::FakeIssuer;
use crate::support::webdav::WebDav;

/// One line a test, as `basic 3. mkcol pass`. What is said about a failure has ports in it and is left out.
async fn litmus(addr: SocketAddr) -> Vec<String> {
    let folder = std::env::temp_dir().join(format!("davgate-litmus-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir(&folder).unwrap();
    let mut command = Command::new("litmus");
    command
        .args(["--keep-going", &format!("http://{addr}/files/")])
        .current_dir(&folder);
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap_or_else(|error| panic!("litmus: {error}; run `make tools`"));
    std::fs::remove_dir_all(folder).unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut suite = String::new();
    let mut results = Vec::new();
    for line in text.split(['\n', '\r']) {
        if let Some(name) = line.strip_prefix("-> running `") {
            suite = name.trim_end_matches("':").to_owned();
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let verdict = words
            .iter()
            .find(|word| ["pass", "FAIL", "SKIPPED", "WARNING:"].contains(*word));
        if let (Some(verdict), Some(number)) = (verdict, words.first())
            && number.ends_with('.')
            && number.len() < 4
        {
            let name = words[1].trim_end_matches('.');
            results.push(format!("{suite} {number} {name} {verdict}"));
        }
    }
    results
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn litmus_says_the_same_of_a_server_and_of_the_gateway_before_it() {
    let server = WebDav::start().await;
    let direct = litmus(hop(server.addr, None).await).await;
    let passed = |suite: &str| {
        direct
            .iter()
            .filter(|line| line.starts_with(suite) && line.ends_with("pass"))
            .count()
    };
    // The server's own share is known, so that a run that tests nothing is seen.
    assert!(
        passed("basic") >= 14 && passed("copymove") >= 12 && passed("locks") >= 28,
        "{direct:#?}"
    );

    let server = WebDav::start().await;
    let issuer = FakeIssuer::start().await;
    let gateway = TestGateway::new()
        .issuer(&issuer)
        .raw_route(json!({"endpoint": "/", "backend": server.url(), "identity": "headers"}))
        .spawn()
        .await;
    let token = issuer.token("mara").sign();
    let through = litmus(hop(gateway.addr, Some(token)).await).await;
    assert_eq!(through, direct);
    gateway.stop().await;
}
