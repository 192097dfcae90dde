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
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::error::{StoreError, StoreErrorKind};
use super::limits::WAL_BYTES;
use super::space;
use crate::config::Durability;
use crate::failpoint::{self, Moment};

/// One entry a version; never edit one that was released.
pub(super) const MIGRATIONS: &[&str] = &[
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
    "
    -- The latest request about the same alarm in the same domain that waited when this one was taken.
    ALTER TABLE request ADD COLUMN previous INTEGER;

    -- Logs: how severe, from 0; what is least is given up first.
    ALTER TABLE request ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;
    UPDATE request SET rank = CASE json_extract(alarm, '$.severity')
            WHEN 'warning' THEN 1 WHEN 'minor' THEN 2 WHEN 'major' THEN 3 WHEN 'critical' THEN 4 ELSE 0
        END WHERE kind = 'log' AND json_valid(alarm);
    CREATE INDEX request_log ON request (rank, domain, seq) WHERE kind = 'log';
    CREATE INDEX request_same_clear_all ON request (domain, entity, rule, seq) WHERE kind = 'clear_all';

    -- Requests that a later one makes superfluous, and which one follows them about their alarm. What
    -- waited before this table was is not in it.
    CREATE TABLE superseded (
        seq  INTEGER PRIMARY KEY,
        next INTEGER NOT NULL       -- seq of a request
    ) STRICT;

    -- For filters on entities.
    CREATE INDEX alarm_by_entity ON alarm (entity);
",
    "
    -- Which database this is. The table is written with each request, so each log that holds requests says it.
    INSERT INTO sqlite_sequence (name, seq) VALUES ('this database', random());
",
];

/// Marks a database as this application's: 'FMAG'.
pub(super) const APPLICATION_ID: u32 = 0x464d_4147;

/// How long the reader waits for the writer's short locks (a checkpoint, a schema change).
const BUSY_TIMEOUT_MS: i64 = 2000;

/// Opens an existing database for writing and brings its schema up to date.
pub(super) fn open(path: &Path, durability: Durability) -> Result<Connection, StoreError> {
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
            // What a look leaves behind is the writer's to put away.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            set(&connection, "busy_timeout", BUSY_TIMEOUT_MS)?;
            set(&connection, "query_only", 1)?;
            set(&connection, "cache_size", -2048)?;
            Ok(connection)
        });
    prepared.map_err(|error| named(path, &error))
}

/// Opens a database without its log, and writes nothing.
pub(super) fn open_alone(path: &Path) -> Result<Connection, StoreError> {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        // Everything that could mean something in a URI is written as its number.
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_') {
            uri.push(char::from(*byte));
        } else {
            uri.push('%');
            uri.push_str(&hex(*byte));
        }
    }
    uri.push_str("?immutable=1");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let opened = Connection::open_with_flags(uri, flags).map_err(StoreError::from).and_then(|connection| {
        check_owner(&connection)?;
        Ok(connection)
    });
    opened.map_err(|error| named(path, &error))
}

fn hex(byte: u8) -> String {
    format!("{byte:02X}")
}

/// The number that tells this database from others; those of early schemas have none.
pub(super) fn identity(connection: &Connection) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'this database'";
    Ok(connection.query_row(sql, [], |row| row.get(0)).optional()?)
}

/// Makes a database of this schema at a path of an empty file, to be filled and closed before it is used: it has
/// no log, and is not flushed.
pub(super) fn build(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection =
        Connection::open_with_flags(path, flags).map_err(|error| named(path, &error.into()))?;
    space::prepare_empty(&connection)?;
    connection.pragma_update(None, "journal_mode", "off")?;
    connection.pragma_update(None, "synchronous", "off")?;
    migrate(&mut connection, 0)?;
    Ok(connection)
}

/// Closes a database as it is: its log stays.
pub(super) fn close_untouched(connection: Connection) -> Result<(), StoreError> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.close().map_err(|(_, error)| error.into())
}

/// Refuses a schema that this program does not know yet.
pub(super) fn refuse_newer(path: &Path, applied: i64) -> Result<(), StoreError> {
    if knows(applied) {
        return Ok(());
    }
    let reason = format!(
        "{}: the schema has version {applied}, this program knows {}: it was written by a newer fm-agent; \
         install that one again, or move the state directory away",
        path.display(),
        known()
    );
    Err(StoreError::new(StoreErrorKind::Newer, reason))
}

/// Whether this program knows the schema of this version.
pub(super) fn knows(version: i64) -> bool {
    version <= known()
}

/// The newest version of the schema that this program knows.
pub(super) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

fn prepare(connection: &mut Connection, durability: Durability) -> Result<(), StoreError> {
    set(connection, "busy_timeout", BUSY_TIMEOUT_MS)?;
    check_owner(connection)?;
    let applied: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    space::prepare_empty(connection)?;
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
    set(connection, "journal_size_limit", i64::try_from(WAL_BYTES).unwrap_or(i64::MAX))?;
    migrate(connection, applied)?;
    space::prepare(connection)?;
    // They are for other programs: this one has only the values that they allow, and for each row SQLite would
    // make a table of them.
    set(connection, "ignore_check_constraints", 1)?;
    connection.set_prepared_statement_cache_capacity(64);
    // What may not be written is opened for reading, without a word, and stays so when it may.
    Ok(connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK")?)
}

/// A database that others made is none of this application's, whatever its version says.
fn check_owner(connection: &Connection) -> Result<(), StoreError> {
    let tables: i64 =
        connection
            .query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table'", [], |row| row.get(0))?;
    let ours: i64 = connection.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('request', 'settled')",
        [],
        |row| row.get(0),
    )?;
    if tables == 0 || ours == 2 {
        return Ok(());
    }
    Err(StoreError::new(
        StoreErrorKind::Damaged,
        "it is a database of something else: the store's tables are not in it",
    ))
}

/// Applies the migrations after the first `applied`.
fn migrate(connection: &mut Connection, applied: i64) -> Result<(), StoreError> {
    for (index, migration) in (1i64..).zip(MIGRATIONS).filter(|(index, _)| *index > applied) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", index)?;
        failpoint::pass(Moment::BeforeMigration);
        transaction.commit()?;
        failpoint::pass(Moment::AfterMigration);
    }
    Ok(())
}

/// Sets a pragma and makes sure that it holds.
pub(super) fn set(connection: &Connection, pragma: &str, wanted: impl Into<Value>) -> Result<(), StoreError> {
    let wanted = wanted.into();
    connection.pragma_update(None, pragma, &wanted)?;
    let found: Value = connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))?;
    if found == wanted {
        return Ok(());
    }
    let reason = format!("store: PRAGMA {pragma} is {found:?}, needed is {wanted:?}");
    Err(StoreError::new(StoreErrorKind::Io, reason))
}

fn named(path: &Path, error: &StoreError) -> StoreError {
    StoreError::new(error.kind, format!("{}: {error}", path.display()))
}
