//! What a changed configuration means for what the store holds; done once, at the start after the change.
//!
//! Invariants:
//! - No request and no alarm is stranded in a domain that is gone, that has become this node's own, or
//!   that has got a controller.
//! - A start with the configuration of the last one looks at no alarm and no request.

use std::collections::BTreeMap;

use fm_common::AlarmKey;
use rusqlite::{Connection, params};

use super::error::StoreError;
use super::model::{Kept, RequestKind, Standing};
use super::tables::{self, ALARM_COLUMNS, AlarmRow, REQUEST_COLUMNS};
use crate::config::Domain;

/// Brings the tables in line with the configured domains (true: their record is here).
pub(super) fn settle(
    connection: &mut Connection,
    domains: &BTreeMap<Domain, bool>,
    max_events: u32,
) -> Result<(), StoreError> {
    let settled: BTreeMap<String, bool> = connection
        .prepare("SELECT domain, here FROM settled")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let wanted = domains.iter().map(|(domain, here)| (domain.name().to_owned(), *here)).collect();
    if settled == wanted {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    for domain in Domain::ALL.iter().filter(|domain| !domains.contains_key(domain)) {
        fall_back(&transaction, *domain)?;
    }
    for (domain, here) in domains {
        if *here {
            keep_here(&transaction, *domain, max_events)?;
        } else {
            hand_over(&transaction, *domain)?;
        }
    }
    transaction.execute("DELETE FROM settled", [])?;
    for (domain, here) in domains {
        transaction
            .execute("INSERT INTO settled (domain, here) VALUES (?1, ?2)", params![domain.name(), here])?;
    }
    transaction.commit()?;
    Ok(())
}

/// A domain that is not configured falls back to the platform. The platform's controller knows nothing
/// of what stood at the other: what still waits is for alarms that belong to that domain, and must not
/// hit an alarm that has moved to the platform since.
fn fall_back(connection: &Connection, domain: Domain) -> Result<(), StoreError> {
    let (from, to) = (domain.name(), Domain::Platform.name());
    connection.execute(
        "DELETE FROM request WHERE domain = ?1 AND kind IN ('raise', 'clear') AND NOT EXISTS
             (SELECT 1 FROM alarm WHERE alarm.alarm_id = request.alarm_id
                  AND alarm.entity = request.entity AND alarm.domain = ?1)",
        [from],
    )?;
    // A clear-all would clear the platform's alarms, too: what it means here is cleared one by one.
    let cleared: Vec<AlarmKey> = connection
        .prepare(
            "SELECT alarm_id, entity FROM alarm WHERE domain = ?1 AND pending IN
                 (SELECT seq FROM request WHERE kind = 'clear_all') ORDER BY pending",
        )?
        .query_map([from], |row| Ok(AlarmKey { alarm_id: row.get(0)?, entity_instance_id: row.get(1)? }))?
        .collect::<Result<_, _>>()?;
    for key in cleared {
        let seq =
            tables::insert_request(connection, domain, &RequestKind::Clear { key: key.clone() }, None, None)?;
        tables::put_cleared(connection, &key, seq)?;
    }
    connection.execute("DELETE FROM request WHERE domain = ?1 AND kind = 'clear_all'", [from])?;
    connection.execute("UPDATE alarm SET controller_uuid = NULL WHERE domain = ?1", [from])?;
    for table in ["request", "rejected", "alarm"] {
        let sql = format!("UPDATE {table} SET domain = ?1 WHERE domain = ?2");
        connection.execute(&sql, [to, from])?;
    }
    Ok(())
}

/// The record is here now: what waited for a controller is done.
fn keep_here(connection: &Connection, domain: Domain, max_events: u32) -> Result<(), StoreError> {
    let sql = format!("SELECT {REQUEST_COLUMNS}, origin FROM request WHERE domain = ?1 ORDER BY seq");
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([domain.name()])?;
    while let Some(row) = rows.next()? {
        if let (_, super::Request { kind: RequestKind::Log { alarm, uuid }, .. }) = tables::request(row)? {
            let origin: Option<String> = row.get("origin")?;
            tables::insert_event(connection, "log", &alarm, &uuid, max_events, origin.as_deref())?;
        }
    }
    connection.execute("DELETE FROM request WHERE domain = ?1", [domain.name()])?;
    connection.execute("DELETE FROM alarm WHERE domain = ?1 AND alarm IS NULL", [domain.name()])?;
    connection.execute(
        "UPDATE alarm SET pending = NULL, controller_uuid = NULL WHERE domain = ?1",
        [domain.name()],
    )?;
    Ok(())
}

/// There is a controller now: what stands here and never went to one is raised there.
fn hand_over(connection: &Connection, domain: Domain) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT {ALARM_COLUMNS} FROM alarm
         WHERE domain = ?1 AND alarm IS NOT NULL AND pending IS NULL AND controller_uuid IS NULL"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([domain.name()])?;
    let mut waiting: Vec<Kept> = Vec::new();
    while let Some(row) = rows.next()? {
        waiting.push(tables::kept(row)?.kept);
    }
    let raised_at = |kept: &Kept| match &kept.standing {
        Standing::Raised(alarm) => alarm.timestamp,
        Standing::Cleared => None,
    };
    waiting.sort_by_key(raised_at);
    for kept in waiting {
        let Standing::Raised(alarm) = &kept.standing else { continue };
        let kind = RequestKind::Raise { alarm: alarm.clone(), uuid: super::apply::uuid_of(alarm) };
        let seq = tables::insert_request(connection, domain, &kind, None, None)?;
        tables::update_alarm(connection, &AlarmRow::new(kept, Some(seq)))?;
    }
    Ok(())
}
