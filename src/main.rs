//! Arguments, configuration, gateway, exit code.

use std::io::Write as _;
use std::process::ExitCode;

use davgate::config::{Config, LoadOptions, ProcessVars};
use davgate::gateway;
use davgate::model::Clock;
use davgate::telemetry::Log;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "davgate: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let loaded = Config::load(&LoadOptions::default(), &ProcessVars)?;
    let log = Log::start(&loaded.config.log, Clock::system())?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let running = gateway::start(&loaded, &log, Clock::system())?;
    std::thread::park();
    running.stop();
    Ok(())
}
