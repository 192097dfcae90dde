//! The comparison against a controller that is a plain table, and its single rules.

use std::collections::BTreeMap;

use fm_common::entity::EntityMatch;
use fm_common::{AlarmType, ProbableCause, Severity, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn key(number: u8) -> AlarmKey {
    AlarmKey::new("1.1", &format!("host=a.p={number}"))
}

fn held(number: u8, uuid: &str) -> Held {
    Held { key: key(number), uuid: uuid.to_owned(), since: Timestamp::from_micros(1) }
}

fn cleared(number: u8, uuid: &str) -> Cleared {
    Cleared { key: key(number), uuid: uuid.to_owned() }
}

fn listed(number: u8, uuid: &str) -> Alarm {
    let entity = key(number).entity_instance_id;
    let (alarm_type, cause) = (AlarmType::Unknown, ProbableCause::Unknown);
    let alarm = Alarm::new("1.1", "host", &entity, Severity::Major, alarm_type, cause);
    Alarm { uuid: Some(uuid.to_owned()), ..alarm }
}

#[test]
fn what_is_lost_is_missing_and_what_is_cleared_is_back() {
    let difference = compare(
        vec![held(1, "mine"), held(2, "lost")],
        vec![cleared(3, "dead"), cleared(4, "gone")],
        &[listed(1, "MINE"), listed(3, "dead"), listed(9, "foreign")],
    );
    assert_eq!(difference, Difference { missing: vec![held(2, "lost")], back: vec![cleared(3, "dead")] });
}

#[test]
fn an_alarm_that_another_raised_under_the_same_key_stands() {
    let difference = compare(vec![held(1, "mine")], Vec::new(), &[listed(1, "theirs")]);
    assert_eq!(difference, Difference::default());
}

#[test]
fn an_older_raise_that_a_restored_database_brings_back_does_not_stand_for_the_newer() {
    let difference = compare(vec![held(1, "new")], vec![cleared(1, "old")], &[listed(1, "old")]);
    assert_eq!(difference.missing, [held(1, "new")]);
    assert_eq!(difference.back, [cleared(1, "old")]);
}

#[test]
fn a_uuid_that_was_cleared_and_raised_again_is_left_alone() {
    let difference = compare(vec![held(1, "u")], vec![cleared(1, "u")], &[listed(1, "u")]);
    assert_eq!(difference, Difference::default());
}

#[test]
fn the_common_entity_ends_between_components() {
    let common = |entities: &[&str]| {
        let keys: Vec<AlarmKey> = entities.iter().map(|entity| AlarmKey::new("1", entity)).collect();
        common_entity(keys.iter())
    };
    assert_eq!(common(&["host=a.p=1", "host=a.p=2"]).as_deref(), Some("host=a"));
    assert_eq!(common(&["host=a", "host=a.p=2"]).as_deref(), Some("host=a"));
    assert_eq!(common(&["host=a", "host=ab"]), None);
    assert_eq!(common(&["host=a", ""]), None);
    assert_eq!(common(&["host=\u{1F525}"]), None);
    assert_eq!(common(&[&"x".repeat(300)]), None);
    assert_eq!(common(&[]), None);
}

/// One alarm of this node or of others, as each side has it.
#[derive(Debug, Clone)]
struct Case {
    number: u8,
    /// This node's: delivered and standing, or cleared; or another's.
    mine: Option<bool>,
    /// Whether the controller lists it.
    there: bool,
}

fn case() -> impl Strategy<Value = Case> {
    (0..6u8, proptest::option::of(any::<bool>()), any::<bool>()).prop_map(|(number, mine, there)| Case {
        number,
        mine,
        there,
    })
}

proptest! {
    #[test]
    fn healing_leaves_no_difference_and_touches_nobody_else(cases in vec(case(), 0..20)) {
        let (mut ours, mut dead, mut table) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        for (index, case) in cases.iter().enumerate() {
            let uuid = format!("u{index}");
            match case.mine {
                // This node holds one alarm a key.
                Some(true) => {
                    if let Some(older) = ours.insert(case.number, uuid.clone()) {
                        dead.push((case.number, older));
                    }
                }
                Some(false) => dead.push((case.number, uuid.clone())),
                None => {}
            }
            if case.there {
                table.insert(uuid, case.number);
            }
        }
        let sides = |ours: &BTreeMap<u8, String>| {
            let held: Vec<Held> = ours.iter().map(|(number, uuid)| held(*number, uuid)).collect();
            let cleared: Vec<Cleared> = dead.iter().map(|(number, uuid)| cleared(*number, uuid)).collect();
            (held, cleared)
        };
        let list = |table: &BTreeMap<String, u8>| -> Vec<Alarm> {
            table.iter().map(|(uuid, number)| listed(*number, uuid)).collect()
        };
        let foreign: Vec<String> = cases
            .iter()
            .enumerate()
            .filter(|(_, case)| case.mine.is_none() && case.there)
            .map(|(index, _)| format!("u{index}"))
            .collect();

        let (held_side, cleared_side) = sides(&ours);
        let difference = compare(held_side, cleared_side, &list(&table));
        for back in &difference.back {
            prop_assert!(dead.iter().any(|(_, uuid)| *uuid == back.uuid));
            table.remove(&back.uuid);
        }
        for missing in &difference.missing {
            let number = *ours.iter().find(|(_, uuid)| **uuid == missing.uuid).unwrap().0;
            prop_assert!(!table.contains_key(&missing.uuid));
            prop_assert!(!table.values().any(|other| *other == number), "never a second row");
            let fresh = format!("fresh {}", missing.uuid);
            table.insert(fresh.clone(), number);
            ours.insert(number, fresh);
        }
        prop_assert!(foreign.iter().all(|uuid| table.contains_key(uuid)));
        prop_assert!(ours.keys().all(|number| table.values().any(|there| there == number)));
        prop_assert!(dead.iter().all(|(_, uuid)| !table.contains_key(uuid)));
        let (held_side, cleared_side) = sides(&ours);
        prop_assert_eq!(compare(held_side, cleared_side, &list(&table)), Difference::default());
    }

    #[test]
    fn the_common_entity_covers_everything(numbers in vec((0..3u8, 0..3u8), 1..6)) {
        let keys: Vec<AlarmKey> =
            numbers.iter().map(|(a, b)| AlarmKey::new("1", &format!("host={a}.port={b}"))).collect();
        if let Some(entity) = common_entity(keys.iter()) {
            prop_assert!(keys.iter().all(|key| EntityMatch::Component.covers(&entity, &key.entity_instance_id)));
        }
    }
}
