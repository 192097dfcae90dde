//! The alarm as callers raise it and controllers hold it.
//!
//! Invariants:
//! - An [`Alarm`] keeps every field as it was given, whatever its length or content.
//! - [`Alarm::validate`] is the one place that says what may be raised; it names the field.
//! - An alarm is identified by its [`AlarmKey`]; the uuid identifies one raise of it.

use serde::{Deserialize, Serialize};

use crate::entity::canonical;
use crate::timestamp::Timestamp;
use crate::values::{AlarmState, AlarmType, ProbableCause, Severity};

/// The longest text of one field, in bytes. Far over what a controller holds (255 characters); it
/// bounds what one request can occupy on disk.
pub const MAX_TEXT_BYTES: usize = 65_536;

/// What identifies an alarm: at most one alarm with the same pair stands at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AlarmKey {
    /// The catalogue id, such as `300.010`: a text, never a number.
    pub alarm_id: String,
    /// The path of what is faulty, such as `host=compute-1.port=eth0`; empty for 'the whole system'.
    pub entity_instance_id: String,
}

impl AlarmKey {
    /// A key; a single space is the same entity as the empty one.
    pub fn new(alarm_id: impl Into<String>, entity_instance_id: &str) -> Self {
        Self { alarm_id: alarm_id.into(), entity_instance_id: canonical(entity_instance_id).to_owned() }
    }

    /// Checks a key that names one alarm: the alarm id must be there, both within limits.
    pub fn validate(&self) -> Result<(), InvalidAlarm> {
        required("alarm_id", &self.alarm_id)?;
        within_limit("alarm_id", &self.alarm_id)?;
        within_limit("entity_instance_id", &self.entity_instance_id)
    }
}

/// One alarm, or one log when its state says so.
#[expect(clippy::struct_excessive_bools, reason = "these are the flags that callers and services have")]
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Alarm {
    /// Identifies this raise. The client gives a new one to each set and log; what the caller's alarm has,
    /// perhaps because it was read, is not used.
    pub uuid: Option<String>,
    /// The catalogue id, such as `300.010`.
    pub alarm_id: String,
    /// Set, clear or log.
    pub alarm_state: AlarmState,
    /// The kind of entity, such as `host.port`.
    pub entity_type_id: String,
    /// The path of the entity.
    pub entity_instance_id: String,
    /// When the fault was noticed; `None` means 'now' in a request, and 'not recorded' in an alarm
    /// that another writer stored without a time.
    pub timestamp: Option<Timestamp>,
    /// How bad it is.
    pub severity: Severity,
    /// What happened, for people.
    pub reason_text: String,
    /// The kind of fault.
    pub alarm_type: AlarmType,
    /// Why it came about.
    pub probable_cause: ProbableCause,
    /// What a person should do about it.
    pub proposed_repair_action: String,
    /// Whether the service is affected.
    pub service_affecting: bool,
    /// Whether operators may suppress alarms of this kind.
    pub suppression: bool,
    /// Kept for callers; no service uses it.
    pub inhibit_alarms: bool,
    /// Leave an alarm that stands as it is, uuid and time included.
    pub keep_existing_alarm: bool,
}

/// A field of a request that may not be raised as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct InvalidAlarm {
    /// The field's name.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl InvalidAlarm {
    fn new(field: &'static str, reason: impl Into<String>) -> Self {
        Self { field, reason: reason.into() }
    }
}

/// What an alarm given to `set` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// Raise it.
    Raise,
    /// Clear the alarm with this key.
    Clear,
    /// Record a log; no alarm comes of it.
    Log,
}

impl Alarm {
    /// An alarm in state `set` with the fields that have no sensible default; the rest is empty.
    pub fn new(
        alarm_id: impl Into<String>,
        entity_type_id: impl Into<String>,
        entity_instance_id: &str,
        severity: Severity,
        alarm_type: AlarmType,
        probable_cause: ProbableCause,
    ) -> Self {
        Self {
            uuid: None,
            alarm_id: alarm_id.into(),
            alarm_state: AlarmState::Set,
            entity_type_id: entity_type_id.into(),
            entity_instance_id: canonical(entity_instance_id).to_owned(),
            timestamp: None,
            severity,
            reason_text: String::new(),
            alarm_type,
            probable_cause,
            proposed_repair_action: String::new(),
            service_affecting: false,
            suppression: false,
            inhibit_alarms: false,
            keep_existing_alarm: false,
        }
    }

    /// What identifies the alarm.
    pub fn key(&self) -> AlarmKey {
        AlarmKey::new(self.alarm_id.as_str(), &self.entity_instance_id)
    }

    /// What setting this alarm asks for.
    pub fn intent(&self) -> Intent {
        match self.alarm_state {
            AlarmState::Msg | AlarmState::Log => Intent::Log,
            AlarmState::Clear => Intent::Clear,
            _ if self.severity.is_clear() => Intent::Clear,
            _ => Intent::Raise,
        }
    }

    /// Whether the two say the same about the fault: every field but uuid, time and the two request
    /// flags.
    pub fn same_content(&self, other: &Self) -> bool {
        self.key() == other.key()
            && self.entity_type_id == other.entity_type_id
            && self.severity == other.severity
            && self.reason_text == other.reason_text
            && self.alarm_type == other.alarm_type
            && self.probable_cause == other.probable_cause
            && self.proposed_repair_action == other.proposed_repair_action
            && self.service_affecting == other.service_affecting
            && self.suppression == other.suppression
    }

    /// Checks what a request needs before anything of it is kept. A clear needs its key only.
    pub fn validate(&self) -> Result<(), InvalidAlarm> {
        self.key().validate()?;
        known("alarm_state", self.alarm_state.is_known(), self.alarm_state.as_str())?;
        if self.intent() == Intent::Clear {
            return Ok(());
        }
        required("entity_type_id", &self.entity_type_id)?;
        // 'none' is for readers: the libraries never offered it, and no writer uses it.
        let severity_known = self.severity.is_known() && self.severity != Severity::Unranked;
        known("severity", severity_known, self.severity.as_str())?;
        known("alarm_type", self.alarm_type.is_known(), self.alarm_type.as_str())?;
        known("probable_cause", self.probable_cause.is_known(), self.probable_cause.as_str())?;
        within_limit("entity_type_id", &self.entity_type_id)?;
        within_limit("reason_text", &self.reason_text)?;
        within_limit("proposed_repair_action", &self.proposed_repair_action)?;
        match &self.uuid {
            Some(text) if uuid::Uuid::try_parse(text).is_err() => {
                Err(InvalidAlarm::new("uuid", format!("'{}' is not a uuid", shown(text))))
            }
            _ => Ok(()),
        }
    }
}

fn required(field: &'static str, text: &str) -> Result<(), InvalidAlarm> {
    if text.trim().is_empty() { Err(InvalidAlarm::new(field, "is required and is empty")) } else { Ok(()) }
}

fn within_limit(field: &'static str, text: &str) -> Result<(), InvalidAlarm> {
    if text.len() <= MAX_TEXT_BYTES {
        return Ok(());
    }
    Err(InvalidAlarm::new(field, format!("has {} bytes, the limit is {MAX_TEXT_BYTES}", text.len())))
}

fn known(field: &'static str, is_known: bool, text: &str) -> Result<(), InvalidAlarm> {
    match (is_known, text) {
        (true, _) => Ok(()),
        (false, "") => Err(InvalidAlarm::new(field, "is required and is empty")),
        (false, _) => Err(InvalidAlarm::new(field, format!("'{}' is not a known value", shown(text)))),
    }
}

/// A caller's text, short enough for an error message.
fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm() -> Alarm {
        Alarm::new(
            "300.010",
            "host.ml2driver",
            "host=compute-1",
            Severity::Major,
            AlarmType::Communication,
            ProbableCause::Unknown,
        )
    }

    #[test]
    fn a_bad_field_is_named() {
        type Spoil = fn(&mut Alarm);
        let cases: [(&str, Spoil); 9] = [
            ("alarm_id", |a| a.alarm_id.clear()),
            ("alarm_state", |a| a.alarm_state = "raised".into()),
            ("entity_type_id", |a| a.entity_type_id = " ".into()),
            ("severity", |a| a.severity = "catastrophic".into()),
            ("severity", |a| a.severity = Severity::Unranked),
            ("alarm_type", |a| a.alarm_type = "".into()),
            ("probable_cause", |a| a.probable_cause = "gremlins".into()),
            ("uuid", |a| a.uuid = Some("42".into())),
            ("reason_text", |a| a.reason_text = "x".repeat(MAX_TEXT_BYTES + 1)),
        ];
        for (field, spoil) in cases {
            let mut bad = alarm();
            spoil(&mut bad);
            let error = bad.validate().unwrap_err();
            assert_eq!(error.field, field, "{error}");
        }
        assert_eq!(alarm().validate(), Ok(()));
    }

    #[test]
    fn awkward_texts_are_fine() {
        let mut awkward = alarm();
        awkward.reason_text = format!("{}###'\"\0\u{1F525}#", "ä".repeat(400));
        awkward.entity_instance_id = String::new();
        assert_eq!(awkward.validate(), Ok(()));
    }

    #[test]
    fn what_a_set_asks_for() {
        assert_eq!(alarm().intent(), Intent::Raise);
        assert_eq!(Alarm { severity: Severity::Clear, ..alarm() }.intent(), Intent::Clear);
        assert_eq!(Alarm { alarm_state: AlarmState::Clear, ..alarm() }.intent(), Intent::Clear);
        assert_eq!(Alarm { alarm_state: AlarmState::Msg, ..alarm() }.intent(), Intent::Log);
        let log = Alarm { alarm_state: AlarmState::Log, severity: Severity::Clear, ..alarm() };
        assert_eq!(log.intent(), Intent::Log);
    }

    #[test]
    fn a_clear_needs_its_key_only() {
        let clear = Alarm { alarm_state: AlarmState::Clear, severity: "".into(), ..alarm() };
        assert_eq!(clear.validate(), Ok(()));
    }

    #[test]
    fn one_space_is_the_empty_entity() {
        assert_eq!(AlarmKey::new("100.101", " "), AlarmKey::new("100.101", ""));
    }

    #[test]
    fn content_is_all_but_uuid_time_and_flags() {
        let first = alarm();
        let again = Alarm {
            uuid: Some(uuid::Uuid::new_v4().to_string()),
            timestamp: Some(Timestamp::now()),
            keep_existing_alarm: true,
            ..alarm()
        };
        assert!(first.same_content(&again));
        assert!(!first.same_content(&Alarm { reason_text: "worse".into(), ..alarm() }));
        assert!(!first.same_content(&Alarm { service_affecting: true, ..alarm() }));
    }
}
