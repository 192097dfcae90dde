//! The semantics table with controllers that are up: what callers get, what stands where.

use fm_common::{Alarm, AlarmKey, AlarmState, ErrorCode, Severity};
use fm_rest_sim::{Dialect, Fault, NewAlarm, Service, Sim, SimConfig};

use crate::support::{
    ALARM_ID, Node, OPENSTACK_ALARM_ID, alarm, code, controller, controller_with, domain, events, key,
    standing,
};

#[test]
fn a_raise_arrives_and_goes() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    let uuid = node.client.set(alarm("host=c0")).unwrap();
    node.wait_delivered();
    let rows = sim.alarms().unwrap();
    assert_eq!((rows.len(), rows[0].fields.uuid.as_str()), (1, uuid.as_str()));
    assert_eq!(node.client.get(key("host=c0")).unwrap().uuid, Some(uuid));
    node.client.clear(key("host=c0")).unwrap();
    assert_eq!(code(node.client.get(key("host=c0"))), ErrorCode::EntityNotFound);
    node.wait_delivered();
    assert!(sim.alarms().unwrap().is_empty());
    let states: Vec<String> = events(&sim, "host=c0").into_iter().map(|(state, _)| state).collect();
    assert_eq!(states, ["set", "clear"]);
}

#[test]
fn each_alarm_goes_to_the_domain_that_owns_it() {
    let (platform, openstack) = (controller(), openstack());
    let node = both(&platform, &openstack);
    let instance = Alarm { alarm_id: OPENSTACK_ALARM_ID.to_owned(), ..alarm("instance=7") };
    node.client.set_list(vec![alarm("host=c0"), instance.clone()]).unwrap();
    node.wait_delivered();
    assert_eq!(standing(&platform)[0].0, "host=c0");
    assert_eq!(standing(&openstack)[0].0, "instance=7");
    assert_eq!((standing(&platform).len(), standing(&openstack).len()), (1, 1));
    // A clear follows the domain recorded when the alarm was set.
    node.client.clear(instance.key()).unwrap();
    node.wait_delivered();
    assert!(standing(&openstack).is_empty());
    assert_eq!(standing(&platform).len(), 1);
}

#[test]
fn clear_all_goes_to_both_domains() {
    let (platform, openstack) = (controller(), openstack());
    let node = both(&platform, &openstack);
    let other = Alarm { alarm_id: OPENSTACK_ALARM_ID.to_owned(), ..alarm("host=c0.instance=7") };
    node.client.set_list(vec![alarm("host=c0"), other, alarm("host=c01")]).unwrap();
    node.wait_delivered();
    // Another node's alarm under the entity goes as well.
    openstack.insert_alarm(NewAlarm::new(OPENSTACK_ALARM_ID, "host=c0.x=1", "major")).unwrap();
    node.client.clear_all("host=c0").unwrap();
    assert_eq!(node.client.list_by_entity("host=c01").unwrap().len(), 1);
    assert_eq!(code(node.client.list_by_entity("host=c0")), ErrorCode::EntityNotFound, "pending decides");
    node.wait_delivered();
    assert_eq!(standing(&platform).len(), 1);
    assert!(standing(&openstack).is_empty());
    assert_eq!(code(node.client.clear_all("host=c0")), ErrorCode::EntityNotFound);
}

#[test]
fn clear_all_looks_for_what_this_node_does_not_know() {
    let (platform, openstack) = (controller(), openstack());
    let node = both(&platform, &openstack);
    assert_eq!(code(node.client.clear_all("host=c0")), ErrorCode::EntityNotFound);
    assert_eq!((node.waiting("platform"), node.waiting("openstack")), (0, 0));
    // One of the two has something.
    for sim in [&platform, &openstack] {
        sim.insert_alarm(NewAlarm::new(ALARM_ID, "host=c0.x=1", "major")).unwrap();
        node.client.clear_all("host=c0").unwrap();
        node.wait_delivered();
        assert!(standing(sim).is_empty());
    }
}

#[test]
fn an_alarm_that_this_node_does_not_know_is_looked_for() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    assert_eq!(code(node.client.clear(key("host=c0"))), ErrorCode::EntityNotFound);
    assert!(sim.events().unwrap().is_empty(), "nothing is sent for an alarm that is not there");
    sim.insert_alarm(NewAlarm::new(ALARM_ID, "host=c0", "major")).unwrap();
    sim.insert_alarm(NewAlarm::new(ALARM_ID, "host=c00", "major")).unwrap();
    assert_eq!(node.client.get(key("host=c0")).unwrap().entity_instance_id, "host=c0");
    node.client.clear(key("host=c0")).unwrap();
    assert_eq!(code(node.client.get(key("host=c0"))), ErrorCode::EntityNotFound);
    node.wait_delivered();
    assert_eq!(standing(&sim).iter().map(|(entity, _)| entity.as_str()).collect::<Vec<_>>(), ["host=c00"]);
}

#[test]
fn a_set_that_changes_nothing_is_not_sent_again() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    let first = node.client.set(alarm("host=c0")).unwrap();
    node.wait_delivered();
    for _ in 0..3 {
        assert_eq!(node.client.set(alarm("host=c0")).unwrap(), first);
        node.wait_delivered();
    }
    assert_eq!(events(&sim, "host=c0").len(), 1);
    // Unless the controller has lost it: the caller says that the fault is still there.
    sim.remove_alarm(&first).unwrap();
    node.client.set(alarm("host=c0")).unwrap();
    node.wait_delivered();
    assert_eq!(standing(&sim).len(), 1);
    assert_eq!(node.client.get(key("host=c0")).unwrap().uuid, Some(first), "callers keep the uuid they know");
}

#[test]
fn a_set_that_changes_something_takes_the_place_of_what_stood() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    let first = node.client.set(alarm("host=c0")).unwrap();
    node.wait_delivered();
    let second = node.client.set(Alarm { reason_text: "worse".to_owned(), ..alarm("host=c0") }).unwrap();
    node.wait_delivered();
    assert_ne!(first, second);
    let rows = sim.alarms().unwrap();
    assert_eq!((rows.len(), rows[0].fields.uuid.as_str()), (1, second.as_str()));
    assert_eq!(rows[0].fields.reason_text.as_deref(), Some("worse"));
}

#[test]
fn keep_existing_finds_what_another_node_raised() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    let theirs = sim.insert_alarm(NewAlarm::new(ALARM_ID, "host=c0", "minor")).unwrap().fields.uuid;
    let ours = Alarm { keep_existing_alarm: true, ..alarm("host=c0") };
    assert_eq!(node.client.set(ours.clone()).unwrap(), theirs);
    assert_eq!(node.waiting("platform"), 0);
    node.client.set(Alarm { entity_instance_id: "host=c1".to_owned(), ..ours }).unwrap();
    node.wait_delivered();
    assert_eq!(standing(&sim).len(), 2);
}

#[test]
fn keep_existing_sends_nothing_for_an_alarm_of_this_node() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    let first = node.client.set(alarm("host=c0")).unwrap();
    node.wait_delivered();
    let asked = sim.requests_to(Service::Fm).len();
    let again = Alarm { keep_existing_alarm: true, reason_text: "worse".to_owned(), ..alarm("host=c0") };
    assert_eq!(node.client.set(again).unwrap(), first);
    assert_eq!((node.waiting("platform"), sim.requests_to(Service::Fm).len()), (0, asked));
}

#[test]
fn setting_clear_is_a_clear() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    for clearing in [
        Alarm { alarm_state: AlarmState::Clear, ..alarm("host=c0") },
        Alarm { severity: Severity::Clear, ..alarm("host=c0") },
    ] {
        assert_eq!(code(node.client.set(clearing.clone())), ErrorCode::EntityNotFound);
        sim.insert_alarm(NewAlarm::new(ALARM_ID, "host=c0", "major")).unwrap();
        assert_eq!(node.client.set(clearing.clone()).unwrap(), "", "another node's");
        node.wait_delivered();
        node.client.set(alarm("host=c0")).unwrap();
        assert_eq!(node.client.set(clearing).unwrap(), "", "this node's");
        node.wait_delivered();
        assert!(standing(&sim).is_empty());
    }
}

#[test]
fn clearing_what_is_not_there_in_a_list_is_no_error() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    node.client.set(alarm("host=c0")).unwrap();
    sim.insert_alarm(NewAlarm::new(ALARM_ID, "host=c1", "major")).unwrap();
    node.client.clear_list(vec![key("host=none"), key("host=c0"), key("host=c1")]).unwrap();
    node.wait_delivered();
    assert!(standing(&sim).is_empty());
}

#[test]
fn what_waits_is_laid_over_what_the_controller_has() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    node.client.set_list(vec![alarm("host=a.p=1"), alarm("host=a.p=2")]).unwrap();
    node.wait_delivered();
    sim.insert_alarm(NewAlarm::new(ALARM_ID, "host=a.p=3", "major")).unwrap();
    // Answers to questions, and takes no change.
    sim.add_fault(Fault::status(500).on("DELETE", "/v1/alarms")).unwrap();
    sim.add_fault(Fault::status(500).on("POST", "/v1/alarms")).unwrap();
    node.client.clear(key("host=a.p=1")).unwrap();
    node.client.set(Alarm { reason_text: "worse".to_owned(), ..alarm("host=a.p=2") }).unwrap();
    node.client.set(alarm("host=a.p=0")).unwrap();
    let seen = |alarms: Vec<Alarm>| -> Vec<(String, String)> {
        let mut seen: Vec<_> =
            alarms.into_iter().map(|alarm| (alarm.entity_instance_id, alarm.reason_text)).collect();
        seen.sort();
        seen
    };
    let expected = [("host=a.p=0", "driver out of sync"), ("host=a.p=2", "worse"), ("host=a.p=3", "")]
        .map(|(entity, reason)| (entity.to_owned(), reason.to_owned()));
    assert_eq!(seen(node.client.list_by_entity("host=a").unwrap()), expected);
    assert_eq!(seen(node.client.list_by_id(ALARM_ID).unwrap()), expected);
    assert_eq!(seen(node.client.list_by_id_and_entity(key("host=a")).unwrap()), expected);
    assert_eq!(node.waiting("platform"), 3);
}

#[test]
fn a_log_is_recorded_once_and_is_no_alarm() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    for state in [AlarmState::Msg, AlarmState::Log] {
        let log = Alarm { alarm_state: state, alarm_id: "999.999".to_owned(), ..alarm("host=c0") };
        let uuid = node.client.set(log).unwrap();
        assert!(!uuid.is_empty());
    }
    node.wait_delivered();
    let states: Vec<String> = events(&sim, "host=c0").into_iter().map(|(state, _)| state).collect();
    assert_eq!(states, ["log", "log"]);
    assert!(standing(&sim).is_empty());
    assert_eq!(code(node.client.list_by_entity("host=c0")), ErrorCode::EntityNotFound);
}

#[test]
fn callers_read_back_what_they_wrote() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    let written =
        Alarm { reason_text: format!("{} ### ' \" \u{1F525} \0 end#", "ä".repeat(400)), ..alarm("") };
    node.client.set(written.clone()).unwrap();
    node.wait_delivered();
    let there = sim.alarms().unwrap().remove(0).fields;
    assert!(there.reason_text.unwrap().chars().count() <= 255, "the controller holds 255 characters");
    for found in [
        node.client.get(key("")).unwrap(),
        node.client
            .get(AlarmKey { alarm_id: ALARM_ID.to_owned(), entity_instance_id: " ".to_owned() })
            .unwrap(),
        node.client.list_by_id(ALARM_ID).unwrap().remove(0),
    ] {
        assert!(found.same_content(&written), "{found:?}");
    }
    node.client.clear(key(" ")).unwrap();
    node.wait_delivered();
    assert!(standing(&sim).is_empty());
}

#[test]
fn reads_match_exactly_what_the_service_matches_loosely() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    for entity in ["host=c_1", "host=cX1", "host=c_1.p=1", "host=c_10", "a.host=c_1"] {
        sim.insert_alarm(NewAlarm::new(ALARM_ID, entity, "major")).unwrap();
    }
    let entities = |alarms: Vec<Alarm>| -> Vec<String> {
        let mut entities: Vec<String> = alarms.into_iter().map(|alarm| alarm.entity_instance_id).collect();
        entities.sort();
        entities
    };
    assert_eq!(
        entities(node.client.list_by_id_and_entity(key("host=c_1")).unwrap()),
        ["host=c_1", "host=c_1.p=1"]
    );
    assert_eq!(node.client.list_by_id(ALARM_ID).unwrap().len(), 5);
    assert_eq!(node.client.list_by_entity("host=c_1").unwrap().len(), 2);
    assert_eq!(code(node.client.list_by_entity("host=%")), ErrorCode::EntityNotFound);
}

#[test]
fn suppressed_alarms_show_where_callers_are_used_to_see_them() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    node.client.set(alarm("host=c0")).unwrap();
    node.wait_delivered();
    sim.suppress(ALARM_ID, true).unwrap();
    assert!(node.client.get(key("host=c0")).is_ok());
    assert_eq!(node.client.list_by_id(ALARM_ID).unwrap().len(), 1);
    assert_eq!(code(node.client.list_by_entity("host=c0")), ErrorCode::EntityNotFound);
    assert_eq!(code(node.client.list_by_id_and_entity(key("host=c0"))), ErrorCode::EntityNotFound);
}

#[test]
fn a_read_asks_without_delay_and_writes_nothing() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    sim.insert_alarm(NewAlarm::new(ALARM_ID, "host=c0", "major")).unwrap();
    node.client.get(key("host=c0")).unwrap();
    node.client.list_by_entity("host=c0").unwrap();
    assert!(sim.requests_to(Service::Fm).iter().all(|request| request.method == "GET"));
}

fn openstack() -> Sim {
    controller_with(SimConfig { dialect: Dialect::MariaDb, ..SimConfig::default() })
}

fn both(platform: &Sim, openstack: &Sim) -> Node {
    let config = domain("platform", platform, "labrador") + &domain("openstack", openstack, "labrador");
    Node::start(&config)
}
