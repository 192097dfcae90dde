//! What became of a delivery, written into the tables. Runs inside the writer's transaction.
//!
//! Invariants:
//! - A request leaves the queue together with what its outcome means for this node's view.
//! - A later request about the same alarm is never disturbed: only what it still needs to know (the
//!   uuid at the controller) is kept for it.

use fm_common::{AlarmKey, Timestamp};
use rusqlite::{Connection, params};

use super::error::StoreError;
use super::model::{Kept, Report, Request, RequestKind, Standing};
use super::tables::{self, AlarmRow};
use crate::config::Domain;

/// Refused requests kept at most; the oldest go first.
const MAX_REJECTED: i64 = 10_000;

/// Applies a report. A request that is gone already is passed over.
pub(super) fn report(connection: &Connection, report: &Report) -> Result<(), StoreError> {
    let (seq, uuid) = match report {
        Report::Done { seq, uuid } => (*seq, uuid.clone()),
        Report::Rejected { seq, answer } => {
            keep_rejected(connection, *seq, answer)?;
            (*seq, None)
        }
    };
    let Some((domain, request)) = tables::find_request(connection, seq)? else { return Ok(()) };
    tables::delete_request(connection, seq)?;
    match &request.kind {
        RequestKind::Raise { alarm, .. } => raised(connection, domain, &request, &alarm.key(), uuid),
        RequestKind::Clear { key } => cleared(connection, domain, seq, key),
        RequestKind::ClearAll { .. } => {
            let sql = "DELETE FROM alarm WHERE pending = ?1 AND alarm IS NULL";
            connection.prepare_cached(sql)?.execute([seq])?;
            Ok(())
        }
        RequestKind::Log { .. } => Ok(()),
    }
}

/// The controller holds the alarm under `uuid`, or does not hold it at all.
fn raised(
    connection: &Connection,
    domain: Domain,
    request: &Request,
    key: &AlarmKey,
    uuid: Option<String>,
) -> Result<(), StoreError> {
    let Some(AlarmRow { kept, pending }) = tables::find_alarm(connection, key)? else { return Ok(()) };
    if kept.domain != domain {
        return Ok(());
    }
    let latest = pending == Some(request.seq);
    let RequestKind::Raise { alarm, uuid: asked } = &request.kind else { return Ok(()) };
    match (uuid, latest) {
        // Nobody else will ask about it: it does not stand, so this node does not hold it either.
        (None, true) => tables::delete_alarm(connection, key),
        (uuid, false) => {
            let kept = Kept { controller_uuid: uuid, ..kept };
            tables::put_alarm(connection, &AlarmRow::new(kept, pending))
        }
        (Some(uuid), true) => {
            let standing = match kept.standing {
                // Raised anew because the controller had lost it: the time is the new raise's, the
                // uuid stays the one that callers know.
                Standing::Raised(known) if uuid == *asked => {
                    let mut anew = alarm.clone();
                    anew.uuid.clone_from(&known.uuid);
                    Standing::Raised(anew)
                }
                standing => standing,
            };
            let kept = Kept { standing, controller_uuid: Some(uuid), ..kept };
            tables::put_alarm(connection, &AlarmRow::new(kept, None))
        }
    }
}

fn cleared(connection: &Connection, domain: Domain, seq: i64, key: &AlarmKey) -> Result<(), StoreError> {
    match tables::find_alarm(connection, key)? {
        Some(row) if row.pending == Some(seq) => tables::delete_alarm(connection, key),
        Some(AlarmRow { kept, pending }) if kept.domain == domain => {
            let kept = Kept { controller_uuid: None, ..kept };
            tables::put_alarm(connection, &AlarmRow::new(kept, pending))
        }
        _ => Ok(()),
    }
}

fn keep_rejected(connection: &Connection, seq: i64, answer: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO rejected
                 (seq, domain, kind, alarm_id, entity, uuid, alarm, taken_at, rejected_at, answer)
             SELECT seq, domain, kind, alarm_id, entity, uuid, alarm, taken_at, ?2, ?3
             FROM request WHERE seq = ?1",
        )?
        .execute(params![seq, Timestamp::now().as_micros(), answer])?;
    connection
        .prepare_cached(
            "DELETE FROM rejected WHERE seq <=
                 (SELECT seq FROM rejected ORDER BY seq DESC LIMIT 1 OFFSET ?1)",
        )?
        .execute([MAX_REJECTED])?;
    Ok(())
}
