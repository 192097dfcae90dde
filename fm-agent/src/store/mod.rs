//! What this node has promised: requests still to deliver, its view of the alarms it raised, and the
//! requests that a controller refused.
//!
//! Invariants:
//! - One thread owns the write connection. What arrives while it commits goes into the next
//!   transaction; an answer leaves after the commit that holds its request. No timer, no delay.
//! - A batch is on disk as a whole or not at all, and is taken once: a token seen before changes nothing.
//! - Requests of one domain are handed out in the order in which they were taken.
//! - Nothing secret is ever written.
//!
//! It knows no routing, no deadlines and no controllers: it is told which domain owns what, and what
//! became of a delivery.

mod accepted;
mod apply;
mod check;
mod deliveries;
mod error;
mod healing;
mod listing;
mod model;
mod reader;
mod rejected;
mod schema;
mod settle;
mod signed;
mod tables;
mod tokens;
mod usage;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::Notify;

use crate::config::{Domain, Durability};
use crate::metrics::Metrics;

pub use check::{Checked, check};
pub use error::{StoreError, StoreErrorKind};
pub use listing::{Listed, View};
pub use model::{
    Batch, Cleared, Finding, Found, Held, KeepRejected, Kept, Op, Outcome, Rejected, Report, Request,
    RequestKind, Signature, Signed, Standing, Unknown, Waiting, WaitingClearAll,
};
pub use reader::Reader;
pub use usage::Usage;
pub use writer::{Submitted, Writer};

/// The database in the state directory.
pub(crate) const DATABASE: &str = "fm-agent.db";
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
    /// Where commits are counted.
    pub metrics: Arc<Metrics>,
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
    directory: PathBuf,
}

impl Store {
    /// Opens the store, making or migrating it as needed, and starts its writer thread.
    ///
    /// # Errors
    /// A directory that cannot be used, another agent on it, a schema newer than this program, or a
    /// database that does not open.
    pub fn open(options: &StoreOptions) -> Result<Self, StoreError> {
        let directory = &options.state_dir;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|error| StoreError::path("cannot make the state directory", directory, &error))?;
        let lock = lock(directory)?;
        let connection = schema::open(&directory.join(DATABASE), options.durability)?;
        Self::start(options, connection, lock)
    }

    /// Starts the writer on an open database whose directory is held.
    fn start(options: &StoreOptions, mut connection: Connection, lock: File) -> Result<Self, StoreError> {
        settle::settle(&mut connection, &options.domains, options.max_events)?;
        healing::forget_old(&connection)?;
        rejected::trim(&connection, options.rejected)?;
        let here: BTreeSet<Domain> =
            options.domains.iter().filter(|(_, here)| **here).map(|(domain, _)| *domain).collect();
        let wakes: BTreeMap<Domain, Arc<Notify>> =
            options.domains.keys().map(|domain| (*domain, Arc::new(Notify::new()))).collect();
        let reader = Reader::open(&options.state_dir.join(DATABASE))?;
        let writer = Writer::start(connection, lock, here, options, wakes.clone())?;
        Ok(Self { writer, reader, wakes, directory: options.state_dir.clone() })
    }

    /// What is signalled when a request for this domain has been committed.
    pub fn wake(&self, domain: Domain) -> Option<Arc<Notify>> {
        self.wakes.get(&domain).cloned()
    }
}

/// Takes the state directory for as long as the file is open; the lock goes with the process.
fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join(LOCK);
    let failed = |error: std::io::Error| StoreError::path("cannot lock the state directory", &path, &error);
    let mut file = fs::OpenOptions::new()
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
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests;
