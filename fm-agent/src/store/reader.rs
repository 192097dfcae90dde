//! Looking at the store beside the writer.
//!
//! Invariants: a read sees a committed state. It runs on the blocking pool, for the disk may hold it; a look for
//! one alarm is done where it is asked for, one at a time, and others take over the thread's other work meanwhile.
//! A look that meets damage has the writer repair it, and looks once more.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, io};

use fm_common::entity::EntityMatch;
use fm_common::{AlarmKey, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use tokio::task;

use super::awake::in_place;
use super::error::StoreError;
use super::jobs::Repairs;
use super::limits::Limits;
use super::meter::Meter;
use super::model::{Cleared, Held, Kept, Rejected, Request, Signed, Turn, Waiting, WaitingClearAll};
use super::{healing, rejected, signed, space, tables};
use crate::config::Domain;

/// The way to look at the store.
#[derive(Debug, Clone)]
pub struct Reader {
    slot: Slot,
    repairs: Repairs,
    meter: Arc<Meter>,
    /// The database, and its WAL.
    files: Arc<[PathBuf; 2]>,
    limits: Limits,
}

/// The reading connection; none while the database is replaced.
pub(super) type Slot = Arc<Mutex<Option<Connection>>>;

impl Reader {
    pub(super) fn new(slot: Slot, repairs: Repairs, path: &Path, meter: Arc<Meter>, limits: Limits) -> Self {
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        Self { slot, repairs, meter, files: Arc::new([path.to_owned(), wal.into()]), limits }
    }

    /// The store's numbers.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// What the store may hold.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Bytes that are free for this process on the disk of the database.
    ///
    /// # Errors
    /// A state directory that cannot be looked at.
    pub fn free_bytes(&self) -> Result<u64, StoreError> {
        space::free_bytes(&self.files[0])
    }

    /// Bytes that the database and its WAL take now.
    ///
    /// # Errors
    /// A state directory that cannot be looked at.
    pub fn bytes(&self) -> Result<u64, StoreError> {
        self.files
            .iter()
            .map(|file| match fs::metadata(file) {
                Ok(found) => Ok(found.len()),
                // Before the first commit there is no WAL.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
                Err(error) => Err(StoreError::path("cannot look at", file, &error)),
            })
            .sum()
    }

    /// What this node holds of one alarm.
    pub async fn find(&self, key: AlarmKey) -> Result<Option<Kept>, StoreError> {
        let look =
            move |connection: &Connection| Ok(tables::find_alarm(connection, &key)?.map(|row| row.kept));
        match self.at_once(&look) {
            Some(found) => Ok(found),
            None => self.run(look).await,
        }
    }

    /// What this node holds of alarms whose entity begins with `prefix`, of one alarm id when given,
    /// and the clear-alls that wait; both of one moment.
    pub async fn overlay(
        &self,
        alarm_id: Option<String>,
        prefix: String,
    ) -> Result<(Vec<Kept>, Vec<WaitingClearAll>), StoreError> {
        self.run(move |connection| {
            let moment = connection.unchecked_transaction()?;
            let rows = tables::alarms_by_prefix(&moment, alarm_id.as_deref(), &prefix)?;
            let clear_alls = tables::waiting_clear_alls(&moment)?;
            Ok((rows.into_iter().map(|row| row.kept).collect(), clear_alls))
        })
        .await
    }

    /// The clear-alls that wait, in order.
    pub async fn clear_alls(&self) -> Result<Vec<WaitingClearAll>, StoreError> {
        self.run(tables::waiting_clear_alls).await
    }

    /// The next requests of a domain after this place, in order, and whether there may be more: not more than
    /// `most`, and, but for the last of them, less than `most_bytes` of memory.
    pub async fn waiting(
        &self,
        domain: Domain,
        after: i64,
        most: usize,
        most_bytes: usize,
    ) -> Result<(Vec<Request>, bool), StoreError> {
        self.run(move |connection| {
            let sql = format!(
                "SELECT {} FROM request WHERE domain = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
                tables::REQUEST_COLUMNS
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let limit = i64::try_from(most).unwrap_or(i64::MAX);
            let mut rows = statement.query(params![domain.name(), after, limit])?;
            let (mut found, mut bytes) = (Vec::new(), 0);
            while bytes < most_bytes
                && let Some(row) = rows.next()?
            {
                let request = tables::request(row)?.1;
                bytes += request.bytes();
                found.push(request);
            }
            let more = found.len() == most || bytes >= most_bytes;
            Ok((found, more))
        })
        .await
    }

    /// Up to which place requests of a domain may have been sent by this or an earlier run of the agent.
    pub async fn begun(&self, domain: Domain) -> Result<i64, StoreError> {
        self.run(move |connection| tables::begun(connection, domain)).await
    }

    /// What the controller of this domain holds for this node, as far as this node knows, and what it
    /// held until this node cleared it; both of one moment. What a request waits for is in neither.
    pub async fn healing(&self, domain: Domain) -> Result<(Vec<Held>, Vec<Cleared>), StoreError> {
        self.run(move |connection| {
            let moment = connection.unchecked_transaction()?;
            Ok((healing::held(&moment, domain)?, healing::cleared(&moment, domain)?))
        })
        .await
    }

    /// Whether a request of this domain still waits, and if so, the uuid under which the controller holds the
    /// alarm with this key, as far as this node knows. A request that was begun, and waits when this is asked
    /// afterwards, is not given up any more.
    pub async fn still_waits(
        &self,
        domain: Domain,
        seq: i64,
        key: Option<AlarmKey>,
    ) -> Result<Turn, StoreError> {
        self.run(move |connection| tables::standing_of_waiting(connection, domain, seq, key.as_ref())).await
    }

    /// The uuids under which the controller of this domain holds alarms that a clear-all covers, as far as this node
    /// knows. While the clear-all is delivered, that is what it held when its turn came: later requests about
    /// these alarms wait for it.
    pub async fn held_under(
        &self,
        domain: Domain,
        entity: String,
        rule: EntityMatch,
    ) -> Result<Vec<String>, StoreError> {
        self.run(move |connection| {
            let covered = tables::covered(connection, &entity, rule)?.into_iter();
            Ok(covered
                .filter(|place| place.domain == domain)
                .filter_map(|place| place.controller_uuid)
                .collect())
        })
        .await
    }

    /// Who acted on an alarm that this node holds.
    pub async fn signed(&self, key: AlarmKey) -> Result<Option<Signed>, StoreError> {
        self.run(move |connection| signed::of_alarm(connection, &key)).await
    }

    /// The refused requests after this place, in order, so many at most.
    pub async fn rejected(&self, after: i64, most: u32) -> Result<Vec<Rejected>, StoreError> {
        self.run(move |connection| rejected::list(connection, after, most)).await
    }

    /// How much waits for a domain.
    pub async fn count_waiting(&self, domain: Domain) -> Result<Waiting, StoreError> {
        let requests = self.meter.waiting(domain);
        self.run(move |connection| {
            let name = domain.name();
            let oldest: Option<i64> = connection
                .query_row(
                    "SELECT taken_at FROM request WHERE domain = ?1 ORDER BY seq LIMIT 1",
                    [name],
                    |row| row.get(0),
                )
                .optional()?;
            let rejected: i64 =
                connection
                    .query_row("SELECT count(*) FROM rejected WHERE domain = ?1", [name], |row| row.get(0))?;
            Ok(Waiting {
                requests,
                oldest: oldest.map(Timestamp::from_micros),
                rejected: rejected.unsigned_abs(),
            })
        })
        .await
    }

    /// Looks here and now; `None` when somebody else is looking, or when it fails.
    fn at_once<T>(&self, look: impl Fn(&Connection) -> Result<T, StoreError>) -> Option<T> {
        let slot = self.slot.try_lock().ok()?;
        let connection = slot.as_ref()?;
        in_place(|| look(connection)).ok()
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        look: impl Fn(&Connection) -> Result<T, StoreError> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let look = Arc::new(look);
        let seen = self.repairs.done();
        match self.once(Arc::clone(&look)).await {
            Err(error) if error.is_repairable() => {
                self.repairs.ask(seen, error).await?;
                self.once(look).await
            }
            looked => looked,
        }
    }

    async fn once<T: Send + 'static>(
        &self,
        look: Arc<impl Fn(&Connection) -> Result<T, StoreError> + Send + Sync + 'static>,
    ) -> Result<T, StoreError> {
        let slot = Arc::clone(&self.slot);
        task::spawn_blocking(move || {
            // A look that panicked changed nothing: the connection is as good as before.
            match &*slot.lock().unwrap_or_else(PoisonError::into_inner) {
                Some(connection) => look(connection),
                None => Err(StoreError::closed()),
            }
        })
        .await
        .unwrap_or_else(|_| Err(StoreError::stopped()))
    }
}
