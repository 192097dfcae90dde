//! `fm-bench`: what the agent, its library and its bindings cost, beside what the machine's sockets and disk cost
//! without them.
//!
//! Invariants:
//! - The programs measured are the real ones, built as they are shipped.
//! - A figure and its limit come from the same run, their rounds in turn, so that a noisy machine hits both.
//! - A figure is the median of its rounds; the rounds are kept, so that noise can be told from change.
//! - A run says what it found and ends well, whatever the figures: they are judged by who reads them. Only
//!   `instructions` fails when they grow, because instructions do not depend on the machine's mood.

#![expect(clippy::cast_precision_loss, reason = "figures are shown with three digits")]

mod agent;
mod caller;
mod compare;
mod controllers;
mod delivery;
mod disk;
mod echo;
mod instructions;
mod load;
mod machine;
mod process;
mod programs;
mod publish;
mod report;
mod rounds;
mod stats;
mod suite;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures the fault management agent.
#[derive(Debug, Parser)]
#[command(name = "fm-bench")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Measure everything and write the figures under target/bench.
    Run {
        /// Fewer rounds and smaller crowds: for work on the agent, not for publication.
        #[arg(long)]
        quick: bool,
        /// Only the parts whose names begin so: writes, reads, languages, controllers, delivery, sizes.
        #[arg(long, value_name = "PART")]
        only: Option<String>,
    },
    /// Show what changed between two runs.
    Compare {
        /// The figures of the earlier run.
        base: PathBuf,
        /// The figures of the later run [default: the newest under target/bench].
        other: Option<PathBuf>,
    },
    /// Put the tables of a run into docs/performance.md.
    Publish {
        /// The figures of the run [default: the newest under target/bench].
        figures: Option<PathBuf>,
    },
    /// Count the instructions of a set and hold them against tests/bench/instructions.toml.
    Instructions {
        /// Write the counts down as the new ones.
        #[arg(long)]
        update: bool,
    },
    /// A caller in a process of its own (started by `run`).
    #[command(hide = true)]
    Call(caller::Arguments),
    /// The other end of the socket's limit (started by `run`).
    #[command(hide = true)]
    Echo(echo::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Run { quick, only } => suite::run(quick, only.as_deref()),
        Verb::Compare { base, other } => compare::show(&base, other.as_deref()),
        Verb::Publish { figures } => publish::publish(figures.as_deref()),
        Verb::Instructions { update } => instructions::check(update),
        Verb::Call(arguments) => caller::call(&arguments),
        Verb::Echo(arguments) => echo::serve(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be done when even the terminal is gone.
            let _gone = writeln!(std::io::stderr(), "fm-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
