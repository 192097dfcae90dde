//! Pages of what the store holds, for people: the requests that wait, this node's view of its alarms.
//!
//! Invariant: a page is bounded, and the next one begins behind its last row, whatever has changed meanwhile.

use fm_common::AlarmKey;
use fm_common::entity::EntityMatch;
use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;
use super::model::{Kept, Request, Signed};
use super::reader::Reader;
use super::signed;
use super::tables::{self, ALARM_COLUMNS, REQUEST_COLUMNS};
use crate::config::Domain;

/// Which alarms of this node's view are listed.
#[derive(Debug, Clone)]
pub struct View {
    /// Only this alarm id.
    pub alarm_id: Option<String>,
    /// Only this entity and what lies under it.
    pub entity_instance_id: Option<String>,
    /// How the entity matches.
    pub rule: EntityMatch,
    /// Only those behind this one.
    pub after: Option<AlarmKey>,
}

/// An alarm of this node's view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What this node holds of it.
    pub kept: Kept,
    /// The latest request about it that still waits.
    pub pending: Option<i64>,
    /// Who raised it, and who acted on it last.
    pub signed: Signed,
}

impl Reader {
    /// The requests after this place that wait, of one domain or all, in order, so many at most.
    pub async fn queue(
        &self,
        domain: Option<Domain>,
        after: i64,
        most: usize,
    ) -> Result<Vec<(Domain, Request)>, StoreError> {
        self.run(move |connection| queue(connection, domain, after, most)).await
    }

    /// The place of the last request that waits, of one domain or all.
    pub async fn last_waiting(&self, domain: Option<Domain>) -> Result<Option<i64>, StoreError> {
        self.run(move |connection| {
            // Two statements, so that each has its index: there may be a million of another domain's.
            let found = match domain {
                None => connection
                    .prepare_cached("SELECT seq FROM request ORDER BY seq DESC LIMIT 1")?
                    .query_row([], |row| row.get(0)),
                Some(domain) => connection
                    .prepare_cached("SELECT seq FROM request WHERE domain = ?1 ORDER BY seq DESC LIMIT 1")?
                    .query_row([domain.name()], |row| row.get(0)),
            };
            Ok(found.optional()?)
        })
        .await
    }

    /// Alarms of this node's view, ordered by alarm id and entity, so many at most.
    pub async fn view(&self, view: View, most: usize) -> Result<Vec<Listed>, StoreError> {
        self.run(move |connection| list(connection, &view, most)).await
    }
}

fn queue(
    connection: &Connection,
    domain: Option<Domain>,
    after: i64,
    most: usize,
) -> Result<Vec<(Domain, Request)>, StoreError> {
    let condition = if domain.is_some() { "domain = ?3 AND" } else { "" };
    let sql =
        format!("SELECT {REQUEST_COLUMNS} FROM request WHERE {condition} seq > ?1 ORDER BY seq LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mut rows = match domain {
        None => statement.query(params![after, most])?,
        Some(domain) => statement.query(params![after, most, domain.name()])?,
    };
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(tables::request(row)?);
    }
    Ok(found)
}

fn list(connection: &Connection, view: &View, most: usize) -> Result<Vec<Listed>, StoreError> {
    let sql = format!(
        "SELECT {ALARM_COLUMNS} FROM alarm
         WHERE (?1 IS NULL OR alarm_id = ?1) AND (?2 IS NULL OR (alarm_id, entity) > (?2, ?3))
         ORDER BY alarm_id, entity"
    );
    let (after_id, after_entity) =
        view.after.as_ref().map(|key| (key.alarm_id.as_str(), key.entity_instance_id.as_str())).unzip();
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![view.alarm_id, after_id, after_entity])?;
    let mut found = Vec::new();
    while found.len() < most
        && let Some(row) = rows.next()?
    {
        let covered = |entity: &str| {
            view.entity_instance_id.as_deref().is_none_or(|filter| view.rule.covers(filter, entity))
        };
        // Here and not in SQL, whose text functions stop at a NUL.
        if row.get_ref(1)?.as_str().is_ok_and(covered) {
            let row = tables::kept(row)?;
            let signed = signed::of_alarm(connection, &row.kept.key)?.unwrap_or_default();
            found.push(Listed { kept: row.kept, pending: row.pending, signed });
        }
    }
    Ok(found)
}
