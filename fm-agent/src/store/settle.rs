//! What a changed configuration means for what the store holds; done once, at the start.
//!
//! Invariants: no request and no alarm is stranded in a domain that is gone, that has become this
//! node's own, or that has got a controller.

use std::collections::BTreeMap;

use rusqlite::Connection;

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
    transaction.commit()?;
    Ok(())
}

/// A domain that is not configured falls back to the platform.
fn fall_back(connection: &Connection, domain: Domain) -> Result<(), StoreError> {
    let to = Domain::Platform.name();
    connection.execute("UPDATE request SET domain = ?1 WHERE domain = ?2", [to, domain.name()])?;
    // The platform's controller knows nothing of what stood at the other.
    connection.execute(
        "UPDATE alarm SET domain = ?1, controller_uuid = NULL WHERE domain = ?2",
        [to, domain.name()],
    )?;
    Ok(())
}

/// The record is here now: what waited for a controller is done.
fn keep_here(connection: &Connection, domain: Domain, max_events: u32) -> Result<(), StoreError> {
    let sql = format!("SELECT {REQUEST_COLUMNS} FROM request WHERE domain = ?1 ORDER BY seq");
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([domain.name()])?;
    while let Some(row) = rows.next()? {
        if let (_, super::Request { kind: RequestKind::Log { alarm, uuid }, .. }) = tables::request(row)? {
            tables::insert_event(connection, "log", &alarm, &uuid, max_events)?;
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
    for kept in waiting {
        let Standing::Raised(alarm) = &kept.standing else { continue };
        let kind = RequestKind::Raise { alarm: alarm.clone(), uuid: super::apply::uuid_of(alarm) };
        let seq = tables::insert_request(connection, domain, &kind, None)?;
        tables::put_alarm(connection, &AlarmRow::new(kept, Some(seq)))?;
    }
    Ok(())
}
