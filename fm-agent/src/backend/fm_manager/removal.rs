//! Which deletes are safe at a manager that deletes by prefix.
//!
//! A delete of (alarm id, entity) removes every alarm with that id whose entity is SQL-LIKE the entity
//! followed by `%`. There is no exact delete, and no pattern that would be one: whatever it matches, it
//! matches with more behind it. So before a delete is sent, what it would remove is worked out from the list
//! of all alarms of that id; if anything else is among it, the delete is not sent. What is asked for waits,
//! or is refused, and nobody else's alarm is touched.
//!
//! What is left: an alarm raised between the list and the delete, within milliseconds, is not seen. The
//! protocol has no way to close that gap.
//!
//! Pure.

use std::collections::BTreeSet;

use fm_common::AlarmKey;

use super::adapt;
use super::layout::sent_entity;

/// What can be done to remove one alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Removal<'a> {
    /// A delete removes it, and nothing that is to stay.
    Safe,
    /// A delete would remove this one too.
    Takes(&'a AlarmKey),
    /// No delete can be sent for it.
    Inexpressible,
}

/// What can be done to remove the alarm with this key, when these stand (at least all with its alarm id)
/// and these are to go.
pub(super) fn removal<'a>(
    key: &AlarmKey,
    standing: &'a BTreeSet<AlarmKey>,
    goes: impl Fn(&AlarmKey) -> bool,
) -> Removal<'a> {
    if !adapt::is_plain(&key.entity_instance_id) || !adapt::is_plain(&key.alarm_id) {
        return Removal::Inexpressible;
    }
    match standing.iter().find(|other| takes(key, other) && !goes(other)) {
        Some(other) => Removal::Takes(other),
        None => Removal::Safe,
    }
}

/// Whether a delete with this key removes that alarm.
fn takes(key: &AlarmKey, other: &AlarmKey) -> bool {
    let sent = sent_entity(&key.entity_instance_id);
    key.alarm_id == other.alarm_id && begins_like(sent, sent_entity(&other.entity_instance_id))
}

/// Whether the text is SQL-LIKE the pattern followed by `%`. The pattern has no backslash.
fn begins_like(pattern: &str, text: &str) -> bool {
    // Where the text may have been read up to; `%` frees all that follows.
    let text: Vec<char> = text.chars().collect();
    let mut ends = vec![false; text.len() + 1];
    ends[0] = true;
    for wanted in pattern.chars() {
        let mut next = vec![false; text.len() + 1];
        match wanted {
            '%' => {
                if let Some(first) = ends.iter().position(|end| *end) {
                    next[first..].fill(true);
                }
            }
            wanted => {
                for (at, c) in text.iter().enumerate() {
                    next[at + 1] = ends[at] && (wanted == '_' || wanted == *c);
                }
            }
        }
        ends = next;
    }
    ends.contains(&true)
}

#[cfg(test)]
mod tests {
    use fm_common::entity::EntityMatch;
    use fm_manager_sim::like;
    use proptest::prelude::*;

    use super::*;

    fn key(entity: &str) -> AlarmKey {
        AlarmKey::new("1", entity)
    }

    fn set(entities: &[&str]) -> BTreeSet<AlarmKey> {
        entities.iter().map(|entity| key(entity)).collect()
    }

    #[test]
    fn a_longer_name_is_spared() {
        let standing = set(&["subcloud=subcloud1", "subcloud=subcloud10", "subcloud=subcloud2"]);
        let only = |entity| removal(&key(entity), &standing, |other| *other == key(entity));
        assert_eq!(only("subcloud=subcloud1"), Removal::Takes(&key("subcloud=subcloud10")));
        assert_eq!(only("subcloud=subcloud10"), Removal::Safe);
        assert_eq!(only("subcloud=subcloud2"), Removal::Safe);
    }

    #[test]
    fn a_wildcard_is_sent_only_where_it_widens_nothing() {
        let standing = set(&["site=a_1", "site=ab1", "app=rook_ceph", "x%"]);
        let only = |entity| removal(&key(entity), &standing, |other| *other == key(entity));
        assert_eq!(only("site=a_1"), Removal::Takes(&key("site=ab1")));
        assert_eq!(only("app=rook_ceph"), Removal::Safe);
        assert_eq!(only("x%"), Removal::Safe);
        let standing = set(&["x%", "xy"]);
        assert_eq!(removal(&key("x%"), &standing, |other| *other == key("x%")), Removal::Takes(&key("xy")));
    }

    #[test]
    fn another_alarm_id_is_another_alarm() {
        let standing: BTreeSet<AlarmKey> = [key("a"), AlarmKey::new("2", "ab")].into();
        assert_eq!(removal(&key("a"), &standing, |other| *other == key("a")), Removal::Safe);
    }

    #[test]
    fn what_goes_too_may_be_taken() {
        let standing = set(&["host=a", "host=a.port=1", "host=ab"]);
        let below = |other: &AlarmKey| EntityMatch::Component.covers("host=a", &other.entity_instance_id);
        assert_eq!(removal(&key("host=a"), &standing, below), Removal::Takes(&key("host=ab")));
        assert_eq!(removal(&key("host=a.port=1"), &standing, below), Removal::Safe);
        assert_eq!(removal(&key("host=a"), &set(&["host=a", "host=a.port=1"]), below), Removal::Safe);
    }

    #[test]
    fn the_empty_entity_takes_nothing_else() {
        let standing = set(&["", "host=a"]);
        assert_eq!(removal(&key(""), &standing, |other| *other == key("")), Removal::Safe);
    }

    #[test]
    fn what_would_spoil_the_sql_is_never_sent() {
        for entity in ["o'brien", r"c:\x"] {
            let standing = set(&[entity]);
            assert_eq!(removal(&key(entity), &standing, |_| true), Removal::Inexpressible);
        }
    }

    proptest! {
        #[test]
        fn as_the_managers_database_matches(pattern in "[ab%_]{0,6}", text in "[ab%_]{0,8}") {
            prop_assert_eq!(begins_like(&pattern, &text), like(&format!("{pattern}%"), &text));
        }

        /// Whatever stands: a delete that is held to be safe removes the alarm and nothing that is to stay.
        #[test]
        fn a_safe_delete_removes_what_goes_and_nothing_else(
            entities in prop::collection::btree_set("[ab1_%.=]{0,4}", 1..8), chosen in any::<prop::sample::Index>(),
            under in any::<bool>(),
        ) {
            let standing: BTreeSet<AlarmKey> = entities.iter().map(|entity| key(entity)).collect();
            let target = key(chosen.get(&entities.iter().collect::<Vec<_>>()).as_str());
            let goes = |other: &AlarmKey| *other == target
                || (under && EntityMatch::Component.covers(&target.entity_instance_id, &other.entity_instance_id));
            let pattern = format!("{}%", sent_entity(&target.entity_instance_id));
            let removed: Vec<&AlarmKey> = standing.iter()
                .filter(|row| like(&pattern, sent_entity(&row.entity_instance_id))).collect();
            prop_assert!(removed.contains(&&target));
            match removal(&target, &standing, goes) {
                Removal::Safe => prop_assert!(removed.into_iter().all(goes)),
                Removal::Takes(other) => prop_assert!(removed.contains(&other) && !goes(other)),
                Removal::Inexpressible => prop_assert!(false),
            }
        }
    }
}
