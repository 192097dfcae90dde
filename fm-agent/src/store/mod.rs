//! What this node has promised: requests still to deliver, its view of the alarms it raised, and the
//! requests that a controller refused.
//!
//! Invariants:
//! - One commit at a time. What arrives meanwhile goes into the next transaction; an answer leaves after the
//!   commit that holds its request. No timer, no delay.
//! - A batch is on disk as a whole or not at all, and is taken once: a token seen before changes nothing.
//! - Requests of one domain are handed out in the order in which they were taken.
//! - Nothing secret is ever written.
//! - What it holds is bounded; what it gives up to stay so is never the latest state of an alarm, and is
//!   counted and told.
//!
//! It knows no routing, no deadlines and no controllers: it is told which domain owns what, and what
//! became of a delivery.

mod accepted;
mod apply;
mod awake;
mod bounds;
mod changes;
mod check;
mod committer;
mod condition;
mod deliveries;
mod directory;
mod error;
mod fold;
mod healing;
mod jobs;
mod limits;
mod listing;
mod meter;
mod model;
mod presence;
mod queue;
mod reader;
mod recover;
mod rejected;
mod repair;
mod schema;
mod settle;
mod signed;
mod space;
mod tables;
mod tokens;
mod transaction;
mod unreadable;
mod writer;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::Notify;

use crate::config::{Domain, Durability};
use crate::metrics::Metrics;

pub use check::{Checked, check};
pub use condition::Condition;
pub use error::{StoreError, StoreErrorKind};
pub use jobs::Submitted;
pub use limits::Limits;
pub use listing::{Listed, View};
pub use meter::{Meter, Rank};
pub use model::{
    Batch, Cleared, Finding, Found, Held, KeepRejected, Kept, Op, Outcome, Rejected, Report, Request,
    RequestKind, Signature, Signed, Standing, Turn, Unknown, Unreadable, Waiting, WaitingClearAll,
};
pub use reader::Reader;
pub use writer::Writer;

/// The database in the state directory.
pub(crate) const DATABASE: &str = "fm-agent.db";
/// What the names of databases that were moved aside begin with.
pub(crate) const DAMAGED: &str = "fm-agent.db.damaged-";
/// The file in the state directory that its agent has locked, with its process id.
pub(crate) const LOCK: &str = "fm-agent.lock";

/// What the store needs to know.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The directory; made when it is missing, for this user only.
    pub state_dir: PathBuf,
    /// What a commit promises.
    pub durability: Durability,
    /// Each configured domain, and whether its alarms are kept here (true) or delivered (false).
    pub domains: BTreeMap<Domain, bool>,
    /// Events kept for the domains whose record is here.
    pub max_events: u32,
    /// Refused requests kept.
    pub rejected: KeepRejected,
    /// How much the store may hold.
    pub limits: Limits,
    /// Where commits are counted.
    pub metrics: Arc<Metrics>,
}

impl StoreOptions {
    /// Whether a store that was opened with these does for the others.
    pub fn do_for(&self, others: &Self) -> bool {
        let Self { state_dir, durability, domains, max_events, rejected, limits, metrics } = self;
        *state_dir == others.state_dir
            && *durability == others.durability
            && *domains == others.domains
            && *max_events == others.max_events
            && *rejected == others.rejected
            && *limits == others.limits
            && Arc::ptr_eq(metrics, &others.metrics)
    }
}

/// An open store. Its directory is held until it and every clone of its [`Writer`] are dropped, or
/// [`Writer::stop`] has returned.
#[derive(Debug)]
pub struct Store {
    /// The way to change it.
    pub writer: Writer,
    /// The way to look at it.
    pub reader: Reader,
    wakes: BTreeMap<Domain, Arc<Notify>>,
    condition: Arc<Condition>,
    directory: PathBuf,
}

impl Store {
    /// Opens the store, making, migrating or salvaging it as needed, and starts its writer thread.
    ///
    /// # Errors
    /// A directory that cannot be used, another agent on it, a schema newer than this program, or a
    /// database that does not open. Damage is no error while there is room to salvage what can be read.
    pub fn open(options: &StoreOptions) -> Result<Self, StoreError> {
        // A limit on the size of files is kept like the configured one, so that clears and deliveries have room.
        let limits = options.limits.within(space::largest_file()?);
        let options = &StoreOptions { limits, ..options.clone() };
        let directory = &options.state_dir;
        directory::make(directory)?;
        let path = directory.join(DATABASE);
        let mut lock = lock(directory)?;
        recover::refuse_newer(&path)?;
        sign(&mut lock, directory)?;
        let condition = Arc::new(Condition::default());
        let open = || recover::open(&path, options.durability, &condition);
        open()
            .or_else(|error| {
                let has_room_now = error.kind == StoreErrorKind::Full && space::give_up_reserve(directory);
                if has_room_now { open() } else { Err(error) }
            })
            .and_then(|opened| Self::start(options, opened, lock, condition))
            .map_err(|error| error.at(&path))
    }

    /// Starts the writer on an open database whose directory is held.
    fn start(
        options: &StoreOptions,
        mut opened: recover::Opened,
        lock: File,
        condition: Arc<Condition>,
    ) -> Result<Self, StoreError> {
        if let Err(error) = tidy(&mut opened.connection, options) {
            if error.kind != StoreErrorKind::Unreadable {
                return Err(error);
            }
            repair::set_aside(&mut opened.connection, &condition)?;
            tidy(&mut opened.connection, options)?;
        }
        let wakes: BTreeMap<Domain, Arc<Notify>> =
            options.domains.keys().map(|domain| (*domain, Arc::new(Notify::new()))).collect();
        let (writer, reader) = Writer::start(opened, lock, options, wakes.clone(), Arc::clone(&condition))?;
        Ok(Self { writer, reader, wakes, condition, directory: options.state_dir.clone() })
    }

    /// What went wrong with what is on the disk.
    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    /// The state directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What is signalled when a request for this domain has been committed.
    pub fn wake(&self, domain: Domain) -> Option<Arc<Notify>> {
        self.wakes.get(&domain).cloned()
    }
}

/// Brings what an earlier run has left in line with what is configured now.
fn tidy(connection: &mut Connection, options: &StoreOptions) -> Result<(), StoreError> {
    settle::settle(connection, &options.domains, options.max_events)?;
    for tidied in [healing::forget_old(connection), rejected::trim(connection, options.rejected)] {
        match tidied {
            // What is old stays until there is room to let it go.
            Err(error) if error.kind == StoreErrorKind::Full => {
                tracing::warn!(%error, "what is too old is not deleted at this start");
            }
            other => other?,
        }
    }
    Ok(())
}

/// Takes the state directory for as long as the file is open; the lock goes with the process.
fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join(LOCK);
    let failed = |error: std::io::Error| StoreError::path("cannot lock the state directory", &path, &error);
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(&path).unwrap_or_else(|error| error.to_string());
            let reason = format!(
                "the state directory {} is in use by another fm-agent (pid {}): stop it, or give this one its own",
                directory.display(),
                holder.trim()
            );
            return Err(StoreError::new(StoreErrorKind::InUse, reason));
        }
        Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
    }
    Ok(file)
}

/// Takes the state directory anew whose lock was deleted or replaced.
fn lock_again(directory: &Path) -> Result<File, StoreError> {
    let mut lock = lock(directory)?;
    sign(&mut lock, directory)?;
    Ok(lock)
}

/// Leaves this process's number for whoever finds the directory taken. On a full disk it is not left.
fn sign(lock: &mut File, directory: &Path) -> Result<(), StoreError> {
    match lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())) {
        Err(error) => {
            let error = StoreError::path("cannot write into the state directory", directory, &error);
            if error.kind == StoreErrorKind::Full { Ok(()) } else { Err(error) }
        }
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
