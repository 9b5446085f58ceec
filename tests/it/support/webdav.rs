//! A real WebDAV server, `rclone serve webdav`, with a folder of its own, and `rclone` as a client.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::until;

/// The server. Stopped and removed when dropped.
pub(crate) struct WebDav {
    pub(crate) addr: SocketAddr,
    child: Child,
    folder: PathBuf,
}

impl WebDav {
    /// Serves an empty folder below `/files/`.
    pub(crate) async fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("davgate-dav-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(folder.join("store")).unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        let child = rclone(&folder)
            .args(["serve", "webdav", "--addr", "127.0.0.1:0"])
            .args(["--baseurl", "/files", "--dir-cache-time", "0s", "-v"])
            .arg(folder.join("store"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("rclone: {error}; run `make tools`"));
        let mut server = Self {
            addr: ([127, 0, 0, 1], 0).into(),
            child,
            folder,
        };
        until("rclone's address", || server.find_address()).await;
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The folder it serves.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.join("store")
    }

    fn find_address(&mut self) -> bool {
        let log = fs::read_to_string(self.folder.join("log")).unwrap();
        let Some((_, address)) = log.split_once("http://127.0.0.1:") else {
            return false;
        };
        let port = address.split('/').next().and_then(|port| port.parse().ok());
        self.addr.set_port(port.unwrap_or_default());
        self.addr.port() != 0
    }
}

impl Drop for WebDav {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// `rclone` with nobody's configuration.
pub(crate) fn rclone(home: &Path) -> Command {
    let mut command = Command::new("rclone");
    command.env("HOME", home).env("RCLONE_CONFIG", "");
    command
}
