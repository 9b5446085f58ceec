//! rclone syncs through the gateway to a real WebDAV server, with tokens of a real provider, by itself and by
//! oidc-agent as the documentation of the platforms says.

mod oidc_agent;
mod rclone;

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::support::files::Folder;
use crate::support::gateway::TestGateway;
use crate::support::oidc_provider::OidcProvider;
use crate::support::webdav::{WebDav, rclone};

/// Provider, gateway and file server.
struct World {
    provider: OidcProvider,
    server: WebDav,
    home: Folder,
    gateway: TestGateway,
}

impl World {
    async fn new() -> Self {
        let provider = OidcProvider::start(&[]).await;
        let server = WebDav::start().await;
        let gateway = TestGateway::new()
            .var("PROXY_OIDC_ISSUER", provider.issuer())
            .var("PROXY_OIDC_ACCESS_TOKEN_VERIFY_METHOD", "none")
            .var("PROXY_OIDC_USERINFO_CACHE_TTL", "1h")
            .raw_route(json!({
                "endpoint": "/files/", "backend": server.url(), "identity": "headers",
            }))
            .spawn()
            .await;
        Self {
            provider,
            server,
            home: Folder::new("home"),
            gateway,
        }
    }

    /// `rclone COMMAND FROM TO`, where `dav:` stands for the gateway and tokens come from a command.
    async fn rclone(&self, command: &[&str], token_command: &str, variables: &[(&str, &str)]) {
        let url = format!("http://{}/files", self.gateway.addr);
        let mut rclone = rclone(&self.home.0);
        rclone
            .args(command)
            .args(["--size-only", "--retries", "1"])
            .env("RCLONE_CONFIG_DAV_TYPE", "webdav")
            .env("RCLONE_CONFIG_DAV_VENDOR", "other")
            .env("RCLONE_CONFIG_DAV_URL", url)
            .env("RCLONE_CONFIG_DAV_BEARER_TOKEN_COMMAND", token_command)
            .envs(variables.iter().copied());
        let output = run(rclone).await;
        assert!(
            output.status.success(),
            "rclone {command:?}: {}",
            text(&output)
        );
    }
}

/// Runs a command to its end.
async fn run(mut command: Command) -> Output {
    command.stdin(Stdio::null());
    let ended = tokio::task::spawn_blocking(move || command.output());
    let ended = tokio::time::timeout(Duration::from_secs(120), ended).await;
    let output = ended.expect("it did not end").unwrap();
    output.expect("it did not start")
}

fn text(output: &Output) -> String {
    let all = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&all).into_owned()
}
