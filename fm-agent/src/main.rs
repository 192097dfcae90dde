//! The program `fm-agent`: arguments, configuration, log, signals; all else is in the library.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use fm_agent::config::AuditTo;
use fm_agent::{agent, audit, config};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Exit status of a wrong command line, after `sysexits.h`.
const EX_USAGE: u8 = 64;
/// Exit status of a wrong configuration, after `sysexits.h`.
const EX_CONFIG: u8 = 78;

/// Node-local fault management: takes alarms on a Unix socket, keeps them on disk, and delivers them to
/// the controller that owns them. Without any configuration it keeps them itself.
#[derive(Debug, Parser)]
#[command(name = "fm-agent", version)]
struct Arguments {
    /// Configuration file [default: /etc/fm/fm-agent.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Check the configuration and exit: status 0 when it is good, 78 when it is not
    #[arg(long)]
    check_config: bool,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // Nothing is left to be done when even the terminal is gone.
            let _gone = error.print();
            return if asked_for { ExitCode::SUCCESS } else { ExitCode::from(EX_USAGE) };
        }
    };
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let config = match config::load(arguments.config.as_deref(), environment) {
        Ok(config) => config,
        Err(error) => return fail(EX_CONFIG, &format!("fm-agent: {error}")),
    };
    if arguments.check_config {
        return match writeln!(io::stdout(), "configuration is good") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    tracing_subscriber::fmt()
        .with_env_filter(filter(&config))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        // When nobody reads the log any more, saying so in the same place would panic.
        .log_internal_errors(false)
        .init();
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Which log lines are written. Audit lines have a switch of their own.
fn filter(config: &config::Config) -> EnvFilter {
    let audit = match config.audit.to {
        AuditTo::Log => LevelFilter::INFO,
        AuditTo::Off | AuditTo::File(_) => LevelFilter::OFF,
    };
    let filter = EnvFilter::new(config.agent.log.as_str());
    match format!("{}={audit}", audit::TARGET).parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    }
}

fn run(config: config::Config) -> anyhow::Result<()> {
    // Two threads serve thousands of callers: the work is the disk's and the controllers'.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(async {
        let (stop, hurry) = (CancellationToken::new(), CancellationToken::new());
        watch_signals(stop.clone(), hurry.clone())?;
        agent::run(config, stop, hurry).await
    });
    // A question to a controller that is still under way must not hold up the exit.
    runtime.shutdown_background();
    result
}

/// The first signal stops the agent, a second one hurries it.
fn watch_signals(stop: CancellationToken, hurry: CancellationToken) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        for token in [stop, hurry] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            token.cancel();
        }
    });
    Ok(())
}

fn fail(status: u8, message: &str) -> ExitCode {
    let _gone = writeln!(io::stderr(), "{message}");
    ExitCode::from(status)
}
