//! The command line, and the commands that need nothing but the configuration: `config check`, `print` and `env`.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use serde_json::json;

use crate::config::{
    Config, ConfigErrors, Flavor, LoadOptions, Loaded, Mistake, Origin, Place, Vars, reference,
    schema,
};

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
pub struct CheckArgs {
    /// Asks issuer, account backend and backends too; exit code 1 if one of them is not as it has to be.
    #[arg(long)]
    pub online: bool,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// What of the settings is shown.
#[derive(Debug, Default, Args)]
pub struct PrintArgs {
    /// As JSON.
    #[arg(long, conflicts_with = "changed")]
    pub json: bool,
    /// Only what is not the default.
    #[arg(long)]
    pub changed: bool,
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

/// docs/design/contract.md 8.2, `debug.addr`.
const DEFAULT_DEBUG_ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9205);

/// Exit code of a usage or configuration error.
pub const EXIT_CONFIG: u8 = 2;

/// Exit code of what could not be done.
pub const EXIT_FAILURE: u8 = 1;

/// Asks everybody; each finding is told at once.
pub type Online<'a> = &'a dyn Fn(&Config, &mut dyn FnMut(Asked)) -> Result<(), String>;

/// What a check asks of parts that know more than the configuration.
#[expect(missing_debug_implementations, reason = "functions show nothing")]
pub struct Checks<'a> {
    /// What would stop a start although the configuration is without mistakes: certificates, keys, CA files, expressions.
    pub offline: &'a dyn Fn(&Config) -> Vec<String>,
    /// Whether everybody answers as he has to.
    pub online: Online<'a>,
}

/// What one question of an online check came to.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Asked {
    /// Who was asked.
    pub subject: String,
    /// `ok`, `warning` or `FAULT`.
    pub verdict: &'static str,
    /// What was found, with the setting to change.
    pub text: String,
}

impl Asked {
    /// The verdict of what cannot work.
    pub const FAULT: &'static str = "FAULT";
}

/// Where a command writes.
#[expect(
    missing_debug_implementations,
    reason = "what is written to shows nothing"
)]
pub struct Output<'a> {
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// Standard error.
    pub err: &'a mut dyn Write,
    /// Words that warn are in colour.
    pub colour: bool,
}

impl Output<'_> {
    fn paint(&self, word: &str, code: u8) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{word}\u{1b}[0m")
        } else {
            word.to_owned()
        }
    }

    fn warn(&mut self, text: &str) -> io::Result<()> {
        let word = self.paint("warning:", YELLOW);
        writeln!(self.err, "{word} {text}")
    }
}

const RED: u8 = 31;
const GREEN: u8 = 32;
const YELLOW: u8 = 33;

/// Runs `davgate config ...`. The answer is the exit code: 0, 2 if the configuration has mistakes, 1 if somebody who was
/// asked is not as he has to be.
///
/// # Errors
/// What writing gives.
pub fn config_command(
    command: &ConfigCommand,
    options: &LoadOptions,
    vars: &dyn Vars,
    checks: &Checks<'_>,
    output: &mut Output<'_>,
) -> io::Result<u8> {
    match command {
        ConfigCommand::Env(args) => {
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
            output.out.write_all(text.as_bytes())?;
            Ok(0)
        }
        ConfigCommand::Schema { csp } => {
            let schema = if *csp { schema::csp() } else { schema::proxy() };
            writeln!(output.out, "{schema:#}")?;
            Ok(0)
        }
        ConfigCommand::Check(args) => check(args, options, vars, checks, output),
        ConfigCommand::Print(args) => match Config::load(options, vars) {
            Ok(loaded) => print(args, &loaded, output),
            Err(errors) => mistakes(&errors, output),
        },
    }
}

/// Tells of mistakes, and of warnings before them.
fn mistakes(errors: &ConfigErrors, output: &mut Output<'_>) -> io::Result<u8> {
    for warning in &errors.warnings {
        output.warn(warning)?;
    }
    let text = errors.to_string();
    let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let head = output.paint(head, RED);
    writeln!(output.err, "{head}\n{rest}")?;
    Ok(EXIT_CONFIG)
}

fn print(args: &PrintArgs, loaded: &Loaded, output: &mut Output<'_>) -> io::Result<u8> {
    let out = &mut output.out;
    if args.json {
        writeln!(out, "{:#}", loaded.json())?;
        return Ok(0);
    }
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
        if !args.changed || entry.origin != Origin::Default {
            writeln!(out, "{} = {}  # {}", entry.key, entry.value, entry.origin)?;
        }
    }
    Ok(0)
}

fn check(
    args: &CheckArgs,
    options: &LoadOptions,
    vars: &dyn Vars,
    checks: &Checks<'_>,
    output: &mut Output<'_>,
) -> io::Result<u8> {
    let loaded = Config::load(options, vars).and_then(|loaded| {
        let found = (checks.offline)(&loaded.config);
        if found.is_empty() {
            return Ok(loaded);
        }
        let mistakes = found.into_iter().map(|text| Mistake {
            place: Place::default(),
            text,
        });
        Err(ConfigErrors {
            mistakes: mistakes.collect(),
            warnings: loaded.warnings,
        })
    });
    if args.json {
        return check_as_json(args, loaded, checks, output);
    }
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(errors) => return mistakes(&errors, output),
    };
    for warning in &loaded.warnings {
        output.warn(warning)?;
    }
    for info in &loaded.infos {
        writeln!(output.err, "note: {info}")?;
    }
    for line in loaded.summary() {
        writeln!(output.out, "{line}")?;
    }
    writeln!(
        output.out,
        "clients that the issuer has to know, all public, with PKCE:"
    )?;
    for line in loaded.issuer_clients() {
        writeln!(output.out, "  {line}")?;
    }
    let fine = output.paint("the configuration is fine", GREEN);
    writeln!(output.out, "{fine}")?;
    if !args.online {
        return Ok(0);
    }
    let (mut code, mut written) = (0, Ok(()));
    let asked = (checks.online)(&loaded.config, &mut |asked| {
        let colour = match asked.verdict {
            "ok" => GREEN,
            Asked::FAULT => RED,
            _ => YELLOW,
        };
        if asked.verdict == Asked::FAULT {
            code = EXIT_FAILURE;
        }
        let word = output.paint(asked.verdict, colour);
        let line = writeln!(output.out, "{word}\t{}: {}", asked.subject, asked.text)
            .and_then(|()| output.out.flush());
        if line.is_err() {
            written = line;
        }
    });
    written?;
    if let Err(error) = asked {
        writeln!(output.err, "davgate: {error}")?;
        return Ok(EXIT_FAILURE);
    }
    Ok(code)
}

/// One object, whatever was found.
fn check_as_json(
    args: &CheckArgs,
    loaded: Result<Loaded, ConfigErrors>,
    checks: &Checks<'_>,
    output: &mut Output<'_>,
) -> io::Result<u8> {
    let (report, code) = match loaded {
        Ok(loaded) => {
            let mut report = json!({
                "ok": true, "mistakes": [], "warnings": loaded.warnings, "notes": loaded.infos,
                "flavor": loaded.config.flavor.name(), "compat": loaded.config.compat.name(),
                "summary": loaded.summary(), "clients": loaded.issuer_clients(),
            });
            let mut code = 0;
            if args.online {
                let mut asked = Vec::new();
                if let Err(error) = (checks.online)(&loaded.config, &mut |one| asked.push(one)) {
                    report["error"] = error.into();
                    code = EXIT_FAILURE;
                }
                if asked.iter().any(|one| one.verdict == Asked::FAULT) {
                    code = EXIT_FAILURE;
                }
                report["online"] = serde_json::to_value(asked).unwrap_or_default();
                report["ok"] = (code == 0).into();
            }
            (report, code)
        }
        Err(errors) => {
            let mistakes: Vec<serde_json::Value> = errors
                .mistakes
                .iter()
                .map(|one| {
                    json!({
                        "file": one.place.file, "line": one.place.line, "key": one.place.key,
                        "variables": one.place.variables, "text": one.text,
                    })
                })
                .collect();
            let report = json!({"ok": false, "mistakes": mistakes, "warnings": errors.warnings});
            (report, EXIT_CONFIG)
        }
    };
    writeln!(output.out, "{report:#}")?;
    Ok(code)
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
        let checks = Checks {
            offline: &|config| {
                let port = config.http.addr.port();
                (port == 1)
                    .then(|| "found by a part".to_owned())
                    .into_iter()
                    .collect()
            },
            online: &|_, tell| {
                tell(Asked {
                    subject: "backend web".to_owned(),
                    verdict: Asked::FAULT,
                    text: "is away".to_owned(),
                });
                Ok(())
            },
        };
        let mut output = Output {
            out: &mut out,
            err: &mut err,
            colour: false,
        };
        let code = config_command(&command, &options, vars, &checks, &mut output).unwrap();
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
        assert!(err.contains("4 mistakes"), "{err}");
        for names in [
            "PROXY_TLS",
            "OC_MACHINE_AUTH_API_KEY, PROXY_MACHINE_AUTH_API_KEY",
            "OC_SERVICE_ACCOUNT_ID, PROXY_SERVICE_ACCOUNT_ID",
            "OC_SERVICE_ACCOUNT_SECRET, PROXY_SERVICE_ACCOUNT_SECRET",
        ] {
            assert!(err.contains(names), "{err}");
        }
    }

    #[test]
    fn a_check_shows_what_was_understood_and_the_clients_of_the_issuer() {
        let (code, text, _) = run(&["check"], &VARS);
        assert_eq!(code, 0);
        for wanted in [
            "accounts: embedded",
            "web: client id web; redirect URIs https://localhost:9200/ https://localhost:9200/oidc-callback.html",
            "desktop: client id OpenCloudDesktop; redirect URIs http://127.0.0.1 http://localhost (any port); scopes openid profile email offline_access",
            "ios: client id OpenCloudIOS; redirect URIs oc://ios.opencloud.eu",
            "the configuration is fine",
        ] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
    }

    #[test]
    fn what_a_part_would_refuse_at_the_start_is_a_mistake_of_the_check() {
        let mut vars = VARS.to_vec();
        vars.push(("PROXY_HTTP_ADDR", "127.0.0.1:1"));
        let (code, _, err) = run(&["check"], &vars.as_slice());
        assert_eq!(code, EXIT_CONFIG);
        assert!(err.contains("found by a part"), "{err}");
    }

    #[test]
    fn an_online_check_tells_each_finding_and_fails_by_a_fault() {
        let (code, text, _) = run(&["check", "--online"], &VARS);
        assert_eq!(code, EXIT_FAILURE);
        assert!(text.contains("FAULT\tbackend web: is away"), "{text}");
    }

    #[test]
    fn a_check_as_json_is_one_object_in_every_case() {
        let value = |args: &[&str], vars: &dyn Vars| -> (u8, serde_json::Value) {
            let (code, text, _) = run(args, vars);
            (code, serde_json::from_str(&text).unwrap())
        };
        let (code, report) = value(&["check", "--json"], &VARS);
        assert_eq!((code, &report["ok"]), (0, &true.into()));
        let (code, report) = value(&["check", "--json", "--online"], &VARS);
        assert_eq!((code, &report["online"][0]["text"]), (1, &"is away".into()));
        let wrong = [("OC_CONFIG_DIR", "/nonexistent"), ("PROXY_TLS", "x")];
        let (code, report) = value(&["check", "--json"], &wrong);
        assert_eq!(code, EXIT_CONFIG);
        assert_eq!(report["mistakes"][0]["variables"][0], "PROXY_TLS");
    }

    #[test]
    fn print_can_leave_the_defaults_out() {
        let (_, text, _) = run(&["print", "--changed"], &VARS);
        assert!(text.contains("account_backend = "), "{text}");
        assert!(!text.contains("http.addr"), "{text}");
    }

    #[test]
    fn the_schemas_need_no_configuration() {
        for args in [&["schema"][..], &["schema", "--csp"]] {
            let (code, text, _) = run(args, &[("PROXY_TLS", "x")]);
            assert_eq!(code, 0);
            assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        }
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
