//! The rows of the database, as tests and demos read them.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// What an alarm row and an event row have in common: the attributes of a POST.
///
/// In an event row `alarm_id` is the column `event_log_id`, `alarm_state` is `state` and
/// `alarm_type` is `event_log_type`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlarmFields {
    /// The uuid; empty in a new row means that one is made.
    pub uuid: String,
    /// The alarm id; a row without one is in no list.
    pub alarm_id: Option<String>,
    /// `set`, `clear` or `log`.
    pub alarm_state: Option<String>,
    /// The entity type, `host`.
    pub entity_type_id: Option<String>,
    /// The entity instance, `host=compute-1`.
    pub entity_instance_id: Option<String>,
    /// When it happened: naive UTC, ISO text.
    pub timestamp: Option<String>,
    /// The severity; any text.
    pub severity: Option<String>,
    /// The reason.
    pub reason_text: Option<String>,
    /// The alarm type; any text.
    pub alarm_type: Option<String>,
    /// The probable cause; any text.
    pub probable_cause: Option<String>,
    /// What to do.
    pub proposed_repair_action: Option<String>,
    /// Whether the service suffers.
    pub service_affecting: Option<bool>,
    /// Whether the alarm may be suppressed.
    pub suppression: Option<bool>,
}

/// A row of the table `alarm`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlarmRow {
    /// Number of the row, in the order of storing.
    pub id: i64,
    /// The alarm's attributes.
    #[serde(flatten)]
    pub fields: AlarmFields,
    /// Whether the manager has masked the alarm.
    pub masked: bool,
    /// When this server stored it, microseconds since the epoch.
    pub stored_at: i64,
}

/// A row of the table `event_log`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventRow {
    /// Number of the row, in the order of storing.
    pub id: i64,
    /// The event's attributes.
    #[serde(flatten)]
    pub fields: AlarmFields,
    /// When this server stored it, microseconds since the epoch.
    pub stored_at: i64,
}

/// A row of the table `event_suppression`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SuppressionRow {
    /// Number of the row.
    pub id: i64,
    /// The row's uuid, by which it is patched.
    pub uuid: String,
    /// The alarm id.
    pub alarm_id: String,
    /// What the alarm is.
    pub description: String,
    /// Whether alarms of this id are hidden from lists.
    pub suppressed: bool,
    /// The severity from which it hinders software management.
    pub mgmt_affecting: String,
    /// The severity from which it degrades the host.
    pub degrade_affecting: String,
}

impl SuppressionRow {
    /// The word the service uses for the state.
    pub fn status(&self) -> &'static str {
        if self.suppressed { "suppressed" } else { "unsuppressed" }
    }
}

/// An alarm as another writer would have left it in the database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAlarm {
    /// The alarm's attributes; an empty uuid is replaced by a new one.
    #[serde(flatten)]
    pub fields: AlarmFields,
    /// Whether the manager has masked it.
    #[serde(default)]
    pub masked: bool,
}

impl NewAlarm {
    /// An active alarm with every attribute a list shows.
    pub fn new(alarm_id: &str, entity_instance_id: &str, severity: &str) -> Self {
        let fields = AlarmFields {
            alarm_id: Some(alarm_id.to_owned()),
            alarm_state: Some("set".to_owned()),
            entity_type_id: entity_instance_id.split('=').next().map(str::to_owned),
            entity_instance_id: Some(entity_instance_id.to_owned()),
            timestamp: Some(crate::timestamp::now()),
            severity: Some(severity.to_owned()),
            alarm_type: Some("equipment".to_owned()),
            probable_cause: Some("unknown".to_owned()),
            service_affecting: Some(false),
            suppression: Some(true),
            ..AlarmFields::default()
        };
        Self { fields, masked: false }
    }
}

impl Deref for AlarmRow {
    type Target = AlarmFields;
    fn deref(&self) -> &AlarmFields {
        &self.fields
    }
}

impl Deref for EventRow {
    type Target = AlarmFields;
    fn deref(&self) -> &AlarmFields {
        &self.fields
    }
}
