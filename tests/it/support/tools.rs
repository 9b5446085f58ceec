//! Programs of others, and how one is run to its end.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use super::installed::installed;

/// Nothing that is run here takes as long.
const PATIENCE: Duration = Duration::from_secs(180);

/// A program of `tests/clients`, by Node.
pub(crate) fn node(script: &str) -> Command {
    assert!(
        client("node_modules/webdav").exists(),
        "the clients' Node packages are missing: run `make tools`"
    );
    let mut command = Command::new("node");
    command.arg(client(script));
    command
}

/// One of `tests/clients`, by Python with its packages.
pub(crate) fn python(script: &str) -> Command {
    let mut command = Command::new(installed("python").join("bin/python"));
    command.arg(client(script)).env("PYTHONIOENCODING", "utf-8");
    command
}

fn client(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(script)
}

/// Runs a program to its end.
pub(crate) async fn run(mut command: Command) -> Output {
    command.stdin(Stdio::null());
    let program = format!("{:?}", command.get_program());
    let ended = tokio::task::spawn_blocking(move || command.output());
    let ended = tokio::time::timeout(PATIENCE, ended).await;
    let output = ended.unwrap_or_else(|_| panic!("{program} did not end"));
    let output = output.unwrap();
    output.unwrap_or_else(|error| panic!("{program}: {error}; run `make tools`"))
}

/// The lines of its output, errors after the rest.
pub(crate) fn lines(output: &Output) -> Vec<String> {
    let all = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let text = String::from_utf8_lossy(&all).into_owned();
    text.lines().map(str::to_owned).collect()
}
