//! What the manager cannot hold or be asked for, and the form in which it is sent instead.
//!
//! | given | held |
//! | --- | --- |
//! | a text of more than 254 bytes | its first characters that fit |
//! | an entity instance id of more than 254 bytes | its first characters that fit into 237, `~` and a hash of the whole, so that two long ids stay two |
//! | NUL | U+FFFD |
//! | a quote in the entity instance id of a log | U+2019, for nobody has to find a log by it |
//! | values that the C tables lack | the nearest enumerator, see `enums` |
//! | a time before 1970 or after the year 9999 | the nearest that is neither; not 0, which means 'now' |
//! | a uuid that is not 36 characters long | the same uuid in 36: the manager would make one of its own |
//!
//! The manager writes alarm ids and entities into its SQL as they are. So what has a quote or a backslash in
//! one of them is refused here: with a quote the manager refuses it (11), with a backslash it would take the
//! alarm and never find it again to delete it. `%` and `_` may stand in an entity; which deletes that allows
//! is decided in `removal`.
//!
//! Invariants: adapting what is adapted changes nothing; the same text always has the same form. Pure.

use fm_common::alarm::Intent;
use fm_common::entity::canonical;
use fm_common::{Alarm, AlarmKey, ProbableCause, Severity, Timestamp};
use uuid::Uuid;

use super::layout::{self, MOST_TEXT_BYTES, cut};
use crate::backend::naming;

/// Bytes of the mark that ends a shortened entity instance id: `~` and 16 hexadecimal digits.
const MARK_BYTES: usize = 17;
/// The last moment of the year 9999, in microseconds.
const MAX_MICROS: i64 = 253_402_300_799_999_999;
/// The length of the uuids that the manager takes over.
const UUID_CHARS: usize = 36;

/// An alarm in the form that the manager holds, and what had to be changed for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    /// As it is sent.
    pub(super) alarm: Alarm,
    /// As the manager gives it back.
    pub(super) view: Alarm,
    pub(super) uuid: String,
    pub(super) changes: Vec<&'static str>,
}

/// The form of an alarm at the manager, or why it is refused.
pub(super) fn hold(alarm: &Alarm, uuid: &str) -> Result<Held, String> {
    check_id(&alarm.alarm_id)?;
    let is_log = alarm.intent() == Intent::Log;
    let entity = if is_log {
        alarm.entity_instance_id.replace('\'', "\u{2019}")
    } else {
        check_entity(&alarm.entity_instance_id)?;
        alarm.entity_instance_id.clone()
    };
    let ranked =
        matches!(alarm.severity, Severity::Critical | Severity::Major | Severity::Minor | Severity::Warning);
    if !is_log && !ranked {
        return Err(format!(
            "severity '{}' is not sent: fm-manager has critical, major, minor and warning",
            alarm.severity
        ));
    }
    let held = Alarm {
        entity_type_id: hold_text(&alarm.entity_type_id),
        entity_instance_id: hold_entity(&entity),
        reason_text: hold_text(&alarm.reason_text),
        proposed_repair_action: hold_text(&alarm.proposed_repair_action),
        timestamp: alarm.timestamp.map(|time| Timestamp::from_micros(time.as_micros().clamp(1, MAX_MICROS))),
        ..alarm.clone()
    };
    let uuid = hold_uuid(uuid);
    let view = view(&held, &uuid);
    let changes = [
        ("entity_type_id", alarm.entity_type_id == view.entity_type_id),
        ("entity_instance_id", canonical(&alarm.entity_instance_id) == view.entity_instance_id),
        ("reason_text", alarm.reason_text == view.reason_text),
        ("proposed_repair_action", alarm.proposed_repair_action == view.proposed_repair_action),
        ("alarm_type", alarm.alarm_type == view.alarm_type),
        // C has one enumerator for an unknown cause and for none, and one for both words for no severity.
        ("probable_cause", same_cause(&alarm.probable_cause, &view.probable_cause)),
        ("severity", alarm.severity == view.severity || alarm.severity.is_clear()),
        ("timestamp", alarm.timestamp == view.timestamp),
    ];
    let changes = changes.into_iter().filter(|(_, same)| !same).map(|(field, _)| field).collect();
    Ok(Held { alarm: held, view, uuid, changes })
}

fn same_cause(given: &ProbableCause, held: &ProbableCause) -> bool {
    given == held || (*given == ProbableCause::Unknown && *held == ProbableCause::NotApplicable)
}

/// What comes back of what is sent.
fn view(alarm: &Alarm, uuid: &str) -> Alarm {
    let bytes = layout::alarm(alarm, uuid);
    // An alarm always has this many bytes.
    bytes.as_array().map_or_else(|| alarm.clone(), layout::read_alarm)
}

/// Why the manager cannot be asked about this alarm id, if so: it has no such alarm type.
pub(super) fn check_id(alarm_id: &str) -> Result<(), String> {
    if alarm_id.len() > MOST_TEXT_BYTES {
        return Err(format!(
            "alarm_id has more than {MOST_TEXT_BYTES} bytes: fm-manager has no such alarm type"
        ));
    }
    if is_plain(alarm_id) && !alarm_id.contains('\0') {
        return Ok(());
    }
    Err("alarm_id has a quote, a backslash or a NUL: fm-manager has no such alarm type".to_owned())
}

/// Why alarms on this entity are not sent, if so.
pub(super) fn check_entity(entity: &str) -> Result<(), String> {
    if is_plain(entity) {
        return Ok(());
    }
    Err("entity_instance_id has a quote or a backslash, which fm-manager writes into its SQL as it is: it would \
         refuse the alarm, or never find it again. Use another name for what is faulty"
        .to_owned())
}

/// Whether the manager may be asked for this text.
pub(super) fn is_plain(text: &str) -> bool {
    !text.contains(['\'', '\\'])
}

/// The beginning of an entity that means itself in a LIKE: what begins with the entity begins with it.
pub(super) fn stem(entity: &str) -> &str {
    let plain = entity.split(['\'', '\\', '%', '_', '\0']).next().unwrap_or_default();
    cut(plain, MOST_TEXT_BYTES - MARK_BYTES)
}

/// The form of a key at the manager.
pub(super) fn hold_key(key: &AlarmKey) -> AlarmKey {
    AlarmKey::new(key.alarm_id.as_str(), &hold_entity(&key.entity_instance_id))
}

/// The form of an entity instance id at the manager.
pub(super) fn hold_entity(entity: &str) -> String {
    let canonical = canonical(entity);
    let held = without_nul(canonical);
    if held.len() <= MOST_TEXT_BYTES {
        return held;
    }
    let kept = cut(&held, MOST_TEXT_BYTES - MARK_BYTES);
    format!("{kept}~{}", naming::mark(canonical))
}

/// The form of a uuid that the manager takes over; a text that is none is left to it.
pub(super) fn hold_uuid(uuid: &str) -> String {
    match Uuid::try_parse(uuid) {
        Ok(parsed) if uuid.len() != UUID_CHARS => parsed.to_string(),
        _ => uuid.to_owned(),
    }
}

fn hold_text(text: &str) -> String {
    let held = without_nul(text);
    // The manager keeps an empty text as a single space and gives it back empty.
    if held == " " { String::new() } else { cut(&held, MOST_TEXT_BYTES).to_owned() }
}

fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

#[cfg(test)]
mod tests {
    use fm_common::{AlarmState, AlarmType};
    use proptest::prelude::*;

    use super::*;

    const UUID: &str = "8d2c9c6a-1d6d-4c57-9a3c-0c1f4f1a7f11";

    fn alarm() -> Alarm {
        let mut alarm = Alarm::new(
            "100.103",
            "host",
            "host=a",
            Severity::Major,
            AlarmType::Equipment,
            ProbableCause::FileError,
        );
        alarm.timestamp = Some(Timestamp::from_micros(7));
        alarm
    }

    #[test]
    fn what_the_manager_holds_is_left_alone() {
        let held = hold(&alarm(), UUID).unwrap();
        assert_eq!((&held.alarm, held.changes.as_slice()), (&alarm(), &[][..]));
        assert!(held.view.same_content(&alarm()));
        assert_eq!(held.view.uuid.as_deref(), Some(UUID));
    }

    #[test]
    fn an_unknown_cause_is_nothing_to_speak_of() {
        let given = Alarm { probable_cause: ProbableCause::Unknown, ..alarm() };
        let held = hold(&given, UUID).unwrap();
        assert!(held.changes.is_empty());
        assert_eq!(held.view.probable_cause, ProbableCause::NotApplicable);
    }

    #[test]
    fn what_it_cannot_hold_is_named() {
        let given = Alarm {
            reason_text: "ä".repeat(200),
            proposed_repair_action: "a\0b".to_owned(),
            probable_cause: ProbableCause::CertificateExpiration,
            alarm_type: AlarmType::DeploymentInProgress,
            timestamp: Some(Timestamp::from_micros(-5)),
            entity_instance_id: format!("host={}", "x".repeat(300)),
            ..alarm()
        };
        let held = hold(&given, UUID).unwrap();
        assert_eq!(
            held.changes,
            [
                "entity_instance_id",
                "reason_text",
                "proposed_repair_action",
                "alarm_type",
                "probable_cause",
                "timestamp"
            ]
        );
        assert_eq!(held.alarm.reason_text, "ä".repeat(127));
        assert_eq!(held.alarm.proposed_repair_action, "a\u{FFFD}b");
        assert_eq!(held.view.probable_cause, ProbableCause::KeyExpired);
        assert_eq!(held.view.timestamp, Some(Timestamp::from_micros(1)));
    }

    #[test]
    fn what_would_spoil_its_sql_is_refused() {
        for entity in ["host=o'brien", r"path=c:\x"] {
            let bad = Alarm { entity_instance_id: entity.to_owned(), ..alarm() };
            assert!(hold(&bad, UUID).unwrap_err().contains("quote or a backslash"), "{entity}");
        }
        for alarm_id in ["1'", r"1\", "1\0", &"1".repeat(255)] {
            let bad = Alarm { alarm_id: alarm_id.to_owned(), ..alarm() };
            assert!(hold(&bad, UUID).unwrap_err().contains("no such alarm type"), "{alarm_id}");
        }
        let fine = Alarm { entity_instance_id: "app=rook_ceph%".to_owned(), ..alarm() };
        assert!(hold(&fine, UUID).unwrap().changes.is_empty());
        let log =
            Alarm { alarm_state: AlarmState::Msg, entity_instance_id: "host=o'brien".to_owned(), ..alarm() };
        let held = hold(&log, UUID).unwrap();
        assert_eq!(
            (held.view.entity_instance_id.as_str(), held.changes),
            ("host=o’brien", vec!["entity_instance_id"])
        );
        let quoted = Alarm { reason_text: r"it's c:\x".to_owned(), ..alarm() };
        assert!(hold(&quoted, UUID).unwrap().changes.is_empty(), "texts go another way");
    }

    #[test]
    fn only_a_log_may_be_unranked() {
        for severity in [Severity::Unranked, "catastrophic".into()] {
            let bad = Alarm { severity: severity.clone(), ..alarm() };
            assert!(hold(&bad, UUID).unwrap_err().contains("severity"));
            let log = Alarm { alarm_state: AlarmState::Log, severity, ..alarm() };
            assert_eq!(hold(&log, UUID).unwrap().changes, ["severity"]);
        }
    }

    #[test]
    fn long_entities_stay_apart() {
        let long = |end: &str| hold_entity(&format!("host={}{end}", "x".repeat(300)));
        assert_eq!((long("a").len(), long("b").len()), (254, 254));
        assert_ne!(long("a"), long("b"));
    }

    #[test]
    fn a_uuid_has_36_characters() {
        assert_eq!(hold_uuid("8d2c9c6a1d6d4c579a3c0c1f4f1a7f11"), UUID);
        assert_eq!(hold_uuid(&format!("urn:uuid:{UUID}")), UUID);
        assert_eq!(hold_uuid(&UUID.to_uppercase()), UUID.to_uppercase());
        assert_eq!(hold_uuid("none"), "none");
    }

    #[test]
    fn a_stem_ends_before_what_a_like_reads() {
        for (entity, expected) in [
            ("host=a", "host=a"),
            ("k8s_app=x", "k8s"),
            ("a%b", "a"),
            (r"c:\x", "c:"),
            ("o'b", "o"),
            ("", ""),
        ] {
            assert_eq!(stem(entity), expected);
        }
    }

    proptest! {
        #[test]
        fn adapting_twice_is_adapting_once(entity in "[^'\\\\]{0,300}", text in "\\PC{0,300}") {
            let given = Alarm { reason_text: text, entity_instance_id: entity, ..alarm() };
            let once = hold(&given, UUID).unwrap();
            let twice = hold(&once.alarm, UUID).unwrap();
            prop_assert_eq!(&once.alarm, &twice.alarm);
            prop_assert!(twice.changes.is_empty(), "{:?}", twice.changes);
            prop_assert!(once.alarm.entity_instance_id.len() <= MOST_TEXT_BYTES);
            prop_assert!(once.view.same_content(&once.alarm));
        }

        #[test]
        fn what_is_held_begins_with_the_stem(entity in "\\PC{0,300}") {
            let stem = stem(&entity);
            prop_assert!(hold_entity(&entity).starts_with(stem) || entity == " ");
            prop_assert!(is_plain(stem) && !stem.contains(['%', '_']));
        }
    }
}
