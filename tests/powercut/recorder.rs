//! The library that writes down what the agent does to its files, compiled with the system's compiler.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::preload;

/// The library, ready for `LD_PRELOAD`.
pub(crate) fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| preload::compiled("powercut/record.c", "librecord.so", &["-ldl", "-lpthread"]))
}
