//! The conformance suite `h2spec` for HTTP/2.

use std::process::Command;

use crate::support::gateway::TestGateway;
use crate::support::installed::installed;
use crate::support::raw_backend::{RawBackend, Then};
use crate::support::tools::{lines, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2spec_finds_nothing() {
    // Some of it needs an answer of several frames.
    let body = "x".repeat(100_000);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{body}");
    let backend = RawBackend::start(answer.leak().as_bytes(), Then::Close).await;
    let gateway = TestGateway::new()
        .var("PROXY_OIDC_ISSUER", "http://127.0.0.1:1")
        // In plain text a wrong preface is HTTP/1.
        .var("PROXY_TLS", "true")
        .raw_route(backend.open_route("/"))
        .spawn()
        .await;
    let mut command = Command::new(installed("bin/h2spec"));
    let port = gateway.addr.port().to_string();
    command.args(["--tls", "--insecure", "--timeout", "10"]);
    command.args(["--host", "127.0.0.1", "--port", &port]);
    let output = run(command).await;
    let lines = lines(&output);
    let last = lines.last().map(String::as_str);
    assert_eq!(
        last,
        Some("145 tests, 145 passed, 0 skipped, 0 failed"),
        "{lines:#?}"
    );
    gateway.stop().await;
}
