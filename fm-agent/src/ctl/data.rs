//! `fmctl set`, `clear`, `get` and `log`: what callers ask for, from the command line.

use fm_common::{Alarm, AlarmKey, AlarmState, Severity, catalogue, entity};
use serde_json::{Value, json};

use super::args::Fault;
use super::control::is_not_found;
use super::failure::Failure;
use super::listing::{finish, severity_mark};
use super::out::Out;
use super::table::{Cell, Table};
use super::{Agent, hints, timed};

pub(super) fn set(agent: &Agent, fault: Fault, keep_existing: bool, out: &mut Out) -> Result<(), Failure> {
    let alarm = Alarm { keep_existing_alarm: keep_existing, ..alarm(fault, AlarmState::Set)? };
    told(agent.client.set(alarm)?, out)
}

pub(super) fn log(agent: &Agent, fault: Fault, out: &mut Out) -> Result<(), Failure> {
    told(agent.client.set(alarm(fault, AlarmState::Log)?)?, out)
}

fn told(uuid: String, out: &mut Out) -> Result<(), Failure> {
    if out.json { Ok(out.json(&json!({ "uuid": uuid }))?) } else { Ok(out.line(uuid)?) }
}

pub(super) fn clear(
    agent: &Agent,
    alarm_id: Option<String>,
    entity: Option<String>,
    all: Option<String>,
    out: &mut Out,
) -> Result<(), Failure> {
    if let Some(all) = all {
        agent.client.clear_all(&all)?;
    } else {
        let id = alarm_id.unwrap_or_default();
        let cleared = agent.client.clear(AlarmKey::new(id.as_str(), &entity.unwrap_or_default()));
        cleared.map_err(|error| explained(error, &id))?;
    }
    if out.json { Ok(out.json(&json!({ "cleared": true }))?) } else { Ok(()) }
}

pub(super) fn get(
    agent: &Agent,
    alarm_id: Option<&str>,
    entity: Option<&str>,
    under: Option<&str>,
    out: &mut Out,
) -> Result<(), Failure> {
    let client = &agent.client;
    let id = alarm_id.unwrap_or_default();
    let found = match (alarm_id, entity, under) {
        (Some(id), Some(entity), _) => client.get(AlarmKey::new(id, entity)).map(|alarm| vec![alarm]),
        (Some(id), None, None) => client.list_by_id(id),
        (Some(id), None, Some(under)) => client.list_by_id_and_entity(AlarmKey::new(id, under)),
        (None, _, under) => client.list_by_entity(under.unwrap_or_default()),
    };
    let found = found.map_err(|error| if id.is_empty() { error.into() } else { explained(error, id) })?;
    if out.json {
        let alarms: Vec<Value> = found.iter().map(|alarm| timed(json!(alarm))).collect();
        return Ok(out.json(&json!({ "alarms": alarms }))?);
    }
    let mut table = Table::new(&["ALARM", "ENTITY", "SEVERITY", "RAISED", "UUID", "REASON"]);
    for alarm in &found {
        let severity = alarm.severity.as_str();
        table.row(vec![
            alarm.alarm_id.as_str().into(),
            alarm.entity_instance_id.as_str().into(),
            Cell::marked(severity, severity_mark(severity)),
            alarm.timestamp.map(|time| time.to_string()).unwrap_or_default().into(),
            alarm.uuid.as_deref().unwrap_or_default().into(),
            alarm.reason_text.as_str().into(),
        ]);
    }
    finish(out, &table, found.len(), "alarm", false)
}

/// The failure; where nothing was found, with what the id may have meant.
fn explained(error: fm_common::client::ClientError, id: &str) -> Failure {
    match hints::alarm_id(id).filter(|_| is_not_found(&error)) {
        Some(hint) => Failure::NotSo(format!("{error}; {hint}")),
        None => error.into(),
    }
}

/// The alarm or log that the arguments describe.
fn alarm(fault: Fault, state: AlarmState) -> Result<Alarm, Failure> {
    let entry = catalogue::find(&fault.alarm_id);
    if let Some(hint) = hints::alarm_id(&fault.alarm_id).filter(|_| !fault.unlisted) {
        return Err(Failure::Usage(format!("{hint}; --unlisted takes it all the same")));
    }
    if let Some(entry) = entry {
        let (is, wanted) = match entry.kind {
            catalogue::Kind::Alarm => ("an alarm", "set"),
            catalogue::Kind::Log => ("a log", "log"),
        };
        let logs = state == AlarmState::Log;
        if logs != (entry.kind == catalogue::Kind::Log) {
            super::tell(&format!("the catalogue has {} as {is}: fmctl {wanted} is for it", entry.id));
        }
    }
    let usual: Vec<&str> =
        entry.map(|entry| entry.severities).unwrap_or_default().iter().map(Severity::as_str).collect();
    let severity = match (&fault.severity, usual.as_slice()) {
        (Some(severity), usual) => {
            if !usual.is_empty() && !usual.contains(&severity.as_str()) {
                let usual = usual.join(", ");
                super::tell(&format!("the catalogue raises {} as {usual}, not {severity}", fault.alarm_id));
            }
            severity.as_str()
        }
        (None, [only]) => only,
        (None, []) => return Err(Failure::Usage("--severity is needed".to_owned())),
        (None, several) => {
            return Err(Failure::Usage(format!("--severity is needed, one of {}", several.join(", "))));
        }
    };
    let entity_type = match fault.entity_type {
        Some(entity_type) => entity_type,
        None => entity::component_names(&fault.entity).collect::<Vec<_>>().join("."),
    };
    let alarm = Alarm {
        alarm_state: state,
        reason_text: fault.reason,
        proposed_repair_action: fault.repair,
        service_affecting: fault.service_affecting,
        suppression: fault.suppression,
        ..Alarm::new(
            fault.alarm_id,
            entity_type,
            &fault.entity,
            severity.into(),
            fault.alarm_type.as_str().into(),
            fault.cause.as_str().into(),
        )
    };
    match alarm.validate() {
        Ok(()) => Ok(alarm),
        Err(invalid) if invalid.field == "entity_type_id" => Err(Failure::Usage(format!(
            "--type is needed: the entity '{}' names none",
            super::table::shown(&alarm.entity_instance_id)
        ))),
        Err(invalid) => Err(Failure::Usage(invalid.to_string())),
    }
}
