//! What controllers should hold for this node, and what is done about it when they do not.
//!
//! Invariants:
//! - Only uuids under which a controller was known to hold an alarm of this node are looked at and acted
//!   on: those it should hold now, and those that this node cleared or replaced.
//! - A finding is acted on only while it still fits: an alarm about which a request waits, or which the
//!   controller holds under another uuid by now, is left alone.
//! - What is done is an ordinary request, in its place in the order.
//!
//! Runs inside the writer's transaction, reads aside.

use fm_common::{AlarmKey, Timestamp};
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::apply::{Apply, raise_request};
use super::error::StoreError;
use super::model::{Cleared, Finding, Found, Held, Kept, Outcome, RequestKind, Standing};
use super::tables::{self, AlarmRow};
use crate::config::Domain;

/// Cleared alarms remembered at most, the newest: as many as an outage can hide and then some.
const MAX_CLEARED: i64 = 10_000;
/// How long they are remembered, in microseconds: 30 days, the age of a backup that is still restored.
const CLEARED_FOR: i64 = 30 * 24 * 60 * 60 * 1_000_000;

/// Remembers that the controller is not to hold this alarm any more under the uuid it has now.
pub(super) fn bury(connection: &Connection, key: &AlarmKey) -> Result<(), StoreError> {
    let buried = connection
        .prepare_cached(
            "INSERT INTO cleared (domain, alarm_id, entity, uuid, at)
             SELECT domain, alarm_id, entity, controller_uuid, ?3 FROM alarm
             WHERE alarm_id = ?1 AND entity = ?2 AND controller_uuid IS NOT NULL",
        )?
        .execute(params![key.alarm_id, key.entity_instance_id, Timestamp::now().as_micros()])?;
    if buried > 0 {
        let last = connection.last_insert_rowid();
        connection.prepare_cached("DELETE FROM cleared WHERE seq <= ?1")?.execute([last - MAX_CLEARED])?;
    }
    Ok(())
}

/// Forgets what was cleared too long ago.
pub(super) fn forget_old(connection: &Connection) -> Result<(), StoreError> {
    let oldest = Timestamp::now().as_micros() - CLEARED_FOR;
    connection.execute("DELETE FROM cleared WHERE at < ?1", [oldest])?;
    Ok(())
}

/// The alarms that the controller of a domain should hold, by what this node knows.
pub(super) fn held(connection: &Connection, domain: Domain) -> Result<Vec<Held>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT alarm_id, entity, controller_uuid, ifnull(held_since, 0) FROM alarm
         WHERE domain = ?1 AND alarm IS NOT NULL AND pending IS NULL AND controller_uuid IS NOT NULL",
    )?;
    let rows = statement.query_map([domain.name()], |row| {
        Ok(Held {
            key: AlarmKey { alarm_id: row.get(0)?, entity_instance_id: row.get(1)? },
            uuid: row.get(2)?,
            since: Timestamp::from_micros(row.get(3)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What the controller of a domain held until this node cleared or replaced it.
pub(super) fn cleared(connection: &Connection, domain: Domain) -> Result<Vec<Cleared>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT alarm_id, entity, uuid FROM cleared WHERE domain = ?1")?;
    let rows = statement.query_map([domain.name()], |row| {
        let key = AlarmKey { alarm_id: row.get(0)?, entity_instance_id: row.get(1)? };
        Ok(Cleared { key, uuid: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Acts on findings: [`Outcome::Done`] for each that still fits, else [`Outcome::Unknown`].
pub(super) fn heal(
    apply: &mut Apply<'_>,
    domain: Domain,
    findings: &[Finding],
) -> Result<Vec<Outcome>, StoreError> {
    findings
        .iter()
        .map(|finding| {
            let done = match finding.what {
                Found::Lost => raise_again(apply, domain, finding)?,
                Found::Removed => forget(apply, domain, finding)?,
                Found::Back => remove(apply, domain, finding)?,
            };
            Ok(if done { Outcome::Done } else { Outcome::Unknown })
        })
        .collect()
}

/// The alarm as it was when the finding was made.
fn unchanged(apply: &Apply<'_>, domain: Domain, finding: &Finding) -> Result<Option<Kept>, StoreError> {
    let row = tables::find_alarm(apply.connection, &finding.key)?;
    Ok(row.map(|row| row.kept).filter(|kept| {
        !kept.pending && kept.domain == domain && kept.controller_uuid.as_deref() == Some(&*finding.uuid)
    }))
}

fn raise_again(apply: &mut Apply<'_>, domain: Domain, finding: &Finding) -> Result<bool, StoreError> {
    let Some(kept) = unchanged(apply, domain, finding)? else { return Ok(false) };
    let Standing::Raised(alarm) = &kept.standing else { return Ok(false) };
    // The controller takes a uuid once in its life.
    let seq = apply.request(domain, &raise_request(alarm, Uuid::new_v4().to_string()), None)?;
    tables::update_alarm(apply.connection, &AlarmRow::new(kept, Some(seq)))?;
    Ok(true)
}

fn forget(apply: &Apply<'_>, domain: Domain, finding: &Finding) -> Result<bool, StoreError> {
    let Some(kept) = unchanged(apply, domain, finding)? else { return Ok(false) };
    tables::delete_alarm(apply.connection, &kept.key)?;
    Ok(true)
}

fn remove(apply: &mut Apply<'_>, domain: Domain, finding: &Finding) -> Result<bool, StoreError> {
    // A raise that waits may bring the same uuid: a caller can use one again.
    let row = tables::find_alarm(apply.connection, &finding.key)?;
    let meant = |row: &AlarmRow| {
        row.kept.domain == domain
            && (row.pending.is_some() || row.kept.controller_uuid.as_deref() == Some(&*finding.uuid))
    };
    if row.as_ref().is_some_and(meant) {
        return Ok(false);
    }
    let kind = RequestKind::Remove { key: finding.key.clone(), uuid: finding.uuid.clone() };
    apply.request(domain, &kind, None)?;
    Ok(true)
}
