//! An agent whose wall clock, writes and disk are at the mercy of a test, while it runs.
//!
//! The library that does it (`disturb.c`) is compiled with the system's compiler and preloaded.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use fm_rest_sim::Sim;

use crate::preload;
use crate::support::{Node, domain};

/// Where the orders for an agent are.
pub(crate) struct Disturbed(File);

impl Disturbed {
    /// A running node with this controller, and the orders for its agent.
    pub(crate) fn with_platform(sim: &Sim) -> (Node, Self) {
        let mut node = Node::prepare(&domain("platform", sim, "labrador"));
        let orders = Self::new(&node);
        node.run_command(&mut Self::command(&node));
        (node, orders)
    }

    /// The orders for the agents of this node: nothing is disturbed yet.
    pub(crate) fn new(node: &Node) -> Self {
        let file = File::create_new(path(node)).unwrap();
        file.set_len(32).unwrap();
        Self(file)
    }

    /// The node's agent, with the library in it.
    pub(crate) fn command(node: &Node) -> Command {
        fs::create_dir_all(node.state_dir()).unwrap();
        let mut command = node.command();
        command
            .env("LD_PRELOAD", library())
            .env("FM_DISTURB", path(node))
            .env("FM_DISTURB_DIR", node.state_dir().canonicalize().unwrap());
        command
    }

    /// Sets the agent's wall clock so many seconds ahead; behind, when negative.
    pub(crate) fn set_clock(&self, ahead_s: i64) {
        self.0.write_all_at(&ahead_s.to_ne_bytes(), 0).unwrap();
    }

    /// Lets the agent's writes into its state directory fail with this error; with 0 they succeed again.
    pub(crate) fn fail_writes(&self, errno: i32) {
        self.0.write_all_at(&i64::from(errno).to_ne_bytes(), 8).unwrap();
    }

    /// Lets the disk under the agent's state directory answer no flush, or answer again.
    pub(crate) fn hang_disk(&self, hangs: bool) {
        self.0.write_all_at(&i64::from(hangs).to_ne_bytes(), 16).unwrap();
    }

    /// Flushes that the disk did not answer at once.
    pub(crate) fn held(&self) -> i64 {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, 24).unwrap();
        i64::from_ne_bytes(bytes)
    }
}

fn path(node: &Node) -> PathBuf {
    node.directory().join("disturb")
}

fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| preload::compiled("agent/disturb.c", "libdisturb.so", &[]))
}
