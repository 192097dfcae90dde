//! Each rule of laying this node's changes over the controllers' lists.

use super::*;
use fm_common::entity::EntityMatch;
use fm_common::{AlarmType, ProbableCause, Severity, Timestamp};

fn alarm(id: &str, entity: &str, uuid: &str, at: i64) -> Alarm {
    Alarm {
        uuid: Some(uuid.to_owned()),
        timestamp: Some(Timestamp::from_micros(at)),
        ..Alarm::new(id, "host", entity, Severity::Major, AlarmType::Unknown, ProbableCause::Unknown)
    }
}

fn kept(alarm: &Alarm, standing: Standing, pending: bool, controller_uuid: Option<&str>) -> Kept {
    Kept {
        key: alarm.key(),
        domain: Domain::Platform,
        standing,
        pending,
        controller_uuid: controller_uuid.map(str::to_owned),
    }
}

fn clear_all(domain: Domain) -> WaitingClearAll {
    WaitingClearAll { domain, entity_instance_id: "host=a".to_owned(), rule: EntityMatch::Component }
}

fn raised(alarm: &Alarm) -> Standing {
    Standing::Raised(Box::new(alarm.clone()))
}

fn uuids(local: Local, platform: Vec<Alarm>) -> Vec<String> {
    let shown = local.over(vec![(Domain::Platform, platform)]);
    shown.into_iter().map(|alarm| alarm.uuid.unwrap_or_default()).collect()
}

#[test]
fn the_controllers_list_is_shown_by_time() {
    let list = vec![alarm("1", "host=b", "b", 2), alarm("1", "host=a", "a", 3), alarm("2", "host=a", "c", 1)];
    assert_eq!(uuids(Local::default(), list), ["c", "b", "a"]);
}

#[test]
fn a_pending_set_takes_the_place_of_what_stands() {
    let (old, new) = (alarm("1", "host=a", "old", 1), alarm("1", "host=a", "new", 5));
    let local = Local { kept: vec![kept(&new, raised(&new), true, Some("old"))], ..Local::default() };
    assert_eq!(uuids(local, vec![old]), ["new"]);
}

#[test]
fn a_pending_set_is_shown_before_it_arrives() {
    let new = alarm("1", "host=a", "new", 5);
    let local = Local { kept: vec![kept(&new, raised(&new), true, None)], ..Local::default() };
    assert_eq!(uuids(local, Vec::new()), ["new"]);
}

#[test]
fn a_pending_clear_hides() {
    let old = alarm("1", "host=a", "old", 1);
    let local = Local { kept: vec![kept(&old, Standing::Cleared, true, Some("old"))], ..Local::default() };
    assert_eq!(uuids(local, vec![old, alarm("1", "host=b", "other", 2)]), ["other"]);
}

#[test]
fn a_waiting_clear_all_hides_what_this_node_does_not_know() {
    let again = alarm("2", "host=a", "again", 9);
    let local = Local {
        kept: vec![kept(&again, raised(&again), true, None)],
        clear_alls: vec![clear_all(Domain::Platform)],
        ..Local::default()
    };
    let list = vec![alarm("1", "host=a.port=1", "gone", 1), alarm("1", "host=ab", "stays", 2)];
    assert_eq!(uuids(local, list), ["stays", "again"]);
    let other_domain = Local { clear_alls: vec![clear_all(Domain::Openstack)], ..Local::default() };
    assert_eq!(uuids(other_domain, vec![alarm("1", "host=a", "stays", 1)]), ["stays"]);
}

#[test]
fn an_own_alarm_is_shown_as_it_was_written() {
    let written = Alarm { reason_text: "ä".repeat(400), ..alarm("1", "host=a", "u", 1) };
    let cut = Alarm { reason_text: "ä".repeat(255), uuid: Some("there".into()), ..written.clone() };
    let own = kept(&written, raised(&written), false, Some("there"));
    let local = Local { kept: vec![own], ..Local::default() };
    assert_eq!(local.over(vec![(Domain::Platform, vec![cut])]), [written]);
}

#[test]
fn what_another_writer_raised_since_is_shown_as_it_is() {
    let written = alarm("1", "host=a", "mine", 1);
    let theirs = alarm("1", "host=a", "theirs", 2);
    let local =
        Local { kept: vec![kept(&written, raised(&written), false, Some("mine"))], ..Local::default() };
    assert_eq!(uuids(local, vec![theirs]), ["theirs"]);
}

#[test]
fn of_duplicate_rows_one_is_shown() {
    let (first, second) = (alarm("1", "host=a", "first", 1), alarm("1", "host=a", "second", 2));
    assert_eq!(uuids(Local::default(), vec![second.clone(), first.clone()]), ["second"]);
    let own = kept(&first, raised(&first), false, Some("first"));
    let local = Local { kept: vec![own], ..Local::default() };
    assert_eq!(uuids(local, vec![second, first]), ["first"]);
}

#[test]
fn a_delivered_alarm_that_the_controller_lost_is_not_shown() {
    let gone = alarm("1", "host=a", "gone", 1);
    let local = Local { kept: vec![kept(&gone, raised(&gone), false, Some("gone"))], ..Local::default() };
    assert!(uuids(local, Vec::new()).is_empty());
}

#[test]
fn the_record_here_is_shown() {
    let mine = alarm("1", "host=a", "mine", 1);
    let local = Local {
        kept: vec![kept(&mine, raised(&mine), false, None)],
        here: [Domain::Platform].into(),
        ..Local::default()
    };
    assert_eq!(uuids(local, Vec::new()), ["mine"]);
}
