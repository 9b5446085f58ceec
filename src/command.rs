//! What the binary does: arguments, configuration, gateway, exit code.

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;

use crate::accounts::embedded::admin;
use crate::admin::check_health;
use crate::cli::{
    AccountCommand, Asked, Checks, Cli, Command, ConfigCommand, EXIT_CONFIG, ExplainArgs, Output,
    completions, config_command, debug_addr, man, version,
};
use crate::config::accounts::AccountBackend;
use crate::config::{Config, ProcessVars};
use crate::explain::{AskedRequest, Question, token_in};
use crate::gateway;
use crate::model::{Clock, Role, StoredRole};
use crate::reload::Source;
use crate::server::supervisor;
use crate::telemetry::{Log, START};
use anyhow::Context as _;
use clap::Parser as _;

/// Runs the command that was given, and answers its exit code: 0 fine, 1 not done, 2 usage or configuration.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match execute(&cli) {
        Ok(code) => ExitCode::from(code),
        // Whoever reads with `head` has seen enough.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "davgate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn execute(cli: &Cli) -> anyhow::Result<u8> {
    match cli.command.as_ref().unwrap_or(&Command::Server) {
        Command::Server => serve(cli),
        Command::Config { command } => config(cli, command),
        Command::Version => {
            version(&mut io::stdout())?;
            Ok(0)
        }
        Command::Man { folder } => {
            man(folder.as_deref(), &mut io::stdout())?;
            Ok(0)
        }
        Command::Completions { shell } => {
            completions(*shell, &mut io::stdout());
            Ok(0)
        }
        Command::Account { command } => account(cli, command),
        Command::Health { ready } => health(cli, *ready),
        Command::Explain(args) => explain(cli, args),
    }
}

fn config(cli: &Cli, command: &ConfigCommand) -> anyhow::Result<u8> {
    let checks = Checks {
        offline: &|config| {
            let found = gateway::preflight(config);
            found.iter().map(ToString::to_string).collect()
        },
        online: &|config, tell| {
            gateway::check_online(config, &mut |found| {
                tell(Asked {
                    subject: found.subject,
                    verdict: found.verdict.word(),
                    text: found.text,
                });
            })
            .map_err(|error| error.to_string())
        },
    };
    let mut output = Output {
        out: &mut io::stdout(),
        err: &mut io::stderr(),
        colour: io::stdout().is_terminal() && io::stderr().is_terminal(),
    };
    let (options, vars) = (cli.load_options(), ProcessVars);
    Ok(config_command(
        command,
        &options,
        &vars,
        &checks,
        &mut output,
    )?)
}

/// Needs nothing of the configuration but the debug address, so that a probe needs no secrets.
fn health(cli: &Cli, ready: bool) -> anyhow::Result<u8> {
    check_health(debug_addr(&cli.load_options(), &ProcessVars), ready)?;
    Ok(0)
}

fn serve(cli: &Cli) -> anyhow::Result<u8> {
    // Before there is a thread beside this one.
    let handed_over = supervisor::handed_over().context("the socket that was handed over")?;
    let loaded = match Config::load(&cli.load_options(), &ProcessVars) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            writeln!(io::stderr(), "davgate: {mistakes}")?;
            return Ok(EXIT_CONFIG);
        }
    };
    let log = Log::start(&loaded.config.log, Clock::system())?;
    for line in loaded.summary() {
        tracing::info!(target: START, "{line}");
    }
    loaded
        .warnings
        .iter()
        .for_each(|warning| tracing::warn!("{warning}"));
    loaded
        .infos
        .iter()
        .for_each(|info| tracing::info!("{info}"));
    let source = Source {
        options: cli.load_options(),
        vars: Box::new(ProcessVars),
    };
    let ended = gateway::start_on(handed_over, loaded, source, &log, Clock::system())
        .map_err(anyhow::Error::from)
        .and_then(|running| Ok(running.run()?));
    log.flush();
    Ok(u8::from(!ended?))
}

fn explain(cli: &Cli, args: &ExplainArgs) -> anyhow::Result<u8> {
    let loaded = match Config::load(&cli.load_options(), &ProcessVars) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            writeln!(io::stderr(), "davgate: {mistakes}")?;
            return Ok(EXIT_CONFIG);
        }
    };
    let text = match &args.token_file {
        Some(file) if file.as_os_str() != "-" => Some(
            std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?,
        ),
        None if args.path.is_some() => None,
        _ => Some(io::read_to_string(io::stdin())?),
    };
    let question = Question {
        token: text.as_deref().map(token_in),
        request: args.path.clone().map(|target| AskedRequest {
            method: args.method.clone(),
            target,
        }),
    };
    let explained = gateway::explain(&loaded.config, &question, &Clock::system())?;
    if args.json {
        serde_json::to_writer_pretty(io::stdout(), &explained).map_err(io::Error::from)?;
        writeln!(io::stdout())?;
    } else {
        write!(io::stdout(), "{explained}")?;
    }
    Ok(u8::from(!explained.lets_in()))
}

fn account(cli: &Cli, command: &AccountCommand) -> anyhow::Result<u8> {
    let loaded = match Config::load(&cli.load_options(), &ProcessVars) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            writeln!(io::stderr(), "davgate: {mistakes}")?;
            return Ok(EXIT_CONFIG);
        }
    };
    let AccountBackend::Embedded { database } = &loaded.config.accounts.backend else {
        writeln!(
            io::stderr(),
            "davgate: accounts are kept in LDAP, not here; PROXY_ACCOUNT_BACKEND_TYPE is not `embedded`"
        )?;
        return Ok(EXIT_CONFIG);
    };
    let (username, found) = match command {
        AccountCommand::List => {
            for account in admin::list(database)? {
                let state = if account.enabled {
                    "enabled"
                } else {
                    "disabled"
                };
                let role = match &account.role {
                    Some(StoredRole::Known(role) | StoredRole::Several(role)) => role.name(),
                    Some(StoredRole::Foreign(text)) => text,
                    None => "-",
                };
                writeln!(
                    io::stdout(),
                    "{}\t{state}\t{role}\t{}\t{}",
                    account.username,
                    account.id,
                    account.display_name
                )?;
            }
            return Ok(0);
        }
        AccountCommand::Disable { username } => {
            (username, admin::set_enabled(database, username, false)?)
        }
        AccountCommand::Enable { username } => {
            (username, admin::set_enabled(database, username, true)?)
        }
        AccountCommand::Role { username, role } => {
            let Some(role) = Role::from_name(role) else {
                writeln!(
                    io::stderr(),
                    "davgate: no role {role:?}; one of admin, spaceadmin, user, user-light"
                )?;
                return Ok(EXIT_CONFIG);
            };
            (username, admin::set_role(database, username, role)?)
        }
    };
    anyhow::ensure!(found, "no account {username:?}");
    Ok(0)
}
