//! The store's room on the disk: giving back what a backlog took, and a reserve for when the disk is full.
//!
//! Invariants:
//! - Space is given back only while nobody waits for the writer, in steps of a few milliseconds.
//! - The reserve is a file with blocks of its own. It is let go only so that what must not wait for the
//!   operator can be committed (reports of deliveries, clears), and taken again as soon as somebody has made
//!   room.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::posix_fallocate;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::{Statvfs, statvfs};
use rusqlite::Connection;

use super::error::{StoreError, StoreErrorKind};

/// Free pages that stay in the database for what comes next: 4 MiB.
const SPARE_PAGES: u64 = 1024;
/// Pages given back in one step.
const STEP_PAGES: u32 = 64;
/// Jobs between two looks at how many pages are free: a look costs as much as half a job.
const LOOK_EACH: usize = 64;
/// Bytes in reserve at most: what the WAL takes until its next checkpoint, and what that checkpoint can add
/// to the database, 4 MiB each. On a small disk it is a sixteenth of the disk, and never more than a quarter of what a file may have.
const MOST_IN_RESERVE: u64 = 8 * 1024 * 1024;
const LEAST_IN_RESERVE: u64 = 256 * 1024;
/// Bytes that must be free besides before the reserve is taken again.
const SLACK: u64 = 256 * 1024;
/// The reserve's file in the state directory.
const RESERVE: &str = "fm-agent.reserve";

/// Makes a database that is still empty able to give space back.
pub(super) fn prepare_empty(connection: &Connection) -> Result<(), StoreError> {
    if pragma(connection, "PRAGMA page_count")? == 0 {
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    Ok(())
}

/// Makes sure that the database can give space back. One that an earlier version made is written anew,
/// once; where that fails (it needs the space twice), the agent runs all the same.
pub(super) fn prepare(connection: &Connection) -> Result<(), StoreError> {
    const INCREMENTAL: u64 = 2;
    if pragma(connection, "PRAGMA auto_vacuum")? == INCREMENTAL {
        return Ok(());
    }
    if let Err(error) = connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; VACUUM") {
        tracing::warn!(%error, "the store cannot be written anew; it keeps the size that it has");
        return Ok(());
    }
    let mode = pragma(connection, "PRAGMA auto_vacuum")?;
    if mode != INCREMENTAL {
        tracing::warn!(mode, "the store does not give space back; it keeps the size that it grows to");
    }
    Ok(())
}

/// Bytes of a page.
pub(super) fn page_size(connection: &Connection) -> Result<u64, StoreError> {
    pragma(connection, "PRAGMA page_size")
}

/// Pages in use, with what the open transaction changes.
pub(super) fn used_pages(connection: &Connection) -> Result<u64, StoreError> {
    Ok(pragma(connection, "PRAGMA page_count")?.saturating_sub(free_pages(connection)?))
}

fn free_pages(connection: &Connection) -> Result<u64, StoreError> {
    pragma(connection, "PRAGMA freelist_count")
}

fn pragma(connection: &Connection, sql: &str) -> Result<u64, StoreError> {
    let value: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(value.unsigned_abs())
}

/// Bytes that a file of this process may have, by its limit on resources.
pub(super) fn largest_file() -> Result<u64, StoreError> {
    let (now, _most) = getrlimit(Resource::RLIMIT_FSIZE).map_err(|error| {
        StoreError::new(StoreErrorKind::Io, format!("cannot read the limit on the size of files: {error}"))
    })?;
    Ok(now)
}

/// Bytes that are free for this process on the disk of this path.
pub(super) fn free_bytes(path: &Path) -> Result<u64, StoreError> {
    let disk = disk_of(path)?;
    Ok(disk.blocks_available().saturating_mul(disk.fragment_size()))
}

fn disk_of(path: &Path) -> Result<Statvfs, StoreError> {
    statvfs(path).map_err(|error| StoreError::path("cannot measure the disk of", path, &error.into()))
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tidied {
    /// The next step has something to do.
    HasMore,
    /// There may be something to do later, though nothing is changed until then.
    NotYet,
    All,
}

/// Gives space back, a step at a time.
#[derive(Debug)]
pub(super) struct Tidy {
    /// Pages were given back that are still in the file, until the next checkpoint.
    given_back: bool,
    /// Jobs since the last look at the free pages.
    jobs: usize,
}

impl Default for Tidy {
    /// An earlier run may have left something to do.
    fn default() -> Self {
        Self { given_back: false, jobs: LOOK_EACH }
    }
}

impl Tidy {
    /// Jobs were done, each of which can free a page or two.
    pub(super) fn done(&mut self, jobs: usize) {
        self.jobs = self.jobs.saturating_add(jobs);
    }

    /// Whether [`Self::step`] may have something to do.
    pub(super) fn is_due(&self) -> bool {
        self.jobs >= LOOK_EACH || self.given_back
    }

    /// One step, when it is time for it: after a quiet time it is.
    pub(super) fn step(&mut self, connection: &Connection, is_quiet: bool) -> Result<Tidied, StoreError> {
        if self.is_due() || is_quiet && self.jobs > 0 {
            if self.give_back(connection)? {
                return Ok(Tidied::HasMore);
            }
            self.jobs = 0;
        }
        Ok(if self.jobs > 0 || self.given_back { Tidied::NotYet } else { Tidied::All })
    }

    fn give_back(&mut self, connection: &Connection) -> Result<bool, StoreError> {
        let free = free_pages(connection)?;
        if free > SPARE_PAGES {
            // It gives a row for each page.
            let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({STEP_PAGES})"))?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            self.given_back = true;
            // A database that cannot give back stays as it is.
            return Ok(free_pages(connection)? < free);
        }
        if self.given_back && truncate_wal(connection)? {
            self.given_back = false;
        }
        Ok(false)
    }
}

/// Writes the WAL into the database and empties it, unless somebody is reading; whether it did.
fn truncate_wal(connection: &Connection) -> Result<bool, StoreError> {
    let timeout: i64 = connection.query_row("PRAGMA busy_timeout", [], |row| row.get(0))?;
    connection.pragma_update(None, "busy_timeout", 0)?;
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    connection.pragma_update(None, "busy_timeout", timeout)?;
    Ok(busy? == 0)
}

/// Gives up the reserve that an earlier run has left, for a start that has no other room; whether there was one.
pub(super) fn give_up_reserve(directory: &Path) -> bool {
    fs::remove_file(directory.join(RESERVE)).is_ok()
}

/// Space on the disk that is kept for when there is no other.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    bytes: u64,
    is_held: bool,
}

impl Reserve {
    /// Takes the reserve in this directory, if there is room. What an earlier run left of it counts.
    pub(super) fn new(directory: &Path) -> Result<Self, StoreError> {
        let disk = disk_of(directory)?;
        let bytes = disk.blocks().saturating_mul(disk.fragment_size()) / 16;
        let bytes = bytes.clamp(LEAST_IN_RESERVE, MOST_IN_RESERVE).min(largest_file()? / 4);
        let mut reserve = Self { path: directory.join(RESERVE), bytes, is_held: false };
        reserve.is_held = reserve.take(reserve.bytes).is_ok();
        Ok(reserve)
    }

    /// Pages that the WAL may hold before it is written into the database: with as many that this may add
    /// to the database they are the reserve.
    pub(super) fn wal_pages(&self, page_size: u64) -> u64 {
        self.bytes / 2 / page_size.max(1)
    }

    pub(super) fn is_held(&self) -> bool {
        self.is_held
    }

    /// Gives the space to whoever comes first; whether there was any.
    pub(super) fn let_go(&mut self) -> bool {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "there is no reserve to let go");
        }
        std::mem::take(&mut self.is_held)
    }

    /// Takes it again if the disk has room for it and some more; whether it is held.
    pub(super) fn take_again(&mut self) -> bool {
        if !self.is_held {
            let taken = self.take(self.bytes + SLACK).and_then(|()| self.take(self.bytes));
            self.is_held = taken.is_ok();
        }
        self.is_held
    }

    /// Takes it again if its file is gone, as it is when somebody has emptied the directory; whether it is held.
    pub(super) fn look_again(&mut self) -> bool {
        if matches!(self.path.try_exists(), Ok(false)) {
            self.is_held = false;
        }
        self.take_again()
    }

    /// Makes the file so long, with blocks for all of it; without room there is no file.
    fn take(&self, bytes: u64) -> std::io::Result<()> {
        let taken = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&self.path)
            .and_then(|file| {
                file.set_len(bytes)?;
                Ok(posix_fallocate(&file, 0, bytes.try_into().unwrap_or(i64::MAX))?)
            });
        if let Err(error) = &taken {
            tracing::debug!(%error, path = %self.path.display(), "no space can be kept in reserve");
            if self.path.exists() {
                fs::remove_file(&self.path)?;
            }
        }
        taken
    }
}
