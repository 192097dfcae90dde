//! The programs that are measured, built as they are shipped.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// The workspace.
pub(crate) fn root() -> anyhow::Result<&'static Path> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).parent().and_then(Path::parent);
    above.context("fm-bench does not lie in a workspace: the directories above it are missing")
}

/// Where figures and state go: on the disk that is measured.
pub(crate) fn directory() -> anyhow::Result<PathBuf> {
    let directory = root()?.join("target/bench");
    std::fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
    Ok(directory)
}

/// What there is to run.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) agent: PathBuf,
    pub(crate) command: PathBuf,
    pub(crate) sim: PathBuf,
    /// `include/` and `lib/` of the C library.
    pub(crate) c: PathBuf,
    /// The Python package and its extension.
    pub(crate) python: PathBuf,
    /// A C program that calls.
    pub(crate) c_caller: PathBuf,
}

impl Programs {
    /// Builds all of them.
    pub(crate) fn build() -> anyhow::Result<Self> {
        let [agent, sim] = ["fm-agent", "fm-rest-sim"].map(release_program);
        let agent = agent?;
        let c = chore(&["c", "--release", "--into", "target/bench/c"])?;
        let python = chore(&["python", "--release", "--into", "target/bench/python"])?;
        let c_caller = compile(&c)?;
        Ok(Self { command: agent.with_file_name("fmClientCli"), agent, sim: sim?, c, python, c_caller })
    }
}

/// Builds a program of the workspace with the profile `release`, and returns its path.
pub(crate) fn release_program(name: &str) -> anyhow::Result<PathBuf> {
    let mut command = cargo()?;
    command.args(["build", "--locked", "--release", "--message-format=json-render-diagnostics"]);
    let messages = output(command.args(["--package", name]))?;
    for line in messages.lines() {
        let message: serde_json::Value = serde_json::from_str(line).context("one of cargo's messages")?;
        if let (true, Some(path)) = (message["target"]["name"] == name, message["executable"].as_str()) {
            return Ok(PathBuf::from(path));
        }
    }
    anyhow::bail!("cargo built no program {name}")
}

/// Runs a chore of the workspace that prints a directory.
fn chore(arguments: &[&str]) -> anyhow::Result<PathBuf> {
    let mut command = cargo()?;
    let printed =
        output(command.args(["run", "--quiet", "--locked", "--package=xtask", "--"]).args(arguments))?;
    Ok(PathBuf::from(printed.trim()))
}

/// Compiles the caller in C against the library that is laid out in `c`.
fn compile(c: &Path) -> anyhow::Result<PathBuf> {
    let program = directory()?.join("caller");
    let lib = c.join("lib");
    let mut command = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    command.args(["-O2", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&program);
    command.arg(root()?.join("tests/bench/programs/caller.c")).arg("-I").arg(c.join("include"));
    command.arg("-L").arg(&lib).arg("-lfmcommon").arg(format!("-Wl,-rpath,{}", lib.display()));
    output(&mut command)?;
    Ok(program)
}

fn cargo() -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()?);
    Ok(command)
}

/// Runs a command that must succeed and returns what it printed.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("starting {name}: is it installed?"))?;
    ensure!(output.status.success(), "{name} ended with {}", output.status);
    String::from_utf8(output.stdout).with_context(|| format!("what {name} printed"))
}
