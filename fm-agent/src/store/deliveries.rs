//! What became of a delivery, written into the tables. Runs inside the writer's transaction.
//!
//! Invariants:
//! - A request leaves the queue together with what its outcome means for this node's view.
//! - A later request about the same alarm is never disturbed: only what it still needs to know (the
//!   uuid at the controller) is kept for it.

use fm_common::AlarmKey;
use rusqlite::Connection;

use super::error::StoreError;
use super::model::{KeepRejected, Kept, Report, Request, RequestKind, Standing};
use super::tables::{self, AlarmRow};
use super::{accepted, healing, rejected};
use crate::config::Domain;

/// Applies a report. A request that is gone already is passed over. Gives the domain whose queue a request
/// has left.
pub(super) fn report(
    connection: &Connection,
    report: &Report,
    keep: KeepRejected,
) -> Result<Option<Domain>, StoreError> {
    match report {
        Report::Done { seq, uuid } => {
            let Some((domain, request)) = leave(connection, *seq)? else { return Ok(None) };
            done(connection, domain, &request, uuid.clone())?;
            Ok(Some(domain))
        }
        Report::Rejected { seq, answer } => {
            rejected::keep(connection, *seq, answer, keep)?;
            let Some((domain, request)) = leave(connection, *seq)? else { return Ok(None) };
            not_taken(connection, &request)?;
            Ok(Some(domain))
        }
        Report::Begun { domain, up_to } => {
            tables::put_begun(connection, *domain, *up_to)?;
            Ok(None)
        }
        Report::Gone { domain, key, uuid } => {
            gone(connection, *domain, key, uuid)?;
            Ok(None)
        }
    }
}

/// Takes a request off the queue: before all else, for on a full disk it makes the room that the rest
/// needs.
fn leave(connection: &Connection, seq: i64) -> Result<Option<(Domain, Request)>, StoreError> {
    let found = tables::find_request(connection, seq)?;
    tables::delete_request(connection, seq)?;
    Ok(found)
}

/// The controller has taken the request.
fn done(
    connection: &Connection,
    domain: Domain,
    request: &Request,
    uuid: Option<String>,
) -> Result<(), StoreError> {
    match &request.kind {
        RequestKind::Raise { alarm, .. } => raised(connection, domain, request, &alarm.key(), uuid),
        RequestKind::Clear { key } => match tables::find_alarm(connection, key)? {
            Some(row) if row.kept.domain == domain => cleared(connection, request.seq, key, row.pending),
            _ => Ok(()),
        },
        RequestKind::ClearAll { entity_instance_id, rule } => {
            let covered = tables::covered(connection, entity_instance_id, *rule)?;
            covered
                .iter()
                .filter(|place| place.domain == domain)
                .try_for_each(|place| cleared(connection, request.seq, &place.key, place.pending))
        }
        RequestKind::Log { .. } | RequestKind::Remove { .. } => Ok(()),
    }
}

/// The controller refuses the request: what stood there before stands there still.
fn not_taken(connection: &Connection, request: &Request) -> Result<(), StoreError> {
    match &request.kind {
        RequestKind::Raise { alarm, .. } => refused(connection, request.seq, &alarm.key()),
        RequestKind::Clear { key } => refused(connection, request.seq, key),
        RequestKind::ClearAll { entity_instance_id, rule } => {
            tables::covered(connection, entity_instance_id, *rule)?
                .iter()
                .try_for_each(|place| refused(connection, request.seq, &place.key))
        }
        RequestKind::Log { .. } | RequestKind::Remove { .. } => Ok(()),
    }
}

/// The alarm does not stand at the controller any more.
fn gone(connection: &Connection, domain: Domain, key: &AlarmKey, uuid: &str) -> Result<(), StoreError> {
    let row = tables::find_alarm(connection, key)?;
    let held =
        |row: &AlarmRow| row.kept.domain == domain && row.kept.controller_uuid.as_deref() == Some(uuid);
    if row.as_ref().is_some_and(held) {
        healing::bury(connection, key)?;
        tables::forget_controller_uuid(connection, key)?;
    }
    Ok(())
}

/// Nothing more waits for an alarm whose latest request was refused.
fn refused(connection: &Connection, seq: i64, key: &AlarmKey) -> Result<(), StoreError> {
    let row = tables::find_alarm(connection, key)?;
    let Some(AlarmRow { kept, .. }) = row.filter(|row| row.pending == Some(seq)) else { return Ok(()) };
    match &kept {
        // An earlier raise of it stands, so a clear has to find it, and readers are to see that one.
        Kept { standing: Standing::Raised(_), controller_uuid: Some(_), .. } => {
            let standing = accepted::find(connection, key)?.map_or(kept.standing, Standing::Raised);
            let kept = Kept { standing, ..kept };
            tables::update_alarm(connection, &AlarmRow::new(kept, None))
        }
        // A clear that is asked for again has to be sent again.
        _ => tables::delete_alarm(connection, key),
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
    if uuid.is_some() && uuid != kept.controller_uuid {
        healing::bury(connection, key)?;
    }
    let latest = pending == Some(request.seq);
    let RequestKind::Raise { alarm, uuid: asked } = &request.kind else { return Ok(()) };
    match (uuid, latest) {
        // Nobody else will ask about it: it does not stand, so this node does not hold it either.
        (None, true) => tables::delete_alarm(connection, key),
        (uuid, false) => {
            if uuid.is_some() {
                accepted::note(connection, alarm)?;
            }
            let kept = Kept { controller_uuid: uuid, ..kept };
            tables::update_alarm(connection, &AlarmRow::new(kept, pending))
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
            tables::update_alarm(connection, &AlarmRow::new(kept, None))
        }
    }
}

/// The controller does not hold the alarm. It is forgotten, unless a later request about it waits.
fn cleared(
    connection: &Connection,
    seq: i64,
    key: &AlarmKey,
    pending: Option<i64>,
) -> Result<(), StoreError> {
    healing::bury(connection, key)?;
    if pending == Some(seq) {
        return tables::delete_alarm(connection, key);
    }
    tables::forget_controller_uuid(connection, key)
}
