//! Whether the agent can write the audit file that it is told to.

use std::ffi::CString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{Gid, Uid, User, getgrouplist};

use super::super::door::{described, user};
use super::finding::Findings;
use super::process::Process;
use crate::config::AuditTo;

const CHECK: &str = "audit";
/// Where the shipped unit lets the agent write; all else is read-only to it.
const WRITABLE: [&str; 3] = ["/var/log/fm", "/var/lib/fm-agent", "/run/fm"];
/// Where the packages put it.
const UNITS: [&str; 2] = ["/usr/lib/systemd/system/fm-agent.service", "/lib/systemd/system/fm-agent.service"];

/// Looks at the file and its directory, for the agent's user: that of the process, else the state's owner.
pub(super) fn check(to: &AuditTo, state_dir: &Path, process: Option<&Process>, findings: &mut Findings) {
    let AuditTo::File(file) = to else {
        return findings.ok(CHECK, "audit.to", "names no file");
    };
    let shown = file.display().to_string();
    let directory = file.parent().unwrap_or(Path::new("/"));
    let data = match fs::metadata(directory) {
        Ok(data) if data.is_dir() => data,
        Ok(_) => {
            let advice = "Move the file away, or name another directory in audit.to.";
            return findings.fail(CHECK, &shown, &format!("{} is no directory", directory.display()), advice);
        }
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return findings.skip(CHECK, &shown, "is not for this user to look at: run fmctl as root");
        }
        Err(error) => {
            let found = format!("{} cannot be looked at: {error}", directory.display());
            let advice =
                "Make the directory for the agent's user, and restart the agent where it runs under systemd.";
            return findings.fail(CHECK, &shown, &found, advice);
        }
    };
    let state_owner = || fs::metadata(state_dir).ok().map(|data| data.uid());
    let Some(uid) = process.and_then(|process| process.uid).or_else(state_owner) else {
        return findings.skip(
            CHECK,
            &shown,
            "the agent's user is not known: no agent runs, and it has no state",
        );
    };
    // The file that is there is appended to; its directory takes the one after a rotation.
    let there = fs::metadata(file).ok().filter(|data| !may(uid, data, 0o2)).map(|data| (file.clone(), data));
    let closed = there.or_else(|| (!may(uid, &data, 0o3)).then(|| (directory.to_owned(), data)));
    if let Some((path, data)) = closed {
        let (name, path) = (user(uid), path.display().to_string());
        let found = format!("the agent's user {name} may not write {path} ({})", described(&data));
        return findings.fail(
            CHECK,
            &shown,
            &found,
            &format!("chown {uid} '{path}', or name another place in audit.to."),
        );
    }
    let advice = format!(
        "Name a place below {}, or let the unit write there: systemctl edit fm-agent, [Service] ReadWritePaths={}, \
         then restart it.",
        WRITABLE.join(", "),
        directory.display()
    );
    match read_only(directory, process) {
        Some(true) => {
            findings.fail(CHECK, &shown, "the agent's service has its directory read-only", &advice);
        }
        None if UNITS.iter().any(|unit| Path::new(unit).exists())
            && !WRITABLE.iter().any(|at| file.starts_with(at)) =>
        {
            findings.warn(CHECK, &shown, "the shipped unit does not let the agent write there", &advice);
        }
        _ => findings.ok(CHECK, &shown, &format!("can be written by {}", user(uid))),
    }
}

/// Whether the directory is read-only as the running agent sees it; `None` where that is not to be seen from here.
fn read_only(directory: &Path, process: Option<&Process>) -> Option<bool> {
    let root = PathBuf::from(format!("/proc/{}/root", process?.pid));
    let seen = statvfs(&root.join(directory.strip_prefix("/").ok()?)).ok()?;
    Some(seen.flags().contains(FsFlags::ST_RDONLY))
}

/// Whether a user may do with a file what these bits (of `0o7`) say, by its mode.
fn may(uid: u32, data: &Metadata, bits: u32) -> bool {
    let shift = if uid == 0 {
        return true;
    } else if data.uid() == uid {
        6
    } else if groups(uid).contains(&data.gid()) {
        3
    } else {
        0
    };
    (data.mode() >> shift) & bits == bits
}

fn groups(uid: u32) -> Vec<u32> {
    let Ok(Some(user)) = User::from_uid(Uid::from_raw(uid)) else { return Vec::new() };
    let found = CString::new(user.name).ok().and_then(|name| getgrouplist(&name, user.gid).ok());
    found.unwrap_or_else(|| vec![user.gid]).into_iter().map(Gid::as_raw).collect()
}
