//! The library that writes down what the agent does to its files, compiled with the system's compiler.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The library, ready for `LD_PRELOAD`.
pub(crate) fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("tests/powercut/record.c");
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        // Written under a name of its own first: tests run side by side.
        let fresh = tempfile::NamedTempFile::new_in(directory).unwrap().into_temp_path();
        let strict = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-fPIC", "-shared"];
        let mut compiler = Command::new("cc");
        let status =
            compiler.args(strict).arg("-o").arg(&fresh).arg(source).args(["-ldl", "-lpthread"]).status();
        assert!(status.expect("a C compiler is needed: install gcc").success(), "record.c does not compile");
        let library = directory.join("librecord.so");
        fresh.persist(&library).unwrap();
        library
    })
}
