//! The files that are made from the tables in `fm-common/data`, and the check that the committed ones
//! are what the tables give.
//!
//! Invariants:
//! - Each file has one module here, which turns the text of one table into the text of the file and
//!   touches no disk.
//! - The same table gives the same text, byte for byte.

mod catalogue;
mod constants;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// One generated file: where it is, which table it comes from, and how.
struct Generated {
    path: &'static str,
    table: &'static str,
    render: fn(&str) -> anyhow::Result<String>,
}

const FILES: &[Generated] = &[
    Generated {
        path: "fm-common/src/catalogue/table.rs",
        table: "fm-common/data/alarm_catalogue.csv",
        render: catalogue::render,
    },
    Generated {
        path: "bindings/python/python/fm_api/constants.py",
        table: "fm-common/data/fm_api_constants.csv",
        render: constants::render,
    },
];

impl Generated {
    fn text(&self, root: &Path) -> anyhow::Result<String> {
        let path = root.join(self.table);
        let table = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        (self.render)(&table).with_context(|| self.table.to_owned())
    }
}

/// Writes every file and returns their paths.
pub(crate) fn write(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    FILES
        .iter()
        .map(|file| {
            let path = root.join(file.path);
            let text = file.text(root)?;
            if let Some(directory) = path.parent() {
                fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
            }
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
            Ok(path)
        })
        .collect()
}

/// Fails, naming every stale file, when a committed file is not what its table gives.
pub(crate) fn check(root: &Path) -> anyhow::Result<()> {
    let mut stale = Vec::new();
    for file in FILES {
        let wanted = file.text(root)?;
        let path = root.join(file.path);
        let committed = match fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        stale.extend(difference(file, committed.as_deref(), &wanted));
    }
    if stale.is_empty() {
        return Ok(());
    }
    bail!("{}\nRun `cargo xtask gen` and commit the result.", stale.join("\n"));
}

/// What is stale about a file, in words.
fn difference(file: &Generated, committed: Option<&str>, wanted: &str) -> Option<String> {
    let Generated { path, table, .. } = file;
    let Some(committed) = committed else {
        return Some(format!("{path} is missing; it is generated from {table}."));
    };
    if committed == wanted {
        return None;
    }
    let same = committed.lines().zip(wanted.lines()).take_while(|(old, new)| old == new).count();
    Some(format!("{path} is not what {table} gives; they differ from line {}.", same + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    #[test]
    fn the_committed_files_are_fresh() {
        check(root()).unwrap();
    }

    #[test]
    fn a_stale_file_is_found_and_named() {
        for file in FILES {
            let wanted = file.text(root()).unwrap();
            assert_eq!(difference(file, Some(&wanted), &wanted), None);
            let line = wanted.lines().position(|line| line.contains("300.001")).unwrap();
            let edited = wanted.replacen("300.001", "300.999", 1);
            let told = difference(file, Some(&edited), &wanted).unwrap();
            assert!(told.starts_with(file.path), "{told}");
            assert!(told.ends_with(&format!("line {}.", line + 1)), "{told}");
            let cut = wanted.trim_end();
            assert!(difference(file, Some(cut), &wanted).is_some(), "a missing line end is a difference");
            assert!(difference(file, None, &wanted).unwrap().contains("is missing"));
        }
    }

    #[test]
    fn a_changed_table_makes_the_committed_file_stale() {
        for file in FILES {
            let table = fs::read_to_string(root().join(file.table)).unwrap();
            let committed = fs::read_to_string(root().join(file.path)).unwrap();
            let wanted = (file.render)(&table.replacen("300.001", "300.0011", 1)).unwrap();
            assert!(difference(file, Some(&committed), &wanted).is_some());
        }
    }
}
