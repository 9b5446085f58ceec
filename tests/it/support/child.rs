//! A server of somebody else as a child process: with a folder of its own, its log, and an end when dropped.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use http::Request;
use tokio::net::TcpStream;

use super::user_agent::send;

/// The process and whatever it started, stopped and removed when dropped.
pub(crate) struct Server {
    child: Child,
    folder: PathBuf,
}

/// A folder of its own for one.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("davgate-{name}-{}", uuid::Uuid::new_v4()));
    fs::create_dir(&folder).unwrap();
    folder
}

impl Server {
    /// Starts it with its output in the file `log` of its folder.
    pub(crate) fn start(command: Command, folder: PathBuf) -> Self {
        let child = spawn(command, &folder);
        Self { child, folder }
    }

    /// Asks it to end, and waits for that.
    pub(crate) fn end(&mut self) {
        self.signal("TERM");
        self.child.wait().unwrap();
    }

    /// Another one with what the one before left in the folder.
    pub(crate) fn start_again(&mut self, command: Command) {
        self.child = spawn(command, &self.folder);
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits until a path there is answered with 200.
    pub(crate) async fn is_up(&mut self, addr: SocketAddr, path: &str, limit: Duration) {
        let started = Instant::now();
        loop {
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the server ended with {status}: {}", log());
            }
            assert!(started.elapsed() < limit, "not up: {}", log());
            if TcpStream::connect(addr).await.is_ok() {
                let reply = send(addr, Request::get(path), String::new()).await;
                if reply.status == 200 {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// It is there and says nothing.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
        is_stopped(self.child.id());
    }

    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    /// A script may have started the server in its own place, and all of it is one process group.
    fn signal(&self, name: &str) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill")
            .args(["-s", name, "--", &group])
            .status();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.thaw();
        self.signal("KILL");
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Sends a process a signal.
pub(crate) fn signal(id: u32, name: &str) {
    let id = id.to_string();
    let _ = Command::new("kill").args(["-s", name, &id]).status();
}

/// The process is there and does nothing, until it is sent `CONT`.
pub(crate) fn freeze(id: u32) {
    signal(id, "STOP");
    is_stopped(id);
}

/// Waits until the last thread of a process that was sent `STOP` stands still: one of them takes the signal, and the others
/// may answer a request before they hear of it.
#[expect(
    clippy::disallowed_methods,
    reason = "it takes a millisecond, and the test has nothing else to do meanwhile"
)]
pub(crate) fn is_stopped(id: u32) {
    let started = Instant::now();
    loop {
        let tasks = fs::read_dir(format!("/proc/{id}/task")).unwrap();
        let stands = |task: fs::DirEntry| {
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            let state = stat.rsplit_once(") ").map(|(_, rest)| rest.as_bytes()[0]);
            state.is_none_or(|state| state == b'T')
        };
        if tasks.flatten().all(stands) {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "it runs on");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn spawn(mut command: Command, folder: &Path) -> Child {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .unwrap();
    command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; run `make tools`"))
}
