//! Records as the service shows them.

use serde_json::{Map, Value, json};

use crate::app::App;
use crate::reply::Refusal;
use crate::rows::SuppressionRow;
use crate::store::{ListedAlarm, ListedEvent};
use crate::text::is_uuid_like;

/// An alarm; the short form lacks what only `expand` and a single GET show.
pub(super) fn alarm(app: &App, alarm: &ListedAlarm, full: bool) -> Result<Value, Refusal> {
    let fields = &alarm.row.fields;
    let severity = fields.severity.as_deref();
    let mut shown = Map::new();
    let mut show = |name: &str, value: Value| shown.insert(name.to_owned(), value);
    show("uuid", json!(fields.uuid));
    show("alarm_id", json!(fields.alarm_id));
    show("entity_instance_id", json!(entity(app, fields.entity_instance_id.as_deref())?));
    show("timestamp", json!(fields.timestamp));
    show("severity", json!(fields.severity));
    show("reason_text", json!(fields.reason_text));
    show("suppression_status", json!(alarm.suppression_status));
    show("mgmt_affecting", json!(affecting(severity, &alarm.mgmt_affecting)?));
    show("degrade_affecting", json!(affecting(severity, &alarm.degrade_affecting)?));
    if full {
        show("alarm_state", json!(fields.alarm_state));
        show("entity_type_id", json!(fields.entity_type_id));
        show("alarm_type", json!(fields.alarm_type));
        show("probable_cause", json!(fields.probable_cause));
        show("proposed_repair_action", json!(fields.proposed_repair_action));
        show("service_affecting", json!(fields.service_affecting));
        show("suppression", json!(fields.suppression));
    }
    Ok(Value::Object(shown))
}

/// An event, in the short or the full form.
pub(super) fn event(app: &App, event: &ListedEvent, full: bool) -> Result<Value, Refusal> {
    let fields = &event.row.fields;
    let mut shown = Map::new();
    let mut show = |name: &str, value: Value| shown.insert(name.to_owned(), value);
    show("uuid", json!(fields.uuid));
    show("event_log_id", json!(fields.alarm_id));
    show("state", json!(fields.alarm_state));
    show("entity_instance_id", json!(entity(app, fields.entity_instance_id.as_deref())?));
    show("timestamp", json!(fields.timestamp));
    show("severity", json!(fields.severity));
    show("reason_text", json!(fields.reason_text));
    show("suppression_status", json!(event.suppression_status.as_deref().unwrap_or("None")));
    if full {
        show("entity_type_id", json!(fields.entity_type_id));
        show("event_log_type", json!(fields.alarm_type));
        show("probable_cause", json!(fields.probable_cause));
        show("proposed_repair_action", json!(fields.proposed_repair_action));
        show("service_affecting", json!(fields.service_affecting));
        show("suppression", json!(fields.suppression));
    }
    Ok(Value::Object(shown))
}

/// A row of the suppression table.
pub(super) fn suppression(app: &App, row: &SuppressionRow) -> Value {
    let url = app.url();
    json!({"id": row.id, "uuid": row.uuid, "alarm_id": row.alarm_id, "description": row.description,
        "suppression_status": row.status(),
        "links": [{"rel": "self", "href": format!("{url}/v1/event_suppression/{}", row.uuid)},
            {"rel": "bookmark", "href": format!("{url}/event_suppression/{}", row.uuid)}]})
}

/// `"True"` when the severity reaches the threshold; a severity outside the five is a crash.
fn affecting(severity: Option<&str>, threshold: &str) -> Result<&'static str, Refusal> {
    let crash = || Refusal::Server("'<' not supported between instances of 'NoneType' and 'int'".to_owned());
    let given = severity.and_then(rank).ok_or_else(crash)?;
    let threshold = rank(threshold).ok_or_else(crash)?;
    Ok(if given < threshold { "False" } else { "True" })
}

fn rank(severity: &str) -> Option<u8> {
    ["warning", "minor", "major", "critical", "none"]
        .iter()
        .position(|known| *known == severity)
        .and_then(|position| u8::try_from(position).ok())
}

/// The entity with port names translated, which takes the platform's configuration service: without
/// that one a port name is a crash.
fn entity<'a>(app: &App, entity: Option<&'a str>) -> Result<&'a str, Refusal> {
    let entity =
        entity.ok_or_else(|| Refusal::Server("'NoneType' object has no attribute 'split'".to_owned()))?;
    if app.config.translates_port_names() {
        return Ok(entity);
    }
    let mut host_seen = false;
    for part in entity.split('.') {
        let Some((key, value)) = part.split_once('=') else { break };
        host_seen |= key == "host" && !value.is_empty();
        if key == "port" && host_seen && !is_uuid_like(value.trim()) {
            return Err(Refusal::Server("the configuration service cannot be reached".to_owned()));
        }
    }
    Ok(entity)
}
