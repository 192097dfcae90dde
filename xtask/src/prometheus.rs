//! Prometheus and its checker: the machine's, else Debian's package unpacked below `target/tools`, where nothing
//! is started; and the dashboard's picture, taken with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::{python, tools};

/// The path of `prometheus` or `promtool`.
///
/// # Errors
/// The machine has none, and no package of it can be had.
pub(crate) fn program(root: &Path, name: &str) -> anyhow::Result<PathBuf> {
    if tools::answers(&mut Command::new(name)) {
        return Ok(PathBuf::from(name));
    }
    let place = root.join("target/tools/prometheus");
    let program = place.join("usr/bin").join(name);
    if !tools::answers(&mut Command::new(&program)) {
        unpack(&place).with_context(|| {
            format!("no {name} on this machine, and Debian's package of it cannot be had: install prometheus")
        })?;
    }
    Ok(program)
}

fn unpack(place: &Path) -> anyhow::Result<()> {
    if place.exists() {
        fs::remove_dir_all(place).with_context(|| format!("removing {}", place.display()))?;
    }
    fs::create_dir_all(place).with_context(|| format!("making {}", place.display()))?;
    let mut download = Command::new("apt-get");
    tools::run(download.args(["download", "--quiet", "prometheus"]).current_dir(place))?;
    let package = |entry: std::io::Result<fs::DirEntry>| entry.ok().map(|entry| entry.path());
    let mut packages = fs::read_dir(place)?.filter_map(package);
    let Some(package) = packages.find(|path| path.extension().is_some_and(|it| it == "deb")) else {
        bail!("apt-get downloaded no package into {}", place.display());
    };
    tools::run(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(place))?;
    fs::remove_file(&package).with_context(|| format!("removing {}", package.display()))
}

/// What draws the picture.
const PICTURE: tools::Environment = tools::Environment {
    directory: "target/picture",
    requirements: &["tests/monitoring/requirements.txt"],
    oldest_python: (3, 11),
};

/// Runs an agent, controllers and Prometheus for a few minutes and draws the dashboard of it.
///
/// # Errors
/// A program is not to be had or fails.
pub(crate) fn picture(root: &Path) -> anyhow::Result<()> {
    let prometheus = program(root, "prometheus")?;
    let programs = tools::build(root, &["fm-agent", "fm-rest-sim"])?;
    let binaries = programs.first().and_then(|program| program.parent()).context("cargo built no program")?;
    let interpreter = tools::virtual_environment(root, &PICTURE)?;
    let package = python::lay_out(root, false, Path::new("target/python"))?;
    let mut draw = tools::python_command(interpreter, &package);
    draw.current_dir(root).arg("tests/monitoring/picture.py").arg("docs/dashboard.png");
    tools::run(draw.env("FM_PROMETHEUS", prometheus).env("FM_TEST_BIN_DIR", binaries))
}
