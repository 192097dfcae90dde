//! Controllers that hold, hide or lack what this node did not do: none of it loses a request or holds others up.

use fm_common::{Alarm, AlarmKey, AlarmState, ErrorCode};
use fm_rest_sim::{Fault, FaultKind, NewAlarm, Sim, SimConfig};

use crate::support::{ALARM_ID, Node, alarm, code, controller, domain, key, replaced, standing, wait_for};

/// A node whose pauses are short.
fn node(sim: &Sim) -> Node {
    Node::start(&domain("platform", sim, "labrador").replace(
        "[platform.fm_rest_api]",
        "[platform]\nlongest_pause_ms = 500\ncompare_spread_ms = 50\n[platform.fm_rest_api]",
    ))
}

fn entities(sim: &Sim) -> Vec<String> {
    let mut entities: Vec<String> = standing(sim).into_iter().map(|(entity, _)| entity).collect();
    entities.sort();
    entities
}

#[test]
fn a_controller_without_alarm_types_refuses_nothing_for_good() {
    let sim = controller();
    let node = node(&sim);
    for entity in ["host=a", "host=b"] {
        node.client.set(alarm(entity)).unwrap();
    }
    node.wait_delivered();

    // A new database whose table of alarm types is not filled yet.
    let sim = replaced(sim, SimConfig { alarm_types: vec![], ..SimConfig::default() });
    wait_for("the controller to be compared", || node.client.resync("platform").is_ok());
    node.client.set(alarm("host=new")).unwrap();
    let posts = || sim.requests().iter().filter(|request| request.method == "POST").count();
    let asked = || sim.requests().iter().filter(|request| request.path.contains("event_suppression")).count();
    wait_for("each alarm to be tried again", || posts() > 6 && asked() > 6);
    assert_eq!((&node.domain("platform")["rejected"], node.waiting("platform")), (&0.into(), 3));
    wait_for("the reason to be told", || node.log().contains("no alarm types at all"));

    let sim = replaced(sim, SimConfig::default());
    node.wait_delivered();
    assert_eq!(entities(&sim), ["host=a", "host=b", "host=new"]);
    assert_eq!(node.domain("platform")["rejected"], 0);
}

#[test]
fn a_row_that_no_list_can_show_holds_no_clear_all_up() {
    let sim = controller();
    let node = node(&sim);
    node.client.set(alarm("host=a.p=own")).unwrap();
    node.wait_delivered();
    sim.insert_alarm(NewAlarm::new(ALARM_ID, "host=a.p=other", "minor")).unwrap();
    sim.insert_alarm(NewAlarm::new("100.101", "host=a.bad", "fatal")).unwrap();

    // Readers see what can be seen, and are not told that nothing stands where that cannot be known.
    let listed = node.client.list_by_entity("host=a").unwrap();
    let listed: Vec<&str> = listed.iter().map(|alarm| alarm.entity_instance_id.as_str()).collect();
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert_eq!(code(node.client.list_by_entity("host=a.bad")), ErrorCode::NoConnect);
    let bad = AlarmKey::new("100.101", "host=a.bad");
    assert_eq!(code(node.client.get(bad)), ErrorCode::NoConnect);
    assert_eq!(node.client.get(key("host=a.p=other")).unwrap().entity_instance_id, "host=a.p=other");
    assert_eq!(code(node.client.get(key("host=a.p=none"))), ErrorCode::EntityNotFound);
    // What this node raised is compared all the same.
    wait_for("the controller to be compared", || node.client.resync("platform").is_ok());

    node.client.clear_all("host=a").unwrap();
    node.client.set(alarm("host=a.p=1")).unwrap();
    node.client.set(alarm("host=z")).unwrap();
    node.wait_delivered();
    assert_eq!(entities(&sim), ["host=a.bad", "host=a.p=1", "host=z"]);
    assert!(node.log().contains("cannot show"), "it is said what was left");
}

#[test]
fn a_clear_all_takes_along_what_the_controller_hides() {
    let sim = controller();
    let node = node(&sim);
    for entity in ["host=a", "host=a.p=1", "host=ab", "host=b"] {
        node.client.set(alarm(entity)).unwrap();
    }
    node.wait_delivered();
    for row in sim.alarms().unwrap() {
        sim.mask_alarm(&row.fields.uuid, true).unwrap();
    }
    node.client.clear_all("host=a").unwrap();
    node.wait_delivered();
    assert_eq!(entities(&sim), ["host=ab", "host=b"]);

    // What is raised again before it is delivered is a new alarm: the old one goes, the new one stands.
    let refuse = sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    node.client.clear_all("host=b").unwrap();
    node.client.set(alarm("host=b")).unwrap();
    assert!(sim.remove_fault(refuse).unwrap());
    node.wait_delivered();
    assert_eq!(entities(&sim), ["host=ab", "host=b"]);
    assert_eq!(node.client.get(key("host=b")).unwrap().entity_instance_id, "host=b", "it is not masked");
}

#[test]
fn what_stands_before_the_controller_refuses_no_alarm() {
    let sim = controller();
    let node = node(&sim);
    node.client.set(alarm("host=a")).unwrap();
    node.wait_delivered();
    let page = r#"{"message": "no Route matched with those values"}"#;
    for methods in [&["GET"][..], &["DELETE"], &["GET", "DELETE", "POST"]] {
        for method in methods {
            let fault = Fault { body: page.to_owned(), ..Fault::status(400).on(method, "/v1/alarms") };
            sim.add_fault(fault).unwrap();
        }
        sim.clear_requests();
        node.client.clear(key("host=a")).unwrap();
        node.client.set(alarm("host=c")).unwrap();
        node.client.set(Alarm { alarm_state: AlarmState::Log, ..alarm("host=l") }).unwrap();
        let refused = || sim.requests().iter().filter(|request| request.status == Some(400)).count();
        wait_for("the requests to be tried again and again", || refused() > 8);
        assert_eq!(node.domain("platform")["rejected"], 0);
        sim.clear_faults().unwrap();
        node.wait_delivered();
        assert_eq!(entities(&sim), ["host=c"]);
        node.client.set(alarm("host=a")).unwrap();
        node.client.clear(key("host=c")).unwrap();
        node.wait_delivered();
        assert_eq!(entities(&sim), ["host=a"]);
    }
}
