//! For how many connections this process has file descriptors.
//!
//! Invariant: callers never take the descriptors that the store and the deliveries need.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors kept for the store, the controllers and the rest of the agent, at most.
const KEPT: u64 = 256;

/// Raises this process's limit of open files as far as it may be, and returns how many of `wanted`
/// connections fit into it.
pub(super) fn connections(wanted: usize) -> usize {
    let limit = match getrlimit(Resource::RLIMIT_NOFILE) {
        // Where it cannot be raised, what there is has to do.
        Ok((soft, hard)) => setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_or(soft, |()| hard),
        Err(error) => {
            tracing::warn!(%error, "the limit of open files is not known");
            return wanted;
        }
    };
    let room = usize::try_from(limit - KEPT.min(limit / 2)).unwrap_or(usize::MAX);
    if room < wanted {
        tracing::warn!(
            open_files = limit,
            wanted,
            connections = room,
            "the limit of open files leaves room for fewer connections than agent.max_connections: raise it"
        );
    }
    wanted.min(room)
}
