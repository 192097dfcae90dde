//! The database behind the stand-in: SQLite that keeps the rules of the real one.
//!
//! Each method is one transaction of the real service, no more: where that service does two, two
//! methods are called and other writers may come in between. Nothing here knows HTTP.

mod alarms;
mod conditions;
mod events;
mod schema;
mod suppression;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, ErrorCode};

pub(crate) use alarms::{AlarmFilter, ListedAlarm};
pub(crate) use events::{EventFilter, EventKind, ListedEvent};
pub(crate) use suppression::SuppressionFilter;

use crate::config::{Dialect, SimConfig};
use crate::rows::AlarmFields;
use crate::text::{self, TextFault};

/// Why a statement did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("Alarm {0} could not be found.")]
    AlarmNotFound(String),
    #[error("Event Log {0} could not be found.")]
    EventNotFound(String),
    #[error("More than one alarm has this key")]
    NotUnique,
    #[error("the uuid {0} is in use")]
    Duplicate(String),
    #[error("alarm id {0} is not in the suppression table")]
    UnknownAlarmId(String),
    #[error("{column}: {source}")]
    Text {
        column: &'static str,
        #[source]
        source: TextFault,
    },
    #[error("the database is down")]
    Down,
    #[error("database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("database file: {0}; start on another file or with the dialect it was made with")]
    Foreign(String),
}

type Result<T> = std::result::Result<T, StoreError>;

/// The database, one connection behind a lock.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Mutex<Connection>,
    dialect: Dialect,
    down: AtomicBool,
}

impl Store {
    /// Opens or creates the database of `config`.
    pub(crate) fn open(config: &SimConfig) -> Result<Self> {
        let connection = schema::open(config)?;
        Ok(Self { connection: Mutex::new(connection), dialect: config.dialect, down: AtomicBool::new(false) })
    }

    /// Lets every statement fail, as when the database is stopped, or ends that.
    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// The connection as a request gets it: none while the database is down.
    fn lock(&self) -> Result<MutexGuard<'_, Connection>> {
        if self.down.load(Ordering::SeqCst) { Err(StoreError::Down) } else { Ok(self.lock_always()) }
    }

    /// The connection as the test equipment itself gets it, even while the database plays dead.
    fn lock_always(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fold(&self, text: Option<&str>) -> Option<String> {
        text.map(|text| text::fold(self.dialect, text))
    }

    /// Whether the columns can hold the texts of `fields`.
    fn check(&self, fields: &AlarmFields) -> Result<()> {
        let columns = [
            ("alarm_id", &fields.alarm_id),
            ("alarm_state", &fields.alarm_state),
            ("entity_type_id", &fields.entity_type_id),
            ("entity_instance_id", &fields.entity_instance_id),
            ("severity", &fields.severity),
            ("reason_text", &fields.reason_text),
            ("alarm_type", &fields.alarm_type),
            ("probable_cause", &fields.probable_cause),
            ("proposed_repair_action", &fields.proposed_repair_action),
        ];
        for (column, value) in columns {
            let Some(value) = value else { continue };
            text::check(self.dialect, value).map_err(|source| StoreError::Text { column, source })?;
        }
        Ok(())
    }
}

/// A broken UNIQUE constraint on uuid as `Duplicate`, the rest as it is.
fn duplicate(error: rusqlite::Error, uuid: &str) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => StoreError::Duplicate(uuid.to_owned()),
        _ => StoreError::Sqlite(error),
    }
}

/// The shared columns of a row, in the order of `schema::SHARED_COLUMNS`, from column `from` on.
fn fields_from(row: &rusqlite::Row<'_>, from: usize) -> rusqlite::Result<AlarmFields> {
    Ok(AlarmFields {
        uuid: row.get(from)?,
        alarm_id: row.get(from + 1)?,
        alarm_state: row.get(from + 2)?,
        entity_type_id: row.get(from + 3)?,
        entity_instance_id: row.get(from + 4)?,
        timestamp: row.get(from + 5)?,
        severity: row.get(from + 6)?,
        reason_text: row.get(from + 7)?,
        alarm_type: row.get(from + 8)?,
        probable_cause: row.get(from + 9)?,
        proposed_repair_action: row.get(from + 10)?,
        service_affecting: row.get(from + 11)?,
        suppression: row.get(from + 12)?,
    })
}
