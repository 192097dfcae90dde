//! Damaged files are moved aside, never deleted and never written, until newer ones take their place.
//!
//! Invariant: from the moment on that a salvaged database is complete there is a name for it under which the next
//! start finds it, whenever the agent is killed. Until then the damaged one stays where it is.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use fm_common::Timestamp;

use super::super::error::StoreError;

/// Damaged databases kept, the newest. One to look at, and one or two before it to see whether it is always the
/// same; each can be as large as the backlog of a long outage.
pub(in super::super) const KEPT: usize = 3;

/// The files of a database at `path`.
pub(super) struct Files {
    pub(super) database: PathBuf,
    pub(super) wal: PathBuf,
    shm: PathBuf,
    /// Where a salvaged database grows; worth nothing until it is complete.
    pub(super) growing: PathBuf,
    /// Where it is once it is complete.
    complete: PathBuf,
}

impl Files {
    pub(super) fn of(database: &Path) -> Self {
        Self {
            database: database.to_owned(),
            wal: beside(database, "-wal"),
            shm: beside(database, "-shm"),
            growing: beside(database, ".salvaging"),
            complete: beside(database, ".salvaged"),
        }
    }

    /// The log that takes the place of a damaged one.
    pub(super) fn mended_wal(&self) -> PathBuf {
        beside(&self.database, ".mending-wal")
    }

    /// Puts the database that has grown in the place of the damaged one. Gives where that is now.
    pub(super) fn replace(&self) -> Result<PathBuf, StoreError> {
        self.complete()?;
        self.finish()
    }

    /// The database that has grown is complete: whatever happens, it takes the place of the one that is there.
    pub(super) fn complete(&self) -> Result<(), StoreError> {
        File::open(&self.growing)
            .and_then(|file| file.sync_all())
            .map_err(|error| StoreError::path("cannot flush", &self.growing, &error))?;
        rename(&self.growing, &self.complete)?;
        self.sync()
    }

    /// Finishes a replacement that was cut short. Gives where the damaged database is, if there was one to finish.
    pub(super) fn resume(&self) -> Result<Option<PathBuf>, StoreError> {
        if self.waits() { self.finish().map(Some) } else { Ok(None) }
    }

    fn finish(&self) -> Result<PathBuf, StoreError> {
        let damaged = self.free_name();
        for (from, to) in [(&self.wal, beside(&damaged, "-wal")), (&self.database, damaged.clone())] {
            if exists(from) {
                rename(from, &to)?;
            }
        }
        remove(&self.shm)?;
        self.sync()?;
        rename(&self.complete, &self.database)?;
        self.sync()?;
        Ok(damaged)
    }

    /// Puts the mended log in the place of the damaged one. Gives where that is now.
    pub(super) fn replace_wal(&self) -> Result<PathBuf, StoreError> {
        let damaged = beside(&self.free_name(), "-wal");
        fs::hard_link(&self.wal, &damaged)
            .map_err(|error| StoreError::path("cannot keep the damaged log as", &damaged, &error))?;
        rename(&self.mended_wal(), &self.wal)?;
        remove(&self.shm)?;
        self.sync()?;
        Ok(damaged)
    }

    /// Moves the log away from a database that it does not belong to. Gives where it is now.
    pub(super) fn part_from_wal(&self) -> Result<PathBuf, StoreError> {
        let damaged = beside(&self.free_name(), "-wal");
        rename(&self.wal, &damaged)?;
        remove(&self.shm)?;
        self.sync()?;
        Ok(damaged)
    }

    /// A name that says when, to the microsecond, and that nothing has yet.
    fn free_name(&self) -> PathBuf {
        loop {
            let now: String = Timestamp::now().to_iso().chars().filter(|c| !matches!(c, '-' | ':')).collect();
            let name = beside(&self.database, &format!(".damaged-{now}Z"));
            if !exists(&name) && !exists(&beside(&name, "-wal")) {
                return name;
            }
        }
    }

    /// The damaged databases that are kept, oldest first, without the endings of the files beside them.
    pub(super) fn kept(&self) -> Result<Vec<PathBuf>, StoreError> {
        let Some(directory) = self.database.parent() else { return Ok(Vec::new()) };
        let failed = |error: io::Error| StoreError::path("cannot look into", directory, &error);
        let beginning = beside(&self.database, ".damaged-");
        let mut found = Vec::new();
        for entry in fs::read_dir(directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.to_string_lossy();
            if name.starts_with(&*beginning.to_string_lossy()) {
                let base = name.strip_suffix("-wal").or_else(|| name.strip_suffix("-shm")).unwrap_or(&name);
                found.push(PathBuf::from(base));
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// Deletes the oldest of them until no more than `most` are left; the one that was just made counts as the
    /// newest, whatever the clock says. Gives how many it deleted.
    pub(super) fn prune(&self, most: usize, newest: Option<&Path>) -> Result<usize, StoreError> {
        let mut kept = self.kept()?;
        kept.sort_by_key(|path| {
            newest.is_some_and(|newest| newest == path.as_path() || is_log_of(newest, path))
        });
        let gone = kept.len().saturating_sub(most);
        for oldest in &kept[..gone] {
            for file in [oldest.clone(), beside(oldest, "-wal"), beside(oldest, "-shm")] {
                remove(&file)?;
            }
            tracing::warn!(file = %oldest.display(), "the oldest damaged database is deleted");
        }
        Ok(gone)
    }

    /// Whether a complete database waits to be put at its place.
    pub(super) fn waits(&self) -> bool {
        exists(&self.complete)
    }

    /// Removes a copy of a database that goes on in its own files after all.
    pub(super) fn abandon(&self) -> Result<(), StoreError> {
        remove(&self.complete)?;
        self.clean()
    }

    /// Removes what a salvage that was cut short has left.
    pub(super) fn clean(&self) -> Result<(), StoreError> {
        remove(&self.growing)?;
        remove(&beside(&self.growing, "-journal"))?;
        remove(&self.mended_wal())
    }

    /// Bytes of the damaged database and its log.
    pub(super) fn bytes(&self) -> u64 {
        [&self.database, &self.wal].iter().filter_map(|path| fs::metadata(path).ok()).map(|it| it.len()).sum()
    }

    /// Flushes the names in the directory.
    fn sync(&self) -> Result<(), StoreError> {
        let Some(directory) = self.database.parent() else { return Ok(()) };
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| StoreError::path("cannot flush", directory, &error))
    }
}

/// This path with more behind its name.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn is_log_of(log: &Path, database: &Path) -> bool {
    beside(database, "-wal") == log
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(|error| StoreError::path("cannot rename", from, &error))
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::path("cannot remove", path, &error))
        }
        _ => Ok(()),
    }
}
