//! The proxies, each with the lines of its page but for addresses and files.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use regex::Regex;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::files::Folder;
use crate::support::free_address;
use crate::support::wheels::wheel;

/// The name in the pages.
pub(super) const NAME: &str = "cloud.example.org";

/// A running proxy. Stopped when dropped.
pub(super) struct Front {
    pub(super) addr: SocketAddr,
    /// That trusts its certificate.
    pub(super) trust: Arc<rustls::ClientConfig>,
    child: Child,
    folder: Folder,
}

/// What a page's lines are filled in with.
struct Stage {
    folder: Folder,
    addr: SocketAddr,
    trust: Arc<rustls::ClientConfig>,
}

impl Stage {
    fn new() -> Self {
        let folder = Folder::new("front");
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        fs::write(folder.0.join("cloud.pem"), &chain).unwrap();
        fs::write(folder.0.join("cloud.key"), &key).unwrap();
        fs::write(folder.0.join("both.pem"), chain + &key).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let trust = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            folder,
            addr: free_address(),
            trust: Arc::new(trust),
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.0.join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.folder.0.join(name), text).unwrap();
        self.path(name)
    }

    fn run(self, program: &Path, args: &[&str]) -> Front {
        let log = fs::File::create(self.folder.0.join("log")).unwrap();
        let child = Command::new(program)
            .args(args)
            .env("PATH", "/usr/sbin:/usr/bin:/bin")
            .env("HOME", &self.folder.0)
            .current_dir(&self.folder.0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; run `make tools`", program.display()));
        Front {
            addr: self.addr,
            trust: self.trust,
            child,
            folder: self.folder,
        }
    }
}

impl Front {
    /// Waits until it has its certificate, or tells what it said.
    pub(super) async fn is_up(&self) {
        for _ in 0..1_000 {
            if let Ok(stream) = TcpStream::connect(self.addr).await {
                let name = ServerName::try_from(NAME).unwrap();
                let connector = TlsConnector::from(Arc::clone(&self.trust));
                if connector.connect(name, stream).await.is_ok() {
                    return;
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("{}", fs::read_to_string(self.folder.0.join("log")).unwrap());
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The blocks of a page in this language.
fn lines(page: &str, language: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join(format!("docs/behind/{page}.md"))).unwrap();
    let block = Regex::new(&format!("(?s)```{language}\n(.*?)```")).unwrap();
    let found: Vec<_> = block
        .captures_iter(&text)
        .map(|one| one[1].to_owned())
        .collect();
    assert!(!found.is_empty(), "no lines for {page}");
    found
}

/// Each of these stands in the text, and its substitute after.
#[track_caller]
fn filled_in(text: &str, changes: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "no {from} in {text}");
        text = text.replace(from, to);
    }
    text
}

pub(super) fn nginx(gateway: SocketAddr) -> Front {
    let stage = Stage::new();
    let lines = filled_in(
        &lines("nginx", "nginx")[0],
        &[
            ("127.0.0.1:9200", &gateway.to_string()),
            ("listen 443", &format!("listen {}", stage.addr)),
            ("/etc/ssl/cloud.pem", &stage.path("cloud.pem")),
            ("/etc/ssl/private/cloud.key", &stage.path("cloud.key")),
        ],
    );
    let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {};", stage.path(name)))
        .join("\n");
    // In one process, so that a killed one leaves none behind.
    let text = format!(
        "daemon off; master_process off; pid {}; error_log stderr; events {{}}\nhttp {{ access_log off;\n{folders}\n{lines}}}\n",
        stage.path("pid")
    );
    let file = stage.write("nginx.conf", &text);
    stage.run(Path::new("nginx"), &["-c", &file])
}

pub(super) fn haproxy(gateway: SocketAddr) -> Front {
    let stage = Stage::new();
    let text = filled_in(
        &lines("haproxy", "haproxy")[0],
        &[
            ("127.0.0.1:9200", &gateway.to_string()),
            ("bind :443", &format!("bind {}", stage.addr)),
            ("/etc/haproxy/cloud.pem", &stage.path("both.pem")),
        ],
    );
    let file = stage.write("haproxy.cfg", &text);
    stage.run(Path::new("haproxy"), &["-db", "-f", &file])
}

pub(super) fn caddy(gateway: SocketAddr) -> Front {
    let stage = Stage::new();
    let tls = format!(
        "\ttls {} {}\n",
        stage.path("cloud.pem"),
        stage.path("cloud.key")
    );
    let site = format!(
        "https://{NAME}:{} {{\n\tbind 127.0.0.1\n{tls}",
        stage.addr.port()
    );
    let text = filled_in(
        &lines("caddy", "caddyfile")[0],
        &[
            ("127.0.0.1:9200", &gateway.to_string()),
            (&format!("{NAME} {{\n"), &site),
            (
                "{\n\tservers {\n",
                "{\n\tadmin off\n\tauto_https disable_redirects\n\tservers {\n",
            ),
        ],
    );
    let file = stage.write("Caddyfile", &text);
    let args = ["run", "--adapter", "caddyfile", "--config", &file];
    stage.run(&wheel("caddy"), &args)
}

pub(super) fn traefik(gateway: SocketAddr) -> Front {
    let stage = Stage::new();
    let found = lines("traefik", "yaml");
    let [first, second] = found.as_slice() else {
        panic!("two files, not {found:?}");
    };
    let dynamic = filled_in(
        second,
        &[
            ("127.0.0.1:9200", &gateway.to_string()),
            ("/etc/ssl/cloud.pem", &stage.path("cloud.pem")),
            ("/etc/ssl/private/cloud.key", &stage.path("cloud.key")),
        ],
    );
    let dynamic = stage.write("davgate.yaml", &dynamic);
    let text = filled_in(
        first,
        &[
            (":443", &stage.addr.to_string()),
            ("/etc/traefik/davgate.yaml", &dynamic),
        ],
    );
    let file = stage.write("traefik.yaml", &text);
    let program: PathBuf = wheel("traefik");
    stage.run(&program, &[&format!("--configFile={file}")])
}
