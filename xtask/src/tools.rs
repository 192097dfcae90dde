//! The programs that chores call: cargo, Python and its virtual environment, cargo's plug-ins.
//!
//! Invariants: what is installed goes into `target/`, in the version that is written down; `--locked`
//! everywhere; a missing tool is an error that says how to get it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

/// A virtual environment below `target/`.
pub(crate) struct Environment {
    pub(crate) directory: &'static str,
    pub(crate) requirements: &'static [&'static str],
    pub(crate) oldest_python: (u32, u32),
}

/// What the Python tests and the lints need.
pub(crate) const TESTS: Environment = Environment {
    directory: "target/venv",
    requirements: &["tests/python/requirements.txt", "xtask/requirements.txt"],
    oldest_python: OLDEST_PYTHON,
};

/// A real Keystone.
pub(crate) const KEYSTONE: Environment = Environment {
    directory: "target/keystone/venv",
    requirements: &["tests/keystone/requirements.txt"],
    oldest_python: (3, 11),
};

/// What the tests of image and chart need.
pub(crate) const PACKAGING: Environment = Environment {
    directory: "target/packaging/venv",
    requirements: &["tests/packaging/requirements.txt"],
    oldest_python: (3, 11),
};

/// Installed where the machine has none. It needs minutes to build.
const CARGO_DENY: &str = "0.20.2";

/// The oldest Python that the package supports.
const OLDEST_PYTHON: (u32, u32) = (3, 9);

/// A cargo command in the workspace.
pub(crate) fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).args(arguments);
    command
}

/// Runs a command to its end.
///
/// # Errors
/// It cannot be started, or does not succeed.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("starting {name}"))?;
    ensure!(status.success(), "{name} ended with {status}");
    Ok(())
}

/// Whether a program answers when it is asked for its version.
pub(crate) fn answers(command: &mut Command) -> bool {
    let quiet = command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Whether there is a program of this name: for those that answer no question for their version.
pub(crate) fn on_path(program: &str) -> bool {
    let places = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&places).any(|place| place.join(program).is_file())
}

/// Builds programs of the workspace and returns where cargo put them, in the order asked for.
pub(crate) fn build(root: &Path, packages: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let options: Vec<String> = packages.iter().map(|package| format!("--package={package}")).collect();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    build_with(root, &options, packages)
}

/// Builds with these options and returns where cargo put these programs, in the order asked for.
pub(crate) fn build_with(root: &Path, options: &[&str], programs: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let mut command = cargo(root, &["build", "--locked", "--message-format=json-render-diagnostics"]);
    command.args(options);
    let output = command.stderr(Stdio::inherit()).output().context("starting cargo")?;
    ensure!(output.status.success(), "building {} failed: {}", programs.join(", "), output.status);
    let messages = String::from_utf8(output.stdout).context("cargo's messages")?;
    programs.iter().map(|program| program_in(&messages, program)).collect()
}

/// The path of a program in cargo's messages.
fn program_in(messages: &str, name: &str) -> anyhow::Result<PathBuf> {
    for line in messages.lines() {
        let message: serde_json::Value = serde_json::from_str(line).context("one of cargo's messages")?;
        if let (true, Some(path)) = (message["target"]["name"] == name, message["executable"].as_str()) {
            return Ok(PathBuf::from(path));
        }
    }
    bail!("cargo built no program {name}")
}

/// The Python that runs the demo and makes the virtual environment: `$PYTHON`, else `python3`.
///
/// # Errors
/// There is none, or it is too old.
pub(crate) fn python() -> anyhow::Result<OsString> {
    python_from(OLDEST_PYTHON)
}

fn python_from(oldest: (u32, u32)) -> anyhow::Result<OsString> {
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let version = version_of(&python)?;
    ensure!(
        version >= oldest,
        "{} is Python {}.{}; needed is {}.{} or newer: name one in the variable PYTHON",
        python.display(),
        version.0,
        version.1,
        oldest.0,
        oldest.1,
    );
    Ok(python)
}

fn version_of(python: &OsString) -> anyhow::Result<(u32, u32)> {
    let shown = python.display();
    let output = Command::new(python)
        .args(["-c", "import sys; print(sys.version_info[0], sys.version_info[1])"])
        .output()
        .with_context(|| format!("starting {shown}: install Python 3 or name one in the variable PYTHON"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u32> = text.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    match numbers.as_slice() {
        [major, minor] if output.status.success() => Ok((*major, *minor)),
        _ => bail!("{shown} does not tell its version"),
    }
}

/// A command of this Python that writes no byte code beside the sources and finds the built package.
pub(crate) fn python_command(python: impl Into<OsString>, package: &Path) -> Command {
    let mut command = Command::new(python.into());
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONPATH", package).env("MYPYPATH", package);
    command
}

/// The Python of a virtual environment, with all requirements in their versions; made anew when a
/// requirement or the Python has changed.
pub(crate) fn virtual_environment(root: &Path, wanted: &Environment) -> anyhow::Result<PathBuf> {
    let python = python_from(wanted.oldest_python)?;
    let directory = root.join(wanted.directory);
    let stamp = directory.join("made-of");
    let made_of = made_of(root, &python, wanted.requirements)?;
    let program = directory.join("bin/python");
    if fs::read_to_string(&stamp).is_ok_and(|old| old == made_of) {
        return Ok(program);
    }
    let mut make = Command::new(&python);
    run(make.args(["-m", "venv", "--clear"]).arg(&directory))
        .with_context(|| format!("making {}: on Debian install python3-venv", directory.display()))?;
    let mut install = Command::new(&program);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).current_dir(root);
    run(install.args(wanted.requirements.iter().flat_map(|file| ["-r", file])))
        .with_context(|| format!("installing {}", wanted.requirements.join(" and ")))?;
    fs::write(&stamp, made_of).with_context(|| format!("writing {}", stamp.display()))?;
    Ok(program)
}

/// What an environment depends on, as text.
fn made_of(root: &Path, python: &OsString, requirements: &[&str]) -> anyhow::Result<String> {
    let (major, minor) = version_of(python)?;
    let mut text = format!("{} {major}.{minor}\n", python.display());
    for file in requirements {
        let path = root.join(file);
        text += &fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    }
    Ok(text)
}

/// A `cargo deny` command: the machine's, else the one in `target/tools`, which is installed first.
pub(crate) fn cargo_deny(root: &Path) -> anyhow::Result<Command> {
    if answers(&mut cargo(root, &["deny"])) {
        return Ok(cargo(root, &["deny"]));
    }
    let tools = root.join("target/tools");
    let program = tools.join("bin/cargo-deny");
    if !answers(&mut Command::new(&program)) {
        let mut install = cargo(root, &["install", "--locked", "--version", CARGO_DENY, "cargo-deny"]);
        let build = tools.join("build");
        install.arg("--root").arg(&tools).env("CARGO_TARGET_DIR", &build);
        run(&mut install).context("installing cargo-deny")?;
        fs::remove_dir_all(&build).with_context(|| format!("removing {}", build.display()))?;
    }
    let mut command = Command::new(program);
    command.current_dir(root);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_in_cargos_messages() {
        let library = r#"{"target":{"name":"fm-agent"},"executable":null}"#;
        let program = r#"{"target":{"name":"fm-agent"},"executable":"/t/fm-agent"}"#;
        let found = program_in(&format!("{library}\n{program}\n"), "fm-agent").unwrap();
        assert_eq!(found, Path::new("/t/fm-agent"));
        assert!(program_in(library, "fm-agent").unwrap_err().to_string().contains("no program fm-agent"));
    }

    #[test]
    fn a_missing_program_does_not_answer() {
        assert!(answers(&mut Command::new("cargo")));
        assert!(!answers(&mut Command::new("/nowhere/cargo")));
        assert!(on_path("sh") && !on_path("no-such-program"));
    }
}
