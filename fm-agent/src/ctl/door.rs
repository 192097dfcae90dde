//! A socket's file as people need it told: who may open it, and what somebody may do who may not.
//!
//! It looks at the file and connects to nothing.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User, geteuid};

/// Mode, owner and group, in words.
pub(super) fn described(data: &Metadata) -> String {
    let mode = data.mode() & 0o777;
    format!("mode {mode:03o}, owner {}, group {}", user(data.uid()), group(data.gid()))
}

/// How to become somebody who may open it.
pub(super) fn who_may(data: &Metadata) -> String {
    let mut may = vec!["as root".to_owned()];
    if data.uid() != 0 {
        may.push(format!("as {}", user(data.uid())));
    }
    if data.mode() & 0o060 == 0o060 && data.gid() != 0 {
        may.push(format!("as a member of the group {} (log in anew after you joined it)", group(data.gid())));
    }
    may.join(", or ")
}

/// What to tell a caller whom the system did not let open the socket.
pub(super) fn closed(path: &Path, error: &std::io::Error) -> String {
    let (shown, own) = (path.display(), user(geteuid().as_raw()));
    match fs::metadata(path) {
        Ok(data) => format!(
            "the agent's socket {shown} is there, and {own} may not open it ({}): {error}; run this {}",
            described(&data),
            who_may(&data)
        ),
        // Some directory above it: the doctor finds out which.
        Err(_) => format!(
            "{own} cannot get to the agent's socket {shown}: {error}; run this as root, or see fmctl doctor"
        ),
    }
}

/// A user's name, else the number.
pub(super) fn user(uid: u32) -> String {
    let known = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    known.map_or_else(|| format!("uid {uid}"), |user| user.name)
}

/// A group's name, else the number.
pub(super) fn group(gid: u32) -> String {
    let known = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    known.map_or_else(|| format!("gid {gid}"), |group| group.name)
}
