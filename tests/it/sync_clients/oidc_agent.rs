//! oidc-agent keeps the session and gives rclone its tokens.

use std::fs;
use std::process::Command;

use super::{World, run, text};
use serde_json::json;

use crate::support::files::{Folder, hashes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rclone_gets_its_tokens_from_oidc_agent() {
    let world = World::new().await;
    let agent = Agent::start().await;
    let login = world
        .provider
        .log_in(json!({"account": "mary", "client": "oidc-agent"}))
        .await;
    let refresh = login.tokens["refresh_token"].as_str().unwrap();
    agent.add_account(world.provider.issuer(), refresh).await;

    let here = Folder::new("here");
    for number in 0..10 {
        fs::write(here.0.join(format!("{number}.txt")), number.to_string()).unwrap();
    }
    let variables = [("OIDC_SOCK", agent.socket.as_str())];
    world
        .rclone(
            &["sync", here.path(), "dav:"],
            "oidc-token my-cloud",
            &variables,
        )
        .await;
    assert_eq!(here.hashes(), hashes(&world.server.store()));
    let accounts = world.gateway.accounts();
    assert_eq!(accounts[0].username, "mary");
    world.gateway.stop().await;
}

/// A running agent with a home of its own. Killed when dropped.
struct Agent {
    home: Folder,
    socket: String,
    pid: String,
}

impl Agent {
    async fn start() -> Self {
        let home = Folder::new("agent");
        fs::create_dir(home.0.join(".oidc-agent")).unwrap();
        let mut command = Command::new("oidc-agent");
        command.env("HOME", &home.0);
        let output = run(command).await;
        let said = text(&output);
        let value = |name: &str| {
            let start = said
                .find(name)
                .unwrap_or_else(|| panic!("no {name} in {said}"));
            let value = &said[start + name.len() + 1..];
            value[..value.find(';').unwrap()].to_owned()
        };
        Self {
            socket: value("OIDC_SOCK"),
            pid: value("OIDCD_PID"),
            home,
        }
    }

    /// An account from a refresh token, as after a login in the browser.
    async fn add_account(&self, issuer: &str, refresh_token: &str) {
        let mut command = Command::new("oidc-gen");
        command
            .env("HOME", &self.home.0)
            .env("OIDC_SOCK", &self.socket)
            .env("OIDC_ENCRYPTION_PW", "of-no-importance")
            .env("OIDC_REFRESH_TOKEN", refresh_token)
            .args(["--issuer", issuer, "--client-id=oidc-agent"])
            .args([
                "--client-secret=oidc-agent-secret",
                "--rt-env",
                "--flow=refresh",
            ])
            .args([
                "--scope",
                "openid offline_access profile email roles groups",
            ])
            .args([
                "--redirect-uri=http://localhost:12345",
                "--pw-env",
                "--prompt=none",
            ])
            .args(["--confirm-default", "my-cloud"]);
        let output = run(command).await;
        assert!(output.status.success(), "oidc-gen: {}", text(&output));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(&self.pid).status();
    }
}
