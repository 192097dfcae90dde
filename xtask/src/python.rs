//! The Python package laid out in a directory, as an installer would do it, with cargo alone.
//!
//! Invariant: the directory gets `fm_api/`, `fm_core.abi3.so` and `fm_core.pyi`, and nothing else of it is
//! touched; what was there of these is replaced, so that no stale file stays.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::library;

/// The package's sources.
const SOURCES: &str = "bindings/python/python";

/// The file name under which every Python from 3.9 on finds the extension.
const EXTENSION: &str = "fm_core.abi3.so";

/// The extension's types.
const TYPES: &str = "fm_core.pyi";

/// Builds the extension and puts it beside a copy of the package; returns the directory's full path.
pub(crate) fn lay_out(root: &Path, release: bool, into: &Path) -> anyhow::Result<PathBuf> {
    let files = library::build(root, "fm-core-python", "fm_core", release)?;
    let extension = library::with_extension(&files, "so")?;
    let into = root.join(into);
    let package = into.join("fm_api");
    if package.exists() {
        fs::remove_dir_all(&package).with_context(|| format!("removing {}", package.display()))?;
    }
    let sources = root.join(SOURCES);
    copy_package(&sources.join("fm_api"), &package)?;
    fs::copy(sources.join(TYPES), into.join(TYPES)).with_context(|| format!("copying {TYPES}"))?;
    install(extension, &into.join(EXTENSION))?;
    into.canonicalize().with_context(|| into.display().to_string())
}

/// Puts a description beside a package that was laid out, by which `importlib.metadata` knows its version.
pub(crate) fn describe(directory: &Path) -> anyhow::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let description = directory.join(format!("fm_api-{version}.dist-info"));
    fs::create_dir_all(&description).with_context(|| format!("creating {}", description.display()))?;
    let metadata = format!(
        "Metadata-Version: 2.1\n\
         Name: fm-api\n\
         Version: {version}\n\
         Summary: Raises, clears and looks up alarms through the node's fault management agent\n\
         License: Apache-2.0\n\
         Requires-Python: >=3.9\n"
    );
    for (name, text) in [("METADATA", metadata.as_str()), ("top_level.txt", "fm_api\nfm_core\n")] {
        let file = description.join(name);
        fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
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
