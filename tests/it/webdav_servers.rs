//! WebDAV servers that read `Remote-User`, with the files of deploy/webdav as the pages give them: people have a folder each,
//! and see nothing of each other.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use serde_json::json;

use crate::support::backend::full;
use crate::support::client::CLOUD;
use crate::support::files::{Folder, hashes};
use crate::support::free_address;
use crate::support::gateway::TestGateway;
use crate::support::issuer::FakeIssuer;
use crate::support::webdav::rclone;
use crate::support::wheels::wheel;

/// Apache does not want to be root, and its files are somebody's.
const NOBODY: u32 = 65534;

/// A server. Stopped when dropped.
struct Server {
    addr: SocketAddr,
    child: Child,
    folder: Folder,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Apache's children end with it when it is asked to.
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Runs `program` in a folder that has the files of deploy/webdav, and `files` for what people store.
    async fn start(
        program: &Path,
        prepare: impl FnOnce(&mut Command, &Folder, SocketAddr),
    ) -> Self {
        let (folder, addr) = (Folder::new("server"), free_address());
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/webdav");
        for entry in fs::read_dir(source).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.0.join(entry.file_name())).unwrap();
        }
        for name in ["files", "state"] {
            fs::create_dir(folder.0.join(name)).unwrap();
        }
        let log = fs::File::create(folder.0.join("log")).unwrap();
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/bin")
            .env("HOME", &folder.0)
            .env("STORE", folder.0.join("files"))
            .current_dir(&folder.0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        prepare(&mut command, &folder, addr);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; run `make tools`", program.display()));
        let server = Self {
            addr,
            child,
            folder,
        };
        for _ in 0..1_000 {
            if tokio::net::TcpStream::connect(addr).await.is_ok() {
                return server;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!(
            "{}",
            fs::read_to_string(server.folder.0.join("log")).unwrap()
        );
    }

    async fn apache() -> Self {
        Self::start(Path::new("apache2"), |command, folder, addr| {
            let owned = [&folder.0, &folder.0.join("files"), &folder.0.join("state")];
            let root = fs::metadata("/proc/self").unwrap();
            if std::os::unix::fs::MetadataExt::uid(&root) == 0 {
                for path in owned {
                    std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
                }
                command.uid(NOBODY).gid(NOBODY);
            }
            command
                .env("MODULES", "/usr/lib/apache2/modules")
                .env("STATE", folder.0.join("state"))
                .env("HOME_FOLDER", folder.0.join("home-folder"))
                .env("LISTEN", addr.to_string())
                .args(["-D", "FOREGROUND", "-f"])
                .arg(folder.0.join("apache.conf"));
        })
        .await
    }

    async fn nginx() -> Self {
        Self::start(Path::new("nginx"), |command, folder, addr| {
            let lines = fs::read_to_string(folder.0.join("nginx.conf")).unwrap();
            let store = folder.0.join("files").display().to_string();
            let lines = lines
                .replace("127.0.0.1:8080", &addr.to_string())
                .replace("root /srv/dav", &format!("root {store}"));
            let state = folder.0.join("state").display().to_string();
            let text = format!(
                "load_module /usr/lib/nginx/modules/ngx_http_dav_ext_module.so;\n\
                 daemon off; master_process off; pid {state}/pid; error_log stderr; events {{}}\n\
                 http {{ access_log off; client_body_temp_path {state}/body; proxy_temp_path {state}/proxy;\n\
                 fastcgi_temp_path {state}/f; uwsgi_temp_path {state}/u; scgi_temp_path {state}/s;\n{lines}}}\n"
            );
            let file = folder.0.join("whole.conf");
            fs::write(&file, text).unwrap();
            command.arg("-c").arg(file);
        })
        .await
    }

    async fn rclone() -> Self {
        Self::start(&wheel("rclone"), |command, folder, addr| {
            let program = folder.0.join("rclone-folder");
            assert_eq!(
                fs::metadata(&program).unwrap().permissions().mode() & 0o111,
                0o111
            );
            command
                .env("RCLONE_CONFIG", "")
                .args(["serve", "webdav", "--addr", &addr.to_string()])
                .args([
                    "--user-from-header",
                    "Remote-User",
                    "--dir-cache-time",
                    "0s",
                ])
                .arg("--auth-proxy")
                .arg(program);
        })
        .await
    }
}

/// A request to a server that says more about itself than the suite's own backends.
struct Asking {
    addr: SocketAddr,
    request: http::request::Builder,
    body: &'static str,
}

struct Said {
    status: u16,
    text: String,
}

impl Asking {
    fn new(addr: SocketAddr, method: &str, path: &str) -> Self {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", CLOUD);
        Self {
            addr,
            request,
            body: "",
        }
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    fn body(mut self, body: &'static str) -> Self {
        self.body = body;
        self
    }

    async fn send(self) -> Said {
        let request = self.request.body(full(self.body)).unwrap();
        let stream = tokio::net::TcpStream::connect(self.addr).await.unwrap();
        let io = TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        let answer = sender.send_request(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        Said {
            status,
            text: String::from_utf8_lossy(&body).into_owned(),
        }
    }
}

struct Site {
    issuer: FakeIssuer,
    gateway: TestGateway,
    server: Server,
}

impl Site {
    async fn with(server: Server) -> Self {
        let issuer = FakeIssuer::start().await;
        let gateway = TestGateway::new()
            .issuer(&issuer)
            .raw_route(json!({
                "endpoint": "/", "backend": format!("http://{}", server.addr),
                "identity": "headers", "path_names": "bytes",
            }))
            .spawn()
            .await;
        Self {
            issuer,
            gateway,
            server,
        }
    }

    fn ask(&self, person: &str, method: &str, path: &str) -> Asking {
        let token = self.issuer.token(person).sign();
        Asking::new(self.gateway.addr, method, path)
            .header("authorization", &format!("Bearer {token}"))
    }

    async fn people_have_a_folder_each(&self) {
        let status = async |asking: Asking| asking.send().await.status;
        let put = self.ask("mara", "PUT", "/note.txt").body("of mara");
        assert_eq!(status(put).await, 201);
        assert_eq!(
            self.ask("mara", "GET", "/note.txt").send().await.text,
            "of mara"
        );
        let put = self.ask("alan", "PUT", "/other.txt").body("of alan");
        assert_eq!(status(put).await, 201);
        // Neither sees the other's.
        assert_eq!(status(self.ask("alan", "GET", "/note.txt")).await, 404);
        let list = self
            .ask("alan", "PROPFIND", "/")
            .header("depth", "1")
            .send()
            .await;
        assert_eq!(list.status, 207, "{}", list.text);
        assert!(list.text.contains("other.txt"), "{}", list.text);
        assert!(!list.text.contains("note.txt"), "{}", list.text);
        // Nor by a path that climbs, nor by a name of his own making.
        for path in [
            "/../mara/note.txt",
            "/..%2Fmara%2Fnote.txt",
            "/%2e%2e/mara/note.txt",
        ] {
            let answer = self.ask("alan", "GET", path).send().await;
            assert!(!answer.text.contains("of mara"), "{path}");
            assert!(
                (400..500).contains(&answer.status),
                "{path}: {}",
                answer.status
            );
        }
        let forged = self
            .ask("alan", "GET", "/note.txt")
            .header("remote-user", "mara");
        assert_eq!(status(forged).await, 404);
        // A collection, and a move within it.
        assert_eq!(status(self.ask("mara", "MKCOL", "/sub/")).await, 201);
        let destination = format!("http://{}/sub/b%20c.txt", CLOUD);
        let moved = self
            .ask("mara", "MOVE", "/note.txt")
            .header("destination", &destination);
        assert!([201, 204].contains(&status(moved).await));
        assert_eq!(
            self.ask("mara", "GET", "/sub/b%20c.txt").send().await.text,
            "of mara"
        );
        let here = self.server.folder.0.join("files/mara/sub/b c.txt");
        assert_eq!(fs::read_to_string(here).unwrap(), "of mara");
    }

    /// Without davgate there is no name, and without a name there is nothing; nor by one that is no folder's.
    async fn nobody_gets_in_without_a_name(&self) {
        for name in ["", "..", "a/b", ".hidden"] {
            let asking = Asking::new(self.server.addr, "GET", "/").header("remote-user", name);
            let answer = asking.send().await;
            let status = answer.status;
            assert!((400..500).contains(&status), "{name:?}: {status}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apache_gives_everybody_a_folder() {
    let site = Site::with(Server::apache().await).await;
    site.people_have_a_folder_each().await;
    site.nobody_gets_in_without_a_name().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_gives_everybody_a_folder() {
    let site = Site::with(Server::nginx().await).await;
    site.people_have_a_folder_each().await;
    site.nobody_gets_in_without_a_name().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rclone_gives_everybody_a_folder() {
    let site = Site::with(Server::rclone().await).await;
    site.people_have_a_folder_each().await;
    site.nobody_gets_in_without_a_name().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rclone_syncs_odd_names_to_apache_and_back() {
    let site = Site::with(Server::apache().await).await;
    let (home, here, there) = (
        Folder::new("home"),
        Folder::with_files("here"),
        Folder::new("there"),
    );
    let token = site.issuer.token("mara").expires_in(3600).sign();
    for (from, to) in [(here.path(), "dav:"), ("dav:", there.path())] {
        let mut command = rclone(&home.0);
        command
            .args(["sync", from, to, "--size-only", "--retries", "1"])
            .env("RCLONE_CONFIG_DAV_TYPE", "webdav")
            .env("RCLONE_CONFIG_DAV_VENDOR", "other")
            .env(
                "RCLONE_CONFIG_DAV_URL",
                format!("http://{}", site.gateway.addr),
            )
            .env("RCLONE_CONFIG_DAV_BEARER_TOKEN", &token)
            .stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .unwrap()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
    let stored = hashes(&site.server.folder.0.join("files/mara"));
    assert!(here.hashes() == stored, "what arrived differs");
    assert!(stored == there.hashes(), "what came back differs");
}
