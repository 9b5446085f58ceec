//! The program as people call it: commands, exit codes, what the start says if it cannot, signals.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::process::GatewayProcess;

const SECRET: &str = "canary-of-the-command-tests-0123456789";

/// A folder of its own, and davgate with embedded accounts in it.
struct Folder(PathBuf);

/// What a command came to.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("davgate-cmd-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// `davgate` in an environment that has these variables and nothing else.
    fn command(&self, args: &[&str], vars: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_davgate"));
        command
            .args(args)
            .env_clear()
            .env("OC_CONFIG_DIR", &self.0)
            .env("OC_BASE_DATA_PATH", &self.0)
            .env("OC_JWT_SECRET", SECRET)
            .env("PROXY_ACCOUNT_BACKEND_TYPE", "embedded")
            .env("PROXY_OIDC_ISSUER", "http://127.0.0.1:1")
            .env("PROXY_HTTP_ADDR", "127.0.0.1:0")
            .env("PROXY_DEBUG_ADDR", "127.0.0.1:0")
            .envs(vars.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str], vars: &[(&str, &str)]) -> Ended {
        let output = self.command(args, vars).output().unwrap();
        let ended = Ended {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        };
        assert!(!format!("{ended:?}").contains(SECRET), "{ended:?}");
        ended
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn version_reference_and_help_need_no_configuration() {
    let folder = Folder::new();
    let broken = [("OC_JWT_SECRET", ""), ("PROXY_TLS", "perhaps")];
    for args in [
        &["version"][..],
        &["config", "env"],
        &["--help"],
        &["--version"],
    ] {
        let ended = folder.run(args, &broken);
        assert_eq!(ended.code, Some(0), "{args:?}: {ended:?}");
        assert!(!ended.out.is_empty(), "{args:?}");
    }
}

#[test]
fn mistakes_of_usage_and_configuration_are_exit_code_2() {
    let folder = Folder::new();
    assert_eq!(folder.run(&["nonsense"], &[]).code, Some(2));
    assert_eq!(
        folder.run(&["account", "role", "x", "owner"], &[]).code,
        Some(2)
    );
    std::fs::write(folder.path("proxy.yaml"), "http:\n  tls: perhaps\n").unwrap();
    let vars = [("PROXY_WORKERS", "none"), ("OC_JWT_SECRET", "")];
    for args in [
        &["config", "check"][..],
        &["config", "print"],
        &["server"],
        &[],
        &["account", "list"],
    ] {
        let ended = folder.run(args, &vars);
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
        for wanted in [
            "3 mistakes",
            "proxy.yaml:2: http.tls (PROXY_TLS)",
            "workers (PROXY_WORKERS)",
            "jwt_secret (OC_JWT_SECRET)",
        ] {
            assert!(
                ended.err.contains(wanted),
                "{args:?}: {wanted}: {}",
                ended.err
            );
        }
    }
}

#[test]
fn a_start_that_fails_says_which_setting_to_look_at_and_is_exit_code_1() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    for (name, value) in [
        ("PROXY_HTTP_ADDR", addr.as_str()),
        ("PROXY_DEBUG_ADDR", &addr),
        ("PROXY_EMBEDDED_DATABASE", "/proc/no/accounts.db"),
        ("PROXY_LOG_FILE", "/proc/no/log"),
    ] {
        let ended = folder.run(&["server"], &[(name, value)]);
        assert_eq!(ended.code, Some(1), "{name}: {ended:?}");
        assert!(
            ended.err.contains(name) && ended.err.contains(value),
            "{name}: {}",
            ended.err
        );
    }
}

#[test]
fn a_probe_without_a_gateway_names_where_it_asked() {
    let vars = [("PROXY_DEBUG_ADDR", "127.0.0.1:1"), ("OC_JWT_SECRET", "")];
    let ended = Folder::new().run(&["health"], &vars);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("127.0.0.1:1"), "{}", ended.err);
}

/// A gateway whose issuer does not answer.
async fn server(vars: &[(&str, &str)]) -> (GatewayProcess, String) {
    let vars = [&[("PROXY_OIDC_ISSUER", "http://127.0.0.1:1")], vars].concat();
    let server = GatewayProcess::start(&json!({}), &vars).await;
    let debug_addr = server.debug_addr.to_string();
    (server, debug_addr)
}

#[tokio::test]
async fn term_and_int_end_a_gateway_with_exit_code_0() {
    for name in ["TERM", "INT"] {
        let (mut server, debug_addr) = server(&[]).await;
        let (folder, vars) = (Folder::new(), [("PROXY_DEBUG_ADDR", debug_addr.as_str())]);
        assert_eq!(folder.run(&["health"], &vars).code, Some(0));
        // It serves, and is not ready.
        assert_eq!(folder.run(&["health", "--ready"], &vars).code, Some(1));
        server.signal(name);
        assert_eq!(server.ended().await.code(), Some(0), "{name}");
    }
}

#[tokio::test]
async fn without_a_data_folder_the_certificate_stays_in_memory() {
    let vars = [("OC_BASE_DATA_PATH", "/proc/no"), ("PROXY_TLS", "true")];
    let (mut server, debug_addr) = server(&vars).await;
    let vars = [("PROXY_DEBUG_ADDR", debug_addr.as_str())];
    assert_eq!(Folder::new().run(&["health"], &vars).code, Some(0));
    assert!(server.log().contains("lasts until the next start only"));
    server.signal("TERM");
    assert_eq!(server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn accounts_are_administered_beside_a_running_gateway() {
    let folder = Folder::new();
    // A mistyped path must not make a file.
    let elsewhere = folder.path("elsewhere.db");
    let vars = [("PROXY_EMBEDDED_DATABASE", elsewhere.as_str())];
    let ended = folder.run(&["account", "list"], &vars);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains(&elsewhere), "{}", ended.err);
    assert!(!Path::new(&elsewhere).exists());

    let database = folder.path("accounts.db");
    let vars = [("PROXY_EMBEDDED_DATABASE", database.as_str())];
    let _server = server(&vars).await;
    assert_eq!(folder.run(&["account", "list"], &vars).code, Some(0));
    let ended = folder.run(&["account", "disable", "nobody"], &vars);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("no account \"nobody\""), "{}", ended.err);
}

#[test]
fn accounts_of_ldap_are_not_administered_here() {
    let vars = [
        ("PROXY_ACCOUNT_BACKEND_TYPE", "ldap"),
        ("OC_LDAP_URI", "ldap://127.0.0.1:1"),
        ("OC_LDAP_BIND_PASSWORD", SECRET),
    ];
    let ended = Folder::new().run(&["account", "list"], &vars);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.err.contains("PROXY_ACCOUNT_BACKEND_TYPE"),
        "{}",
        ended.err
    );
}
