//! The machine and the program that figures belong to.

use std::fs;
use std::path::Path;
use std::process::Command;

use fm_common::Timestamp;
use serde::{Deserialize, Serialize};

use crate::programs;

/// Facts without which a figure says nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) date: String,
    pub(crate) version: String,
    /// With `+` when there are changes that are not committed.
    pub(crate) commit: String,
    pub(crate) cores: usize,
    pub(crate) processor: String,
    pub(crate) kernel: String,
    /// Of the directory in which the store lay.
    pub(crate) file_system: String,
    pub(crate) compiler: String,
    /// Load of the machine before the run, over one minute.
    pub(crate) load: String,
    /// How the run was scheduled beside other programs: `normal` unless it was started with more.
    #[serde(default)]
    pub(crate) scheduling: String,
}

impl Machine {
    /// This machine, now.
    pub(crate) fn this() -> anyhow::Result<Self> {
        let root = programs::root()?;
        let git = |arguments: &[&str]| said(Command::new("git").current_dir(root).args(arguments));
        let changed = if git(&["status", "--porcelain"]).is_empty() { "" } else { "+" };
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Ok(Self {
            date: Timestamp::now().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: format!("{}{changed}", git(&["rev-parse", "--short=12", "HEAD"])),
            cores: std::thread::available_parallelism()?.get(),
            processor: processor(&read("/proc/cpuinfo")),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            file_system: file_system(&programs::directory()?.canonicalize()?, &read("/proc/self/mountinfo")),
            compiler: said(Command::new("rustc").arg("--version")),
            scheduling: scheduling(&read("/proc/self/stat")).to_owned(),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        })
    }

    /// One line for people.
    pub(crate) fn line(&self) -> String {
        format!(
            "{}, version {} ({}), {} × {}, Linux {}, {} under the store, load {} before, {} scheduling, {}",
            self.date,
            self.version,
            self.commit,
            self.cores,
            self.processor,
            self.kernel,
            self.file_system,
            self.load,
            self.scheduling,
            self.compiler
        )
    }
}

/// What a command says; nothing when it cannot be asked.
fn said(command: &mut Command) -> String {
    command
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}

/// The policy in `stat`: its 41st field, the 39th after the name in brackets.
fn scheduling(stat: &str) -> &'static str {
    let policy = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(38));
    match policy {
        Some("0") => "normal",
        Some("1" | "2") => "real-time",
        _ => "other",
    }
}

fn processor(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    line.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.to_owned())
}

/// The kind of file system that a directory lies in, from `mountinfo`: the longest mount point above it, of equal
/// ones the last, which covers the others.
fn file_system(directory: &Path, mounts: &str) -> String {
    let mounted = mounts.lines().filter_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let point = Path::new(place.split(' ').nth(4)?);
        directory
            .starts_with(point)
            .then(|| (point.components().count(), kind.split(' ').next().unwrap_or("")))
    });
    mounted.max_by_key(|(depth, _)| *depth).map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_counts() {
        let mounts = "21 1 8:1 / / rw - ext4 /dev/sda rw\n22 21 0:5 / /home/x rw shared:1 - tmpfs tmpfs rw\n";
        assert_eq!(file_system(Path::new("/home/x/target"), mounts), "tmpfs");
        assert_eq!(file_system(Path::new("/home/xy"), mounts), "ext4");
        assert_eq!(file_system(Path::new("/home"), ""), "unknown");
    }

    #[test]
    fn this_machine_has_cores() {
        assert!(Machine::this().unwrap().cores >= 1);
        assert_ne!(Machine::this().unwrap().scheduling, "other");
        assert_eq!(processor("model name\t: Fast One\n"), "Fast One");
    }
}
