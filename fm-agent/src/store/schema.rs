//! Opening the database: pragmas, schema, migrations.
//!
//! Invariants:
//! - Every pragma is read back: SQLite ignores what it does not understand without a word.
//! - Migrations are embedded and append-only; `user_version` counts those that were applied. Each runs
//!   in a transaction of its own together with its number.
//! - A schema newer than this program is refused before anything is changed.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

use super::error::{StoreError, StoreErrorKind};
use crate::config::Durability;

/// One entry a version; never edit one that was released.
const MIGRATIONS: &[&str] = &[
    "
    -- Requests still to deliver, in the order in which they were taken.
    CREATE TABLE request (
        seq      INTEGER PRIMARY KEY AUTOINCREMENT,
        domain   TEXT NOT NULL,
        kind     TEXT NOT NULL CHECK (kind IN ('raise', 'clear', 'clear_all', 'log')),
        alarm_id TEXT NOT NULL,     -- empty for clear_all
        entity   TEXT NOT NULL,
        uuid     TEXT NOT NULL,     -- raise, log: the uuid at the controller
        alarm    TEXT NOT NULL,     -- raise, log: the alarm as JSON
        rule     TEXT NOT NULL,     -- clear_all: how the entity matches
        taken_at INTEGER NOT NULL   -- microseconds since the epoch
    ) STRICT;
    CREATE INDEX request_by_domain ON request (domain, seq);
    CREATE INDEX request_clear_all ON request (seq) WHERE kind = 'clear_all';

    -- This node's view of the alarms it raised, and of those it is clearing.
    CREATE TABLE alarm (
        alarm_id        TEXT NOT NULL,
        entity          TEXT NOT NULL,
        domain          TEXT NOT NULL,
        alarm           TEXT,             -- as last raised, as JSON; null: cleared
        pending         INTEGER,          -- seq of the latest request about it that still waits
        controller_uuid TEXT,             -- under which the controller holds it
        PRIMARY KEY (alarm_id, entity)
    ) STRICT, WITHOUT ROWID;

    -- Requests that a controller refused for good, with its words.
    CREATE TABLE rejected (
        seq         INTEGER PRIMARY KEY,
        domain      TEXT NOT NULL,
        kind        TEXT NOT NULL,
        alarm_id    TEXT NOT NULL,
        entity      TEXT NOT NULL,
        uuid        TEXT NOT NULL,
        alarm       TEXT NOT NULL,
        rule        TEXT NOT NULL,
        taken_at    INTEGER NOT NULL,
        rejected_at INTEGER NOT NULL,
        answer      TEXT NOT NULL
    ) STRICT;

    -- What happened in the domains whose record is here: the newest events.
    CREATE TABLE event (
        seq      INTEGER PRIMARY KEY AUTOINCREMENT,
        state    TEXT NOT NULL CHECK (state IN ('set', 'clear', 'log')),
        alarm_id TEXT NOT NULL,
        entity   TEXT NOT NULL,
        uuid     TEXT NOT NULL,
        alarm    TEXT NOT NULL,
        at       INTEGER NOT NULL
    ) STRICT;

    -- The calls that were taken: the newest, in slots that are used in turn.
    CREATE TABLE token (
        slot   INTEGER PRIMARY KEY,
        number INTEGER NOT NULL,    -- of the call, counted from 0
        token  BLOB NOT NULL
    ) STRICT;

    -- Requests of a domain up to this place may have been sent; later ones have not.
    CREATE TABLE begun (
        domain TEXT PRIMARY KEY,
        up_to  INTEGER NOT NULL     -- seq of a request
    ) STRICT, WITHOUT ROWID;

    -- The configured domains that the tables above agree with.
    CREATE TABLE settled (
        domain TEXT PRIMARY KEY,
        here   INTEGER NOT NULL     -- 1: the domain's record is here
    ) STRICT, WITHOUT ROWID;
",
    "
    -- Since when the controller holds an alarm under its uuid, by this node's clock, in microseconds.
    ALTER TABLE alarm ADD COLUMN held_since INTEGER;

    -- What controllers held for this node until it cleared or replaced it: the newest.
    CREATE TABLE cleared (
        seq      INTEGER PRIMARY KEY AUTOINCREMENT,
        domain   TEXT NOT NULL,
        alarm_id TEXT NOT NULL,
        entity   TEXT NOT NULL,
        uuid     TEXT NOT NULL,     -- at the controller
        at       INTEGER NOT NULL   -- microseconds since the epoch
    ) STRICT;
",
    "
    -- What a controller holds of an alarm while a change of it waits. It is of no use any more when nothing
    -- waits, or when the controller does not hold the alarm.
    CREATE TABLE accepted (
        alarm_id TEXT NOT NULL,
        entity   TEXT NOT NULL,
        alarm    TEXT NOT NULL,     -- as JSON
        PRIMARY KEY (alarm_id, entity)
    ) STRICT, WITHOUT ROWID;
    CREATE TRIGGER accepted_settled AFTER UPDATE ON alarm
        WHEN NEW.pending IS NULL OR NEW.controller_uuid IS NULL
    BEGIN
        DELETE FROM accepted WHERE alarm_id = OLD.alarm_id AND entity = OLD.entity;
    END;
    CREATE TRIGGER accepted_gone AFTER DELETE ON alarm
    BEGIN
        DELETE FROM accepted WHERE alarm_id = OLD.alarm_id AND entity = OLD.entity;
    END;
",
    "
    -- Who asked for it: user, group, process and program, as JSON; null when nobody did or nobody knows.
    ALTER TABLE request ADD COLUMN origin TEXT;
    ALTER TABLE rejected ADD COLUMN origin TEXT;
    ALTER TABLE event ADD COLUMN origin TEXT;
    -- Who raised an alarm when it did not stand, and who set or cleared it last, with the times in microseconds.
    ALTER TABLE alarm ADD COLUMN raised_by TEXT;
    ALTER TABLE alarm ADD COLUMN raised_at INTEGER;
    ALTER TABLE alarm ADD COLUMN changed_by TEXT;
    ALTER TABLE alarm ADD COLUMN changed_at INTEGER;
",
];

/// How long the reader waits for the writer's short locks (a checkpoint, a schema change).
const BUSY_TIMEOUT_MS: i64 = 2000;

/// The newest version of the schema that this program knows.
pub(super) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Opens the database for writing and brings its schema up to date.
pub(super) fn open(path: &Path, durability: Durability) -> Result<Connection, StoreError> {
    create(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection =
        Connection::open_with_flags(path, flags).map_err(|error| named(path, &error.into()))?;
    prepare(&mut connection, durability).map_err(|error| named(path, &error))?;
    Ok(connection)
}

/// Opens the database for reading beside the writer.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let prepared =
        Connection::open_with_flags(path, flags).map_err(StoreError::from).and_then(|connection| {
            set(&connection, "busy_timeout", BUSY_TIMEOUT_MS)?;
            set(&connection, "query_only", 1)?;
            set(&connection, "cache_size", -2048)?;
            Ok(connection)
        });
    prepared.map_err(|error| named(path, &error))
}

fn prepare(connection: &mut Connection, durability: Durability) -> Result<(), StoreError> {
    set(connection, "busy_timeout", BUSY_TIMEOUT_MS)?;
    // Closing would write the WAL into the database, and a newer agent's files are not this one's to touch.
    let no_checkpoint = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    connection.set_db_config(no_checkpoint, true)?;
    let applied: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let known = known();
    if applied > known {
        let reason = format!(
            "the schema has version {applied}, this program knows {known}: it was written by a newer fm-agent; \
             install that one again, or move the state directory away"
        );
        return Err(StoreError::new(StoreErrorKind::Newer, reason));
    }
    connection.set_db_config(no_checkpoint, false)?;
    set(connection, "journal_mode", "wal".to_owned())?;
    // FULL flushes the WAL at each commit; NORMAL only at checkpoints, so a commit survives the
    // process and not the power.
    let synchronous = match durability {
        Durability::Power => 2,
        Durability::Process => 1,
    };
    set(connection, "synchronous", synchronous)?;
    set(connection, "cache_size", -4096)?;
    set(connection, "temp_store", 2)?;
    // A WAL that grew under a backlog gives its space back at the next checkpoint.
    set(connection, "journal_size_limit", 16 * 1024 * 1024)?;
    for (index, migration) in (1i64..).zip(MIGRATIONS).filter(|(index, _)| *index > applied) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", index)?;
        transaction.commit()?;
    }
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Sets a pragma and makes sure that it holds.
fn set(connection: &Connection, pragma: &str, wanted: impl Into<Value>) -> Result<(), StoreError> {
    let wanted = wanted.into();
    connection.pragma_update(None, pragma, &wanted)?;
    let found: Value = connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))?;
    if found == wanted {
        return Ok(());
    }
    let reason = format!("store: PRAGMA {pragma} is {found:?}, needed is {wanted:?}");
    Err(StoreError::new(StoreErrorKind::Io, reason))
}

/// Makes the file if it is missing, for this user only; SQLite gives the files beside it the same mode.
fn create(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|error| StoreError::path("cannot make the database", path, &error))
}

fn named(path: &Path, error: &StoreError) -> StoreError {
    StoreError::new(error.kind, format!("{}: {error}", path.display()))
}
