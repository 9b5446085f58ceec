//! The program as people call it: commands, exit codes, what the start says if it cannot, signals.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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

/// A gateway in a process of its own; killed if the test fails before it ends.
struct Server(Child);

impl Server {
    fn start(folder: &Folder, vars: &[(&str, &str)]) -> Self {
        Self(folder.command(&["server"], vars).spawn().unwrap())
    }

    fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(status.unwrap().success());
    }

    fn exit_code(&mut self) -> Option<i32> {
        let mut code = None;
        until("the gateway ends", || {
            code = self.0.try_wait().unwrap();
            code.is_some()
        });
        code.unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "no runtime here; the wait ends as soon as the condition holds"
)]
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{what}: waited in vain"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port that is free now, for what must know it beforehand.
fn free_addr() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
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
    let addr = free_addr();
    let ended = Folder::new().run(
        &["health"],
        &[("PROXY_DEBUG_ADDR", &addr), ("OC_JWT_SECRET", "")],
    );
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains(&addr), "{}", ended.err);
}

#[test]
fn term_and_int_end_a_healthy_gateway_with_exit_code_0() {
    for name in ["TERM", "INT"] {
        let folder = Folder::new();
        let addr = free_addr();
        let vars = [("PROXY_DEBUG_ADDR", addr.as_str())];
        let mut server = Server::start(&folder, &vars);
        until("it is healthy", || {
            folder.run(&["health"], &vars).code == Some(0)
        });
        // Its issuer does not answer: it serves, and is not ready.
        assert_eq!(folder.run(&["health", "--ready"], &vars).code, Some(1));
        server.signal(name);
        assert_eq!(server.exit_code(), Some(0), "{name}");
    }
}

#[test]
fn without_a_data_folder_the_certificate_stays_in_memory() {
    let folder = Folder::new();
    let database = folder.path("accounts.db");
    let addr = free_addr();
    let vars = [
        ("PROXY_DEBUG_ADDR", addr.as_str()),
        ("OC_BASE_DATA_PATH", "/proc/no"),
        ("PROXY_EMBEDDED_DATABASE", &database),
    ];
    let mut server = Server::start(&folder, &vars);
    until("it is healthy", || {
        folder.run(&["health"], &vars).code == Some(0)
    });
    assert!(Path::new(&database).exists());
    server.signal("TERM");
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn accounts_are_administered_beside_a_running_gateway() {
    let folder = Folder::new();
    let addr = free_addr();
    let vars = [("PROXY_DEBUG_ADDR", addr.as_str())];
    // A mistyped path must not make a file.
    let elsewhere = folder.path("elsewhere.db");
    let ended = folder.run(
        &["account", "list"],
        &[("PROXY_EMBEDDED_DATABASE", &elsewhere)],
    );
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.err.contains(&elsewhere) && !Path::new(&elsewhere).exists(),
        "{}",
        ended.err
    );

    let _server = Server::start(&folder, &vars);
    until("it is healthy", || {
        folder.run(&["health"], &vars).code == Some(0)
    });
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
