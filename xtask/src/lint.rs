//! What can be said about the sources without running them.
//!
//! Invariants: changes nothing but `target/`; a finding is a failure, never only a warning.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::steps::Steps;
use crate::{generate, python, tools};

/// Lines that a source file has at most.
const MOST_LINES: usize = 500;

/// What counts as a source file.
const SOURCES: [&str; 10] = ["rs", "py", "pyi", "c", "h", "cpp", "sh", "toml", "yaml", "yml"];

/// A file with this among its first lines is made from a table and as long as that.
const GENERATED: &str = "@generated";

/// Runs all lints.
///
/// # Errors
/// One of them found something, or could not be started.
pub(crate) fn all(root: &Path) -> anyhow::Result<()> {
    let mut steps = Steps::new("lint");
    let cargo = |arguments: &[&str]| tools::run(&mut tools::cargo(root, arguments));
    steps.run("format", || cargo(&["fmt", "--all", "--check"]))?;
    steps.run("fuzz targets", || fuzz_targets(root))?;
    steps.run("file lengths", || file_lengths(root))?;
    steps.run("generated files", || generate::check(root))?;
    steps.run("clippy", || {
        cargo(&["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"])
    })?;
    steps.run("clippy of what tests alone build", || {
        let features = ["--package", "fm-agent", "--features", "fail-points", "--all-targets"];
        cargo(&[&["clippy", "--locked"][..], &features, &["--", "-D", "warnings"]].concat())
    })?;
    steps.run("Python", || python_sources(root))?;
    steps.run("dependencies", || {
        tools::run(tools::cargo_deny(root)?.args(["--locked", "check", "bans", "licenses", "sources"]))
    })?;
    match advisory_database() {
        Some(_) => steps.run("advisories", || {
            let known = ["--locked", "check", "--disable-fetch", "advisories"];
            tools::run(tools::cargo_deny(root)?.args(known))
        })?,
        None => steps.leave_out(
            "advisories",
            "their database is not on this machine; `cargo deny fetch db` gets it where github.com can be reached",
        )?,
    }
    steps.finish()
}

/// The same of the fuzz targets, which are a workspace of their own.
fn fuzz_targets(root: &Path) -> anyhow::Result<()> {
    let manifest = "--manifest-path=tests/fuzz/Cargo.toml";
    let cargo = |arguments: &[&str]| {
        // What the two workspaces have in common is checked once.
        tools::run(tools::cargo(root, arguments).env("CARGO_TARGET_DIR", root.join("target")))
    };
    cargo(&["fmt", manifest, "--", "--check"])?;
    cargo(&["clippy", "--locked", manifest, "--bins", "--lib", "--", "-D", "warnings"])?;
    let mut deny = tools::cargo_deny(root)?;
    // Which versions there are is the product's business, whose lock file this one's follows.
    let dependencies = ["--locked", manifest, "--config", "deny.toml", "check", "licenses", "sources"];
    tools::run(deny.args(dependencies))
}

/// Where cargo-deny keeps the advisories, if it has any.
fn advisory_database() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")))?;
    let databases = home.join("advisory-dbs");
    fs::read_dir(&databases).ok()?.next().is_some().then_some(databases)
}

fn python_sources(root: &Path) -> anyhow::Result<()> {
    let package = python::lay_out(root, false, Path::new("target/python"))?;
    let interpreter = tools::virtual_environment(root, &tools::TESTS)?;
    let mut ruff = tools::python_command(&interpreter, &package);
    tools::run(ruff.current_dir(root).args(["-m", "ruff", "check", "--no-cache", "--quiet", "."]))?;
    let cache = root.join("target/mypy");
    for directory in ["tests/debian", "tests/demo", "tests/monitoring", "tests/python", "tests/soak"] {
        // In its own directory, for its modules import each other by name.
        let mut mypy = tools::python_command(&interpreter, &package);
        mypy.current_dir(root.join(directory)).args(["-m", "mypy", "--strict", "."]);
        tools::run(mypy.arg("--cache-dir").arg(&cache)).with_context(|| format!("types in {directory}"))?;
    }
    Ok(())
}

/// Fails, naming every file that is too long.
fn file_lengths(root: &Path) -> anyhow::Result<()> {
    let mut files = Vec::new();
    collect(root, &mut files)?;
    files.sort();
    let mut long = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        if let Some(lines) = excess(&text) {
            long.push(format!("{}: {lines} lines, {MOST_LINES} are allowed", path.display()));
        }
    }
    if long.is_empty() { Ok(()) } else { bail!("{}", long.join("\n")) }
}

/// The number of lines, when it is too large.
fn excess(text: &str) -> Option<usize> {
    let lines = text.lines().count();
    let generated = text.lines().take(5).any(|line| line.contains(GENERATED));
    (lines > MOST_LINES && !generated).then_some(lines)
}

/// All source files below a directory, without what is hidden or built.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("reading {}", directory.display()))?;
        let (path, kind) =
            (entry.path(), entry.file_type().with_context(|| directory.display().to_string())?);
        let name = entry.file_name();
        if kind.is_dir() && name != "target" && !name.as_encoded_bytes().starts_with(b".") {
            collect(&path, files)?;
        } else if kind.is_file()
            && path.extension().is_some_and(|it| SOURCES.iter().any(|known| it == *known))
        {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_hundred_lines_and_no_more() {
        assert_eq!(excess(&"x\n".repeat(500)), None);
        assert_eq!(excess(&"x\n".repeat(501)), Some(501));
        assert_eq!(excess(&format!("// @generated\n{}", "x\n".repeat(501))), None);
        assert_eq!(excess(&format!("{}// @generated\n", "x\n".repeat(501))), Some(502));
    }

    #[test]
    fn sources_are_found_and_what_is_built_is_not() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut files = Vec::new();
        collect(root, &mut files).unwrap();
        for found in ["xtask/src/lint.rs", "tests/demo/demo.py", "Cargo.toml"] {
            assert!(files.contains(&root.join(found)), "{found}");
        }
        assert!(!files.iter().any(|path| path.starts_with(root.join("target"))));
        assert!(!files.contains(&root.join("Makefile")));
    }
}
