//! The gateway's binary as a process of its own: for memory, signals and exit codes.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;

use super::{canary, gateway, until};

/// A running gateway. Killed when dropped.
pub(crate) struct GatewayProcess {
    pub(crate) addr: SocketAddr,
    pub(crate) debug_addr: SocketAddr,
    child: Child,
    folder: PathBuf,
}

impl GatewayProcess {
    /// Starts the binary with this `proxy.yaml` and these variables besides the usual ones.
    pub(crate) async fn start(yaml: &Value, variables: &[(&str, &str)]) -> Self {
        let binary = Command::new(env!("CARGO_BIN_EXE_davgate"));
        Self::start_by(binary, yaml, variables).await
    }

    /// The same where the process may have no more than so many files and sockets open.
    pub(crate) async fn start_with_descriptors(
        most: u32,
        yaml: &Value,
        variables: &[(&str, &str)],
    ) -> Self {
        let mut shell = Command::new("/bin/sh");
        let script = format!("ulimit -n {most} && exec \"$0\" \"$@\"");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_davgate")]);
        Self::start_by(shell, yaml, variables).await
    }

    async fn start_by(mut command: Command, yaml: &Value, variables: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("davgate-it-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("proxy.yaml"), yaml.to_string()).unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        command.env_clear();
        command.args(["--config-dir", folder.to_str().unwrap(), "server"]);
        command.envs(gateway::VARIABLES);
        command.env("PROXY_EMBEDDED_DATABASE", folder.join("accounts.db"));
        command.env("OC_BASE_DATA_PATH", folder.join("data"));
        command.env("PROXY_LOG_LEVEL", "info");
        command.envs(variables.iter().copied());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().unwrap();
        let mut process = Self {
            addr: ([0, 0, 0, 0], 0).into(),
            debug_addr: ([0, 0, 0, 0], 0).into(),
            child,
            folder,
        };
        until("the gateway's first line", || {
            if let Some(status) = process.child.try_wait().unwrap() {
                panic!("the gateway ended with {status}: {}", process.log());
            }
            process.find_addresses()
        })
        .await;
        process
    }

    fn find_addresses(&mut self) -> bool {
        let log = self.log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let Some(line) = lines
            .into_iter()
            .find(|line| line["message"] == "listening")
        else {
            return false;
        };
        self.addr = line["addr"].as_str().unwrap().parse().unwrap();
        self.debug_addr = line["debug_addr"].as_str().unwrap().parse().unwrap();
        true
    }

    /// Writes `proxy.yaml` anew.
    pub(crate) fn write(&self, yaml: &Value) {
        fs::write(self.folder.join("proxy.yaml"), yaml.to_string()).unwrap();
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap()
    }

    /// Resident memory now, and the most it ever was, in bytes.
    pub(crate) fn memory(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
            kib * 1024
        };
        (field("VmRSS:"), field("VmHWM:"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.pid().to_string();
        let status = Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .unwrap();
        assert!(status.success());
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("the end of the gateway", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        canary::assert_none_in("the log", &self.log());
        status.unwrap()
    }
}

impl Drop for GatewayProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
