//! What is lost in one table and said by another: each alarm's latest state stands in this node's view and in the
//! request that carries it to the controller.
//!
//! Invariants:
//! - In a database that lost nothing there is nothing to do.
//! - An alarm's requests stay in order: what is made anew is the latest about its alarm.
//!
//! Runs inside a transaction.

use std::collections::BTreeSet;

use rusqlite::Connection;
use uuid::Uuid;

use super::super::error::StoreError;
use super::super::model::{RequestKind, Standing};
use super::super::tables::{self, ALARM_COLUMNS, AlarmRow};
use super::super::unreadable;
use crate::config::Domain;

/// Places in the order that are left out after damage: more than can have been given to requests of which
/// nothing is left, for a place is given once.
const LEFT_OUT: i64 = 1_000_000;

/// Where a request that is made anew goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Place {
    /// Where it was, if nothing else is there: for a database that nobody has read from yet.
    Same,
    /// Behind all others.
    End,
}

/// What was made anew.
#[derive(Debug, Default)]
pub(in super::super) struct Restored {
    /// Requests and alarms.
    pub(in super::super) count: u64,
    /// Rows that could not be read and were set aside.
    pub(in super::super) set_aside: u64,
    /// Domains that got a request.
    pub(in super::super) woken: BTreeSet<Domain>,
}

/// Makes anew what can be told from what is there.
pub(in super::super) fn restore(connection: &Connection, place: Place) -> Result<Restored, StoreError> {
    // What cannot be read must not stand in the way of what is made anew.
    let mut restored = Restored { set_aside: unreadable::sweep(connection)?, ..Restored::default() };
    restored.count += alarms(connection)?;
    if place == Place::Same {
        leave_out(connection)?;
    }
    requests(connection, place, &mut restored)?;
    // What made a request superfluous must be there.
    connection.execute(
        "DELETE FROM superseded
         WHERE seq NOT IN (SELECT seq FROM request) OR next NOT IN (SELECT seq FROM request)",
        [],
    )?;
    if place == Place::Same {
        // All that waits may have been sent.
        connection.execute(
            "INSERT OR REPLACE INTO begun (domain, up_to) SELECT domain, max(seq) FROM request GROUP BY domain",
            [],
        )?;
    }
    Ok(restored)
}

/// Alarms of the view that only their requests still know.
fn alarms(connection: &Connection) -> Result<u64, StoreError> {
    let made = connection.execute(
        "INSERT OR IGNORE INTO alarm (alarm_id, entity, domain, alarm, pending)
         SELECT alarm_id, entity, domain, iif(kind = 'raise', alarm, NULL), max(seq) FROM request
         WHERE kind = 'raise' OR (kind = 'clear' AND uuid = '') GROUP BY alarm_id, entity",
        [],
    )?;
    if made > 0 {
        let mut statement =
            connection.prepare("SELECT seq FROM request WHERE kind = 'clear_all' ORDER BY seq")?;
        let clear_alls: Vec<i64> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for seq in clear_alls {
            let Some((domain, request)) = tables::find_request(connection, seq)? else { continue };
            let RequestKind::ClearAll { entity_instance_id, rule } = request.kind else { continue };
            for found in tables::covered(connection, &entity_instance_id, rule)? {
                if found.domain == domain && found.pending.is_some_and(|pending| pending < seq) {
                    tables::put_cleared(connection, &found.key, seq)?;
                }
            }
        }
    }
    Ok(made as u64)
}

/// Lets the order go on far behind all places that were given.
fn leave_out(connection: &Connection) -> Result<(), StoreError> {
    let last: i64 = connection.query_row(
        "SELECT max(ifnull((SELECT max(seq) FROM request), 0), ifnull((SELECT max(seq) FROM rejected), 0),
                    ifnull((SELECT max(pending) FROM alarm), 0), ifnull((SELECT max(up_to) FROM begun), 0))",
        [],
        |row| row.get(0),
    )?;
    connection.execute("DELETE FROM sqlite_sequence WHERE name = 'request'", [])?;
    connection
        .execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('request', ?1)", [last + LEFT_OUT])?;
    Ok(())
}

/// Requests that only the view still knows of.
fn requests(connection: &Connection, place: Place, restored: &mut Restored) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT {ALARM_COLUMNS} FROM alarm
         WHERE pending IS NOT NULL AND pending NOT IN (SELECT seq FROM request) ORDER BY pending"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut lost = Vec::new();
    while let Some(row) = rows.next()? {
        lost.push(tables::kept(row)?);
    }
    for AlarmRow { kept, pending } in lost {
        let kind = match &kept.standing {
            Standing::Cleared => RequestKind::Clear { key: kept.key.clone() },
            Standing::Raised(alarm) => {
                let own = alarm.uuid.clone().filter(|own| kept.controller_uuid.as_ref() != Some(own));
                let uuid = own.unwrap_or_else(|| Uuid::new_v4().to_string());
                RequestKind::Raise { alarm: alarm.clone(), uuid }
            }
        };
        let mut seq = tables::insert_request(connection, kept.domain, &kind, None, None)?;
        if let (Place::Same, Some(before)) = (place, pending)
            && tables::find_request(connection, before)?.is_none()
        {
            connection.execute("UPDATE request SET seq = ?2 WHERE seq = ?1", [seq, before])?;
            seq = before;
        }
        restored.woken.insert(kept.domain);
        restored.count += 1;
        tables::update_alarm(connection, &AlarmRow::new(kept, Some(seq)))?;
    }
    Ok(())
}
