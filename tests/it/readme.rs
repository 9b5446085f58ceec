//! Every command block of README.md is run, in its order, in a folder like the one a reader has. What is not his machine's own is
//! another: paths lie below a temporary folder, ports are free ones, the issuer is the suite's, and what a reader would download,
//! build for minutes or type into a browser is a script that takes its place.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use regex::Regex;

use crate::support::files::Folder;
use crate::support::free_address;
use crate::support::issuer::FakeIssuer;
use crate::support::until;

/// Where the reader is.
struct Machine {
    folder: Folder,
    issuer: FakeIssuer,
    public: SocketAddr,
    debug: SocketAddr,
    apache: SocketAddr,
}

/// Commands that stand in for others, with what they have to be called with.
const STAND_INS: [(&str, &str); 7] = [
    // The tests' own build, in place of one that takes minutes.
    (
        "cargo",
        r#"[ "$*" = "build --release --locked --bin davgate" ] || exit 9
mkdir -p target/release && cp "$DAVGATE" target/release/davgate"#,
    ),
    ("apt-get", r#"[ "$1 $2" = "install --yes" ]"#),
    (
        "opencloud",
        r#"[ "$1 $OC_EXCLUDE_RUN_SERVICES" = "server proxy" ]"#,
    ),
    ("oidc-agent", "true"),
    (
        "oidc-gen",
        r#"case "$*" in *--issuer="$ISSUER"*" files") ;; *) exit 9 ;; esac"#,
    ),
    ("oidc-token", r#"[ "$1" = files ] && cat token.txt"#),
    // What the container would be told, told to davgate itself.
    (
        "docker",
        r#"vars=()
while [ $# -gt 0 ]; do
    case $1 in -e) vars+=("$2"); shift ;; esac
    shift
done
env -i OC_CONFIG_DIR=/nonexistent "${vars[@]}" "$DAVGATE" config check"#,
    ),
];

/// For who is not root: whose a folder is, and who a process is, stays as it is.
const WITHOUT_ROOT: [(&str, &str); 2] = [
    (
        "install",
        r#"args=()
while [ $# -gt 0 ]; do
    case $1 in -o | -g) shift ;; *) args+=("$1") ;; esac
    shift
done
exec /usr/bin/install "${args[@]}""#,
    ),
    (
        "setpriv",
        r#"while case $1 in -*) ;; *) false ;; esac; do shift; done; exec "$@""#,
    ),
];

impl Machine {
    async fn new() -> Self {
        let machine = Self {
            folder: Folder::new("readme"),
            issuer: FakeIssuer::start().await,
            public: free_address(),
            debug: free_address(),
            apache: free_address(),
        };
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let webdav = machine.path("here/deploy/webdav");
        fs::create_dir_all(&webdav).unwrap();
        for entry in fs::read_dir(root.join("deploy/webdav")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), webdav.join(entry.file_name())).unwrap();
        }
        fs::copy(
            root.join("README.md"),
            machine.path("here").join("README.md"),
        )
        .unwrap();
        let token = machine.issuer.token("mara").expires_in(3600).sign();
        fs::write(machine.path("here/token.txt"), token).unwrap();
        for folder in [
            "usr/local/bin",
            "stand-ins",
            "run/secrets",
            "etc/ssl",
            "opencloud",
            "srv",
        ] {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        for secret in ["run/secrets/jwt", "run/secrets/ldap"] {
            fs::write(machine.path(secret), "0123456789abcdef0123456789abcdef").unwrap();
        }
        let made = rcgen::generate_simple_self_signed(["ldap.example.org".to_owned()]).unwrap();
        fs::write(machine.path("etc/ssl/ldap.pem"), made.cert.pem()).unwrap();
        // What `opencloud init` writes.
        fs::write(
            machine.path("opencloud/opencloud.yaml"),
            "token_manager:\n  jwt_secret: 0123456789abcdef0123456789abcdef\n\
             machine_auth_api_key: 0123456789abcdef\ntransfer_secret: 0123456789abcdef\n\
             proxy:\n  service_account:\n    service_account_id: some-id\n    service_account_secret: some-secret\n",
        )
        .unwrap();
        let is_root = {
            let own = fs::metadata("/proc/self").unwrap();
            std::os::unix::fs::MetadataExt::uid(&own) == 0
        };
        let others = WITHOUT_ROOT.iter().filter(|_| !is_root);
        for (name, text) in STAND_INS.iter().chain(others) {
            let file = machine.path("stand-ins").join(name);
            fs::write(&file, format!("#!/bin/bash\n{text}\n")).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    /// The block as it is run here.
    fn here(&self, block: &str) -> String {
        let below = |path: &str| {
            self.path(path.trim_start_matches('/'))
                .display()
                .to_string()
        };
        let mut text = block
            .replace("https://login.example.org/realms/main", self.issuer.url())
            .replace("127.0.0.1:8080", &self.apache.to_string())
            .replace(
                "localhost:9200",
                &format!("localhost:{}", self.public.port()),
            );
        for path in [
            "/etc/davgate",
            "/var/lib/davgate",
            "/srv/dav",
            "/usr/local/bin",
            "/run/secrets",
            "/etc/ssl",
        ] {
            text = text.replace(path, &below(path));
        }
        // A server runs until somebody ends it: here beside the rest, and the block goes on when it answers.
        let server = "davgate server >>\"$LOG\" 2>&1 &\nfor _ in $(seq 300); do davgate health 2>/dev/null && break; sleep 0.1; done\ndavgate health\n";
        let text = Regex::new("(?m)^davgate server$")
            .unwrap()
            .replace_all(&text, regex::NoExpand(server));
        // Whoever is started stays behind as a process of the test.
        format!("set -euo pipefail\ntrap 'jobs -p >>\"$PIDS\"' EXIT\n{text}")
    }

    /// Runs a block as a reader would, and answers what it wrote.
    async fn run(&self, block: &str, before: &str) -> String {
        let script = format!("{before}\n{}", self.here(block));
        let output = fs::File::create(self.path("output")).unwrap();
        let mut command = Command::new("bash");
        command
            .args(["-c", &script])
            .current_dir(self.path("here"))
            .env_clear()
            .env("HOME", self.path("here"))
            .env("DAVGATE", env!("CARGO_BIN_EXE_davgate"))
            .env("ISSUER", self.issuer.url())
            .env("LOG", self.path("log"))
            .env("PIDS", self.path("pids"))
            .env("RCLONE_CONFIG", "")
            .env("PROXY_HTTP_ADDR", self.public.to_string())
            .env("PROXY_DEBUG_ADDR", self.debug.to_string())
            // Whatever runs on this machine beside the tests.
            .env("MICRO_REGISTRY", "memory")
            .env("PROXY_EVENTS_ENDPOINT", "")
            .env(
                "PATH",
                format!(
                    "{}:{}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
                    self.path("stand-ins").display(),
                    self.path("usr/local/bin").display()
                ),
            )
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output);
        let status = tokio::task::spawn_blocking(move || command.status());
        let status = status.await.unwrap().unwrap();
        let said = fs::read_to_string(self.path("output")).unwrap();
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        assert!(status.success(), "{status}\n{script}\n{said}\n{log}");
        said
    }

    /// Ends what blocks left running.
    fn end_servers(&self) {
        for id in fs::read_to_string(self.path("pids"))
            .unwrap_or_default()
            .lines()
        {
            let _ = Command::new("kill").arg(id).stderr(Stdio::null()).status();
            // Gone, or left for somebody to notice: the test is not its parent.
            let state = || fs::read_to_string(format!("/proc/{id}/stat"));
            for _ in 0..1_000_000 {
                if state().map_or(true, |state| state.contains(") Z ")) {
                    break;
                }
                std::thread::yield_now();
            }
        }
        let _ = fs::remove_file(self.path("pids"));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.end_servers();
    }
}

fn blocks() -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let block = Regex::new("(?s)```([a-z]*)\n(.*?)```").unwrap();
    block
        .captures_iter(&text)
        .map(|found| {
            assert_eq!(&found[1], "sh", "no other language is run: {}", &found[2]);
            found[2].to_owned()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_block_of_the_readme_works_as_pasted() {
    let machine = Machine::new().await;
    let settings = format!(
        "set -a; . {}; set +a",
        machine.path("etc/davgate/davgate.env").display()
    );
    let opencloud = format!(
        "export OC_CONFIG_DIR={}",
        machine.path("opencloud").display()
    );
    let mut run = Vec::new();
    for block in blocks() {
        let has = |text: &str| block.contains(text);
        if has("cargo build") {
            let said = machine.run(&block, "").await;
            assert!(said.contains("davgate "), "{said}");
            run.push("install");
        } else if has("opencloud server") {
            machine.run(&block, &opencloud).await;
            machine.end_servers();
            run.push("opencloud");
        } else if has("OC_LDAP_URI") {
            let said = machine
                .run(&block, "export OC_CONFIG_DIR=/nonexistent")
                .await;
            assert!(
                said.contains("ou=users,dc=example,dc=org") || said.contains("ldap"),
                "{said}"
            );
            machine.end_servers();
            run.push("directory");
        } else if has("docker run") {
            machine.run(&block, "").await;
            run.push("container");
        } else if has("rclone lsf") {
            let said = machine.run(&block, "").await;
            assert!(said.lines().any(|line| line == "README.md"), "{said}");
            let file = machine.path("srv/dav/mara").join("README.md");
            assert!(file.exists(), "the file is in the person's folder");
            run.push("client");
        } else if has("config check --online") && has("explain") {
            machine.run(&block, &settings).await;
            run.push("when something does not work");
        } else if has("account list") {
            let said = machine.run(&block, "").await;
            assert!(said.contains("mara\tenabled"), "{said}");
            run.push("accounts");
        } else if has("apache2 -D FOREGROUND") {
            machine.run(&block, "").await;
            until("Apache", || {
                std::net::TcpListener::bind(machine.apache).is_err()
            })
            .await;
            run.push("apache");
        } else if has("davgate.env") {
            machine.run(&block, "").await;
            run.push("davgate");
        } else {
            panic!("a block that nobody runs: {block}");
        }
    }
    assert_eq!(
        run,
        [
            "install",
            "opencloud",
            "directory",
            "apache",
            "davgate",
            "client",
            "accounts",
            "when something does not work",
            "container",
        ]
    );
}
