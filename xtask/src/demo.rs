//! The demo: builds what it needs and starts it.
//!
//! Invariant: everything it writes is below `target/`.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::{python, tools};

/// The demo's command, with everything built that it needs.
pub(crate) fn command(root: &Path) -> anyhow::Result<Command> {
    let interpreter = tools::python()?;
    let programs = tools::build(root, &["fm-agent", "fm-rest-sim"])?;
    let package = python::lay_out(root, false, Path::new("target/python"))?;
    let mut command = tools::python_command(interpreter, &package);
    command.current_dir(root).arg("tests/demo/demo.py");
    for (option, path) in ["--agent", "--controller"].iter().zip(programs) {
        command.arg(option).arg(path);
    }
    command.args(["--catalogue", "fm-common/data/alarm_catalogue.csv", "--directory", "target/demo"]);
    Ok(command)
}

/// Becomes the demo, so that a signal for this process reaches it.
///
/// # Errors
/// Something cannot be built or started; else it does not return.
pub(crate) fn exec(root: &Path) -> anyhow::Result<()> {
    Err(command(root)?.exec()).context("starting Python")
}
