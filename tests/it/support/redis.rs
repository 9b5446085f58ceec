//! Real Redis servers of their own for one test, and the Sentinels that watch over them.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;

use super::free_address;
use super::slapd::TlsFiles;

/// The name Sentinels know the master by.
pub(crate) const MASTER: &str = "davgate";

/// A running server. Stopped and removed when dropped.
pub(crate) struct Redis {
    folder: PathBuf,
    address: SocketAddr,
    child: Option<Child>,
}

/// Lines for a server that speaks TLS to clients and to other servers; nobody has to show a certificate.
fn with_tls(files: &TlsFiles) -> String {
    format!(
        "tls-cert-file {:?}\ntls-key-file {:?}\ntls-ca-cert-file {:?}\ntls-auth-clients no\ntls-replication yes\n",
        files.cert, files.key, files.ca
    )
}

impl Redis {
    /// One that speaks TLS, and nothing else.
    pub(crate) async fn start_with_tls(files: &TlsFiles) -> Self {
        let lines = format!("save \"\"\n{}", with_tls(files));
        Self::configured(&lines, false).await
    }

    /// A Sentinel of such a one, which speaks TLS as well.
    pub(crate) async fn sentinel_with_tls(master: &Redis, files: &TlsFiles) -> Self {
        let port = master.address.port();
        let lines = format!(
            "sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n\
             sentinel monitor {MASTER} localhost {port} 1\n{}",
            with_tls(files)
        );
        Self::configured(&lines, true).await
    }

    pub(crate) async fn start() -> Self {
        Self::configured("save \"\"\n", false).await
    }

    /// One that follows another.
    pub(crate) async fn replica_of(master: &Redis) -> Self {
        let (ip, port) = (master.address.ip(), master.address.port());
        Self::configured(&format!("save \"\"\nreplicaof {ip} {port}\n"), false).await
    }

    /// A Sentinel that takes a master for gone after a second, by its own word alone.
    pub(crate) async fn sentinel_of(master: &Redis) -> Self {
        let (ip, port) = (master.address.ip(), master.address.port());
        let lines = format!(
            "sentinel monitor {MASTER} {ip} {port} 1\n\
             sentinel down-after-milliseconds {MASTER} 1000\n\
             sentinel failover-timeout {MASTER} 2000\n"
        );
        Self::configured(&lines, true).await
    }

    async fn configured(lines: &str, is_sentinel: bool) -> Self {
        let folder = std::env::temp_dir().join(format!("davgate-redis-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        for _ in 0..5 {
            let mut server = Self {
                folder: folder.clone(),
                address: free_address(),
                child: None,
            };
            let port = server.address.port();
            let ports = match lines.contains("tls-") {
                true => format!("port 0\ntls-port {port}"),
                false => format!("port {port}"),
            };
            let text = format!(
                "bind 127.0.0.1\n{ports}\ndir {:?}\n{lines}",
                folder.to_str().unwrap()
            );
            fs::write(folder.join("redis.conf"), text).unwrap();
            if server.spawn(is_sentinel).await {
                return server;
            }
            server.folder = PathBuf::new();
        }
        panic!("redis-server does not start; see {}", folder.display());
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) async fn start_again(&mut self) {
        self.kill();
        assert!(self.spawn(false).await, "redis-server does not come back");
    }

    /// Waits until this Sentinel has seen a replica that is up to date; it asks a master for them every ten seconds.
    pub(crate) async fn knows_a_replica(&self) {
        let client = redis::Client::open(format!("redis://{}", self.address)).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        for _ in 0..600 {
            let mut ask = redis::cmd("SENTINEL");
            let known: Vec<HashMap<String, String>> = ask
                .arg("replicas")
                .arg(MASTER)
                .query_async(&mut connection)
                .await
                .unwrap();
            if known.iter().any(|one| one["master-link-status"] == "ok") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the sentinel knows no replica");
    }

    async fn spawn(&mut self, is_sentinel: bool) -> bool {
        let program = "/usr/bin/redis-server";
        assert!(
            fs::exists(program).unwrap(),
            "install redis-server (Debian: apt-get install redis-server)"
        );
        let log = fs::File::create(self.folder.join("redis.log")).unwrap();
        let mut command = Command::new(program);
        command.arg(self.folder.join("redis.conf"));
        if is_sentinel {
            command.arg("--sentinel");
        }
        let mut child = command.stdout(log).stderr(Stdio::null()).spawn().unwrap();
        for _ in 0..2000 {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect(self.address).await.is_ok() {
                self.child = Some(child);
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        child.kill().unwrap();
        false
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
