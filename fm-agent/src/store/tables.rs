//! Rows of the tables to the types of `model` and back. One function a statement; no decisions.

use fm_common::entity::EntityMatch;
use fm_common::{Alarm, AlarmKey, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::error::{StoreError, StoreErrorKind};
use super::meter::Rank;
use super::model::{Kept, Request, RequestKind, Standing, Turn, WaitingClearAll};
use crate::config::Domain;

impl RequestKind {
    /// The word for this kind in the store and in logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Raise { .. } => "raise",
            Self::Clear { .. } => "clear",
            Self::ClearAll { .. } => "clear_all",
            Self::Log { .. } => "log",
            Self::Remove { .. } => "remove",
        }
    }

    /// The word in the table: a removal is the clear of one uuid.
    const fn column(&self) -> &'static str {
        match self {
            Self::Remove { .. } => "clear",
            other => other.name(),
        }
    }
}

/// A request before it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewRequest<'a> {
    pub(super) domain: Domain,
    kind: &'static str,
    alarm_id: &'a str,
    entity: &'a str,
    uuid: &'a str,
    alarm: &'a str,
    rule: &'static str,
    rank: Rank,
}

impl<'a> NewRequest<'a> {
    /// A raise; `json` is the alarm as it is kept.
    pub(super) fn raise(domain: Domain, key: &'a AlarmKey, json: &'a str, uuid: &'a str) -> Self {
        Self { uuid, alarm: json, ..Self::about(domain, "raise", key) }
    }

    fn about(domain: Domain, kind: &'static str, key: &'a AlarmKey) -> Self {
        let AlarmKey { alarm_id, entity_instance_id: entity } = key;
        Self { domain, kind, alarm_id, entity, uuid: "", alarm: "", rule: "", rank: Rank::ALL[0] }
    }

    /// Appends it and gives its place in the order. `previous` is the place of the latest request about the same
    /// alarm in its domain that waits. Without an origin it is signed by who changed its alarm last.
    pub(super) fn append(
        self,
        connection: &Connection,
        previous: Option<i64>,
        origin: Option<&str>,
    ) -> Result<i64, StoreError> {
        connection
            .prepare_cached(
                "INSERT INTO request
                     (domain, kind, alarm_id, entity, uuid, alarm, rule, taken_at, previous, rank, origin)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,
                     coalesce(?11, (SELECT changed_by FROM alarm WHERE alarm_id = ?3 AND entity = ?4)))",
            )?
            .execute(params![
                self.domain.name(),
                self.kind,
                self.alarm_id,
                self.entity,
                self.uuid,
                self.alarm,
                self.rule,
                Timestamp::now().as_micros(),
                previous,
                self.rank.number(),
                origin
            ])?;
        Ok(connection.last_insert_rowid())
    }
}

/// Appends a request, as [`NewRequest::append`].
pub(super) fn insert_request(
    connection: &Connection,
    domain: Domain,
    kind: &RequestKind,
    previous: Option<i64>,
    origin: Option<&str>,
) -> Result<i64, StoreError> {
    let key = match kind {
        RequestKind::ClearAll { entity_instance_id, .. } => {
            AlarmKey { alarm_id: String::new(), entity_instance_id: entity_instance_id.clone() }
        }
        other => other.key(),
    };
    let alarm = kind.alarm().map(serde_json::to_string).transpose()?.unwrap_or_default();
    let row = NewRequest { alarm: &alarm, ..NewRequest::about(domain, kind.column(), &key) };
    let row = match kind {
        RequestKind::Raise { uuid, .. } | RequestKind::Remove { uuid, .. } => NewRequest { uuid, ..row },
        RequestKind::Log { alarm, uuid } => NewRequest { uuid, rank: Rank::of(&alarm.severity), ..row },
        RequestKind::ClearAll { rule, .. } => NewRequest { rule: rule_name(*rule), ..row },
        RequestKind::Clear { .. } => row,
    };
    row.append(connection, previous, origin)
}

/// The columns that [`request`] reads.
pub(super) const REQUEST_COLUMNS: &str = "seq, kind, alarm_id, entity, uuid, alarm, taken_at, domain, rule";

/// A row of [`REQUEST_COLUMNS`].
pub(super) fn request(row: &Row<'_>) -> Result<(Domain, Request), StoreError> {
    let kind: String = row.get(1)?;
    let alarm = || -> Result<Box<Alarm>, StoreError> { Ok(serde_json::from_str(&row.get::<_, String>(5)?)?) };
    let kind = match kind.as_str() {
        "raise" => RequestKind::Raise { alarm: alarm()?, uuid: row.get(4)? },
        "log" => RequestKind::Log { alarm: alarm()?, uuid: row.get(4)? },
        "clear" => {
            let key = AlarmKey { alarm_id: row.get(2)?, entity_instance_id: row.get(3)? };
            match row.get::<_, String>(4)? {
                uuid if uuid.is_empty() => RequestKind::Clear { key },
                uuid => RequestKind::Remove { key, uuid },
            }
        }
        "clear_all" => {
            RequestKind::ClearAll { entity_instance_id: row.get(3)?, rule: rule(&row.get::<_, String>(8)?)? }
        }
        other => return Err(damaged("the kind of a request", other)),
    };
    let request = Request { seq: row.get(0)?, taken_at: Timestamp::from_micros(row.get(6)?), kind };
    Ok((domain(&row.get::<_, String>(7)?)?, request))
}

/// The request at this place, if it still waits.
pub(super) fn find_request(
    connection: &Connection,
    seq: i64,
) -> Result<Option<(Domain, Request)>, StoreError> {
    let sql = format!("SELECT {REQUEST_COLUMNS} FROM request WHERE seq = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([seq])?;
    rows.next()?.map(request).transpose()
}

/// Ends the wait of a request.
pub(super) fn delete_request(connection: &Connection, seq: i64) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM request WHERE seq = ?1")?.execute([seq])?;
    connection.prepare_cached("DELETE FROM superseded WHERE seq = ?1")?.execute([seq])?;
    Ok(())
}

/// How many requests wait for a domain. Looks at all of them: for the start.
pub(super) fn count_requests(connection: &Connection, domain: Domain) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) FROM request WHERE domain = ?1";
    let count: i64 = connection.query_row(sql, [domain.name()], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// The place of the last request that waits; 0 when none does.
pub(super) fn last_request(connection: &Connection) -> Result<i64, StoreError> {
    let mut statement = connection.prepare_cached("SELECT ifnull(max(seq), 0) FROM request")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// Whether a request still waits, and if so under which uuid the controller of its domain holds the alarm
/// with this key.
pub(super) fn standing_of_waiting(
    connection: &Connection,
    domain: Domain,
    seq: i64,
    key: Option<&AlarmKey>,
) -> Result<Turn, StoreError> {
    let waits: bool = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM request WHERE seq = ?1)")?
        .query_row([seq], |row| row.get(0))?;
    let Some(key) = key.filter(|_| waits) else {
        return Ok(if waits { Turn::Waits(None) } else { Turn::Gone });
    };
    let standing = connection
        .prepare_cached(
            "SELECT controller_uuid FROM alarm WHERE alarm_id = ?1 AND entity = ?2 AND domain = ?3",
        )?
        .query_row([&key.alarm_id, &key.entity_instance_id, domain.name()], |row| row.get(0))
        .optional()?;
    Ok(Turn::Waits(standing.flatten()))
}

/// The columns that [`kept`] reads.
pub(super) const ALARM_COLUMNS: &str = "alarm_id, entity, domain, alarm, pending, controller_uuid";

/// An alarm of this node's view, with the place of the latest request about it.
pub(super) struct AlarmRow {
    pub(super) kept: Kept,
    pub(super) pending: Option<i64>,
}

impl AlarmRow {
    pub(super) fn new(kept: Kept, pending: Option<i64>) -> Self {
        Self { kept: Kept { pending: pending.is_some(), ..kept }, pending }
    }
}

/// A row of [`ALARM_COLUMNS`].
pub(super) fn kept(row: &Row<'_>) -> Result<AlarmRow, StoreError> {
    let alarm: Option<String> = row.get(3)?;
    let standing = match alarm {
        Some(json) => Standing::Raised(serde_json::from_str(&json)?),
        None => Standing::Cleared,
    };
    let pending: Option<i64> = row.get(4)?;
    let kept = Kept {
        key: AlarmKey { alarm_id: row.get(0)?, entity_instance_id: row.get(1)? },
        domain: domain(&row.get::<_, String>(2)?)?,
        standing,
        pending: pending.is_some(),
        controller_uuid: row.get(5)?,
    };
    Ok(AlarmRow { kept, pending })
}

pub(super) fn find_alarm(connection: &Connection, key: &AlarmKey) -> Result<Option<AlarmRow>, StoreError> {
    let sql = format!("SELECT {ALARM_COLUMNS} FROM alarm WHERE alarm_id = ?1 AND entity = ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([&key.alarm_id, &key.entity_instance_id])?;
    rows.next()?.map(kept).transpose()
}

/// Alarms of this node's view whose entity begins with `prefix`, of one alarm id when given. What the
/// filter means exactly is for the caller to say.
pub(super) fn alarms_by_prefix(
    connection: &Connection,
    alarm_id: Option<&str>,
    prefix: &str,
) -> Result<Vec<AlarmRow>, StoreError> {
    let condition = if alarm_id.is_some() { "WHERE alarm_id = ?1" } else { "" };
    let sql = format!("SELECT {ALARM_COLUMNS} FROM alarm {condition} ORDER BY alarm_id, entity");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(alarm_id))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        // Here and not in SQL, whose text functions stop at a NUL.
        if row.get_ref(1)?.as_str().is_ok_and(|entity| entity.starts_with(prefix)) {
            found.push(kept(row)?);
        }
    }
    Ok(found)
}

/// An alarm of this node's view without what it says.
pub(super) struct Place {
    pub(super) domain: Domain,
    pub(super) key: AlarmKey,
    /// The latest request about it, if it still waits.
    pub(super) pending: Option<i64>,
    /// The uuid under which the controller was last known to hold it.
    pub(super) controller_uuid: Option<String>,
}

/// Alarms of this node's view that a filter covers.
pub(super) fn covered(
    connection: &Connection,
    entity: &str,
    rule: EntityMatch,
) -> Result<Vec<Place>, StoreError> {
    // What a filter covers begins with it, by either rule. The end of the range is exclusive; a BLOB is
    // behind every text.
    let mut statement = connection.prepare_cached(
        "SELECT alarm_id, entity, domain, pending, controller_uuid FROM alarm INDEXED BY alarm_by_entity
         WHERE entity >= ?1 AND entity < ?2",
    )?;
    let end = behind(entity).map_or(Value::Blob(Vec::new()), Value::Text);
    let mut rows = statement.query(params![entity, end])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        if row.get_ref(1)?.as_str().is_ok_and(|found| rule.covers(entity, found)) {
            found.push(Place {
                domain: domain(&row.get::<_, String>(2)?)?,
                key: AlarmKey { alarm_id: row.get(0)?, entity_instance_id: row.get(1)? },
                pending: row.get(3)?,
                controller_uuid: row.get(4)?,
            });
        }
    }
    Ok(found)
}

/// The first text behind all that begin with this one; `None` if there is none.
fn behind(prefix: &str) -> Option<String> {
    let mut chars = prefix.chars();
    let last = chars.next_back()?;
    match (last..=char::MAX).nth(1) {
        Some(next) => Some(format!("{}{next}", chars.as_str())),
        None => behind(chars.as_str()),
    }
}

/// An alarm of this node's view is cleared as soon as this request is delivered.
pub(super) fn put_cleared(connection: &Connection, key: &AlarmKey, pending: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE alarm SET alarm = NULL, pending = ?3 WHERE alarm_id = ?1 AND entity = ?2")?
        .execute(params![key.alarm_id, key.entity_instance_id, pending])?;
    Ok(())
}

/// An alarm of this node's view does not stand at its controller.
pub(super) fn forget_controller_uuid(connection: &Connection, key: &AlarmKey) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE alarm SET controller_uuid = NULL WHERE alarm_id = ?1 AND entity = ?2")?
        .execute([&key.alarm_id, &key.entity_instance_id])?;
    Ok(())
}

/// Who acted on an alarm that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By<'a> {
    /// It did not stand, and this origin raises it.
    Raised(Option<&'a str>),
    /// This origin sets or clears it.
    Changed(Option<&'a str>),
    /// No caller: what is written about that stays.
    Nobody,
}

/// A row of this node's view before it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewAlarm<'a> {
    pub(super) key: &'a AlarmKey,
    pub(super) domain: Domain,
    /// The alarm as it is kept; none when it is cleared.
    pub(super) json: Option<&'a str>,
    pub(super) pending: Option<i64>,
    pub(super) controller_uuid: Option<&'a str>,
    pub(super) by: By<'a>,
}

impl NewAlarm<'_> {
    /// Writes it in place of what was there under its key, if a look has `found` something.
    // One statement for both would have SQLite make a table of its own each time.
    pub(super) fn put(&self, connection: &Connection, found: bool) -> Result<(), StoreError> {
        const UPDATE: &str = "UPDATE alarm SET domain = ?3, alarm = ?4, pending = ?5, controller_uuid = ?6,
                 held_since = iif(controller_uuid IS ?6, held_since, iif(?6 IS NULL, NULL, ?7)),
                 raised_by = iif(?9 IS NULL, raised_by, ?8), raised_at = ifnull(?9, raised_at),
                 changed_by = iif(?11 IS NULL, changed_by, ?10), changed_at = ifnull(?11, changed_at)
             WHERE alarm_id = ?1 AND entity = ?2";
        const INSERT: &str = "INSERT INTO alarm (alarm_id, entity, domain, alarm, pending, controller_uuid,
                 held_since, raised_by, raised_at, changed_by, changed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, iif(?6 IS NULL, NULL, ?7), ?8, ?9, ?10, ?11)";
        if !found || self.execute(connection, UPDATE)? == 0 {
            self.execute(connection, INSERT)?;
        }
        Ok(())
    }

    fn execute(&self, connection: &Connection, sql: &str) -> Result<usize, StoreError> {
        let now = Timestamp::now().as_micros();
        let (raised, changed) = match self.by {
            By::Raised(origin) => (Some(origin), Some(origin)),
            By::Changed(origin) => (None, Some(origin)),
            By::Nobody => (None, None),
        };
        Ok(connection.prepare_cached(sql)?.execute(params![
            self.key.alarm_id,
            self.key.entity_instance_id,
            self.domain.name(),
            self.json,
            self.pending,
            self.controller_uuid,
            now,
            raised.flatten(),
            raised.map(|_| now),
            changed.flatten(),
            changed.map(|_| now),
        ])?)
    }
}

/// Writes anew a row that is there.
pub(super) fn update_alarm(connection: &Connection, row: &AlarmRow) -> Result<(), StoreError> {
    let json = match &row.kept.standing {
        Standing::Raised(alarm) => Some(serde_json::to_string(alarm)?),
        Standing::Cleared => None,
    };
    let AlarmRow { kept: Kept { key, domain, controller_uuid, .. }, pending } = row;
    let row = NewAlarm {
        key,
        domain: *domain,
        json: json.as_deref(),
        pending: *pending,
        controller_uuid: controller_uuid.as_deref(),
        by: By::Nobody,
    };
    row.put(connection, true)
}

pub(super) fn delete_alarm(connection: &Connection, key: &AlarmKey) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM alarm WHERE alarm_id = ?1 AND entity = ?2")?
        .execute([&key.alarm_id, &key.entity_instance_id])?;
    Ok(())
}

/// Records an event of a domain whose record is here, and lets the oldest go.
pub(super) fn insert_event(
    connection: &Connection,
    state: &str,
    alarm: &Alarm,
    uuid: &str,
    max_events: u32,
    origin: Option<&str>,
) -> Result<(), StoreError> {
    let key = alarm.key();
    connection
        .prepare_cached(
            "INSERT INTO event (state, alarm_id, entity, uuid, alarm, at, origin)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            state,
            key.alarm_id,
            key.entity_instance_id,
            uuid,
            serde_json::to_string(alarm)?,
            Timestamp::now().as_micros(),
            origin
        ])?;
    let last = connection.last_insert_rowid();
    connection
        .prepare_cached("DELETE FROM event WHERE seq <= ?1")?
        .execute([last - i64::from(max_events)])?;
    Ok(())
}

/// The clear-alls that wait, in order.
pub(super) fn waiting_clear_alls(connection: &Connection) -> Result<Vec<WaitingClearAll>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT domain, entity, rule FROM request WHERE kind = 'clear_all' ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(WaitingClearAll {
            domain: domain(&row.get::<_, String>(0)?)?,
            entity_instance_id: row.get(1)?,
            rule: rule(&row.get::<_, String>(2)?)?,
        });
    }
    Ok(found)
}

/// Notes that requests of a domain up to this place may be sent.
pub(super) fn put_begun(connection: &Connection, domain: Domain, up_to: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO begun (domain, up_to) VALUES (?1, ?2)")?
        .execute(params![domain.name(), up_to])?;
    Ok(())
}

/// Up to which place requests of a domain may have been sent; 0 when none was.
pub(super) fn begun(connection: &Connection, domain: Domain) -> Result<i64, StoreError> {
    let sql = "SELECT up_to FROM begun WHERE domain = ?1";
    let found = connection.query_row(sql, [domain.name()], |row| row.get(0)).optional()?;
    Ok(found.unwrap_or(0))
}

pub(super) fn domain(name: &str) -> Result<Domain, StoreError> {
    Domain::from_name(name).ok_or_else(|| damaged("a domain", name))
}

pub(super) const fn rule_name(rule: EntityMatch) -> &'static str {
    match rule {
        EntityMatch::Component => "component",
        EntityMatch::Prefix => "prefix",
    }
}

fn rule(name: &str) -> Result<EntityMatch, StoreError> {
    let rules = [EntityMatch::Component, EntityMatch::Prefix];
    let known = rules.into_iter().find(|rule| rule_name(*rule) == name);
    known.ok_or_else(|| damaged("the rule of a clear-all", name))
}

fn damaged(what: &str, found: &str) -> StoreError {
    StoreError::new(
        StoreErrorKind::Unreadable,
        format!("store: {what} is '{found}', which this program does not know"),
    )
}
