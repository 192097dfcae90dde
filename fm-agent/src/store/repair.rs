//! Repairing the store while it is in use: in place, so that an agent that nobody starts anew goes on as well as
//! one that a service manager looks after, and callers see a slow answer and no missing agent.
//!
//! Invariants:
//! - Done by the writer's thread, between two transactions: nobody else writes, and readers wait.
//! - No connection is open while files are moved: SQLite finds the files beside a database by its name.
//! - Files that were deleted or replaced are written anew from the open ones, which hold everything. Until that has
//!   succeeded nothing is taken: it would be gone with the process.
//! - A store that cannot be opened after a repair, whatever the reason, is tried again at the next change or look.
//! - A disk that damages whatever is written does not keep the agent busy: after a repair there is a pause. There is
//!   none after files that were deleted are there again: should they be deleted again, what is acknowledged
//!   meanwhile would be gone with the process, so they are written anew again, once a second at most.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};

use super::condition::Condition;
use super::error::{StoreError, StoreErrorKind};
use super::jobs::Repairs;
use super::presence::{Presence, Watch};
use super::reader::Slot;
use super::recover::{self, Checker, Place, Verdict};
use super::{DATABASE, StoreOptions, directory, lock_again, schema};
use crate::config::Durability;

/// Between two repairs.
const PAUSE: Duration = Duration::from_secs(5);

/// What repairs the store.
pub(super) struct Repairer {
    path: PathBuf,
    durability: Durability,
    slot: Slot,
    condition: Arc<Condition>,
    repairs: Repairs,
    checker: Option<Checker>,
    not_before: Option<Instant>,
    /// Why there is no database at present.
    closed: Option<StoreError>,
    presence: Arc<Presence>,
    _watch: Watch,
    /// The lock that took the place of one that was deleted.
    lock: Option<File>,
}

impl Repairer {
    /// Opens the reading connection, and checks what was not `checked` at the start.
    pub(super) fn new(
        options: &StoreOptions,
        condition: Arc<Condition>,
        repairs: Repairs,
        checked: bool,
    ) -> Result<Self, StoreError> {
        let path = options.state_dir.join(DATABASE);
        let slot: Slot = Arc::new(Mutex::new(Some(schema::open_reader(&path)?)));
        let beside = if checked { None } else { Some(check(&path, repairs.clone())?) };
        let presence = Arc::new(Presence::of(&options.state_dir));
        Ok(Self {
            path,
            durability: options.durability,
            slot,
            condition,
            _watch: Watch::start(Arc::clone(&presence), repairs.clone())?,
            repairs,
            checker: beside,
            not_before: None,
            closed: None,
            presence,
            lock: None,
        })
    }

    /// Where readers find their connection.
    pub(super) fn slot(&self) -> Slot {
        Arc::clone(&self.slot)
    }

    /// How many repairs were done.
    pub(super) fn done(&self) -> u64 {
        self.repairs.done()
    }

    /// Why there is no database at present, if there is none.
    pub(super) fn closed(&self) -> Option<&StoreError> {
        self.closed.as_ref()
    }

    /// Repairs what was seen when `seen` repairs had been done, unless that was repaired since.
    pub(super) fn repair(
        &mut self,
        connection: &mut Connection,
        seen: u64,
        error: &StoreError,
    ) -> Result<(), StoreError> {
        if self.closed.as_ref().is_some_and(|closed| !closed.is_repairable()) {
            return self.open_again(connection);
        }
        if error.kind == StoreErrorKind::Gone {
            return self.put_back(connection);
        }
        if self.repairs.done() > seen {
            return Ok(());
        }
        if error.kind == StoreErrorKind::Unreadable {
            match set_aside(connection, &self.condition) {
                Err(error) if error.kind == StoreErrorKind::Damaged => {}
                other => {
                    self.repairs.count();
                    return other;
                }
            }
        }
        if self.is_pause() {
            return Err(error.clone());
        }
        let replaced = self.replace(connection, error);
        self.not_before = Some(Instant::now() + PAUSE);
        match &replaced {
            Ok(()) => self.repairs.count(),
            Err(error) => tracing::error!(%error, "the store could not be repaired; it is tried again"),
        }
        replaced
    }

    /// Leaves the store closed until it could be opened anew, for a reason that came after its repair.
    pub(super) fn close(&mut self, error: StoreError) {
        self.closed = Some(error);
    }

    /// Opens what could not be opened after a repair, for a reason that was no damage and may be gone.
    fn open_again(&mut self, connection: &mut Connection) -> Result<(), StoreError> {
        if let Some(closed) = &self.closed
            && self.is_pause()
        {
            return Err(closed.clone());
        }
        let opened = self.exchange(connection, |_, _| Ok(()));
        match &opened {
            Ok(()) => self.repairs.count(),
            Err(error) => {
                self.not_before = Some(Instant::now() + PAUSE);
                tracing::error!(%error, "the store could not be opened again; it is tried again");
            }
        }
        opened
    }

    fn is_pause(&self) -> bool {
        self.not_before.is_some_and(|moment| moment > Instant::now())
    }

    /// Writes the store's files anew if they are gone.
    fn put_back(&mut self, connection: &mut Connection) -> Result<(), StoreError> {
        match &self.closed {
            // There is nothing open that could be written.
            Some(closed) if closed.kind != StoreErrorKind::Gone => return Err(closed.clone()),
            Some(closed) if self.is_pause() => return Err(closed.clone()),
            _ => {}
        }
        let Some(gone) = self.presence.gone() else {
            // Somebody has put the very same files back.
            self.go_on_in_place()?;
            self.closed = None;
            return Ok(());
        };
        let written = self.write_anew(connection);
        self.not_before = Some(Instant::now() + PAUSE);
        if let Err(error) = &written {
            let reason = format!(
                "{gone} while the agent used it, and could not be written anew: {error}. Until it can, nothing is \
                 taken; do not stop the agent, what it has taken is in its open files only: make it possible, it is \
                 tried again"
            );
            let error = StoreError::new(StoreErrorKind::Gone, reason);
            tracing::error!(%error, "the store is not where it was");
            // Whatever is closed for another reason stays so.
            let closed = self.closed.get_or_insert_with(|| error.clone());
            return Err(closed.clone());
        }
        self.closed = None;
        self.repairs.count();
        self.condition.was_put_back();
        tracing::error!(
            gone,
            "the store was deleted or replaced under the agent: it is there again with all that it held, what took \
             its place is moved aside. To start with an empty store, stop the agent first"
        );
        Ok(())
    }

    /// What is gone when the store ends is written anew while there is still something open. A lock that was
    /// taken anew is held for as long as this lives: it must outlive the connection.
    pub(super) fn end(&mut self, connection: &mut Connection) {
        self.checker = None;
        self.not_before = None;
        if self.put_back(connection).is_err() && self.presence.gone().is_some() {
            tracing::error!(
                "the store ends while it is not where it was: what it has taken last may be lost"
            );
        }
    }

    fn write_anew(&mut self, connection: &mut Connection) -> Result<(), StoreError> {
        let parent = self.path.parent().unwrap_or(Path::new("."));
        directory::make(parent)?;
        if self.presence.lock_is_gone() {
            self.lock = Some(lock_again(parent)?);
            // At once: should the rest fail, the next try must not take this agent's own lock for another's.
            self.presence.renew_lock();
        }
        if !self.presence.database_is_gone() {
            self.go_on_in_place()?;
            self.presence.renew();
            return Ok(());
        }
        recover::copy_open(connection, &self.path)?;
        self.exchange(connection, |path, _| recover::take_copied(path))
    }

    /// A copy that an earlier try has left must not take the place of what is written from now on.
    fn go_on_in_place(&self) -> Result<(), StoreError> {
        if self.closed.is_some() { recover::abandon_copy(&self.path) } else { Ok(()) }
    }

    fn replace(&mut self, connection: &mut Connection, wrong: &StoreError) -> Result<(), StoreError> {
        let wrong = wrong.to_string();
        self.exchange(connection, |path, condition| recover::replace_damaged(path, &wrong, condition))
    }

    /// Exchanges the files while nothing has them open.
    fn exchange(
        &mut self,
        connection: &mut Connection,
        files: impl FnOnce(&Path, &Condition) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.checker = None;
        let slot = self.slot();
        let mut reading = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing = Connection::open_in_memory()?;
        *reading = None;
        // From here on nothing is open that could be copied, however this ends.
        let reason = "the store is closed for its repair, which did not come to its end; it is tried again";
        self.closed = Some(StoreError::new(StoreErrorKind::Damaged, reason));
        let before = std::mem::replace(connection, nothing);
        schema::close_untouched(before)?;
        let replaced = files(&self.path, &self.condition);
        // When it could not be replaced, what can be read of it is better than nothing.
        let reopened = if recover::copy_waits(&self.path) {
            let reason = "the store that was written anew is not at its place yet; it is tried again";
            Err(StoreError::new(StoreErrorKind::Damaged, reason))
        } else {
            schema::open(&self.path, self.durability)
                .and_then(|writing| Ok((writing, schema::open_reader(&self.path)?)))
        };
        self.presence.renew();
        match reopened {
            Ok((writing, looking)) => {
                (*connection, *reading, self.closed) = (writing, Some(looking), None);
                replaced
            }
            Err(error) => {
                self.closed = Some(error.clone());
                replaced.and(Err(error))
            }
        }
    }
}

/// Sets rows aside that cannot be read, and makes anew what they were about.
pub(super) fn set_aside(connection: &mut Connection, condition: &Condition) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let restored = recover::restore(&transaction, Place::End)?;
    transaction.commit()?;
    condition.set_aside(restored.set_aside);
    Ok(())
}

/// Checks beside the agent what the start had no time for.
fn check(path: &std::path::Path, repairs: Repairs) -> Result<Checker, StoreError> {
    let connection = schema::open_reader(path)?;
    let seen = repairs.done();
    let started = Instant::now();
    let checker = Checker::start(connection, move |verdict| match verdict {
        Ok(Verdict::Sound) => {
            tracing::info!(took_ms = started.elapsed().as_millis(), "the database is checked and sound");
        }
        Ok(Verdict::Damaged(wrong)) => {
            repairs.tell(seen, StoreError::new(StoreErrorKind::Damaged, wrong));
        }
        Ok(Verdict::Unfinished) => {}
        Err(error) => tracing::warn!(%error, "the database could not be checked"),
    });
    checker.map_err(|error| {
        StoreError::new(StoreErrorKind::Io, format!("cannot start the check of the database: {error}"))
    })
}
