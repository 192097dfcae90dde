//! The files that are made from others, tables in `fm-common/data` most of them, and the check that the
//! committed ones are what their sources give.
//!
//! Invariants:
//! - Each file has one function here, which turns the texts of its sources into the text of the file.
//! - The same sources give the same text, byte for byte.

mod catalogue;
mod constants;
mod enums;
mod header;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::tools;

/// One generated file: where it is, what it comes from, and how.
struct Generated {
    path: &'static str,
    sources: &'static [&'static str],
    render: fn(&[String]) -> anyhow::Result<String>,
    /// A text that its first source and the file have, for the tests to change.
    #[cfg(test)]
    probe: &'static str,
}

const FILES: &[Generated] = &[
    Generated {
        path: "fm-common/src/catalogue/table.rs",
        sources: &["fm-common/data/alarm_catalogue.csv"],
        render: catalogue::render,
        #[cfg(test)]
        probe: "300.001",
    },
    Generated {
        path: "bindings/python/python/fm_api/constants.py",
        sources: &["fm-common/data/fm_api_constants.csv"],
        render: constants::render,
        #[cfg(test)]
        probe: "300.001",
    },
    // Before the header, which comes from it.
    Generated {
        path: "bindings/c/src/enums.rs",
        sources: &["fm-common/data/c_enums.csv"],
        render: enums::render,
        #[cfg(test)]
        probe: "FM_ALARM_CAUSE_UNKNOWN",
    },
    Generated {
        path: "include/fmAPI.h",
        sources: &["bindings/c/src/abi.rs", "bindings/c/src/enums.rs", "bindings/c/src/exports.rs"],
        render: header::api,
        #[cfg(test)]
        probe: "proposed_repair_action",
    },
    Generated {
        path: "include/fmAlarm.h",
        sources: &["fm-common/data/c_alarm_macros.csv"],
        render: header::alarms,
        #[cfg(test)]
        probe: "200.001",
    },
];

impl Generated {
    fn text(&self, root: &Path) -> anyhow::Result<String> {
        (self.render)(&self.read_sources(root)?).with_context(|| self.from())
    }

    fn read_sources(&self, root: &Path) -> anyhow::Result<Vec<String>> {
        let read = |source: &&str| {
            let path = root.join(source);
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
        };
        self.sources.iter().map(read).collect()
    }

    /// Its sources, for messages.
    fn from(&self) -> String {
        self.sources.join(", ")
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

/// Writes the parts of the documents that the agent's own types give: its test `reference`, which checks them
/// otherwise, knows how.
pub(crate) fn write_reference(root: &Path) -> anyhow::Result<()> {
    let tests = ["test", "--quiet", "--locked", "--package=fm-agent", "--test=reference"];
    tools::run(tools::cargo(root, &tests).env("FM_REFERENCE", "write"))
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
    let (path, sources) = (file.path, file.from());
    let Some(committed) = committed else {
        return Some(format!("{path} is missing; it is generated from {sources}."));
    };
    if committed == wanted {
        return None;
    }
    let same = committed.lines().zip(wanted.lines()).take_while(|(old, new)| old == new).count();
    Some(format!("{path} is not what {sources} gives; they differ from line {}.", same + 1))
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
            let line = wanted.lines().position(|line| line.contains(file.probe)).unwrap();
            let edited = wanted.replacen(file.probe, "changed", 1);
            let told = difference(file, Some(&edited), &wanted).unwrap();
            assert!(told.starts_with(file.path), "{told}");
            assert!(told.ends_with(&format!("line {}.", line + 1)), "{told}");
            let cut = wanted.trim_end();
            assert!(difference(file, Some(cut), &wanted).is_some(), "a missing line end is a difference");
            assert!(difference(file, None, &wanted).unwrap().contains("is missing"));
        }
    }

    #[test]
    fn a_changed_source_makes_the_committed_file_stale() {
        for file in FILES {
            let mut sources = file.read_sources(root()).unwrap();
            let committed = fs::read_to_string(root().join(file.path)).unwrap();
            sources[0] = sources[0].replace(file.probe, &format!("{}1", file.probe));
            let wanted = (file.render)(&sources).unwrap();
            assert!(difference(file, Some(&committed), &wanted).is_some());
        }
    }
}
