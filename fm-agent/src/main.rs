//! The program `fm-agent`: arguments, configuration, log, signals; all else is in the library.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use clap::error::ErrorKind;
use fm_agent::agent::{Ending, ReadAgain};
use fm_agent::config::AuditTo;
use fm_agent::systemd::Handed;
use fm_agent::{agent, audit, config, log};
use tokio::signal::unix::{SignalKind, signal};
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
    // While this is the only thread: the variables about them are taken away.
    let handed = Handed::take();
    let (file, check_config) = (arguments.config, arguments.check_config);
    let read = move || config::load(file.as_deref(), environment());
    let config = match read() {
        Ok(config) => config,
        Err(error) => return fail(EX_CONFIG, &format!("fm-agent: {error}")),
    };
    if check_config {
        return match writeln!(io::stdout(), "configuration is good") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    if let Err(error) = log::start(filter(&config), config.agent.log_to) {
        return fail(EX_CONFIG, &format!("fm-agent: {error:#}"));
    }
    let run = || {
        run(
            config,
            handed.context("a socket of the service manager's cannot be used")?,
            Box::new(move || Ok(read()?)),
        )
    };
    match run() {
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

/// The variables that are texts.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn run(config: config::Config, handed: Handed, read_again: ReadAgain) -> anyhow::Result<()> {
    // Two threads serve thousands of callers: the work is the disk's and the controllers'. One that waits for the
    // disk is replaced meanwhile.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(async {
        let ending = Ending::default();
        watch_signals(ending.clone())?;
        survive_large_files()?;
        Box::pin(agent::run(config, handed, read_again, ending)).await
    });
    // A question to a controller that is still under way must not hold up the exit.
    runtime.shutdown_background();
    result
}

/// The first signal stops the agent, a second one hurries it.
fn watch_signals(Ending { stop, hurry }: Ending) -> io::Result<()> {
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

/// A file that may not grow any more is an error of the write, like a full disk, and no reason to die.
fn survive_large_files() -> io::Result<()> {
    // Once taken, the signal stays taken, whether somebody listens or not.
    signal(SignalKind::from_raw(nix::libc::SIGXFSZ)).map(drop)
}

fn fail(status: u8, message: &str) -> ExitCode {
    let _gone = writeln!(io::stderr(), "{message}");
    ExitCode::from(status)
}
