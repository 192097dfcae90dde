//! Requests that controllers refused for good: kept with the answer, bounded by count and age.
//!
//! Runs inside the writer's transaction, the list aside.

use std::time::Duration;

use fm_common::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};

use super::error::{StoreError, StoreErrorKind};
use super::model::{KeepRejected, Rejected, Request, Unreadable};
use super::signed;
use super::tables::{self, REQUEST_COLUMNS};
use crate::config::Domain;

/// What they are kept for beyond their age: a clock may be a day behind when one is refused, and a day ahead when
/// its age is looked at.
const CLOCK_SLACK: Duration = Duration::from_hours(48);

/// Keeps a request that is about to leave the queue, with the answer that refused it.
pub(super) fn keep(
    connection: &Connection,
    seq: i64,
    answer: &str,
    limit: KeepRejected,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO rejected
                 (seq, domain, kind, alarm_id, entity, uuid, alarm, rule, taken_at, rejected_at, answer,
                  origin)
             SELECT seq, domain, kind, alarm_id, entity, uuid, alarm, rule, taken_at, ?2, ?3, origin
             FROM request WHERE seq = ?1",
        )?
        .execute(params![seq, Timestamp::now().as_micros(), answer])?;
    trim(connection, limit)
}

/// Lets go what is too many or too old.
pub(super) fn trim(connection: &Connection, limit: KeepRejected) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "DELETE FROM rejected WHERE seq <=
                 (SELECT seq FROM rejected ORDER BY seq DESC LIMIT 1 OFFSET ?1)",
        )?
        .execute([limit.most])?;
    let age = i64::try_from(limit.age.saturating_add(CLOCK_SLACK).as_micros()).unwrap_or(i64::MAX);
    let oldest = Timestamp::now().as_micros().saturating_sub(age);
    connection.prepare_cached("DELETE FROM rejected WHERE rejected_at < ?1")?.execute([oldest])?;
    Ok(())
}

/// Forgets one, whatever it holds. Gives whether it was there.
pub(super) fn forget(connection: &Connection, seq: i64) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached("DELETE FROM rejected WHERE seq = ?1")?.execute([seq])? > 0)
}

/// A refused request that was taken away, with its domain and who asked for it, as it was kept.
type Taken = (Domain, Request, Option<String>);

/// Takes one away.
pub(super) fn take(connection: &Connection, seq: i64) -> Result<Option<Taken>, StoreError> {
    let sql = format!("SELECT {REQUEST_COLUMNS}, origin FROM rejected WHERE seq = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([seq])?;
    let found = match rows.next()? {
        Some(row) => {
            let (domain, request) = tables::request(row)?;
            Some((domain, request, row.get("origin")?))
        }
        None => None,
    };
    connection.prepare_cached("DELETE FROM rejected WHERE seq = ?1")?.execute([seq])?;
    Ok(found)
}

/// Those after this place, in order, so many at most.
pub(super) fn list(connection: &Connection, after: i64, most: u32) -> Result<Vec<Rejected>, StoreError> {
    let sql = format!(
        "SELECT {REQUEST_COLUMNS}, rejected_at, answer, origin FROM rejected WHERE seq > ?1 ORDER BY seq LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![after, most])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (domain, request) = match tables::request(row) {
            Ok((domain, request)) => (domain, Ok(request)),
            Err(error) if error.kind == StoreErrorKind::Unreadable => {
                (tables::domain(&text(row, "domain")).unwrap_or(Domain::Platform), Err(shown(row)?))
            }
            Err(error) => return Err(error),
        };
        let rejected_at = Timestamp::from_micros(row.get("rejected_at")?);
        let origin = match &request {
            Ok(_) => signed::read(row.get("origin")?)?,
            Err(_) => None,
        };
        found.push(Rejected { domain, request, rejected_at, answer: text(row, "answer"), origin });
    }
    Ok(found)
}

fn shown(row: &Row<'_>) -> Result<Unreadable, StoreError> {
    Ok(Unreadable {
        seq: row.get("seq")?,
        taken_at: Timestamp::from_micros(row.get("taken_at").unwrap_or_default()),
        texts: ["kind", "alarm_id", "entity", "alarm"].map(|name| text(row, name)),
    })
}

/// What stands in a column, as a text.
fn text(row: &Row<'_>, name: &str) -> String {
    match row.get_ref(name) {
        Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Ok(ValueRef::Integer(number)) => number.to_string(),
        Ok(ValueRef::Real(number)) => number.to_string(),
        Ok(ValueRef::Null) | Err(_) => String::new(),
    }
}
