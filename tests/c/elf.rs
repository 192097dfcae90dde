//! The built library, as the loader sees it: its name, what it exports and needs, and its size.

use std::fs;
use std::io::Write;
use std::process::Command;

use crate::toolbox::{shared_library, succeed};

/// What a stripped library may have, in bytes.
const SIZE_BUDGET: u64 = 1024 * 1024;

/// The entries of this kind in the library's dynamic section, sorted.
fn dynamic(kind: &str) -> Vec<String> {
    let text = succeed(Command::new("readelf").args(["-d", "--wide"]).arg(shared_library()));
    let lines = text.lines().filter(|line| line.contains(&format!("({kind})")));
    let mut names: Vec<String> =
        lines.map(|line| line.split_once('[').unwrap().1.trim_end_matches(']').to_owned()).collect();
    names.sort();
    names
}

#[test]
fn the_soname_is_the_one_that_callers_were_linked_with() {
    assert_eq!(dynamic("SONAME").join("\n"), include_str!("golden/soname.txt").trim_end());
}

#[test]
fn it_needs_the_c_library_only() {
    let mut needed = dynamic("NEEDED");
    // The loader itself, where thread-local memory is found with its help.
    needed.retain(|name| !name.starts_with("ld-linux"));
    assert_eq!(needed.join("\n"), include_str!("golden/needed.txt").trim_end());
}

#[test]
fn it_exports_the_interface_only() {
    let text =
        succeed(Command::new("nm").args(["-D", "--defined-only", "-f", "posix"]).arg(shared_library()));
    let mut names: Vec<&str> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names.join("\n"), include_str!("golden/exports.txt").trim_end());
}

#[test]
fn it_is_small() {
    let stripped = tempfile::NamedTempFile::new().unwrap();
    succeed(Command::new("strip").arg("-o").arg(stripped.path()).arg(shared_library()));
    let size = fs::metadata(stripped.path()).unwrap().len();
    // Not captured, so that it is seen also when all is well.
    let percent = size * 100 / SIZE_BUDGET;
    writeln!(std::io::stderr(), "libfmcommon.so, stripped: {size} of {SIZE_BUDGET} bytes, {percent} %")
        .unwrap();
    assert!(size <= SIZE_BUDGET);
}
