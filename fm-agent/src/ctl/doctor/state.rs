//! The agent's state: its directory, its disk, its database.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, access, geteuid};
use serde_json::Value;

use super::super::status::bytes_of;
use super::finding::Findings;
use super::process::Process;
use crate::config::Durability;
use crate::store;

pub(super) fn check(
    directory: &Path,
    durability: Durability,
    min_free: u64,
    process: Option<&Process>,
    findings: &mut Findings,
) {
    let shown = directory.display().to_string();
    let data = match fs::metadata(directory) {
        Ok(data) if data.is_dir() => data,
        Ok(_) => {
            let advice = "Move the file away, or set agent.state_dir: the agent does not start.";
            return findings.fail("state-directory", &shown, "is no directory", advice);
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return missing(directory, &shown, findings);
        }
        Err(error) => {
            let advice = "Look at the directories above it, or run fmctl as root.";
            return findings.fail(
                "state-directory",
                &shown,
                &format!("cannot be looked at: {error}"),
                advice,
            );
        }
    };
    owner(&data, process, &shown, findings);
    writable(directory, &data, &shown, findings);
    space(directory, min_free, &shown, findings);
    file_system(directory, durability, &shown, findings);
    lock(directory, process, findings);
    database(directory, findings);
}

/// A directory that the agent would make at its start.
fn missing(directory: &Path, shown: &str, findings: &mut Findings) {
    let above = directory.ancestors().find(|above| above.exists()).unwrap_or(Path::new("/"));
    let name = above.display();
    if !above.is_dir() {
        let found = format!("cannot be made: {name} is no directory");
        findings.fail("state-directory", shown, &found, "Move the file away, or set agent.state_dir.");
    } else if let Err(errno) = access(above, AccessFlags::W_OK | AccessFlags::X_OK) {
        let found = format!("is not there, and uid {} cannot make it in {name}: {errno}", geteuid());
        let advice = "Make it for the agent's user, or set agent.state_dir to where it may write.";
        findings.fail("state-directory", shown, &found, advice);
    } else {
        findings.ok("state-directory", shown, "is not there yet: the agent makes it at its start");
    }
}

fn owner(data: &fs::Metadata, process: Option<&Process>, shown: &str, findings: &mut Findings) {
    let mode = data.permissions().mode() & 0o777;
    match process.and_then(|process| process.uid) {
        Some(uid) if uid != data.uid() && uid != 0 => {
            let found = format!("belongs to uid {}, the agent runs as uid {uid}", data.uid());
            return findings.warn("state-owner", shown, &found, &format!("chown -R {uid} '{shown}'"));
        }
        _ => {}
    }
    let others = mode & 0o077;
    if others == 0 {
        return findings.ok("state-owner", shown, &format!("uid {}, mode {mode:03o}", data.uid()));
    }
    let found = format!("mode {mode:03o}: others can see the alarms of this node");
    findings.warn("state-owner", shown, &found, &format!("chmod 700 '{shown}'"));
}

fn writable(directory: &Path, data: &fs::Metadata, shown: &str, findings: &mut Findings) {
    let read_only = statvfs(directory).is_ok_and(|stat| stat.flags().contains(FsFlags::ST_RDONLY));
    if read_only {
        let advice =
            "Mount it for writing: a disk with errors is often mounted read-only; the kernel's log says so.";
        return findings.fail("state-directory", shown, "lies in a read-only file system", advice);
    }
    let own = geteuid().is_root() || geteuid().as_raw() == data.uid();
    match access(directory, AccessFlags::W_OK | AccessFlags::X_OK) {
        Ok(()) => findings.ok("state-directory", shown, "can be written"),
        Err(Errno::EACCES) if !own => {
            findings.skip(
                "state-directory",
                shown,
                &format!("is not for uid {}: run fmctl as its owner", geteuid()),
            );
        }
        Err(errno) => {
            let advice = format!("chmod u+rwx '{shown}', as its owner.");
            findings.fail("state-directory", shown, &format!("cannot be written: {errno}"), &advice);
        }
    }
}

fn space(directory: &Path, min_free: u64, shown: &str, findings: &mut Findings) {
    let stat = match statvfs(directory) {
        Ok(stat) => stat,
        Err(errno) => return findings.skip("state-space", shown, &format!("cannot be looked at: {errno}")),
    };
    let free = stat.blocks_available().saturating_mul(stat.fragment_size());
    let found = format!("{} free", bytes_of(free));
    let advice =
        "Make room: when the disk is full callers get FM_ERR_NOT_ENOUGH_SPACE and drop their alarms.";
    if stat.files() > 0 && stat.files_available() == 0 {
        return findings.fail("state-space", shown, "no file can be made: all inodes are used", advice);
    }
    if free < min_free {
        findings.fail("state-space", shown, &format!("{found}, less than {}", bytes_of(min_free)), advice);
    } else if free < min_free.saturating_mul(2) {
        findings.warn(
            "state-space",
            shown,
            &format!("{found}, less than twice {}", bytes_of(min_free)),
            advice,
        );
    } else {
        findings.ok("state-space", shown, &found);
    }
}

fn file_system(directory: &Path, durability: Durability, shown: &str, findings: &mut Findings) {
    let in_memory = match statfs(directory) {
        Ok(stat) => stat.filesystem_type() == TMPFS_MAGIC,
        Err(errno) => {
            return findings.skip("state-file-system", shown, &format!("cannot be looked at: {errno}"));
        }
    };
    if !in_memory {
        return findings.ok("state-file-system", shown, "is on a disk");
    }
    let advice = "Put agent.state_dir on a disk.";
    let found = match durability {
        Durability::Power => {
            "is in memory: durability is 'power', and a restart of the node loses what waits"
        }
        Durability::Process => "is in memory: a restart of the node loses what waits",
    };
    findings.warn("state-file-system", shown, found, advice);
}

/// Who holds the directory.
fn lock(directory: &Path, process: Option<&Process>, findings: &mut Findings) {
    let path = directory.join(store::LOCK);
    let shown = path.display().to_string();
    let (data, holder) = match fs::metadata(&path).and_then(|data| Ok((data, fs::read_to_string(&path)?))) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return findings.ok("state-lock", &shown, "nobody holds the state");
        }
        Err(error) => return findings.skip("state-lock", &shown, &format!("cannot be read: {error}")),
    };
    let holder = holder.trim();
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    match (is_locked(&locks, data.ino()), process) {
        (true, Some(process)) if process.pid.to_string() != holder => {
            let found =
                format!("pid {holder} holds the state, the agent that answers has pid {}", process.pid);
            let advice = "Two agents, or one in a container: the one that answers has its state elsewhere. Compare \
                          their configurations.";
            findings.warn("state-lock", &shown, &found, advice);
        }
        (true, None) => {
            let found = format!("pid {holder} holds the state, and no agent answers at the socket");
            let advice = "It may be starting or stopping, or has another socket. If it stays so, end it and start the \
                          agent anew.";
            findings.warn("state-lock", &shown, &found, advice);
        }
        (true, Some(_)) => findings.ok("state-lock", &shown, &format!("held by the agent, pid {holder}")),
        (false, Some(_)) => {
            let advice =
                "The doctor looked with another configuration than the agent's: name it with --config.";
            findings.warn("state-lock", &shown, "not held by the agent that answers", advice);
        }
        (false, None) => findings.ok("state-lock", &shown, "nobody holds the state"),
    }
}

/// Whether the system's table has a lock on the file with this number.
fn is_locked(locks: &str, inode: u64) -> bool {
    let ends = format!(":{inode}");
    locks
        .lines()
        .filter(|line| line.contains("FLOCK"))
        .any(|line| line.split_whitespace().any(|word| word.ends_with(&ends)))
}

fn database(directory: &Path, findings: &mut Findings) {
    let shown = directory.join(store::DATABASE).display().to_string();
    match store::check(directory) {
        Ok(None) => findings.ok("database", &shown, "is not there yet: the agent makes it at its start"),
        Ok(Some(checked)) if checked.version > checked.known => {
            let found = format!("has version {}, this program knows {}", checked.version, checked.known);
            let advice = "Install the newer fm-agent again, or move the state directory away.";
            findings.fail("database", &shown, &found, advice);
        }
        Ok(Some(checked)) if checked.damage.is_empty() => {
            findings.ok("database", &shown, &format!("is whole, version {}", checked.version));
        }
        Ok(Some(checked)) => damaged(&shown, &checked.damage.join("; "), findings),
        Err(error) if error.is_damage() => damaged(&shown, &error.to_string(), findings),
        Err(error) => {
            let found = format!("cannot be looked at by uid {}: {error}", geteuid());
            findings.skip("database", &shown, &found);
        }
    }
}

/// Databases that were damaged or replaced, and rows that could not be read: on the disk still, or counted by the
/// agent that runs.
pub(super) fn set_aside(directory: &Path, status: Option<&Value>, findings: &mut Findings) {
    const CHECK: &str = "set-aside";
    let shown = directory.join(format!("{}*", store::DAMAGED)).display().to_string();
    let count = |key: &str| status.and_then(|status| status[key].as_u64()).unwrap_or(0);
    let mut found = Vec::new();
    match damaged_files(directory) {
        Ok(0) => {}
        Ok(files) => found.push(format!("{files} damaged databases are kept")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if status.is_none() => {
            return findings.skip(CHECK, &shown, &format!("cannot be looked for: {error}"));
        }
        Err(_) => {}
    }
    for (key, meaning) in [
        ("quarantines", "set aside since the agent's start"),
        ("put_back", "deleted or replaced under the agent and written anew"),
        ("unreadable", "rows could not be read and were set aside: fmctl rejected list"),
    ] {
        if count(key) > 0 {
            found.push(format!("{} {meaning}", count(key)));
        }
    }
    if found.is_empty() {
        return findings.ok(CHECK, &shown, "no database was damaged");
    }
    let advice = "A damaged database was set aside, and what could be read of it goes on. Look for a failing disk (the \
                  kernel's log) and at what the agent's log says was lost; then delete the files.";
    findings.warn(CHECK, &shown, &found.join("; "), advice);
}

/// How many there are; a database and the log beside it are one.
fn damaged_files(directory: &Path) -> io::Result<usize> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(store::DAMAGED) {
            let name = name.strip_suffix("-wal").or_else(|| name.strip_suffix("-shm")).unwrap_or(&name);
            names.insert(name.to_owned());
        }
    }
    Ok(names.len())
}

fn damaged(shown: &str, what: &str, findings: &mut Findings) {
    let advice =
        "Keep a copy of the directory, look for a failing disk (the kernel's log), then restart the agent.";
    findings.fail("database", shown, &format!("is damaged: {what}"), advice);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_found_by_the_files_number() {
        let locks =
            "1: POSIX  ADVISORY  WRITE 812 00:1b:77 0 EOF\n2: FLOCK  ADVISORY  WRITE 901 fe:00:4711 0 EOF\n";
        assert!(is_locked(locks, 4711));
        assert!(!is_locked(locks, 711));
        assert!(!is_locked(locks, 77), "another kind of lock");
    }
}
