//! What fm-rest-api cannot hold, and the form in which it is sent instead.
//!
//! | given | held |
//! | --- | --- |
//! | more than 255 characters of text | the first 255 |
//! | more than 255 characters of an entity instance id | the first 238, `~` and a hash of the whole, so that two long ids stay two |
//! | NUL | U+FFFD |
//! | characters of 4 bytes UTF-8, service on MariaDB | U+FFFD |
//! | `port=NAME` under a `host=`, NAME no uuid, service on MariaDB | `port:NAME`; read back as it was |
//! | a log with severity `clear` or `not-applicable` | `none` |
//! | a time before 1970 or after the year 9999 | the nearest that is neither |
//!
//! Lone surrogates, which the service cannot hold either, do not exist in Rust's texts.
//!
//! Severities outside critical, major, minor, warning and none are refused: the service would take
//! them, and then fail every list that contains them. So is an alarm id of more than 255 characters: cut,
//! it would be another one.
//!
//! The MariaDB service is the containerized one. It cannot reach the platform's configuration service,
//! and without it every read that shows a named port fails until the event has aged out of the log.
//!
//! Invariants: adapting what is adapted changes nothing; the same text always has the same form. Pure.

use fm_common::entity::canonical;
use fm_common::{Alarm, Severity, Timestamp};

use super::wire::Posted;
use crate::backend::naming;

/// Characters that a text column holds.
const MAX_CHARS: usize = 255;
/// Characters of the mark that ends a shortened entity instance id: `~` and 16 hexadecimal digits.
const MARK_CHARS: usize = 17;
/// The last moment of the year 9999, in microseconds.
const MAX_MICROS: i64 = 253_402_300_799_999_999;

/// The database behind a service, which decides what can be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Database {
    /// The platform's.
    PostgreSql,
    /// The containerized application's.
    MariaDb,
}

/// An alarm in the form that the service holds, and what had to be changed for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) alarm: Alarm,
    pub(super) changes: Vec<&'static str>,
}

/// Whether the alarm's form depends on the database.
pub(super) fn depends_on_database(alarm: &Alarm) -> bool {
    let texts = [
        &alarm.alarm_id,
        &alarm.entity_type_id,
        &alarm.entity_instance_id,
        &alarm.reason_text,
        &alarm.proposed_repair_action,
    ];
    texts.iter().any(|text| text.chars().any(is_wide))
        || entity_depends_on_database(&alarm.entity_instance_id)
}

/// Whether the form of an entity instance id, either way, depends on the database.
pub(super) fn entity_depends_on_database(entity: &str) -> bool {
    entity.chars().any(is_wide) || ports(entity).any(|port| port.named)
}

/// The form of an alarm at the service, or why it is refused.
pub(super) fn hold(alarm: &Alarm, posted: Posted, database: Database) -> Result<Held, String> {
    if alarm.alarm_id.chars().count() > MAX_CHARS {
        return Err(format!("alarm_id has more than {MAX_CHARS} characters"));
    }
    let mut changes = Vec::new();
    let mut text = |field, given: &str, form: fn(&str, Database) -> String| {
        let held = form(given, database);
        if held != given {
            changes.push(field);
        }
        held
    };
    let mut held = Alarm {
        alarm_id: text("alarm_id", &alarm.alarm_id, hold_text),
        entity_type_id: text("entity_type_id", &alarm.entity_type_id, hold_text),
        entity_instance_id: text("entity_instance_id", canonical(&alarm.entity_instance_id), hold_entity),
        reason_text: text("reason_text", &alarm.reason_text, hold_text),
        proposed_repair_action: text("proposed_repair_action", &alarm.proposed_repair_action, hold_text),
        alarm_type: text("alarm_type", alarm.alarm_type.as_str(), hold_text).as_str().into(),
        probable_cause: text("probable_cause", alarm.probable_cause.as_str(), hold_text).as_str().into(),
        severity: hold_severity(&alarm.severity, posted)?,
        ..alarm.clone()
    };
    if held.severity != alarm.severity {
        changes.push("severity");
    }
    held.timestamp =
        alarm.timestamp.map(|time| Timestamp::from_micros(time.as_micros().clamp(0, MAX_MICROS)));
    if held.timestamp != alarm.timestamp {
        changes.push("timestamp");
    }
    Ok(Held { alarm: held, changes })
}

fn hold_severity(severity: &Severity, posted: Posted) -> Result<Severity, String> {
    match (severity, posted) {
        (
            Severity::Critical | Severity::Major | Severity::Minor | Severity::Warning | Severity::Unranked,
            _,
        ) => Ok(severity.clone()),
        (Severity::Clear | Severity::NotApplicable, Posted::Log) => Ok(Severity::Unranked),
        _ => Err(format!(
            "severity '{severity}' is not sent: fm-rest-api could not list any alarm after it. Use critical, major, \
             minor, warning or none"
        )),
    }
}

/// The form of an entity instance id at the service.
pub(super) fn hold_entity(entity: &str, database: Database) -> String {
    let canonical = canonical(entity);
    let mut held = replaced(canonical, database);
    if held.chars().count() > MAX_CHARS {
        let kept: String = held.chars().take(MAX_CHARS - MARK_CHARS).collect();
        held = format!("{kept}~{}", naming::mark(canonical));
    }
    // Last, for the cut may have made a name of a uuid.
    with_ports(&held, ':', database)
}

/// The entity instance id that callers know, from its form at the service.
pub(super) fn restore_entity(held: &str, database: Database) -> String {
    with_ports(held, '=', database)
}

/// A filter value whose matches include every row with this text in it, in either form. The service
/// reads the value as the pattern of a SQL LIKE, in which `_` stands for any one character.
pub(super) fn filter(text: &str) -> String {
    let separators: Vec<usize> = ports(text).map(|port| port.separator).collect();
    let pattern = text.char_indices().map(|(at, c)| {
        let free = matches!(c, '\\' | '\0') || is_wide(c) || separators.contains(&at);
        if free { '_' } else { c }
    });
    if text.chars().count() <= MAX_CHARS {
        return pattern.collect();
    }
    pattern.take(MAX_CHARS - MARK_CHARS).collect()
}

fn hold_text(text: &str, database: Database) -> String {
    replaced(text, database).chars().take(MAX_CHARS).collect()
}

fn replaced(text: &str, database: Database) -> String {
    let unheld = |c: char| c == '\0' || (database == Database::MariaDb && is_wide(c));
    text.chars().map(|c| if unheld(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn is_wide(c: char) -> bool {
    c.len_utf8() == 4
}

/// A component `port=…` or `port:…` after a component `host=…`.
struct Port {
    /// Where its separator stands.
    separator: usize,
    /// Whether what follows is a name and not a uuid.
    named: bool,
}

fn ports(entity: &str) -> impl Iterator<Item = Port> {
    let mut host_seen = false;
    let mut next = 0;
    entity.split('.').filter_map(move |component| {
        let start = next;
        next += component.len() + 1;
        let after_host = host_seen;
        host_seen |= component.starts_with("host=");
        let name = component.strip_prefix("port")?.strip_prefix(['=', ':'])?;
        let named = uuid::Uuid::try_parse(name.trim()).is_err();
        after_host.then_some(Port { separator: start + "port".len(), named })
    })
}

/// The entity with this separator in each named port, where the database asks for it.
fn with_ports(entity: &str, separator: char, database: Database) -> String {
    let mut text = entity.to_owned();
    if database == Database::MariaDb {
        for port in ports(entity).filter(|port| port.named) {
            text.replace_range(port.separator..=port.separator, separator.encode_utf8(&mut [0; 4]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use Database::{MariaDb, PostgreSql};
    use fm_common::{AlarmType, ProbableCause};
    use proptest::prelude::*;

    fn alarm() -> Alarm {
        Alarm::new("1.1", "host", "host=c0", Severity::Minor, AlarmType::Equipment, ProbableCause::Unknown)
    }

    #[test]
    fn an_ordinary_alarm_is_left_alone() {
        for database in [PostgreSql, MariaDb] {
            let held = hold(&alarm(), Posted::Alarm, database).unwrap();
            assert_eq!(held, Held { alarm: alarm(), changes: vec![] });
        }
        assert!(!depends_on_database(&alarm()));
    }

    #[test]
    fn texts_are_cut_by_characters_and_said() {
        let long = Alarm { reason_text: "ä".repeat(256), entity_type_id: "x".repeat(255), ..alarm() };
        let held = hold(&long, Posted::Alarm, PostgreSql).unwrap();
        assert_eq!(held.alarm.reason_text, "ä".repeat(255));
        assert_eq!(held.changes, ["reason_text"]);
        let id = Alarm { alarm_id: "1".repeat(256), ..alarm() };
        assert!(hold(&id, Posted::Alarm, PostgreSql).unwrap_err().contains("alarm_id"));
    }

    #[test]
    fn two_long_entities_stay_two() {
        let [first, second] =
            ["a", "b"].map(|end| hold_entity(&format!("host={}{end}", "x".repeat(300)), PostgreSql));
        assert_ne!(first, second);
        assert_eq!(first.chars().count(), 255);
    }

    #[test]
    fn wide_characters_and_nul() {
        let awkward = Alarm { reason_text: "a\0\u{1F525}é€".into(), ..alarm() };
        assert!(depends_on_database(&awkward));
        let reason = |database| hold(&awkward, Posted::Alarm, database).unwrap().alarm.reason_text;
        assert_eq!(reason(PostgreSql), "a\u{FFFD}\u{1F525}é€");
        assert_eq!(reason(MariaDb), "a\u{FFFD}\u{FFFD}é€");
    }

    #[test]
    fn a_named_port_is_rewritten_on_mariadb_and_read_back() {
        let uuid = "host=c0.port=2b5f2b7e-4b0e-4c0a-9c0e-1f1f4a5b6c7d";
        for (entity, held) in [
            ("host=c0.port=eth0", "host=c0.port:eth0"),
            ("host=c0.slot=1.port=eth0.vlan=3", "host=c0.slot=1.port:eth0.vlan=3"),
            ("port=eth0", "port=eth0"),
            ("host=c0.portgroup=1", "host=c0.portgroup=1"),
            (uuid, uuid),
        ] {
            assert_eq!(hold_entity(entity, MariaDb), held);
            assert_eq!(restore_entity(held, MariaDb), entity);
            assert_eq!(hold_entity(entity, PostgreSql), entity);
            assert_eq!(restore_entity(held, PostgreSql), held);
            assert_eq!(entity_depends_on_database(entity), entity != held);
        }
    }

    #[test]
    fn severities_that_would_break_lists_are_not_sent() {
        for text in ["clear", "not-applicable", "catastrophic", ""] {
            let bad = Alarm { severity: text.into(), ..alarm() };
            assert!(hold(&bad, Posted::Alarm, PostgreSql).unwrap_err().contains("severity"), "{text}");
            let log = hold(&bad, Posted::Log, PostgreSql);
            match text {
                "clear" | "not-applicable" => assert_eq!(log.unwrap().alarm.severity, Severity::Unranked),
                _ => assert!(log.is_err()),
            }
        }
    }

    #[test]
    fn times_are_within_what_the_service_writes() {
        for (micros, held) in [(-1, 0), (i64::MAX, MAX_MICROS), (7, 7)] {
            let timed = Alarm { timestamp: Some(Timestamp::from_micros(micros)), ..alarm() };
            let form = hold(&timed, Posted::Alarm, PostgreSql).unwrap();
            assert_eq!(form.alarm.timestamp, Some(Timestamp::from_micros(held)));
            assert_eq!(form.changes.len(), usize::from(micros != held));
        }
    }

    #[test]
    fn a_filter_is_neutral() {
        assert_eq!(filter(r"a\b%_"), "a_b%_");
        assert_eq!(filter("host=c0.port=eth0"), "host=c0.port_eth0");
        assert_eq!(filter("x\u{1F525}\0"), "x__");
    }

    proptest! {
        #[test]
        fn adapting_twice_is_adapting_once(entity in "(host=c0\\.)?(port[=:])?\\PC{0,300}", text in "\\PC{0,300}") {
            for database in [PostgreSql, MariaDb] {
                let given = Alarm { reason_text: text.clone(), entity_instance_id: entity.clone(), ..alarm() };
                let once = hold(&given, Posted::Alarm, database).unwrap();
                let twice = hold(&once.alarm, Posted::Alarm, database).unwrap();
                prop_assert_eq!(&once.alarm, &twice.alarm);
                prop_assert!(twice.changes.is_empty());
                prop_assert!(once.alarm.entity_instance_id.chars().count() <= MAX_CHARS);
            }
        }

        #[test]
        fn the_filter_is_as_long_as_what_it_means(entity in "(host=c0\\.)?(port[=:])?\\PC{0,200}") {
            let entity = canonical(&entity);
            for database in [PostgreSql, MariaDb] {
                let held: Vec<char> = hold_entity(entity, database).chars().collect();
                let pattern: Vec<char> = filter(entity).chars().collect();
                prop_assert_eq!(held.len(), pattern.len());
                prop_assert!(held.iter().zip(&pattern).all(|(h, p)| h == p || matches!(p, '_' | '%')));
            }
        }
    }
}
