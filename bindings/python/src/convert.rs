//! Python values to the alarm model and back.
//!
//! Invariants:
//! - A value that cannot be sent is refused by the name of its field, before anything is sent.
//! - `None` is the empty text; a blank uuid or time is the same as none.
//! - What comes back is what the model holds: texts as texts, flags as bool, a time as
//!   `YYYY-MM-DD HH:MM:SS.ffffff` in UTC or None.

use fm_common::{Alarm, AlarmKey, InvalidAlarm, Timestamp};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList, PyString};

use crate::error;

/// An alarm that may be sent, from a dict with every field.
pub(crate) fn alarm(fields: &Bound<'_, PyDict>) -> PyResult<Alarm> {
    let alarm = Alarm {
        uuid: Some(member_text(fields, "uuid")?).filter(|uuid| !is_blank(uuid)),
        alarm_id: member_text(fields, "alarm_id")?,
        alarm_state: member_text(fields, "alarm_state")?.as_str().into(),
        entity_type_id: member_text(fields, "entity_type_id")?,
        entity_instance_id: member_text(fields, "entity_instance_id")?,
        timestamp: time(fields)?,
        severity: member_text(fields, "severity")?.as_str().into(),
        reason_text: member_text(fields, "reason_text")?,
        alarm_type: member_text(fields, "alarm_type")?.as_str().into(),
        probable_cause: member_text(fields, "probable_cause")?.as_str().into(),
        proposed_repair_action: member_text(fields, "proposed_repair_action")?,
        service_affecting: flag(fields, "service_affecting")?,
        suppression: flag(fields, "suppression")?,
        inhibit_alarms: flag(fields, "inhibit_alarms")?,
        keep_existing_alarm: flag(fields, "keep_existing_alarm")?,
    };
    alarm.validate().map_err(|invalid| error::from_field(fields.py(), &invalid))?;
    Ok(alarm)
}

/// What names one alarm.
pub(crate) fn key(alarm_id: &Bound<'_, PyAny>, entity_instance_id: &Bound<'_, PyAny>) -> PyResult<AlarmKey> {
    let key = AlarmKey::new(text("alarm_id", alarm_id)?, &text("entity_instance_id", entity_instance_id)?);
    key.validate().map_err(|invalid| error::from_field(alarm_id.py(), &invalid))?;
    Ok(key)
}

/// A text, the empty one for None.
pub(crate) fn text(field: &'static str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    if value.is_none() {
        return Ok(String::new());
    }
    let Ok(string) = value.cast::<PyString>() else {
        return Err(invalid(value, field, format!("expected a text, got {}", value.get_type().name()?)));
    };
    match string.to_cow() {
        Ok(text) => Ok(text.into_owned()),
        Err(reason) => {
            Err(invalid(value, field, format!("is not valid Unicode: {}", reason.value(value.py()))))
        }
    }
}

/// An alarm as a dict with every field.
pub(crate) fn dict<'py>(py: Python<'py>, alarm: &Alarm) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("uuid", &alarm.uuid)?;
    fields.set_item("alarm_id", &alarm.alarm_id)?;
    fields.set_item("alarm_state", alarm.alarm_state.as_str())?;
    fields.set_item("entity_type_id", &alarm.entity_type_id)?;
    fields.set_item("entity_instance_id", &alarm.entity_instance_id)?;
    fields.set_item("timestamp", alarm.timestamp.map(|time| time.to_string()))?;
    fields.set_item("severity", alarm.severity.as_str())?;
    fields.set_item("reason_text", &alarm.reason_text)?;
    fields.set_item("alarm_type", alarm.alarm_type.as_str())?;
    fields.set_item("probable_cause", alarm.probable_cause.as_str())?;
    fields.set_item("proposed_repair_action", &alarm.proposed_repair_action)?;
    fields.set_item("service_affecting", alarm.service_affecting)?;
    fields.set_item("suppression", alarm.suppression)?;
    fields.set_item("inhibit_alarms", alarm.inhibit_alarms)?;
    fields.set_item("keep_existing_alarm", alarm.keep_existing_alarm)?;
    Ok(fields)
}

/// Alarms as a list of dicts.
pub(crate) fn list<'py>(py: Python<'py>, alarms: &[Alarm]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for alarm in alarms {
        list.append(dict(py, alarm)?)?;
    }
    Ok(list)
}

fn member<'py>(fields: &Bound<'py, PyDict>, field: &'static str) -> PyResult<Bound<'py, PyAny>> {
    match fields.get_item(field)? {
        Some(value) => Ok(value),
        None => Err(invalid(fields, field, "is missing".to_owned())),
    }
}

fn member_text(fields: &Bound<'_, PyDict>, field: &'static str) -> PyResult<String> {
    text(field, &member(fields, field)?)
}

fn flag(fields: &Bound<'_, PyDict>, field: &'static str) -> PyResult<bool> {
    let value = member(fields, field)?;
    match value.cast::<PyBool>() {
        Ok(flag) => Ok(flag.is_true()),
        Err(_) => {
            Err(invalid(&value, field, format!("expected True or False, got {}", value.get_type().name()?)))
        }
    }
}

fn time(fields: &Bound<'_, PyDict>) -> PyResult<Option<Timestamp>> {
    let text = member_text(fields, "timestamp")?;
    if is_blank(&text) {
        return Ok(None);
    }
    Timestamp::parse(&text).map(Some).map_err(|reason| invalid(fields, "timestamp", reason.to_string()))
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn invalid(value: &Bound<'_, PyAny>, field: &'static str, reason: String) -> PyErr {
    error::from_field(value.py(), &InvalidAlarm { field, reason })
}
