//! Every test there is, in one command.
//!
//! Invariant: each suite runs whole, whatever became of the others.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::steps::Steps;
use crate::{demo, fuzz, generate, package, prometheus, python, soak, tools};

/// For how long each fuzz target runs as a test: what it finds slowly is for longer runs.
const FUZZ_SECONDS: u32 = 30;

/// Counts the instructions of a set, in the programs as they are shipped.
const INSTRUCTIONS: [&str; 7] =
    ["run", "--release", "--quiet", "--locked", "--package=fm-bench", "--", "instructions"];

/// Runs all suites.
///
/// # Errors
/// One of them failed, or could not be started.
pub(crate) fn all(root: &Path) -> anyhow::Result<()> {
    let mut steps = Steps::new("test");
    steps.run("generated files", || generate::check(root))?;
    let runner: &[&str] = if tools::answers(&mut tools::cargo(root, &["nextest"])) {
        &["nextest", "run", "--locked", "--workspace", "--no-fail-fast"]
    } else {
        &["test", "--locked", "--workspace", "--all-targets", "--no-fail-fast"]
    };
    steps.run("Rust", || tools::run(&mut tools::cargo(root, runner)))?;
    let examples = ["test", "--locked", "--workspace", "--doc", "--no-fail-fast"];
    steps.run("Rust examples", || tools::run(&mut tools::cargo(root, &examples)))?;
    // Once more for its figures, which a runner of tests keeps to itself.
    let rate = ["test", "--locked", "--package=fm-agent", "--test=delivery_rate", "--", "--nocapture"];
    steps.run("delivery rate", || tools::run(&mut tools::cargo(root, &rate)))?;
    steps.run("Keystone", || keystone(root))?;
    for (name, directory) in [("Python", "tests/python"), ("demo's counting", "tests/demo")] {
        steps.run(name, || pytest(root, directory))?;
    }
    steps.run("fuzzing", || fuzz::run(root, FUZZ_SECONDS, None))?;
    steps.run("packaging", || packaging(root))?;
    match no_debian() {
        None => steps.run("Debian packages", || debian(root))?,
        Some(why) => steps.leave_out("Debian packages", why)?,
    }
    steps.run("soak", || soak::run(root, false))?;
    steps.run("monitoring", || monitoring(root))?;
    steps.run("instructions", || tools::run(&mut tools::cargo(root, &INSTRUCTIONS)))?;
    steps.run("demo", || tools::run(&mut demo::command(root)?))?;
    steps.finish()
}

/// Runs the tests that need a real Keystone, which is installed first.
///
/// # Errors
/// It cannot be installed or started, or a test failed.
pub(crate) fn keystone(root: &Path) -> anyhow::Result<()> {
    let interpreter =
        tools::virtual_environment(root, &tools::KEYSTONE).context("a Keystone to test with")?;
    let tests = ["test", "--locked", "--package=fm-agent", "--test=keystone", "--", "--ignored"];
    tools::run(tools::cargo(root, &tests).env("FM_TEST_KEYSTONE_PYTHON", interpreter))
}

/// Runs the tests of the figures, the alerts and the dashboard under Prometheus' own tool.
///
/// # Errors
/// The tool is not to be had, or a test failed.
pub(crate) fn monitoring(root: &Path) -> anyhow::Result<()> {
    let promtool = prometheus::program(root, "promtool")?;
    tools::run(pytest_command(root, "tests/monitoring")?.env("FM_PROMTOOL", promtool))
}

/// Measures the delivery rate at length, optimised.
///
/// # Errors
/// It cannot be built, or an alarm got lost or doubled.
pub(crate) fn delivery_rate(root: &Path, alarms: u32, rounds: u32) -> anyhow::Result<()> {
    let measure =
        ["test", "--locked", "--release", "--package=fm-agent", "--test=delivery_rate", "--", "--nocapture"];
    let mut command = tools::cargo(root, &measure);
    command.env("FM_RATE_ALARMS", alarms.to_string()).env("FM_RATE_ROUNDS", rounds.to_string());
    tools::run(&mut command)
}

/// Runs the tests of the container image's recipe and of the Helm chart.
///
/// # Errors
/// What they need is not to be had, or a test failed.
pub(crate) fn packaging(root: &Path) -> anyhow::Result<()> {
    let interpreter = tools::virtual_environment(root, &tools::PACKAGING)?;
    tools::run(&mut pytest_with(root, &interpreter, "tests/packaging")?)
}

/// Builds the Debian packages and runs their tests, which install them in a system of their own.
///
/// # Errors
/// This machine cannot do it, a package cannot be built or has faults, or a test failed.
pub(crate) fn debian(root: &Path) -> anyhow::Result<()> {
    if let Some(why) = no_debian() {
        bail!("the packages cannot be tested: {why}");
    }
    let packages = package::build(root)?;
    tools::run(pytest_command(root, "tests/debian")?.env("FM_TEST_PACKAGES", packages))
}

/// Why the packages cannot be tested on this machine, if so: they are for Debian, and a system of their own takes
/// mounts and users.
fn no_debian() -> Option<&'static str> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    // The directory belongs to whom this process runs as.
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !release.lines().any(|line| line == "ID=debian") {
        Some("this machine is no Debian")
    } else if !is_root {
        Some("they are installed in a system of their own, which only root can make")
    } else {
        None
    }
}

/// Runs the Python tests of a directory against the built programs and the laid-out package.
fn pytest(root: &Path, directory: &str) -> anyhow::Result<()> {
    tools::run(&mut pytest_command(root, directory)?)
}

fn pytest_command(root: &Path, directory: &str) -> anyhow::Result<Command> {
    pytest_with(root, &tools::virtual_environment(root, &tools::TESTS)?, directory)
}

fn pytest_with(root: &Path, interpreter: &Path, directory: &str) -> anyhow::Result<Command> {
    let programs = tools::build(root, &["fm-agent", "fm-rest-sim"])?;
    let package = python::lay_out(root, false, Path::new("target/python"))?;
    let binaries = programs.first().and_then(|program| program.parent()).context("cargo built no program")?;
    let mut command = tools::python_command(interpreter, &package);
    command.current_dir(root).env("FM_TEST_BIN_DIR", binaries).env("FM_TEST_PYTHON_DIR", &package);
    command.args(["-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", directory]);
    Ok(command)
}
