//! Started by a service manager: the socket that it hands over, what it is told, and what the program says about itself.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::support::client::Call;
use crate::support::files::Folder;
use crate::support::gateway::VARIABLES;
use crate::support::until;

/// davgate as systemd starts it with `Type=notify-reload` and a socket unit.
struct Service {
    child: Child,
    told: UnixDatagram,
    _folder: Folder,
}

impl Service {
    fn start(socket: TcpListener) -> Self {
        let folder = Folder::new("service");
        let path = folder.0.join("notify");
        let told = UnixDatagram::bind(&path).unwrap();
        told.set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let yaml = json!({"policies": [{"name": "default", "routes": [
            {"endpoint": "/", "backend": "http://127.0.0.1:1", "unprotected": true, "identity": "none"},
        ]}]});
        std::fs::write(folder.0.join("proxy.yaml"), yaml.to_string()).unwrap();
        let log = std::fs::File::create(folder.0.join("log")).unwrap();
        // The third descriptor, as sd_listen_fds(3) says; the shell is what puts it there.
        let child = Command::new("sh")
            .args([
                "-c",
                "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" server",
            ])
            .arg(env!("CARGO_BIN_EXE_davgate"))
            .env_clear()
            .envs(VARIABLES)
            // Nobody can listen there, so the socket that was handed over is the one that counts.
            .env("PROXY_HTTP_ADDR", "192.0.2.1:1")
            .env("PROXY_OIDC_ISSUER", "http://127.0.0.1:1")
            .env("OC_CONFIG_DIR", &folder.0)
            .env("OC_BASE_DATA_PATH", folder.0.join("data"))
            .env("PROXY_EMBEDDED_DATABASE", folder.0.join("accounts.db"))
            .env("NOTIFY_SOCKET", &path)
            .stdin(Stdio::from(OwnedFd::from(socket)))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            child,
            told,
            _folder: folder,
        }
    }

    /// The next message.
    fn told(&self) -> String {
        let mut message = [0; 4096];
        let length = self.told.recv(&mut message).expect("a message");
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .unwrap();
        assert!(status.success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn the_socket_that_is_handed_over_is_the_public_one_and_the_manager_is_told_of_start_reload_and_stop()
 {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    let mut service = Service::start(socket);
    let message = service.told();
    assert!(message.lines().any(|line| line == "READY=1"), "{message}");
    // The backend is not there, so the answer is ours.
    let answer = Call::new(addr, "GET", "/").send().await;
    assert_eq!(answer.status, 502);

    service.signal("HUP");
    let message = service.told();
    assert!(
        message.lines().any(|line| line == "RELOADING=1"),
        "{message}"
    );
    assert!(message.contains("MONOTONIC_USEC="), "{message}");
    let message = service.told();
    assert!(message.lines().any(|line| line == "READY=1"), "{message}");

    service.signal("TERM");
    let message = service.told();
    assert!(
        message.lines().any(|line| line == "STOPPING=1"),
        "{message}"
    );
    let mut status = None;
    until("the end of the gateway", || {
        status = service.child.try_wait().unwrap();
        status.is_some()
    })
    .await;
    assert!(status.unwrap().success(), "{status:?}");
}

#[test]
fn what_is_handed_over_and_is_no_socket_stops_the_start() {
    let output = Command::new("sh")
        .args([
            "-c",
            "exec 3</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" server",
        ])
        .arg(env!("CARGO_BIN_EXE_davgate"))
        .env_clear()
        .envs(VARIABLES)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the socket that was handed over"), "{said}");
}

fn davgate(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_davgate"))
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn version_names_commit_target_and_what_is_built_in() {
    let text = davgate(&["version"]);
    let first = format!("davgate {}\n", env!("CARGO_PKG_VERSION"));
    assert!(text.starts_with(&first), "{text}");
    for word in [
        "commit: ", "target: ", "ldap", "embedded", "cs3", "redis", "ocis",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let page = davgate(&["man"]);
    assert!(page.contains(".TH davgate 1"), "{page}");
    let folder = Folder::new("man");
    davgate(&["man", folder.path()]);
    for command in [
        "davgate",
        "davgate-server",
        "davgate-health",
        "davgate-version",
        "davgate-explain",
        "davgate-config",
        "davgate-config-check",
        "davgate-config-print",
        "davgate-config-env",
        "davgate-account",
        "davgate-account-list",
        "davgate-completions",
        "davgate-man",
    ] {
        let path = folder.0.join(format!("{command}.1"));
        let page =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{command}: {error}"));
        assert!(page.contains(".SH SYNOPSIS"), "{command}: {page}");
    }
}

#[test]
fn completions_know_the_commands_and_bash_can_read_them() {
    for shell in ["bash", "zsh", "fish"] {
        let text = davgate(&["completions", shell]);
        for word in ["explain", "completions", "account", "token-file"] {
            assert!(text.contains(word), "{shell}: {word}");
        }
    }
    let mut bash = Command::new("bash")
        .args(["-n"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let script = davgate(&["completions", "bash"]);
    bash.stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    let mut said = String::new();
    bash.stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(bash.wait().unwrap().success(), "{said}");
}
