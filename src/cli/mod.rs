//! The command line.

mod config;
mod pages;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use http::{Method, Uri};

use crate::config::{Config, LoadOptions, Vars};

pub(crate) use config::{Asked, Checks, Output, config_command};
pub(crate) use pages::{completions, man, version};

/// The authenticating gateway in front of file-sync backends.
#[derive(Debug, Parser)]
#[command(name = "davgate", version, about)]
pub(crate) struct Cli {
    /// Folder of proxy.yaml, instead of OC_CONFIG_DIR or OCIS_CONFIG_DIR.
    #[arg(long, global = true, value_name = "DIR")]
    pub config_dir: Option<PathBuf>,
    /// What to do; `server` if left out.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the gateway.
    Server,
    /// Asks the running gateway whether it is well; exit code 0 or 1.
    Health {
        /// Ask whether it can serve requests, not only whether it runs.
        #[arg(long)]
        ready: bool,
    },
    /// Prints version, commit, target and what is built in.
    Version,
    /// Prints the manual page, or writes one for each command into a folder.
    Man {
        /// Folder for davgate.1, davgate-server.1 and so on; it has to be there.
        folder: Option<PathBuf>,
    },
    /// Prints completions for a shell.
    Completions {
        /// Which one.
        shell: Shell,
    },
    /// Checks or shows the configuration.
    Config {
        /// What to do with it.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Says step by step what the gateway would do with a token, a request, or both; writes nothing.
    Explain(ExplainArgs),
    /// Shows and changes embedded accounts.
    Account {
        /// What to do with them.
        #[command(subcommand)]
        command: AccountCommand,
    },
}

/// Shells with completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// `/etc/bash_completion.d/davgate`
    Bash,
    /// `_davgate` in a folder of `$fpath`
    Zsh,
    /// `~/.config/fish/completions/davgate.fish`
    Fish,
}

/// `davgate config ...`
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Reports every mistake with file, line, key and variable; exit code 2 if there is one.
    Check(CheckArgs),
    /// Shows every setting with its value and where it came from, secrets masked.
    Print(PrintArgs),
    /// Prints the JSON Schema of proxy.yaml, for editors; needs no configuration.
    Schema {
        /// That of csp.yaml.
        #[arg(long)]
        csp: bool,
    },
    /// Prints the reference of all settings; needs no configuration.
    Env(EnvArgs),
}

/// How far a check goes.
#[derive(Debug, Default, Args)]
pub(crate) struct CheckArgs {
    /// Asks issuer, account backend and backends too; exit code 1 if one of them is not as it has to be.
    #[arg(long)]
    pub online: bool,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// What is explained.
#[derive(Debug, Default, Args)]
pub(crate) struct ExplainArgs {
    /// Path (with query) or URL of a request: which policy, route and backend, and whether it needs a login.
    #[arg(value_parser = target)]
    pub path: Option<Uri>,
    /// The request's method.
    #[arg(long, default_value_t = Method::GET, requires = "path")]
    pub method: Method,
    /// File with a token, `-` for standard input; that is also read if there is no path.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// A request's target as HTTP has it.
fn target(text: &str) -> Result<Uri, String> {
    let target = text.parse::<Uri>().map_err(|_| {
        "no client can send it: other signs than those of URLs are percent-encoded, a blank as %20"
    })?;
    if target.scheme().is_none() && !target.path().starts_with(['/', '*']) {
        return Err("starts with no slash".to_owned());
    }
    Ok(target)
}

/// What of the settings is shown.
#[derive(Debug, Default, Args)]
pub(crate) struct PrintArgs {
    /// As JSON.
    #[arg(long, conflicts_with = "changed")]
    pub json: bool,
    /// Only what is not the default.
    #[arg(long)]
    pub changed: bool,
}

/// Form of the reference.
#[derive(Debug, Args)]
pub(crate) struct EnvArgs {
    /// As docs/settings.md.
    #[arg(long, conflicts_with = "yaml")]
    pub markdown: bool,
    /// As proxy.yaml.example.
    #[arg(long)]
    pub yaml: bool,
    /// With the names of oCIS.
    #[arg(long)]
    pub ocis: bool,
}

/// `davgate account ...`
#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Lists all accounts.
    List,
    /// Shuts an account out.
    Disable {
        /// User name.
        username: String,
    },
    /// Lets an account in again.
    Enable {
        /// User name.
        username: String,
    },
    /// Gives an account a role.
    Role {
        /// User name.
        username: String,
        /// admin, spaceadmin, user or user-light.
        role: String,
    },
}

impl Cli {
    /// Where to read the configuration.
    #[must_use]
    pub(crate) fn load_options(&self) -> LoadOptions {
        LoadOptions {
            config_dir: self.config_dir.clone(),
            ..LoadOptions::default()
        }
    }
}

/// Where the debug listener of the configured gateway is. A probe has no secrets, so a configuration that lacks some is
/// no obstacle: then the variable or the default counts.
#[must_use]
pub(crate) fn debug_addr(options: &LoadOptions, vars: &dyn Vars) -> SocketAddr {
    let named = vars
        .var("PROXY_DEBUG_ADDR")
        .and_then(|addr| addr.parse().ok());
    let configured = || {
        Config::load(options, vars)
            .ok()
            .map(|loaded| loaded.config.debug.addr)
    };
    named.or_else(configured).unwrap_or(DEFAULT_DEBUG_ADDR)
}

/// docs/design/contract.md 8.2, `debug.addr`.
const DEFAULT_DEBUG_ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9205);

/// Exit code of a usage or configuration error.
pub(crate) const EXIT_CONFIG: u8 = 2;

/// Exit code of what could not be done.
pub(crate) const EXIT_FAILURE: u8 = 1;
