//! The tables, and the SQL functions that make SQLite compare like the real databases.
//!
//! `alarm_key` and `entity_key` hold the folded alarm id and entity, so that an indexed equality
//! means what the dialect's equality means.

use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::{Result, StoreError};
use crate::config::{Database, Dialect, SimConfig};
use crate::text;

const VERSION: i64 = 1;

/// Columns every select of an alarm starts with, under the alias `a`.
pub(super) const ALARM_COLUMNS: &str = "a.uuid, a.alarm_id, a.alarm_state, a.entity_type_id, \
     a.entity_instance_id, a.timestamp, a.severity, a.reason_text, a.alarm_type, a.probable_cause, \
     a.proposed_repair_action, a.service_affecting, a.suppression, a.id, a.masked, a.stored_at";

/// Columns every select of an event starts with, under the alias `e`.
pub(super) const EVENT_COLUMNS: &str = "e.uuid, e.event_log_id, e.state, e.entity_type_id, \
     e.entity_instance_id, e.timestamp, e.severity, e.reason_text, e.event_log_type, e.probable_cause, \
     e.proposed_repair_action, e.service_affecting, e.suppression, e.id, e.stored_at";

/// Opens the database of `config`, creating its tables if it is new.
pub(super) fn open(config: &SimConfig) -> Result<Connection> {
    let mut connection = match &config.database {
        Database::Memory => Connection::open_in_memory()?,
        Database::File(path) => Connection::open(path)?,
    };
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    // WAL lets a demo read the file while requests write; a crash of this process loses nothing.
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    add_functions(&connection, config.dialect)?;
    match connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))? {
        0 => create(&mut connection, config)?,
        VERSION => check_dialect(&connection, config.dialect)?,
        other => return Err(StoreError::Foreign(format!("its version is {other}, not {VERSION}"))),
    }
    Ok(connection)
}

/// `fm_contains(text, wanted)`: LIKE with `%` around; `fm_fold(text)`: the dialect's sort key.
fn add_functions(connection: &Connection, dialect: Dialect) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("fm_contains", 2, flags, move |context| {
        let (text, wanted) = (context.get::<Option<String>>(0)?, context.get::<String>(1)?);
        Ok(text.is_some_and(|text| text::contains_like(dialect, &text, &wanted)))
    })?;
    connection.create_scalar_function("fm_fold", 1, flags, move |context| {
        Ok(context.get::<Option<String>>(0)?.map(|text| text::fold(dialect, &text)))
    })
}

fn create(connection: &mut Connection, config: &SimConfig) -> Result<()> {
    let collation = match config.dialect {
        Dialect::PostgreSql => "BINARY",
        Dialect::MariaDb => "NOCASE",
    };
    let transaction = connection.transaction()?;
    transaction.execute_batch(&format!(
        "CREATE TABLE alarm (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            uuid TEXT NOT NULL UNIQUE COLLATE {collation},
            alarm_id TEXT, alarm_state TEXT, entity_type_id TEXT, entity_instance_id TEXT,
            timestamp TEXT, severity TEXT, reason_text TEXT, alarm_type TEXT, probable_cause TEXT,
            proposed_repair_action TEXT, service_affecting INTEGER, suppression INTEGER,
            masked INTEGER NOT NULL DEFAULT 0,
            stored_at INTEGER NOT NULL,
            alarm_key TEXT, entity_key TEXT
        );
        CREATE INDEX alarm_by_key ON alarm (alarm_key, entity_key);
        CREATE TABLE event_log (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            uuid TEXT NOT NULL UNIQUE COLLATE {collation},
            event_log_id TEXT, state TEXT, entity_type_id TEXT, entity_instance_id TEXT,
            timestamp TEXT, severity TEXT, reason_text TEXT, event_log_type TEXT, probable_cause TEXT,
            proposed_repair_action TEXT, service_affecting INTEGER, suppression INTEGER,
            stored_at INTEGER NOT NULL,
            alarm_key TEXT
        );
        CREATE TABLE event_suppression (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            uuid TEXT NOT NULL UNIQUE COLLATE {collation},
            alarm_id TEXT NOT NULL, description TEXT NOT NULL, suppression_status TEXT NOT NULL,
            mgmt_affecting TEXT NOT NULL, degrade_affecting TEXT NOT NULL,
            alarm_key TEXT NOT NULL UNIQUE
        );
        CREATE TABLE simulator (dialect TEXT NOT NULL);"
    ))?;
    transaction.execute("INSERT INTO simulator (dialect) VALUES (?1)", [config.dialect.name()])?;
    for kind in &config.alarm_types {
        transaction.execute(
            "INSERT INTO event_suppression
                (uuid, alarm_id, description, suppression_status, mgmt_affecting, degrade_affecting, alarm_key)
             VALUES (?1, ?2, ?3, 'unsuppressed', ?4, ?5, ?6)",
            params![
                Uuid::new_v4().to_string(),
                kind.alarm_id,
                format!("Alarm {}", kind.alarm_id),
                kind.mgmt_affecting,
                kind.degrade_affecting,
                text::fold(config.dialect, &kind.alarm_id),
            ],
        )?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(())
}

fn check_dialect(connection: &Connection, wanted: Dialect) -> Result<()> {
    let made_with: Option<String> =
        connection.query_row("SELECT dialect FROM simulator", [], |row| row.get(0)).optional()?;
    match made_with.as_deref() {
        Some(name) if name == wanted.name() => Ok(()),
        Some(name) => Err(StoreError::Foreign(format!("it was made with the dialect {name}"))),
        None => Err(StoreError::Foreign("it names no dialect".to_owned())),
    }
}
