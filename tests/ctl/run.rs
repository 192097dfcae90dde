//! Running `fmctl` and looking at what it says.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::Node;

/// What a run of `fmctl` came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The one JSON object that it printed.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Its lines as words: what a table says, however wide its columns are.
    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        self.out.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, 0, "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn fails(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

/// `fmctl` with nothing of this process's surroundings that it looks at.
pub(crate) fn command(socket: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fmctl"));
    command.env("FM_AGENT_SOCKET", socket).stdin(Stdio::null());
    let ours = |name: &str| name.starts_with("FM_") && name != "FM_AGENT_SOCKET";
    for name in std::env::vars().map(|(name, _)| name).filter(|name| ours(name)) {
        command.env_remove(name);
    }
    command.env_remove("NO_COLOR").env_remove("XDG_RUNTIME_DIR");
    command
}

/// Runs `fmctl` at a node's agent.
#[track_caller]
pub(crate) fn fmctl(node: &Node, arguments: &[&str]) -> Ran {
    Ran::of(command(&node.socket()).args(arguments).output().unwrap())
}

/// Runs `fmctl --json` at a node's agent; it must succeed.
#[track_caller]
pub(crate) fn json(node: &Node, arguments: &[&str]) -> Value {
    let ran = Ran::of(command(&node.socket()).arg("--json").args(arguments).output().unwrap());
    ran.ok().json()
}

/// The words of a row whose first ones are these.
#[track_caller]
pub(crate) fn row(ran: &Ran, first: &[&str]) -> Vec<String> {
    let found = ran.rows().into_iter().find(|row| row.iter().zip(first).all(|(word, wanted)| word == wanted));
    found.filter(|row| row.len() >= first.len()).unwrap_or_else(|| panic!("no row {first:?} in {ran:?}"))
}
