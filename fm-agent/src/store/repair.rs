//! Repairing the store while it is in use: in place, so that an agent that nobody starts anew goes on as well as
//! one that a service manager looks after, and callers see a slow answer and no missing agent.
//!
//! Invariants:
//! - Done by the writer's thread, between two transactions: nobody else writes, and readers wait.
//! - No connection is open while files are moved: SQLite finds the files beside a database by its name.
//! - A disk that damages whatever is written does not keep the agent busy: after a repair there is a pause.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};

use super::condition::Condition;
use super::error::{StoreError, StoreErrorKind};
use super::jobs::Repairs;
use super::reader::Slot;
use super::recover::{self, Checker, Place, Verdict};
use super::{DATABASE, StoreOptions, schema};
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
        let durability = options.durability;
        Ok(Self {
            path,
            durability,
            slot,
            condition,
            repairs,
            checker: beside,
            not_before: None,
            closed: None,
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
        if self.not_before.is_some_and(|moment| moment > Instant::now()) {
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

    fn replace(&mut self, connection: &mut Connection, wrong: &StoreError) -> Result<(), StoreError> {
        self.checker = None;
        let slot = self.slot();
        let mut reading = slot.lock().unwrap_or_else(PoisonError::into_inner);
        *reading = None;
        let before = std::mem::replace(connection, Connection::open_in_memory()?);
        schema::close_untouched(before)?;
        let replaced = recover::replace_damaged(&self.path, &wrong.to_string(), &self.condition);
        // When it could not be replaced, what can be read of it is better than nothing.
        let reopened = schema::open(&self.path, self.durability)
            .and_then(|writing| Ok((writing, schema::open_reader(&self.path)?)));
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
