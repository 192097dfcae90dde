//! The C library laid out in a directory, as a package would install it, with cargo alone.
//!
//! Invariant: the directory gets `include/`, `lib/libfmcommon.*` and `lib/pkgconfig/`, and nothing else of it
//! is touched. The pkg-config file finds its own place, so the directory can be moved.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::library;

/// The library's file; the links to it are for the loader and the linker.
const LIBRARY: &str = "libfmcommon.so.1.0";
const LINKS: [&str; 2] = ["libfmcommon.so.1", "libfmcommon.so"];

const HEADERS: [&str; 2] = ["fmAPI.h", "fmAlarm.h"];

/// Builds the library and lays it out with its headers; returns the directory's full path.
pub(crate) fn lay_out(root: &Path, release: bool, into: &Path) -> anyhow::Result<PathBuf> {
    let files = library::build(root, "fm-common-c", "fmcommon", release)?;
    let into = root.join(into);
    let (include, lib) = (into.join("include"), into.join("lib"));
    let pkgconfig = lib.join("pkgconfig");
    for directory in [&include, &pkgconfig] {
        fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
    }
    for header in HEADERS {
        replace(&root.join("include").join(header), &include.join(header))?;
    }
    replace(library::with_extension(&files, "a")?, &lib.join("libfmcommon.a"))?;
    replace(library::with_extension(&files, "so")?, &lib.join(LIBRARY))?;
    for name in LINKS {
        let link = lib.join(name);
        // Renamed into place, so that it is never missing.
        let fresh = lib.join(format!("{name}.new"));
        if fresh.symlink_metadata().is_ok() {
            fs::remove_file(&fresh).with_context(|| format!("removing {}", fresh.display()))?;
        }
        symlink(LIBRARY, &fresh).with_context(|| format!("linking {}", fresh.display()))?;
        fs::rename(&fresh, &link).with_context(|| format!("renaming to {}", link.display()))?;
    }
    let file = pkgconfig.join("libfmcommon.pc");
    fs::write(&file, package()).with_context(|| format!("writing {}", file.display()))?;
    into.canonicalize().with_context(|| into.display().to_string())
}

/// Puts a file in place under a new inode: a process that has the old one mapped keeps it whole.
fn replace(from: &Path, to: &Path) -> anyhow::Result<()> {
    let fresh = to.with_extension("new");
    fs::copy(from, &fresh).with_context(|| format!("copying {}", from.display()))?;
    fs::rename(&fresh, to).with_context(|| format!("renaming to {}", to.display()))
}

/// The pkg-config file's text for a library that lies in `/usr/lib/<multiarch>`.
pub(crate) fn installed(text: &str, multiarch: &str) -> String {
    text.replace("prefix=${pcfiledir}/../..", "prefix=/usr")
        .replace("libdir=${prefix}/lib\n", &format!("libdir=${{prefix}}/lib/{multiarch}\n"))
        // The directories in which compilers look anyway.
        .replace("Cflags: -I${includedir}\n", "")
        .replace("Libs: -L${libdir} ", "Libs: ")
}

/// What pkg-config says of the library.
fn package() -> String {
    format!(
        "prefix=${{pcfiledir}}/../..\n\
         includedir=${{prefix}}/include\n\
         libdir=${{prefix}}/lib\n\
         \n\
         Name: libfmcommon\n\
         Description: Raises, clears and looks up alarms through the node's fault management agent\n\
         Version: {}\n\
         Cflags: -I${{includedir}}\n\
         Libs: -L${{libdir}} -lfmcommon\n\
         Libs.private: -lgcc_s -lpthread -ldl -lm\n",
        env!("CARGO_PKG_VERSION")
    )
}
