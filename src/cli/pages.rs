//! What the program says about itself: version, manual pages, completions.

use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::generate;
use clap_complete::shells::{Bash, Fish, Zsh};
use clap_mangen::Man;

use super::{Cli, Shell};

/// The commit that was built; the scripts of deploy/scripts hand it over. A build by hand has none.
const COMMIT: Option<&str> = option_env!("DAVGATE_COMMIT");

/// What can be chosen at run time, because all of it is built in.
const FEATURES: [(&str, &str); 5] = [
    ("accounts", "cs3 ldap embedded"),
    ("identity", "reva headers"),
    ("stores", "memory nats-js-kv redis redis-sentinel"),
    ("listener", "http/1.1 http/2 tls socket-activation"),
    ("flavors", "opencloud ocis"),
];

/// Version first, on a line of its own; then what a report of a fault needs.
///
/// # Errors
/// What writing gives.
pub(crate) fn version(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "davgate {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "commit: {}", COMMIT.unwrap_or("unknown"))?;
    let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
    let libc = if cfg!(target_env = "musl") {
        "musl, static"
    } else {
        "gnu"
    };
    writeln!(out, "target: {arch}-{os} ({libc})")?;
    writeln!(out, "features:")?;
    for (subject, words) in FEATURES {
        writeln!(out, "  {subject}: {words}")?;
    }
    Ok(())
}

/// davgate(1) to `out`, or a page for each command into `folder`.
///
/// # Errors
/// What writing gives.
pub(crate) fn man(folder: Option<&Path>, out: &mut dyn Write) -> io::Result<()> {
    let command = Cli::command();
    match folder {
        Some(folder) => clap_mangen::generate_to(command, folder),
        None => Man::new(command).render(out),
    }
}

/// Completions for `shell` to `out`.
pub(crate) fn completions(shell: Shell, out: &mut dyn Write) {
    let (mut command, name) = (Cli::command(), "davgate");
    match shell {
        Shell::Bash => generate(Bash, &mut command, name, &mut Pipe(out)),
        Shell::Zsh => generate(Zsh, &mut command, name, &mut Pipe(out)),
        Shell::Fish => generate(Fish, &mut command, name, &mut Pipe(out)),
    }
}

/// The generators panic where writing fails, as it does when a reader has seen enough: the rest is thrown away.
struct Pipe<'a>(&'a mut dyn Write);

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
