//! The JSON of fm-rest-api, both ways.
//!
//! Invariants: flags are JSON booleans (texts are refused by the service); times are naive UTC; no
//! attribute is sent that the service does not know; unknown values of other writers are kept.
//!
//! What the service cannot hold is `adapt`'s business: this module writes what it is given.

use fm_common::{Alarm, AlarmKey, AlarmState, AlarmType, ProbableCause, Severity, Timestamp};
use serde::{Deserialize, Serialize};

/// The body of a POST.
#[derive(Serialize)]
struct Body<'a> {
    uuid: &'a str,
    alarm_id: &'a str,
    alarm_state: &'a str,
    entity_type_id: &'a str,
    entity_instance_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    severity: &'a Severity,
    reason_text: &'a str,
    alarm_type: &'a AlarmType,
    probable_cause: &'a ProbableCause,
    proposed_repair_action: &'a str,
    service_affecting: bool,
    suppression: bool,
}

/// Whether a POST makes an alarm or an entry of the event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Posted {
    Alarm,
    Log,
}

/// The body that posts an alarm under this uuid.
pub(super) fn body(alarm: &Alarm, uuid: &str, posted: Posted) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Body {
        uuid,
        alarm_id: &alarm.alarm_id,
        alarm_state: match posted {
            Posted::Alarm => "set",
            Posted::Log => "log",
        },
        entity_type_id: &alarm.entity_type_id,
        // The service takes the empty entity for a missing one.
        entity_instance_id: if alarm.entity_instance_id.is_empty() { " " } else { &alarm.entity_instance_id },
        timestamp: alarm.timestamp.map(Timestamp::to_iso),
        severity: &alarm.severity,
        reason_text: &alarm.reason_text,
        alarm_type: &alarm.alarm_type,
        probable_cause: &alarm.probable_cause,
        proposed_repair_action: &alarm.proposed_repair_action,
        service_affecting: alarm.service_affecting,
        suppression: alarm.suppression,
    })
}

/// The uuid in the answer to a POST: a JSON text that holds JSON. Plain JSON is understood too.
pub(super) fn posted_uuid(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Posted {
        uuid: String,
    }
    let posted: Posted = match serde_json::from_slice::<String>(body) {
        Ok(inner) => serde_json::from_str(&inner).ok()?,
        Err(_) => serde_json::from_slice(body).ok()?,
    };
    Some(posted.uuid)
}

/// An alarm as the service holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// Its uuid at the service.
    pub(super) uuid: String,
    /// Its fields, in the service's form; the empty entity is empty, the uuid is given.
    pub(super) alarm: Alarm,
    /// Whether its kind is suppressed at present.
    pub(super) suppressed: bool,
}

#[derive(Deserialize)]
struct Record {
    uuid: String,
    alarm_id: String,
    alarm_state: Option<String>,
    entity_type_id: Option<String>,
    entity_instance_id: Option<String>,
    timestamp: Option<String>,
    severity: Option<String>,
    reason_text: Option<String>,
    alarm_type: Option<String>,
    probable_cause: Option<String>,
    proposed_repair_action: Option<String>,
    service_affecting: Option<bool>,
    suppression: Option<bool>,
    suppression_status: Option<String>,
}

impl From<Record> for Row {
    fn from(record: Record) -> Self {
        let text = Option::<String>::unwrap_or_default;
        let mut alarm = Alarm::new(
            record.alarm_id,
            text(record.entity_type_id),
            &text(record.entity_instance_id),
            Severity::from(text(record.severity).as_str()),
            AlarmType::from(text(record.alarm_type).as_str()),
            ProbableCause::from(text(record.probable_cause).as_str()),
        );
        alarm.uuid = Some(record.uuid.clone());
        alarm.alarm_state = record.alarm_state.as_deref().map_or(AlarmState::Set, AlarmState::from);
        alarm.timestamp = record.timestamp.as_deref().and_then(time);
        alarm.reason_text = text(record.reason_text);
        alarm.proposed_repair_action = text(record.proposed_repair_action);
        alarm.service_affecting = record.service_affecting.unwrap_or_default();
        alarm.suppression = record.suppression.unwrap_or_default();
        Self {
            uuid: record.uuid,
            alarm,
            suppressed: record.suppression_status.as_deref() == Some("suppressed"),
        }
    }
}

/// A time of another writer that cannot be read is none: the alarm matters more.
fn time(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).inspect_err(|error| tracing::debug!(%error, "alarm with an unreadable time")).ok()
}

/// Reads one alarm.
pub(super) fn alarm(body: &[u8]) -> Result<Row, serde_json::Error> {
    serde_json::from_slice::<Record>(body).map(Row::from)
}

/// Reads a list of alarms.
pub(super) fn alarms(body: &[u8]) -> Result<Vec<Row>, serde_json::Error> {
    #[derive(Deserialize)]
    struct List {
        alarms: Vec<Record>,
    }
    serde_json::from_slice::<List>(body).map(|list| list.alarms.into_iter().map(Row::from).collect())
}

/// One entry of the event log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    /// Its uuid: for a raise, the alarm's.
    pub(super) uuid: String,
    /// The alarm it is about, in the service's form.
    pub(super) key: AlarmKey,
    /// What it says: that the alarm was set or cleared, or that it is a log.
    pub(super) state: AlarmState,
    /// When.
    pub(super) time: Option<Timestamp>,
    pub(super) severity: Severity,
    pub(super) reason_text: String,
}

impl Event {
    /// Whether it is about what this alarm says, in the service's form.
    pub(super) fn tells_of(&self, held: &Alarm) -> bool {
        self.key == held.key() && self.severity == held.severity && self.reason_text == held.reason_text
    }
}

#[derive(Deserialize)]
struct Entry {
    uuid: String,
    event_log_id: Option<String>,
    entity_instance_id: Option<String>,
    state: Option<String>,
    timestamp: Option<String>,
    severity: Option<String>,
    reason_text: Option<String>,
}

impl From<Entry> for Event {
    fn from(entry: Entry) -> Self {
        let text = Option::<String>::unwrap_or_default;
        Self {
            uuid: entry.uuid,
            key: AlarmKey::new(text(entry.event_log_id), &text(entry.entity_instance_id)),
            state: AlarmState::from(text(entry.state).as_str()),
            time: entry.timestamp.as_deref().and_then(time),
            severity: Severity::from(text(entry.severity).as_str()),
            reason_text: text(entry.reason_text),
        }
    }
}

/// Reads one entry of the event log.
pub(super) fn event(body: &[u8]) -> Result<Event, serde_json::Error> {
    serde_json::from_slice::<Entry>(body).map(Event::from)
}

/// Reads a list of entries of the event log.
pub(super) fn events(body: &[u8]) -> Result<Vec<Event>, serde_json::Error> {
    #[derive(Deserialize)]
    struct List {
        event_log: Vec<Entry>,
    }
    serde_json::from_slice::<List>(body).map(|list| list.event_log.into_iter().map(Event::from).collect())
}

/// How many alarms stand, suppressed ones aside; those of severity `none` are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Summary {
    critical: u64,
    major: u64,
    minor: u64,
    warnings: u64,
}

impl Summary {
    pub(super) fn total(self) -> u64 {
        [self.critical, self.major, self.minor, self.warnings].into_iter().fold(0, u64::saturating_add)
    }
}

/// Reads the summary.
pub(super) fn summary(body: &[u8]) -> Result<Summary, serde_json::Error> {
    serde_json::from_slice(body)
}

/// An alarm type that the service knows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct AlarmKind {
    pub(super) alarm_id: String,
    #[serde(default, deserialize_with = "text_or_null")]
    pub(super) description: String,
}

fn text_or_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads a list of alarm types.
pub(super) fn alarm_types(body: &[u8]) -> Result<Vec<AlarmKind>, serde_json::Error> {
    #[derive(Deserialize)]
    struct List {
        event_suppression: Vec<AlarmKind>,
    }
    serde_json::from_slice::<List>(body).map(|list| list.event_suppression)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given() -> Alarm {
        let mut alarm = Alarm::new(
            "300.010",
            "host.ml2driver",
            "",
            Severity::Major,
            AlarmType::Communication,
            ProbableCause::Unknown,
        );
        alarm.timestamp = Some(Timestamp::from_micros(1_795_341_600_500_000));
        alarm.inhibit_alarms = true;
        alarm.keep_existing_alarm = true;
        alarm.suppression = true;
        alarm
    }

    #[test]
    fn a_body_holds_what_the_service_knows_and_nothing_else() {
        let body: serde_json::Value =
            serde_json::from_slice(&body(&given(), "u-1", Posted::Alarm).unwrap()).unwrap();
        let expected = serde_json::json!({
            "uuid": "u-1", "alarm_id": "300.010", "alarm_state": "set", "entity_type_id": "host.ml2driver",
            "entity_instance_id": " ", "timestamp": "2026-11-22T10:00:00.500000", "severity": "major",
            "reason_text": "", "alarm_type": "communication", "probable_cause": "unknown",
            "proposed_repair_action": "", "service_affecting": false, "suppression": true
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn the_answer_to_a_post_is_json_in_json() {
        assert_eq!(posted_uuid(br#""{\"uuid\": \"u-1\"}""#).as_deref(), Some("u-1"));
        assert_eq!(posted_uuid(br#"{"uuid": "u-1"}"#).as_deref(), Some("u-1"));
        for garbage in ["", "\"\"", "null", "\"{\\\"uuid\\\": \\\"u", "<html>", "{}"] {
            assert_eq!(posted_uuid(garbage.as_bytes()), None, "{garbage}");
        }
    }

    #[test]
    fn what_was_sent_comes_back_but_for_the_flags_of_requests() {
        let sent = body(&given(), "u-1", Posted::Alarm).unwrap();
        let row = alarm(&sent).unwrap();
        let expected =
            Alarm { uuid: Some("u-1".into()), inhibit_alarms: false, keep_existing_alarm: false, ..given() };
        assert_eq!(row.alarm, expected);
        assert!(row.alarm.same_content(&given()));
    }

    #[test]
    fn a_summary_of_absurd_numbers_is_a_large_number() {
        let body = br#"{"critical": 18446744073709551615, "major": 1, "minor": 0, "warnings": 0}"#;
        assert_eq!(summary(body).unwrap().total(), u64::MAX);
    }

    #[test]
    fn unknown_and_missing_values_of_other_writers_are_kept() {
        let list = br#"{"alarms": [{"uuid": "u", "alarm_id": "1.1", "entity_instance_id": " ", "severity": "none",
            "timestamp": null, "reason_text": null, "suppression_status": "suppressed", "mgmt_affecting": "True",
            "alarm_type": "weird", "service_affecting": true}], "next": null}"#;
        let rows = alarms(list).unwrap();
        let row = &rows[0];
        assert!(row.suppressed && row.alarm.service_affecting);
        assert_eq!(row.alarm.timestamp, None);
        assert_eq!(row.alarm.alarm_type.as_str(), "weird");
        assert_eq!(row.alarm.entity_instance_id, "");
        assert!(alarms(b"<html>").is_err());
        assert!(alarms(b"{}").is_err());
    }
}
