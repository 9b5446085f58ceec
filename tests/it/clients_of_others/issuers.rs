//! Clients of issuers, with the issuer behind the gateway and under its name: openid-client, and the SDK of the Model Context
//! Protocol, which finds the issuer by what the gateway says of the resource.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::backend::{FakeBackend, Told, reply};
use crate::support::free_address;
use crate::support::gateway::TestGateway;
use crate::support::oidc_provider::OidcProvider;
use crate::support::tools::{lines, node, run};

/// The issuer on an open route, and `resource` on one that is not.
async fn behind_the_gateway(resource: Value) -> (OidcProvider, TestGateway, String) {
    let address = free_address().to_string();
    let url = format!("http://{address}");
    let provider = OidcProvider::start(&["--issuer", &url]).await;
    let issuer = json!({
        "endpoint": "/", "backend": format!("http://{}", provider.addr()),
        "unprotected": true, "identity": "none",
    });
    let gateway = TestGateway::new()
        .var("PROXY_HTTP_ADDR", &address)
        .var("OC_URL", &url)
        .var("PROXY_OIDC_ISSUER", &url)
        .var("PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD", "none")
        .raw_route(resource)
        .raw_route(issuer)
        .spawn()
        .await;
    (provider, gateway, url)
}

async fn told(mut script: Command, arguments: &[&str]) -> Vec<String> {
    script.args(arguments);
    let output = run(script).await;
    let lines = lines(&output);
    assert!(output.status.success(), "{lines:#?}");
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openid_client_logs_in_refreshes_and_reads_the_challenge() {
    let backend = FakeBackend::told(Told::Headers).await;
    backend.answers(|seen| reply(seen.header("remote-user").unwrap_or("nobody").to_owned()));
    let resource = json!({"endpoint": "/files/", "backend": backend.url(), "identity": "headers"});
    let (_provider, gateway, url) = behind_the_gateway(resource).await;
    let told = told(node("openid.mjs"), &[&url, &format!("{url}/files/a")]).await;
    let challenge = r#"rubbish {"refused":"WWWAuthenticateChallengeError","challenges":[["bearer",["realm","charset","error","error_description","resource_metadata"]]]}"#;
    let expected = [
        "discovery true",
        r#"login ["bearer","sub-mary"]"#,
        r#"userinfo "mary""#,
        r#"resource [200,"mary"]"#,
        r#"refresh [200,"mary"]"#,
        challenge,
        r#"revocation "done""#,
    ];
    assert_eq!(told, expected);
    gateway.stop().await;
}

/// The counting server. Ends when dropped.
struct McpServer {
    child: Child,
    port: String,
}

impl McpServer {
    async fn start() -> Self {
        let mut command = node("mcp-server.mjs");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let first_line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).unwrap();
            line
        });
        let port = first_line.await.unwrap().trim().to_owned();
        Self { child, port }
    }
}

impl Drop for McpServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mcp_sdk_finds_the_issuer_logs_in_and_is_told_the_same_as_without_the_gateway() {
    let server = McpServer::start().await;
    let at = format!("http://127.0.0.1:{}", server.port);
    let direct = told(node("mcp.mjs"), &[&format!("{at}/mcp"), "open"]).await;
    assert!(
        direct.iter().any(|line| line.contains("\"42\"")),
        "{direct:#?}"
    );
    let resource = json!({"endpoint": "/mcp", "backend": at, "identity": "headers"});
    let (_provider, gateway, url) = behind_the_gateway(resource).await;
    let guarded = told(node("mcp.mjs"), &[&format!("{url}/mcp")]).await;
    assert_eq!(guarded[0], "asked to log in true");
    assert_eq!(guarded[1..], direct);
    gateway.stop().await;
}
