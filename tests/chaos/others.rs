//! Slow clients of others: tus-js-client with a tusd, and a mount by davfs2. Both say the same with the gateway between.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::report::exactly;
use super::support::files::{Folder, hashes};
use super::support::free_address;
use super::support::gateway::TestGateway;
use super::support::hop::hop;
use super::support::installed::installed;
use super::support::issuer::FakeIssuer;
use super::support::tools::{lines, node, run};
use super::support::webdav::WebDav;
use super::support::{is_taken, until};

/// Everything of `backend` behind a login, and a token.
async fn guarded(backend: &str) -> (FakeIssuer, TestGateway, String) {
    let issuer = FakeIssuer::start().await;
    let route = json!({
        "endpoint": "/", "backend": backend, "identity": "headers", "path_names": "bytes",
    });
    let gateway = TestGateway::new().issuer(&issuer).raw_route(route);
    let gateway = gateway.spawn().await;
    let token = issuer.token("mara").expires_in(3600).sign();
    (issuer, gateway, token)
}

/// The server of resumable uploads. Ends when dropped.
struct Tusd {
    child: Child,
    addr: SocketAddr,
    _folder: Folder,
}

impl Tusd {
    async fn start() -> Self {
        let (addr, folder) = (free_address(), Folder::new("tusd"));
        let (host, port) = (addr.ip().to_string(), addr.port().to_string());
        let child = Command::new(installed("bin/tusd"))
            .args(["-host", &host, "-port", &port, "-base-path", "/files/"])
            .args(["-behind-proxy", "-upload-dir", folder.path()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        until("tusd", || is_taken(addr)).await;
        Self {
            child,
            addr,
            _folder: folder,
        }
    }
}

impl Drop for Tusd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn told(mut script: Command, addr: SocketAddr, token: Option<&str>) -> Vec<String> {
    script.arg(format!("http://{addr}/files/")).args(token);
    let output = run(script).await;
    let lines = lines(&output);
    assert!(output.status.success(), "{lines:#?}");
    lines
}

/// Lines of both that differ.
fn differences(direct: &[String], through: &[String]) -> usize {
    let differ = direct.iter().zip(through).filter(|(a, b)| a != b);
    let count = differ.count() + direct.len().abs_diff(through.len());
    if count > 0 {
        println!("{direct:#?}\n{through:#?}");
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tus_js_client_says_the_same_of_tusd_and_of_the_gateway_before_it() {
    let tusd = Tusd::start().await;
    let direct = told(node("tus.mjs"), tusd.addr, None).await;
    let whole = direct.iter().filter(|line| line.contains("\"same\":true"));
    assert_eq!(whole.count(), 6, "{direct:#?}");
    let (_issuer, gateway, token) = guarded(&format!("http://{}", tusd.addr)).await;
    let through = told(node("tus.mjs"), gateway.addr, Some(&token)).await;
    exactly(
        "-",
        "tus-js-client, tusd: lines that differ",
        differences(&direct, &through),
        0,
    );
    gateway.stop().await;
}

/// A mount. Undone when dropped.
struct Mount {
    folder: Folder,
    at: PathBuf,
}

impl Mount {
    async fn of(addr: SocketAddr) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = Folder::new("davfs");
        let (at, cache) = (folder.0.join("mount"), folder.0.join("cache"));
        fs::create_dir(&at).unwrap();
        fs::create_dir(&cache).unwrap();
        // It works as a user of its own.
        fs::set_permissions(&cache, fs::Permissions::from_mode(0o1777)).unwrap();
        let settings = format!(
            "ask_auth 0\nuse_locks 1\ndelay_upload 0\ncache_dir {}\n",
            cache.display()
        );
        fs::write(folder.0.join("conf"), settings).unwrap();
        let mut mount = Command::new("mount.davfs");
        mount.args(["-o", &format!("conf={}", folder.0.join("conf").display())]);
        mount.arg(format!("http://{addr}/files/")).arg(&at);
        let output = run(mount).await;
        assert!(output.status.success(), "{:#?}", lines(&output));
        Self { folder, at }
    }

    /// Undoes it, which waits for what is still on its way up.
    async fn end(self) {
        let mut umount = Command::new("umount.davfs");
        umount.arg(&self.at);
        let output = run(umount).await;
        assert!(output.status.success(), "{:#?}", lines(&output));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg(&self.at)
            .stderr(Stdio::null())
            .status();
        debug_assert!(self.folder.0.exists());
    }
}

/// What people do with a mounted folder.
const WORK: &str = r#"
mkdir "Büro" deep deep/er
for n in 1 2 3 4 5; do echo "file $n" > "Büro/with blank $n.txt"; done
head -c 3000000 /dev/zero > large.bin
sync; sleep 3
mv "Büro/with blank 1.txt" deep/er/moved.txt
cp large.bin deep/copy.bin
cat "Büro/with blank 2.txt"
echo more >> "Büro/with blank 2.txt"
rm "Büro/with blank 3.txt"
sync; sleep 3
ls "Büro" deep deep/er
rmdir Büro
cmp large.bin deep/copy.bin && echo equal
"#;

async fn worked(server: &WebDav, addr: SocketAddr) -> Vec<String> {
    let mount = Mount::of(addr).await;
    let mut shell = Command::new("bash");
    shell.args(["-c", WORK]).current_dir(&mount.at);
    let mut told = lines(&run(shell).await);
    mount.end().await;
    told.extend(hashes(&server.store()).into_keys());
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn davfs2_mounts_the_same_with_and_without_the_gateway() {
    let server = WebDav::start().await;
    let direct = worked(&server, hop(server.addr, None).await).await;
    assert!(direct.iter().any(|line| line == "equal"), "{direct:#?}");
    let server = WebDav::start().await;
    let (_issuer, gateway, token) = guarded(&server.url()).await;
    let through = worked(&server, hop(gateway.addr, Some(token)).await).await;
    exactly(
        "-",
        "davfs2: lines that differ",
        differences(&direct, &through),
        0,
    );
    gateway.stop().await;
}
