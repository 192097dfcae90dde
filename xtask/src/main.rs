//! The workspace's own chores, `cargo xtask <chore>`: generated files, the C library and the Python package
//! laid out for use without an installer, all tests, fuzzing, all lints, the demo.
//!
//! Invariants: a chore reads and writes inside the workspace only (and where it is told to), needs no
//! network but package registries, and fails with what to do. No product code depends on this crate.

mod c;
mod csv;
mod demo;
mod fuzz;
mod generate;
mod library;
mod lint;
mod package;
mod prometheus;
mod python;
mod soak;
mod steps;
mod test;
mod tools;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

/// Chores of the fault management workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Write the files that are generated: from the tables in fm-common/data, the C headers, and the parts of
    /// the documents that the agent's own types give.
    Gen {
        /// Write nothing; fail when a committed file differs from what its sources give. The documents are checked
        /// by the agent's tests.
        #[arg(long)]
        check: bool,
    },
    /// Build libfmcommon and lay it out with headers and pkg-config file; prints the directory.
    C {
        /// Build optimised.
        #[arg(long)]
        release: bool,
        /// Where to, from the workspace's root; the library's files in it are replaced.
        #[arg(long, value_name = "DIR", default_value = "target/c")]
        into: PathBuf,
    },
    /// Build the Python extension and lay the package out, ready for PYTHONPATH; prints the directory.
    Python {
        /// Build optimised.
        #[arg(long)]
        release: bool,
        /// Where to, from the workspace's root; `fm_api` and `fm_core` in it are replaced.
        #[arg(long, value_name = "DIR", default_value = "target/python")]
        into: PathBuf,
    },
    /// Run every test there is.
    Test,
    /// Run the tests that need a real Keystone: a part of `test`.
    Keystone,
    /// Run the tests of the container image, the Helm chart and the units: a part of `test`.
    Packaging,
    /// Build the Debian packages, install, use, upgrade and remove them in a system of their own (only root can): a
    /// part of `test`.
    Debian,
    /// Feed the readers of foreign bytes with bytes that nobody thought of: a part of `test`.
    Fuzz {
        /// For how long, each target.
        #[arg(long, default_value_t = 30)]
        seconds: u32,
        /// Only this target.
        #[arg(value_name = "TARGET")]
        target: Option<String>,
    },
    /// Kill the agent again and again under load, and count: a part of `test`.
    Soak {
        /// Build optimised.
        #[arg(long)]
        release: bool,
    },
    /// Run the tests of the figures, the alerts and the dashboard: a part of `test`.
    Monitoring,
    /// Build the Debian packages; prints the directory.
    Package,
    /// Take the dashboard's picture from a real run, for the documents.
    Picture,
    /// Measure, optimised, how fast the agent delivers a backlog, beside as many plain HTTP connections that post
    /// the same alarms: prints the rates and their ratio.
    DeliveryRate {
        /// Alarms of one measurement.
        #[arg(long, default_value_t = 1000)]
        alarms: u32,
        /// Measurements of each side, which take turns; the medians count.
        #[arg(long, default_value_t = 3)]
        rounds: u32,
    },
    /// Check the sources without running them.
    Lint,
    /// Raise the whole catalogue to two controllers, one of them killed at a time.
    Demo,
}

fn main() -> ExitCode {
    match chore(Arguments::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be done when even the terminal is gone.
            let _gone = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn chore(chore: Chore) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask does not lie in a workspace: the directory above it is missing")?;
    let mut out = std::io::stdout();
    match chore {
        Chore::Gen { check: false } => {
            for path in generate::write(root)? {
                writeln!(out, "written: {}", path.display())?;
            }
            generate::write_reference(root)?;
        }
        Chore::Gen { check: true } => {
            generate::check(root)?;
            writeln!(out, "generated files are up to date")?;
        }
        Chore::C { release, into } => {
            let directory = c::lay_out(root, release, &into)?;
            writeln!(out, "{}", directory.display())?;
        }
        Chore::Python { release, into } => {
            let directory = python::lay_out(root, release, &into)?;
            writeln!(out, "{}", directory.display())?;
        }
        Chore::Test => test::all(root)?,
        Chore::Keystone => test::keystone(root)?,
        Chore::Packaging => test::packaging(root)?,
        Chore::Debian => test::debian(root)?,
        Chore::Fuzz { seconds, target } => fuzz::run(root, seconds, target.as_deref())?,
        Chore::Soak { release } => soak::run(root, release)?,
        Chore::Monitoring => test::monitoring(root)?,
        Chore::Picture => prometheus::picture(root)?,
        Chore::DeliveryRate { alarms, rounds } => test::delivery_rate(root, alarms, rounds)?,
        Chore::Package => {
            let directory = package::build(root)?;
            writeln!(out, "{}", directory.display())?;
        }
        Chore::Lint => lint::all(root)?,
        Chore::Demo => demo::exec(root)?,
    }
    Ok(())
}
