//! POST, PUT and DELETE of alarms.
//!
//! Invariant: the alarm row and the event row are two transactions, and the first stays when the
//! second fails. That is the real service's greatest trap and must not be 'fixed' here.

use serde_json::{Value, json};

use super::{alarm_body, event_log};
use crate::app::App;
use crate::faults::Apply;
use crate::reply::{Refusal, Reply};
use crate::request::Request;
use crate::rows::{AlarmFields, AlarmRow};
use crate::store::StoreError;

/// `POST /v1/alarms`. Every failure behind the parser is an empty 500.
pub(super) fn post(app: &App, request: &Request, apply: Apply) -> Result<Reply, Refusal> {
    let fields = alarm_body::parse(app.config.dialect, request)?;
    if apply == Apply::Nothing {
        return Ok(answer(&fields.uuid));
    }
    let done = match fields.alarm_state.as_deref() {
        Some("set") => set(app, fields, apply),
        Some("log" | "msg") => event_log::record(app, fields, "log"),
        Some("clear") => clear(app, &fields, apply),
        _ => return Err(Refusal::Empty500),
    };
    done.map(|uuid| answer(&uuid)).map_err(|_| Refusal::Empty500)
}

/// The answer's body: JSON text inside a JSON text.
fn answer(uuid: &str) -> Reply {
    Reply::ok(&Value::String(format!("{{\"uuid\": {}}}", json!(uuid))))
}

/// `PUT /v1/alarms/{id}`: parses, then never works.
pub(super) fn put(app: &App, request: &Request) -> Result<Reply, Refusal> {
    alarm_body::parse(app.config.dialect, request)?;
    Err(Refusal::Empty500)
}

/// `DELETE /v1/alarms/{uuid}`.
pub(super) fn delete(app: &App, uuid: &str, apply: Apply) -> Result<Reply, Refusal> {
    let alarm = app.store.alarm(uuid)?.row;
    if apply != Apply::Nothing {
        destroy(app, alarm, apply)?;
    }
    Ok(Reply::no_content())
}

fn set(app: &App, fields: AlarmFields, apply: Apply) -> Result<String, StoreError> {
    let alarm = app.store.insert_alarm(fields, false)?;
    if apply == Apply::AlarmOnly {
        Ok(alarm.fields.uuid)
    } else {
        event_log::record(app, alarm.fields, "set")
    }
}

/// A uuid decides alone; the key counts only without one.
fn clear(app: &App, fields: &AlarmFields, apply: Apply) -> Result<String, StoreError> {
    let alarm = if fields.uuid.is_empty() {
        let key = (fields.alarm_id.as_deref(), fields.entity_instance_id.as_deref());
        let (Some(alarm_id), Some(entity)) = key else {
            return Err(StoreError::AlarmNotFound("without a key".to_owned()));
        };
        app.store.alarm_by_key(alarm_id, entity)?
    } else {
        app.store.alarm(&fields.uuid)?.row
    };
    let uuid = alarm.uuid.clone();
    destroy(app, alarm, apply)?;
    Ok(uuid)
}

/// Removes the alarm, then records its clear under a new uuid.
///
/// The check that it still stands and the removal are steps apart: of two writers that both saw it,
/// both succeed.
fn destroy(app: &App, alarm: AlarmRow, apply: Apply) -> Result<(), StoreError> {
    if !app.store.alarm_exists(alarm.id)? {
        return Err(StoreError::AlarmNotFound(alarm.fields.uuid));
    }
    app.settings.race();
    app.store.delete_alarm(alarm.id)?;
    if apply != Apply::AlarmOnly {
        event_log::record(app, AlarmFields { uuid: String::new(), ..alarm.fields }, "clear")?;
    }
    Ok(())
}
