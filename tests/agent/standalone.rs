//! Without any controller the agent is its own store of record.

use fm_common::{Alarm, AlarmState, ErrorCode, Severity};

use crate::support::{ALARM_ID, Node, alarm, code, key};

#[test]
fn raise_look_clear() {
    let node = Node::start("");
    let uuid = node.client.set(alarm("host=c0")).unwrap();
    let found = node.client.get(key("host=c0")).unwrap();
    assert_eq!(found.uuid.as_deref(), Some(uuid.as_str()));
    assert!(found.same_content(&alarm("host=c0")));
    assert_eq!(node.client.list_by_id(&found.alarm_id).unwrap(), [found]);
    node.client.clear(key("host=c0")).unwrap();
    assert_eq!(code(node.client.get(key("host=c0"))), ErrorCode::EntityNotFound);
    assert_eq!(code(node.client.clear(key("host=c0"))), ErrorCode::EntityNotFound);
    assert_eq!(code(node.client.list_by_entity("host=c0")), ErrorCode::EntityNotFound);
}

#[test]
fn what_was_answered_is_there_after_a_crash() {
    let mut node = Node::start("");
    let uuid = node.client.set(alarm("host=c0")).unwrap();
    node.client.set(Alarm { alarm_state: AlarmState::Msg, ..alarm("host=c1") }).unwrap();
    node.kill();
    node.run();
    assert_eq!(node.client.get(key("host=c0")).unwrap().uuid, Some(uuid));
    assert_eq!(code(node.client.get(key("host=c1"))), ErrorCode::EntityNotFound, "a log is no alarm");
}

#[test]
fn clearing_a_parent_clears_its_children_and_nobody_elses() {
    let node = Node::start("");
    let entities = ["host=c-1", "host=c-1.ntp", "host=c-1=10.0.0.1", "host=c-10", "host=c", "host=c-1x.ntp"];
    for entity in entities {
        node.client.set(alarm(entity)).unwrap();
    }
    assert_eq!(node.client.list_by_entity("host=c-1").unwrap().len(), 3);
    assert_eq!(node.client.list_by_id_and_entity(key("host=c-1")).unwrap().len(), 3);
    node.client.clear_all("host=c-1").unwrap();
    let mut left: Vec<String> =
        node.client.list_by_id(ALARM_ID).unwrap().into_iter().map(|alarm| alarm.entity_instance_id).collect();
    left.sort();
    assert_eq!(left, ["host=c", "host=c-10", "host=c-1x.ntp"]);
    assert_eq!(code(node.client.clear_all("host=c-1")), ErrorCode::EntityNotFound);
}

#[test]
fn the_old_prefix_matching_can_be_had() {
    let node = Node::start("entity_match = 'prefix'\n");
    node.client.set(alarm("host=c-10")).unwrap();
    assert_eq!(node.client.list_by_entity("host=c-1").unwrap().len(), 1);
    node.client.clear_all("host=c-1").unwrap();
    assert_eq!(code(node.client.get(key("host=c-10"))), ErrorCode::EntityNotFound);
}

#[test]
fn setting_clear_clears() {
    let node = Node::start("");
    for clearing in [
        Alarm { alarm_state: AlarmState::Clear, ..alarm("host=c0") },
        Alarm { severity: Severity::Clear, ..alarm("host=c0") },
        Alarm { severity: Severity::NotApplicable, ..alarm("host=c0") },
    ] {
        node.client.set(alarm("host=c0")).unwrap();
        assert_eq!(node.client.set(clearing.clone()).unwrap(), "");
        assert_eq!(code(node.client.get(key("host=c0"))), ErrorCode::EntityNotFound);
        assert_eq!(code(node.client.set(clearing)), ErrorCode::EntityNotFound);
    }
}

#[test]
fn a_list_is_taken_as_a_whole() {
    let node = Node::start("");
    let many: Vec<Alarm> = (0..2500).map(|number| alarm(&format!("host=c{number}"))).collect();
    assert_eq!(node.client.set_list(many.clone()).unwrap().len(), 2500);
    let found = node.client.list_by_id(ALARM_ID).unwrap();
    assert_eq!(found.len(), 2500);
    assert!(found.is_sorted_by_key(|alarm| alarm.timestamp), "ordered by time raised");
    node.client.clear_list(many.iter().map(Alarm::key).collect()).unwrap();
    assert_eq!(code(node.client.list_by_id(ALARM_ID)), ErrorCode::EntityNotFound);
    node.client.clear_list(vec![key("host=none")]).unwrap();
}

#[test]
fn keep_existing_keeps_uuid_and_time() {
    let node = Node::start("");
    let first = node.client.set(alarm("host=c0")).unwrap();
    let before = node.client.get(key("host=c0")).unwrap();
    let again = Alarm { keep_existing_alarm: true, reason_text: "worse".to_owned(), ..alarm("host=c0") };
    assert_eq!(node.client.set(again).unwrap(), first);
    assert_eq!(node.client.get(key("host=c0")).unwrap(), before);
    let changed = node.client.set(Alarm { reason_text: "worse".to_owned(), ..alarm("host=c0") }).unwrap();
    assert_ne!(changed, first);
    assert_eq!(node.client.get(key("host=c0")).unwrap().reason_text, "worse");
}
