//! The soak tests: builds what their callers need and runs them on an agent with fail points.
//!
//! Invariant: the agent that is built here is for these tests only; whatever needs the agent builds its own.

use std::path::Path;

use crate::{c, python, tools};

/// Runs them. How often the agent is killed and the seed come from the environment (`FM_SOAK_KILLS`,
/// `FM_SOAK_SEED`).
///
/// # Errors
/// Something cannot be built, or a test failed.
pub(crate) fn run(root: &Path, release: bool) -> anyhow::Result<()> {
    let library = c::lay_out(root, release, Path::new("target/soak/c"))?;
    let package = python::lay_out(root, release, Path::new("target/soak/python"))?;
    let interpreter = tools::virtual_environment(root, &tools::TESTS)?;
    let mut tests = tools::cargo(root, &["test", "--locked", "--package=fm-agent", "--features=fail-points"]);
    tests.arg("--test=soak");
    if release {
        tests.arg("--release");
    }
    tests.env("FM_TEST_C_DIR", library).env("FM_TEST_PYTHON_DIR", package).env("FM_TEST_PYTHON", interpreter);
    // One after the other: each of them is a load for a whole machine.
    tools::run(tests.args(["--", "--nocapture", "--test-threads=1"]))
}
