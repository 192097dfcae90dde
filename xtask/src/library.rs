//! Building one of the workspace's libraries, and where cargo has put it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};

use crate::tools;

/// Builds a package and returns the files of its library.
pub(crate) fn build(
    root: &Path,
    package: &str,
    library: &str,
    release: bool,
) -> anyhow::Result<Vec<PathBuf>> {
    let mut command = tools::cargo(root, &["build", "--locked", "--message-format=json-render-diagnostics"]);
    command.arg(format!("--package={package}"));
    if release {
        command.arg("--release");
    }
    let output = command.stderr(Stdio::inherit()).output().context("starting cargo")?;
    ensure!(output.status.success(), "building {package} failed: {}", output.status);
    let messages = String::from_utf8(output.stdout).context("cargo's messages")?;
    files_in(&messages, library)
}

/// The library's files in cargo's messages.
fn files_in(messages: &str, library: &str) -> anyhow::Result<Vec<PathBuf>> {
    for line in messages.lines() {
        let message: serde_json::Value = serde_json::from_str(line).context("one of cargo's messages")?;
        if message["target"]["name"] == library && message["filenames"].is_array() {
            let files = message["filenames"].as_array().into_iter().flatten();
            return Ok(files.filter_map(|file| file.as_str()).map(PathBuf::from).collect());
        }
    }
    anyhow::bail!("cargo did not say where it has put {library}")
}

/// The file with this extension.
pub(crate) fn with_extension<'a>(files: &'a [PathBuf], extension: &str) -> anyhow::Result<&'a Path> {
    let found = files.iter().find(|path| path.extension().is_some_and(|own| own == extension));
    let found = found.with_context(|| format!("cargo built no .{extension} file; is this Linux?"))?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_found_in_cargos_messages() {
        let other =
            r#"{"reason":"compiler-artifact","target":{"name":"pyo3"},"filenames":["/t/libpyo3.so"]}"#;
        let ours = r#"{"reason":"compiler-artifact","target":{"name":"fm_core"},"filenames":["/t/libfm_core.a","/t/libfm_core.so"]}"#;
        let files = files_in(&format!("{other}\n{ours}\n"), "fm_core").unwrap();
        assert_eq!(with_extension(&files, "so").unwrap(), Path::new("/t/libfm_core.so"));
        assert!(with_extension(&files, "dll").unwrap_err().to_string().contains("no .dll file"));
        assert!(files_in(other, "fm_core").unwrap_err().to_string().contains("did not say"));
    }
}
