//! Callers that set what they have read, uuid and all: with the library of today, and with older ones, which send
//! that uuid as it is. And what stands when the controller hides an alarm or keeps another's.

use fm_common::{Alarm, AlarmState, ErrorCode, Severity};
use fm_rest_sim::{Apply, Fault, FaultKind, NewAlarm, Sim};

use crate::support::{ALARM_ID, Node, alarm, code, controller, events, key, standing, wait_for};

/// The ways to set an alarm with the uuid that it carries.
const WAYS: [fn(&Node, Alarm); 2] =
    [|node, alarm| drop(node.client.set(alarm).unwrap()), |node, alarm| drop(node.older_set(alarm).unwrap())];

fn severities(sim: &Sim) -> Vec<(String, String)> {
    let rows = sim.alarms().unwrap().into_iter().map(|row| row.fields);
    rows.map(|row| (row.entity_instance_id.unwrap_or_default(), row.severity.unwrap_or_default())).collect()
}

fn entities(sim: &Sim) -> Vec<String> {
    standing(sim).into_iter().map(|(entity, _)| entity).collect()
}

/// An alarm on `host=a` stands at the controller, and a caller has read it.
fn delivered_and_read() -> (Sim, Node, Alarm) {
    let sim = controller();
    let node = Node::with_platform(&sim);
    node.client.set(alarm("host=a")).unwrap();
    node.wait_delivered();
    let found = node.client.get(key("host=a")).unwrap();
    (sim, node, found)
}

#[test]
fn an_alarm_of_another_node_that_is_read_changed_and_set_is_changed() {
    for set in WAYS {
        let sim = controller();
        sim.insert_alarm(NewAlarm::new(ALARM_ID, "host=x", "minor")).unwrap();
        let node = Node::with_platform(&sim);
        let found = node.client.get(key("host=x")).unwrap();
        let worse = Alarm { severity: Severity::Critical, entity_type_id: "host".to_owned(), ..found };
        set(&node, worse);
        node.wait_delivered();
        assert_eq!(severities(&sim), [("host=x".to_owned(), "critical".to_owned())]);
        assert_eq!(node.client.get(key("host=x")).unwrap().severity, Severity::Critical);
        node.client.clear(key("host=x")).unwrap();
        node.wait_delivered();
        assert!(standing(&sim).is_empty());
    }
}

#[test]
fn an_alarm_that_is_read_and_set_on_another_entity_stands_on_both() {
    for set in WAYS {
        let (sim, node, found) = delivered_and_read();
        set(&node, Alarm { entity_instance_id: "host=b".to_owned(), ..found });
        node.wait_delivered();
        assert_eq!(entities(&sim), ["host=a", "host=b"]);
        assert_eq!(node.client.get(key("host=b")).unwrap().entity_instance_id, "host=b");
        assert_eq!(node.domain("platform")["rejected"], 0);
        node.client.clear(key("host=b")).unwrap();
        node.wait_delivered();
        assert_eq!(entities(&sim), ["host=a"], "the other's is left alone");
    }
}

#[test]
fn an_alarm_that_is_read_and_set_as_a_log_is_logged() {
    for set in WAYS {
        let (sim, node, found) = delivered_and_read();
        let log = Alarm { alarm_state: AlarmState::Log, reason_text: "a log".to_owned(), ..found };
        set(&node, log.clone());
        node.wait_delivered();
        set(&node, Alarm { reason_text: "another".to_owned(), ..log });
        node.wait_delivered();
        let states: Vec<String> =
            events(&sim, "host=a").into_iter().map(|(state, reason)| format!("{state} {reason}")).collect();
        assert_eq!(states, ["set driver out of sync", "log a log", "log another"]);
    }
}

#[test]
fn each_set_and_log_has_a_uuid_of_its_own() {
    let node = Node::start("");
    let first = node.client.set(alarm("host=a")).unwrap();
    let found = node.client.get(key("host=a")).unwrap();
    assert_eq!(found.uuid.as_deref(), Some(first.as_str()));
    // What changes nothing has the uuid that there is.
    assert_eq!(node.client.set(found.clone()).unwrap(), first);
    let mut uuids = vec![first];
    for entity in ["host=b", "host=c"] {
        let other = Alarm { entity_instance_id: entity.to_owned(), ..found.clone() };
        uuids.push(node.client.set(other.clone()).unwrap());
        let log = Alarm { alarm_state: AlarmState::Log, ..other.clone() };
        uuids.extend(node.client.set_list(vec![log.clone(), log.clone()]).unwrap());
        uuids.push(node.client.set_detached(log).unwrap());
    }
    let count = uuids.len();
    uuids.sort();
    uuids.dedup();
    assert_eq!(uuids.len(), count);
}

#[test]
fn an_alarm_in_doubt_that_was_masked_meanwhile_can_be_cleared() {
    let sim = controller();
    let mut node = Node::with_platform(&sim);
    let hang = Fault::new(FaultKind::Hang).applied(Apply::All).on("POST", "/v1/alarms").times(1);
    sim.add_fault(hang).unwrap();
    node.client.set(alarm("host=m")).unwrap();
    wait_for("it to be stored", || sim.alarms().unwrap().len() == 1);
    node.kill();
    sim.clear_faults().unwrap();
    let uuid = sim.alarms().unwrap()[0].fields.uuid.clone();
    sim.mask_alarm(&uuid, true).unwrap();
    node.run();
    node.wait_delivered();
    node.client.clear(key("host=m")).unwrap();
    node.wait_delivered();
    assert!(sim.alarms().unwrap().is_empty());
}

#[test]
fn what_the_controller_keeps_at_delivery_is_what_is_read() {
    let sim = controller();
    let theirs = sim.insert_alarm(NewAlarm::new(ALARM_ID, "host=k", "minor")).unwrap().fields.uuid;
    let refuse = sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    let node = Node::with_platform(&sim);
    assert_eq!(code(node.client.list_by_id(ALARM_ID)), ErrorCode::NoConnect);
    let ours = Alarm { keep_existing_alarm: true, severity: Severity::Critical, ..alarm("host=k") };
    node.client.set(ours).unwrap();
    sim.remove_fault(refuse).unwrap();
    node.wait_delivered();
    assert_eq!(severities(&sim), [("host=k".to_owned(), "minor".to_owned())]);
    let listed = node.client.list_by_id(ALARM_ID).unwrap();
    assert_eq!(listed.len(), 1);
    for found in [node.client.get(key("host=k")).unwrap(), listed[0].clone()] {
        assert_eq!((found.severity, found.uuid.as_deref()), (Severity::Minor, Some(theirs.as_str())));
    }
    node.client.clear(key("host=k")).unwrap();
    node.wait_delivered();
    assert!(standing(&sim).is_empty());
}
