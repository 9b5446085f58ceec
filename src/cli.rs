//! The command line, and the commands that need nothing but the configuration: `config check`, `print` and `env`.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Flavor, LoadOptions, Vars, reference};

/// The authenticating gateway in front of file-sync backends.
#[derive(Debug, Parser)]
#[command(name = "davgate", version, about)]
pub struct Cli {
    /// Folder of proxy.yaml, instead of OC_CONFIG_DIR or OCIS_CONFIG_DIR.
    #[arg(long, global = true, value_name = "DIR")]
    pub config_dir: Option<PathBuf>,
    /// What to do; `server` if left out.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the gateway.
    Server,
    /// Asks the running gateway whether it is well; exit code 0 or 1.
    Health {
        /// Ask whether it can serve requests, not only whether it runs.
        #[arg(long)]
        ready: bool,
    },
    /// Prints the version.
    Version,
    /// Checks or shows the configuration.
    Config {
        /// What to do with it.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Says step by step what the gateway would do with a token; writes nothing.
    Explain {
        /// File with the token; standard input if left out.
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
    },
    /// Shows and changes embedded accounts.
    Account {
        /// What to do with them.
        #[command(subcommand)]
        command: AccountCommand,
    },
}

/// `davgate config ...`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Reports every mistake with file, line, key and variable; exit code 2 if there is one.
    Check,
    /// Shows every setting with its value and where it came from, secrets masked.
    Print {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Prints the reference of all settings; needs no configuration.
    Env(EnvArgs),
}

/// Form of the reference.
#[derive(Debug, Args)]
pub struct EnvArgs {
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
pub enum AccountCommand {
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
    pub fn load_options(&self) -> LoadOptions {
        LoadOptions {
            config_dir: self.config_dir.clone(),
            ..LoadOptions::default()
        }
    }
}

/// Where the debug listener of the configured gateway is. A probe has no secrets, so a configuration that lacks some is
/// no obstacle: then the variable or the default counts.
#[must_use]
pub fn debug_addr(options: &LoadOptions, vars: &dyn Vars) -> SocketAddr {
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

/// contract.md 8.2, `debug.addr`.
const DEFAULT_DEBUG_ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9205);

/// Exit code of a usage or configuration error.
pub const EXIT_CONFIG: u8 = 2;

/// Runs `davgate config ...`. The answer is the exit code: 0, or 2 if the configuration has mistakes.
///
/// # Errors
/// What writing to `out` or `err` gives.
pub fn config_command(
    command: &ConfigCommand,
    options: &LoadOptions,
    vars: &dyn Vars,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    if let ConfigCommand::Env(args) = command {
        let flavor = if args.ocis {
            Flavor::Ocis
        } else {
            Flavor::OpenCloud
        };
        let text = match args {
            EnvArgs { markdown: true, .. } => reference::markdown(),
            EnvArgs { yaml: true, .. } => reference::example(),
            _ => reference::text(flavor),
        };
        out.write_all(text.as_bytes())?;
        return Ok(0);
    }
    let loaded = match Config::load(options, vars) {
        Ok(loaded) => loaded,
        Err(errors) => {
            for warning in &errors.warnings {
                writeln!(err, "warning: {warning}")?;
            }
            writeln!(err, "{errors}")?;
            return Ok(EXIT_CONFIG);
        }
    };
    match command {
        ConfigCommand::Print { json: true } => {
            writeln!(out, "{:#}", loaded.json())?;
        }
        ConfigCommand::Print { json: false } => {
            let (flavor, compat) = (loaded.config.flavor, loaded.config.compat);
            writeln!(out, "# {}, defaults of {}", flavor.name(), compat.name())?;
            for file in &loaded.files {
                let missing = if file.exists() {
                    ""
                } else {
                    ", which is not there"
                };
                writeln!(out, "# reads {}{missing}", file.display())?;
            }
            for entry in &loaded.effective {
                writeln!(out, "{} = {}  # {}", entry.key, entry.value, entry.origin)?;
            }
        }
        ConfigCommand::Check | ConfigCommand::Env(_) => {
            for warning in &loaded.warnings {
                writeln!(err, "warning: {warning}")?;
            }
            for info in &loaded.infos {
                writeln!(err, "note: {info}")?;
            }
            writeln!(out, "the configuration is fine")?;
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    const VARS: [(&str, &str); 4] = [
        ("PROXY_ACCOUNT_BACKEND_TYPE", "embedded"),
        ("OC_JWT_SECRET", "a-secret-of-32-bytes-that-is-not-told"),
        ("OC_CONFIG_DIR", "/nonexistent"),
        ("OC_BASE_DATA_PATH", "/nonexistent"),
    ];

    fn run(args: &[&str], vars: &dyn Vars) -> (u8, String, String) {
        let cli = Cli::try_parse_from([&["davgate", "config"], args].concat()).unwrap();
        let options = cli.load_options();
        let Some(Command::Config { command }) = cli.command else {
            panic!("{cli:?}")
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = config_command(&command, &options, vars, &mut out, &mut err).unwrap();
        (
            code,
            String::from_utf8(out).unwrap(),
            String::from_utf8(err).unwrap(),
        )
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        assert!(Cli::try_parse_from(["davgate"]).unwrap().command.is_none());
    }

    #[test]
    fn check_says_fine_or_lists_the_mistakes_with_exit_code_2() {
        assert_eq!(run(&["check"], &VARS).0, 0);
        let (code, _, err) = run(
            &["check"],
            &[("OC_CONFIG_DIR", "/nonexistent"), ("PROXY_TLS", "x")],
        );
        assert_eq!(code, EXIT_CONFIG);
        assert!(err.contains("3 mistakes"), "{err}");
        assert!(
            err.contains("PROXY_TLS") && err.contains("OC_JWT_SECRET, PROXY_JWT_SECRET"),
            "{err}"
        );
    }

    #[test]
    fn print_masks_secrets_and_tells_origins() {
        let (_, text, _) = run(&["print"], &VARS);
        assert!(
            text.contains("jwt_secret = \"***\"  # OC_JWT_SECRET"),
            "{text}"
        );
        assert!(
            text.contains("http.addr = \"0.0.0.0:9200\"  # default"),
            "{text}"
        );
        assert!(
            text.contains("role_store = \"account\"  # default"),
            "{text}"
        );
        assert!(
            text.starts_with(
                "# opencloud, defaults of opencloud-8\n# reads /nonexistent/proxy.yaml, which is not there\n"
            ),
            "{text}"
        );
        let (_, json, _) = run(&["print", "--json"], &VARS);
        assert!(!(text + &json).contains("not-told"));
    }

    #[test]
    fn the_reference_needs_no_configuration() {
        let (code, text, _) = run(&["env"], &[("PROXY_TLS", "x")]);
        assert_eq!(code, 0);
        assert!(text.contains("OC_JWT_SECRET < PROXY_JWT_SECRET"), "{text}");
        assert!(
            run(&["env", "--ocis"], &VARS)
                .1
                .contains("OCIS_JWT_SECRET < PROXY_JWT_SECRET")
        );
    }
}
