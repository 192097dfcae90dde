//! The table `event_log`.

use rusqlite::{OptionalExtension, Row, params};

use super::conditions::Conditions;
use super::schema::EVENT_COLUMNS;
use super::{Result, Store, StoreError, duplicate, fields_from};
use crate::rows::{AlarmFields, EventRow};
use crate::text;
use crate::timestamp::now_us;

/// An event with the suppression state of its id; `None` for an id that has none (logs).
#[derive(Debug)]
pub(crate) struct ListedEvent {
    pub(crate) row: EventRow,
    pub(crate) suppression_status: Option<String>,
}

/// Which events a list shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum EventKind {
    #[default]
    All,
    Alarms,
    Logs,
}

/// What a list asks for.
#[derive(Debug, Default)]
pub(crate) struct EventFilter {
    /// Column and wanted text, meaning 'contains'.
    pub(crate) contains: Vec<(&'static str, String)>,
    /// Column and wanted text, meaning 'equals'.
    pub(crate) equals: Vec<(&'static str, String)>,
    pub(crate) start: Option<String>,
    pub(crate) end: Option<String>,
    pub(crate) kind: EventKind,
    pub(crate) include_suppressed: bool,
    pub(crate) limit: Option<i64>,
}

fn event_row(row: &Row<'_>) -> rusqlite::Result<EventRow> {
    Ok(EventRow { fields: fields_from(row, 0)?, id: row.get(13)?, stored_at: row.get(14)? })
}

fn listed(row: &Row<'_>) -> rusqlite::Result<ListedEvent> {
    Ok(ListedEvent { row: event_row(row)?, suppression_status: row.get(15)? })
}

const JOINED: &str =
    "s.suppression_status FROM event_log e LEFT JOIN event_suppression s ON e.alarm_key = s.alarm_key";

impl Store {
    /// Adds an event row; its uuid must be given.
    pub(crate) fn insert_event(&self, fields: AlarmFields) -> Result<EventRow> {
        let connection = self.lock()?;
        self.check(&fields)?;
        let stored_at = now_us();
        connection
            .prepare_cached(
                "INSERT INTO event_log (uuid, event_log_id, state, entity_type_id, entity_instance_id, timestamp,
                    severity, reason_text, event_log_type, probable_cause, proposed_repair_action,
                    service_affecting, suppression, stored_at, alarm_key)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            )?
            .execute(params![
                fields.uuid,
                fields.alarm_id,
                fields.alarm_state,
                fields.entity_type_id,
                fields.entity_instance_id,
                fields.timestamp,
                fields.severity,
                fields.reason_text,
                fields.alarm_type,
                fields.probable_cause,
                fields.proposed_repair_action,
                fields.service_affecting,
                fields.suppression,
                stored_at,
                self.fold(fields.alarm_id.as_deref()),
            ])
            .map_err(|error| duplicate(error, &fields.uuid))?;
        Ok(EventRow { id: connection.last_insert_rowid(), fields, stored_at })
    }

    /// How many rows the event log has.
    pub(crate) fn event_count(&self) -> Result<i64> {
        Ok(self.lock()?.prepare_cached("SELECT count(*) FROM event_log")?.query_row([], |row| row.get(0))?)
    }

    /// Number of the oldest row.
    pub(crate) fn oldest_event(&self) -> Result<i64> {
        self.lock()?
            .prepare_cached("SELECT id FROM event_log ORDER BY id LIMIT 1")?
            .query_row([], |row| row.get(0))
            .optional()?
            .ok_or_else(|| StoreError::EventNotFound("None".to_owned()))
    }

    /// Removes a row; an error when another writer was faster.
    pub(crate) fn delete_event(&self, id: i64) -> Result<()> {
        match self.lock()?.prepare_cached("DELETE FROM event_log WHERE id = ?1")?.execute([id])? {
            0 => Err(StoreError::EventNotFound(id.to_string())),
            _ => Ok(()),
        }
    }

    /// The event with this uuid, suppressed ones too.
    pub(crate) fn event(&self, uuid: &str) -> Result<ListedEvent> {
        self.lock()?
            .prepare_cached(&format!("SELECT {EVENT_COLUMNS}, {JOINED} WHERE e.uuid = ?1"))?
            .query_row([text::fold_uuid(self.dialect, uuid)], listed)
            .optional()?
            .ok_or_else(|| StoreError::EventNotFound(uuid.to_owned()))
    }

    /// The events of a list, newest time first.
    pub(crate) fn list_events(&self, filter: &EventFilter) -> Result<Vec<ListedEvent>> {
        let mut query = Conditions::of(format!("SELECT {EVENT_COLUMNS}, {JOINED}"));
        match filter.kind {
            EventKind::All => {}
            EventKind::Alarms => query.plain("e.state IN ('set', 'clear')"),
            EventKind::Logs => query.plain("e.state = 'log'"),
        }
        if !filter.include_suppressed {
            query.plain("(e.state = 'log' OR s.suppression_status = 'unsuppressed')");
        }
        for (column, wanted) in &filter.contains {
            query.contains(&format!("e.{column}"), wanted);
        }
        for (column, wanted) in &filter.equals {
            query.equals(&format!("e.{column}"), wanted);
        }
        for (condition, bound) in [("e.timestamp >= ??", &filter.start), ("e.timestamp <= ??", &filter.end)] {
            if let Some(bound) = bound {
                query.with(condition, bound);
            }
        }
        query.order_and_limit("e.timestamp DESC, e.id DESC", filter.limit);
        let (sql, values) = query.into_parts();
        let connection = self.lock()?;
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map(rusqlite::params_from_iter(values), listed)?;
        Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
    }

    /// Every event row in the order of storing; works while the database plays dead.
    pub(crate) fn all_events(&self) -> Result<Vec<EventRow>> {
        let connection = self.lock_always();
        let mut statement =
            connection.prepare_cached(&format!("SELECT {EVENT_COLUMNS} FROM event_log e ORDER BY e.id"))?;
        Ok(statement.query_map([], event_row)?.collect::<rusqlite::Result<Vec<_>>>()?)
    }

    /// Fills the event log with old logs until it has `rows` rows, as a long life would.
    pub(crate) fn fill_events(&self, rows: u32) -> Result<()> {
        let mut connection = self.lock_always();
        let transaction = connection.transaction()?;
        let present: i64 = transaction.query_row("SELECT count(*) FROM event_log", [], |row| row.get(0))?;
        for _ in present..i64::from(rows) {
            transaction
                .prepare_cached(
                    "INSERT INTO event_log (uuid, event_log_id, state, entity_type_id, entity_instance_id,
                        timestamp, severity, event_log_type, probable_cause, service_affecting, suppression,
                        stored_at, alarm_key)
                     VALUES (?1, 'fill.001', 'log', 'host', 'host=old', '2026-01-01T00:00:00', 'minor',
                        'other', 'unknown', 0, 0, ?2, 'fill.001')",
                )?
                .execute(params![uuid::Uuid::new_v4().to_string(), now_us()])?;
        }
        transaction.commit()?;
        Ok(())
    }
}
