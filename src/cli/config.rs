//! `davgate config ...`: the commands that need nothing but the configuration.

use std::io::{self, Write};

use serde_json::json;

use super::{CheckArgs, ConfigCommand, EXIT_CONFIG, EXIT_FAILURE, EnvArgs, PrintArgs};
use crate::config::{
    Config, ConfigErrors, Flavor, LoadOptions, Loaded, Mistake, Origin, Place, Vars, reference,
    schema,
};

/// Asks everybody; each finding is told at once.
pub(super) type Online<'a> = &'a dyn Fn(&Config, &mut dyn FnMut(Asked)) -> Result<(), String>;

/// What a check asks of parts that know more than the configuration.
pub(crate) struct Checks<'a> {
    /// What would stop a start although the configuration is without mistakes: certificates, keys, CA files, expressions.
    pub offline: &'a dyn Fn(&Config) -> Vec<String>,
    /// Whether everybody answers as he has to.
    pub online: Online<'a>,
}

/// What one question of an online check came to.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Asked {
    /// Who was asked.
    pub subject: String,
    /// `ok`, `warning` or `FAULT`.
    pub verdict: &'static str,
    /// What was found, with the setting to change.
    pub text: String,
}

impl Asked {
    /// The verdict of what cannot work.
    pub(crate) const FAULT: &'static str = "FAULT";
}

/// Where a command writes.
pub(crate) struct Output<'a> {
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
pub(crate) fn config_command(
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
