//! What the controller holds of an alarm while a change of it waits: what stands again when the change is refused.
//!
//! Invariants:
//! - There is something only about an alarm that the controller holds and about which a request waits. The
//!   schema's triggers see to the end of it, whoever changes the alarm's row.
//!
//! Runs inside the writer's transaction.

use fm_common::{Alarm, AlarmKey};
use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;

/// Notes that the controller holds the alarm as it was written last, before a change of it is written.
pub(super) fn note_present(connection: &Connection, key: &AlarmKey) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO accepted (alarm_id, entity, alarm)
             SELECT alarm_id, entity, alarm FROM alarm
             WHERE alarm_id = ?1 AND entity = ?2
                 AND alarm IS NOT NULL AND pending IS NULL AND controller_uuid IS NOT NULL",
        )?
        .execute([&key.alarm_id, &key.entity_instance_id])?;
    Ok(())
}

/// Notes that the controller has taken this raise, and that a later one waits. One that changed nothing leaves
/// what was noted, with the uuid and the time that callers know.
pub(super) fn note(connection: &Connection, alarm: &Alarm) -> Result<(), StoreError> {
    let key = alarm.key();
    if find(connection, &key)?.is_some_and(|noted| noted.same_content(alarm)) {
        return Ok(());
    }
    connection
        .prepare_cached("INSERT OR REPLACE INTO accepted (alarm_id, entity, alarm) VALUES (?1, ?2, ?3)")?
        .execute(params![key.alarm_id, key.entity_instance_id, serde_json::to_string(alarm)?])?;
    Ok(())
}

/// What the controller holds of this alarm, if that is not what was written last.
pub(super) fn find(connection: &Connection, key: &AlarmKey) -> Result<Option<Box<Alarm>>, StoreError> {
    let found: Option<String> = connection
        .prepare_cached("SELECT alarm FROM accepted WHERE alarm_id = ?1 AND entity = ?2")?
        .query_row([&key.alarm_id, &key.entity_instance_id], |row| row.get(0))
        .optional()?;
    Ok(found.map(|json| serde_json::from_str(&json)).transpose()?)
}
