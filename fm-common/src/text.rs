//! The text form of alarms and filters: fields between `###`.
//!
//! An alarm that is set has 15 fields with `###` before each and after the last, a filter two; an alarm
//! that is returned has 14, each followed by `###`. Nothing is one space, a flag is `True` or `False`.
//!
//! Invariants:
//! - A text is never misread. A field may contain `###` or end in `#`; the text is taken when there is
//!   one way to read it, and refused when there are several.
//! - A text of any length is read in time proportional to it.
//!
//! This module is pure: text in, alarm out. Whether an alarm may be raised is not decided here.

use std::fmt;

use crate::{Alarm, AlarmKey, AlarmState, AlarmType, InvalidAlarm, ProbableCause, Severity, Timestamp};

/// What stands between fields.
const SEPARATOR: &str = "###";

/// How the fields of an alarm tell themselves from other text; any text may be in those with `None`.
const ALARM: [Fits; 15] = [
    Some(|_| true),
    None,
    Some(|text| AlarmState::from(text).is_known()),
    None,
    None,
    Some(|text| text == " " || Timestamp::parse(text).is_ok()),
    Some(|text| Severity::from(text).is_known()),
    None,
    Some(|text| AlarmType::from(text).is_known()),
    Some(|text| ProbableCause::from(text).is_known()),
    None,
    Some(|text| flag("", text).is_ok()),
    Some(|text| flag("", text).is_ok()),
    Some(|text| flag("", text).is_ok()),
    Some(|text| flag("", text).is_ok()),
];

/// Whether a text without `#` can be this field; `None` for a field with any text, `#` included.
type Fits = Option<fn(&str) -> bool>;

/// Why a text is no alarm or filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// It has not this many fields, or none of its readings has values that belong there.
    Fields(usize),
    /// `###` or `#` in its fields leaves several readings.
    Ambiguous(usize),
    /// A field has a value that cannot be sent.
    Field(InvalidAlarm),
}

impl std::error::Error for Unreadable {}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fields(count) => {
                write!(f, "the text is not {count} fields with '###' before each and after the last")
            }
            Self::Ambiguous(count) => write!(
                f,
                "the text can be read as {count} fields in several ways: '###' or '#' next to it is in a field"
            ),
            Self::Field(invalid) => invalid.fmt(f),
        }
    }
}

/// Reads an alarm that is to be set.
pub fn alarm(text: &str) -> Result<Alarm, Unreadable> {
    let [
        uuid,
        alarm_id,
        alarm_state,
        entity_type_id,
        entity_instance_id,
        timestamp,
        severity,
        reason_text,
        alarm_type,
        probable_cause,
        proposed_repair_action,
        service_affecting,
        suppression,
        inhibit_alarms,
        keep_existing_alarm,
    ] = split(text, ALARM)?;
    let timestamp = match nothing(timestamp) {
        "" => None,
        time => Some(Timestamp::parse(time).map_err(|reason| invalid("timestamp", reason.to_string()))?),
    };
    Ok(Alarm {
        uuid: Some(nothing(uuid)).filter(|uuid| !uuid.is_empty()).map(str::to_owned),
        alarm_id: nothing(alarm_id).to_owned(),
        alarm_state: alarm_state.into(),
        entity_type_id: nothing(entity_type_id).to_owned(),
        entity_instance_id: nothing(entity_instance_id).to_owned(),
        timestamp,
        severity: severity.into(),
        reason_text: nothing(reason_text).to_owned(),
        alarm_type: alarm_type.into(),
        probable_cause: probable_cause.into(),
        proposed_repair_action: nothing(proposed_repair_action).to_owned(),
        service_affecting: flag("service_affecting", service_affecting)?,
        suppression: flag("suppression", suppression)?,
        inhibit_alarms: flag("inhibit_alarms", inhibit_alarms)?,
        keep_existing_alarm: flag("keep_existing_alarm", keep_existing_alarm)?,
    })
}

/// Reads an alarm that is to be set, or one written without its last field, `keep_existing_alarm`, as
/// scripts do that are older than the field.
pub fn alarm_with_14_or_15_fields(text: &str) -> Result<Alarm, Unreadable> {
    let first = match alarm(text) {
        Err(first @ (Unreadable::Fields(_) | Unreadable::Field(_))) => first,
        read => return read,
    };
    // 15 fields whose state, severity, type and cause are where they belong, but a flag or time is none:
    // the mistake is named, rather than taken for a separator inside one of 14 fields.
    let vocabulary = [2, 6, 8, 9];
    let fits = |fields: [&str; 15]| vocabulary.iter().all(|&at| ALARM[at].is_none_or(|fit| fit(fields[at])));
    if matches!(first, Unreadable::Field(_)) && split(text, [None; 15]).is_ok_and(fits) {
        return Err(first);
    }
    match alarm(&format!("{text}False{SEPARATOR}")) {
        Err(Unreadable::Fields(_)) => Err(first),
        read => read,
    }
}

/// Reads what names one alarm.
pub fn filter(text: &str) -> Result<AlarmKey, Unreadable> {
    let [alarm_id, entity_instance_id] = split(text, [None; 2])?;
    Ok(AlarmKey::new(nothing(alarm_id), nothing(entity_instance_id)))
}

/// Writes an alarm that is returned. What its fields contain is written as it is.
pub fn line(alarm: &Alarm) -> String {
    let timestamp = alarm.timestamp.map(|time| time.to_string()).unwrap_or_default();
    let flag = |is_set| if is_set { "True" } else { "False" };
    let fields = [
        alarm.uuid.as_deref().unwrap_or_default(),
        &alarm.alarm_id,
        alarm.alarm_state.as_str(),
        &alarm.entity_type_id,
        &alarm.entity_instance_id,
        &timestamp,
        alarm.severity.as_str(),
        &alarm.reason_text,
        alarm.alarm_type.as_str(),
        alarm.probable_cause.as_str(),
        &alarm.proposed_repair_action,
        flag(alarm.service_affecting),
        flag(alarm.suppression),
        flag(alarm.inhibit_alarms),
    ];
    let mut line = String::new();
    for field in fields {
        line.push_str(if field.is_empty() { " " } else { field });
        line.push_str(SEPARATOR);
    }
    line
}

/// Cuts a text at the separators that leave every field a value it can have.
fn split<const N: usize>(text: &str, fits: [Fits; N]) -> Result<[&str; N], Unreadable> {
    let marks = marks(text);
    if marks.first() != Some(&0) {
        return Err(Unreadable::Fields(N));
    }
    // With no separator too many there is one reading at most: a wrong value can then be named.
    let fits = if marks.len() == N + 1 { [None; N] } else { fits };
    // The marks at which a field that begins after the mark `from` may end.
    let ends = |field: usize, from: usize| {
        let start = marks[from] + SEPARATOR.len();
        let next = marks.partition_point(|mark| *mark < start);
        match fits[field] {
            None => next..marks.len(),
            Some(fits) => {
                let value = marks.get(next).map(|end| &text[start..*end]);
                let ends_there = value.is_some_and(|value| !value.contains('#') && fits(value));
                next..next + usize::from(ends_there)
            }
        }
    };
    // `readings[field][mark]`: how the fields from this one on can be read after the mark: not (0), in
    // one way (1), in several (2).
    let mut readings = vec![vec![0_u8; marks.len()]; N + 1];
    for (mark, count) in marks.iter().zip(&mut readings[N]) {
        *count = u8::from(mark + SEPARATOR.len() == text.len());
    }
    for field in (0..N).rev() {
        // The sum of the next field's readings from each mark to the last, for fields of any text.
        let mut from_here_on = vec![0_u8; marks.len() + 1];
        for mark in (0..marks.len()).rev() {
            from_here_on[mark] = (from_here_on[mark + 1] + readings[field + 1][mark]).min(2);
        }
        for mark in 0..marks.len() {
            let ends = ends(field, mark);
            readings[field][mark] = match fits[field] {
                None => from_here_on[ends.start],
                Some(_) => ends.map(|end| readings[field + 1][end]).sum(),
            };
        }
    }
    match readings[0][0] {
        0 => return Err(Unreadable::Fields(N)),
        1 => {}
        _ => return Err(Unreadable::Ambiguous(N)),
    }
    let mut fields = [""; N];
    let mut mark = 0;
    for (field, value) in fields.iter_mut().enumerate() {
        let end = ends(field, mark).find(|end| readings[field + 1][*end] > 0);
        let end = end.ok_or(Unreadable::Fields(N))?;
        *value = &text[marks[mark] + SEPARATOR.len()..marks[end]];
        mark = end;
    }
    Ok(fields)
}

/// Where a separator may be: also each place inside a longer run of `#`.
fn marks(text: &str) -> Vec<usize> {
    let windows = text.as_bytes().windows(SEPARATOR.len()).enumerate();
    windows.filter(|(_, window)| *window == SEPARATOR.as_bytes()).map(|(place, _)| place).collect()
}

/// One space is nothing.
fn nothing(text: &str) -> &str {
    if text == " " { "" } else { text }
}

fn flag(field: &'static str, text: &str) -> Result<bool, Unreadable> {
    match text {
        "True" => Ok(true),
        "False" | "None" | " " => Ok(false),
        _ => {
            let shown: String = text.chars().take(64).collect();
            Err(invalid(field, format!("expected True or False, got '{shown}'")))
        }
    }
}

fn invalid(field: &'static str, reason: String) -> Unreadable {
    Unreadable::Field(InvalidAlarm { field, reason })
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
