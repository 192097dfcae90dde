//! Rows that hold what this program cannot make sense of, in a database that can be read.
//!
//! Invariants:
//! - Such a row is set aside: it leaves its table and is kept, byte for byte, among the rejected requests, where
//!   it is listed and can be dropped. Everything else goes on.
//! - An alarm is not lost with it: what the request and this node's view both say is taken from the other.
//!
//! Runs inside a transaction.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, params};

use fm_common::{Alarm, Timestamp};

use super::error::{StoreError, StoreErrorKind};
use super::tables::{self, ALARM_COLUMNS, REQUEST_COLUMNS};

/// What the answer of such a row begins with.
pub(super) const UNREADABLE: &str = "unreadable";

/// The columns of a rejected request as they come from the table `request`: of the types that they have to be of,
/// and of a domain that is known.
const COLUMNS: &str = "seq, domain, kind, alarm_id, entity, uuid, alarm, rule, taken_at, rejected_at, answer";

/// Sets every such row of the requests and of this node's view aside. Gives how many there were.
pub(super) fn sweep(connection: &Connection) -> Result<u64, StoreError> {
    let sql = format!("SELECT {REQUEST_COLUMNS} FROM request ORDER BY seq");
    let mut requests: Vec<(i64, String)> = Vec::new();
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(reason) = unreadable(tables::request(row).map(drop))? {
            requests.push((row.get(0)?, reason));
        }
    }
    let sql = format!("SELECT {ALARM_COLUMNS} FROM alarm");
    let mut alarms: Vec<(Vec<u8>, Vec<u8>, String)> = Vec::new();
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(reason) = unreadable(tables::kept(row).map(drop))? {
            alarms.push((bytes(row, 0)?, bytes(row, 1)?, reason));
        }
    }
    accepted(connection)?;
    // Who asked for it is worth less than what was asked for.
    for (table, column) in
        [("request", "origin"), ("rejected", "origin"), ("alarm", "raised_by"), ("alarm", "changed_by")]
    {
        let sql = format!("UPDATE {table} SET {column} = NULL WHERE NOT json_valid({column})");
        connection.execute(&sql, [])?;
    }
    for (seq, reason) in &requests {
        request(connection, *seq, reason)?;
    }
    for (alarm_id, entity, reason) in &alarms {
        alarm(connection, alarm_id, entity, reason)?;
    }
    let first = requests.first().map(|(_, reason)| reason).or(alarms.first().map(|(_, _, reason)| reason));
    if let Some(reason) = first {
        tracing::error!(
            requests = requests.len(),
            alarms = alarms.len(),
            reason,
            "rows of the store cannot be read; they are kept among the rejected requests, with the reason of each"
        );
    }
    Ok((requests.len() + alarms.len()) as u64)
}

/// What is noted of a controller's state and cannot be read is as good as not noted.
fn accepted(connection: &Connection) -> Result<(), StoreError> {
    let mut statement = connection.prepare("SELECT alarm_id, entity, alarm FROM accepted")?;
    let mut rows = statement.query([])?;
    let mut gone: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    while let Some(row) = rows.next()? {
        let alarm: Result<Alarm, _> = serde_json::from_slice(&bytes(row, 2)?);
        if alarm.is_err() {
            gone.push((bytes(row, 0)?, bytes(row, 1)?));
        }
    }
    for (alarm_id, entity) in &gone {
        let text = |bytes| ToSqlOutput::Borrowed(ValueRef::Text(bytes));
        let sql = "DELETE FROM accepted WHERE alarm_id = ?1 AND entity = ?2";
        connection.execute(sql, params![text(alarm_id), text(entity)])?;
    }
    Ok(())
}

/// Why a row cannot be read, if that is what became of it.
fn unreadable(read: Result<(), StoreError>) -> Result<Option<String>, StoreError> {
    match read {
        Ok(()) => Ok(None),
        Err(error) if error.kind == StoreErrorKind::Unreadable => Ok(Some(error.to_string())),
        Err(error) => Err(error),
    }
}

fn bytes(row: &Row<'_>, place: usize) -> Result<Vec<u8>, StoreError> {
    Ok(match row.get_ref(place)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_vec(),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => Vec::new(),
    })
}

fn request(connection: &Connection, seq: i64, reason: &str) -> Result<(), StoreError> {
    let sql = format!("SELECT {REQUEST_COLUMNS} FROM request WHERE seq = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([seq])?;
    if let Some(row) = rows.next()? {
        keep_raw(connection, row, reason)?;
    }
    tables::delete_request(connection, seq)
}

/// Sets aside an alarm of this node's view. It gets a number of the requests' order, as none has it.
fn alarm(connection: &Connection, alarm_id: &[u8], entity: &[u8], reason: &str) -> Result<(), StoreError> {
    let text = |bytes| ToSqlOutput::Borrowed(ValueRef::Text(bytes));
    connection.execute(
        "INSERT INTO request (domain, kind, alarm_id, entity, uuid, alarm, rule, taken_at)
         SELECT domain, 'raise', alarm_id, entity, '', ifnull(alarm, ''), '', ?3 FROM alarm
         WHERE alarm_id = ?1 AND entity = ?2",
        params![text(alarm_id), text(entity), Timestamp::now().as_micros()],
    )?;
    let seq = connection.last_insert_rowid();
    connection.execute(
        "DELETE FROM alarm WHERE alarm_id = ?1 AND entity = ?2",
        params![text(alarm_id), text(entity)],
    )?;
    request(connection, seq, reason)
}

/// Keeps a row of `request` or `rejected` among the rejected ones as it is.
pub(super) fn keep_raw(connection: &Connection, row: &Row<'_>, reason: &str) -> Result<(), StoreError> {
    let now = Timestamp::now().as_micros();
    let column = |name: &str| -> ValueRef<'_> { row.get_ref(name).unwrap_or(ValueRef::Null) };
    let sql = format!(
        "INSERT OR REPLACE INTO rejected ({COLUMNS}) VALUES (
             CAST(?1 AS INTEGER), iif(?2 IN ('platform', 'openstack'), ?2, 'platform'),
             ifnull(CAST(?3 AS TEXT), ''), ifnull(CAST(?4 AS TEXT), ''), ifnull(CAST(?5 AS TEXT), ''),
             ifnull(CAST(?6 AS TEXT), ''), ifnull(CAST(?7 AS TEXT), ''), ifnull(CAST(?8 AS TEXT), ''),
             ifnull(CAST(?9 AS INTEGER), 0), ?10, ?11)"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let names = ["seq", "domain", "kind", "alarm_id", "entity", "uuid", "alarm", "rule", "taken_at"];
    for (place, name) in (1..).zip(names) {
        statement.raw_bind_parameter(place, ToSqlOutput::Borrowed(column(name)))?;
    }
    statement.raw_bind_parameter(10, now)?;
    statement.raw_bind_parameter(11, format!("{UNREADABLE}: {reason}"))?;
    statement.raw_execute()?;
    Ok(())
}
