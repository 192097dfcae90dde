//! Who asked for what: written beside requests, alarms and events, as JSON.
//!
//! Invariants:
//! - An alarm keeps who raised it for as long as it stands, whoever sets it again.
//! - A request that no caller asked for (healing, changed configuration) is signed by who changed its alarm
//!   last.

use fm_common::{AlarmKey, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;
use super::model::{Signature, Signed};
use crate::caller::Origin;

/// An origin as it is kept.
pub(super) fn written(origin: &Origin) -> Result<String, StoreError> {
    Ok(serde_json::to_string(origin)?)
}

/// An origin that was kept.
pub(super) fn read(text: Option<String>) -> Result<Option<Origin>, StoreError> {
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
}

/// Signs an alarm that was cleared with others.
pub(super) fn cleared(
    connection: &Connection,
    key: &AlarmKey,
    origin: Option<&str>,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE alarm SET changed_by = ?3, changed_at = ?4 WHERE alarm_id = ?1 AND entity = ?2",
        )?
        .execute(params![key.alarm_id, key.entity_instance_id, origin, Timestamp::now().as_micros()])?;
    Ok(())
}

/// Who acted on an alarm; `None` when this node does not hold it.
pub(super) fn of_alarm(connection: &Connection, key: &AlarmKey) -> Result<Option<Signed>, StoreError> {
    type Columns = (Option<String>, Option<i64>, Option<String>, Option<i64>);
    let columns: Option<Columns> = connection
        .prepare_cached(
            "SELECT raised_by, raised_at, changed_by, changed_at FROM alarm WHERE alarm_id = ?1 AND entity = ?2",
        )?
        .query_row([&key.alarm_id, &key.entity_instance_id], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let Some((raised_by, raised_at, changed_by, changed_at)) = columns else { return Ok(None) };
    let signature = |by, at: Option<i64>| {
        let origin = read(by)?;
        let at = at.map(Timestamp::from_micros);
        Ok::<_, StoreError>(origin.zip(at).map(|(origin, at)| Signature { origin, at }))
    };
    Ok(Some(Signed { raised: signature(raised_by, raised_at)?, changed: signature(changed_by, changed_at)? }))
}
