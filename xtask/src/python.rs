//! The Python package laid out in a directory, as an installer would do it, with cargo alone.
//!
//! Invariant: the directory gets `fm_api/`, `fm_core.abi3.so` and `fm_core.pyi`, and nothing else of it is
//! touched; what was there of these is replaced, so that no stale file stays.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

/// The package's sources.
const SOURCES: &str = "bindings/python/python";

/// The file name under which every Python from 3.9 on finds the extension.
const EXTENSION: &str = "fm_core.abi3.so";

/// The extension's types.
const TYPES: &str = "fm_core.pyi";

/// Builds the extension and puts it beside a copy of the package; returns the directory's full path.
pub(crate) fn lay_out(root: &Path, release: bool, into: &Path) -> anyhow::Result<PathBuf> {
    let library = build(root, release)?;
    let into = root.join(into);
    let package = into.join("fm_api");
    if package.exists() {
        fs::remove_dir_all(&package).with_context(|| format!("removing {}", package.display()))?;
    }
    let sources = root.join(SOURCES);
    copy_package(&sources.join("fm_api"), &package)?;
    fs::copy(sources.join(TYPES), into.join(TYPES)).with_context(|| format!("copying {TYPES}"))?;
    install(&library, &into.join(EXTENSION))?;
    into.canonicalize().with_context(|| into.display().to_string())
}

/// Builds `libfm_core.so` and returns where cargo put it.
fn build(root: &Path, release: bool) -> anyhow::Result<PathBuf> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).args([
        "build",
        "--locked",
        "--package=fm-core-python",
        "--message-format=json-render-diagnostics",
    ]);
    if release {
        command.arg("--release");
    }
    let output = command.stderr(std::process::Stdio::inherit()).output().context("starting cargo")?;
    ensure!(output.status.success(), "building fm-core-python failed: {}", output.status);
    let messages = String::from_utf8(output.stdout).context("cargo's messages")?;
    library_in(&messages)
}

/// The library's path in cargo's messages.
fn library_in(messages: &str) -> anyhow::Result<PathBuf> {
    for line in messages.lines() {
        let message: serde_json::Value = serde_json::from_str(line).context("one of cargo's messages")?;
        if message["target"]["name"] != "fm_core" {
            continue;
        }
        let files = message["filenames"].as_array().into_iter().flatten();
        let mut paths = files.filter_map(|file| file.as_str()).map(PathBuf::from);
        if let Some(library) = paths.find(|path| path.extension().is_some_and(|extension| extension == "so"))
        {
            return Ok(library);
        }
    }
    bail!("cargo built no shared library for fm_core; is this Linux?")
}

fn copy_package(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("creating {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let path = entry.with_context(|| format!("reading {}", from.display()))?.path();
        let Some(name) = path.file_name().filter(|_| path.is_file()) else { continue };
        fs::copy(&path, to.join(name)).with_context(|| format!("copying {}", path.display()))?;
    }
    Ok(())
}

/// Puts the library in place under a new inode: a process that has the old one mapped keeps it whole.
fn install(library: &Path, target: &Path) -> anyhow::Result<()> {
    let fresh = target.with_extension("so.new");
    fs::copy(library, &fresh).with_context(|| format!("copying {}", library.display()))?;
    fs::rename(&fresh, target).with_context(|| format!("renaming to {}", target.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_found_in_cargos_messages() {
        let other =
            r#"{"reason":"compiler-artifact","target":{"name":"pyo3"},"filenames":["/t/libpyo3.so"]}"#;
        let ours =
            r#"{"reason":"compiler-artifact","target":{"name":"fm_core"},"filenames":["/t/libfm_core.so"]}"#;
        let path = library_in(&format!("{other}\n{ours}\n")).unwrap();
        assert_eq!(path, Path::new("/t/libfm_core.so"));
        assert!(library_in(other).unwrap_err().to_string().contains("no shared library"));
    }
}
