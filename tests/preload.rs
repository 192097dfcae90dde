//! A library to be preloaded into a program under test, compiled with the system's compiler.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles a C source below `tests/` into a library of this name; `needs` are other libraries, as `-l…`.
pub(crate) fn compiled(source: &str, name: &str, needs: &[&str]) -> PathBuf {
    const STRICT: [&str; 7] = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-fPIC", "-shared"];
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("tests").join(source);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Written under a name of its own first: tests run side by side.
    let fresh = tempfile::NamedTempFile::new_in(directory).unwrap().into_temp_path();
    let status = Command::new("cc").args(STRICT).arg("-o").arg(&fresh).arg(path).args(needs).status();
    assert!(status.unwrap().success(), "{source} does not compile with cc: is gcc installed?");
    let library = directory.join(name);
    fresh.persist(&library).unwrap();
    library
}
