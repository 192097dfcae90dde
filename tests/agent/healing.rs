//! Controllers that come back from an outage with something else than they had.

use std::path::Path;

use fm_common::ErrorCode;
use fm_rest_sim::{Apply, Database, Fault, FaultKind, NewAlarm, Sim, SimConfig};
use serde_json::{Value, json};

use crate::support::{
    ALARM_ID, Node, address, alarm, code, controller, controller_with, domain, events, key, replaced,
    standing, wait_for,
};

fn node(sim: &Sim) -> Node {
    Node::start(&domain("platform", sim, "labrador").replace(
        "[platform.fm_rest_api]",
        "[platform]\nlongest_pause_ms = 500\ncompare_spread_ms = 50\n[platform.fm_rest_api]",
    ))
}

/// Lets the agent notice that its controller is away.
fn notice(node: &Node) {
    assert_eq!(code(node.client.list_by_id(ALARM_ID)), ErrorCode::NoConnect);
    node.wait_down("platform");
}

/// Compares now, and gives what came of it.
fn resync(node: &Node) -> Value {
    let mut answer = None;
    // A connection that the last controller left behind counts as one more outage.
    wait_for("the controller to be compared", || {
        answer = node.client.resync("platform").ok();
        answer.is_some()
    });
    let healed: Value = serde_json::from_str(&answer.unwrap()).unwrap();
    assert_eq!((&healed["domain"], &healed["state"]), (&json!("platform"), &json!("done")), "{healed}");
    healed
}

/// Raised, removed, respected, left.
fn numbers(healed: &Value) -> [u64; 4] {
    ["raised", "removed", "respected", "left"].map(|name| healed[name].as_u64().unwrap())
}

fn entities(sim: &Sim) -> Vec<String> {
    let mut entities: Vec<String> = standing(sim).into_iter().map(|(entity, _)| entity).collect();
    entities.sort();
    entities
}

#[test]
fn what_a_controller_has_lost_is_raised_again_once() {
    let sim = controller();
    let node = node(&sim);
    let uuid = node.client.set(alarm("host=a")).unwrap();
    node.client.set(alarm("host=b")).unwrap();
    node.wait_delivered();
    let fault = sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    notice(&node);
    assert!(sim.remove_fault(fault).is_ok());
    let sim = replaced(sim, SimConfig::default());
    wait_for("the alarms to be raised again", || entities(&sim) == ["host=a", "host=b"]);
    node.wait_delivered();
    assert_eq!(numbers(&resync(&node)), [0; 4]);
    assert_eq!(events(&sim, "host=a").len(), 1);
    // Callers see the alarm they raised.
    assert_eq!(node.client.get(key("host=a")).unwrap().uuid, Some(uuid));
    node.client.clear(key("host=a")).unwrap();
    node.wait_delivered();
    assert_eq!(entities(&sim), ["host=b"]);
}

#[test]
fn what_was_lost_while_the_agent_was_away_is_raised_after_its_start() {
    let sim = controller();
    let mut node = node(&sim);
    node.client.set(alarm("host=a")).unwrap();
    node.wait_delivered();
    node.kill();
    let sim = replaced(sim, SimConfig::default());
    node.run();
    wait_for("the alarm to be raised again", || entities(&sim) == ["host=a"]);
}

#[test]
fn what_a_person_removed_is_respected() {
    let sim = controller();
    let node = node(&sim);
    for entity in ["host=a", "host=b"] {
        node.client.set(alarm(entity)).unwrap();
    }
    node.wait_delivered();
    // Another hand: it knows nothing of the alarm, and removes it at the controller.
    let other = Node::with_platform(&sim);
    other.client.clear(key("host=a")).unwrap();
    other.wait_delivered();
    let fault = sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    notice(&node);
    sim.remove_fault(fault).unwrap();
    wait_for("the comparison", || node.log().contains("removed at the controller by somebody"));
    assert_eq!(numbers(&resync(&node)), [0; 4]);
    node.wait_delivered();
    assert_eq!(entities(&sim), ["host=b"]);
    assert_eq!(code(node.client.clear(key("host=a"))), ErrorCode::EntityNotFound);
    // Raised anew it stands again.
    node.client.set(alarm("host=a")).unwrap();
    node.wait_delivered();
    assert_eq!(entities(&sim), ["host=a", "host=b"]);
}

#[test]
fn what_was_cleared_and_stands_again_is_removed_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let (database, backup) = (directory.path().join("fm.db"), directory.path().join("backup.db"));
    let file = |path: &Path| Database::File(path.to_owned());
    let sim = controller_with(SimConfig { database: file(&database), ..SimConfig::default() });
    let node = node(&sim);
    for entity in ["host=a", "host=b", "host=stays"] {
        node.client.set(alarm(entity)).unwrap();
    }
    node.wait_delivered();
    for entity in ["host=a", "host=foreign"] {
        sim.insert_alarm(NewAlarm::new("100.101", entity, "minor")).unwrap();
    }
    let (listen, keystone_listen) = (address(&sim.url()), address(&sim.keystone_url()));
    drop(sim);
    std::fs::copy(&database, &backup).unwrap();
    let again = |path: &Path| {
        let database = file(path);
        controller_with(SimConfig { listen, keystone_listen, database, ..SimConfig::default() })
    };
    let sim = again(&database);
    node.client.clear(key("host=a")).unwrap();
    node.client.set(fm_common::Alarm { reason_text: "changed".to_owned(), ..alarm("host=b") }).unwrap();
    node.wait_delivered();
    // The controller comes back as it was.
    drop(sim);
    let sim = again(&backup);
    resync(&node);
    wait_for("what was cleared to go and what was changed to be changed", || {
        let mut standing = standing(&sim);
        standing.sort();
        let is = |entity: &str, reason: &str| (entity.to_owned(), reason.to_owned());
        standing
            == [
                is("host=a", ""),
                is("host=b", "changed"),
                is("host=foreign", ""),
                is("host=stays", "driver out of sync"),
            ]
    });
    node.wait_delivered();
    assert_eq!(numbers(&resync(&node)), [0; 4]);
}

#[test]
fn suppressed_and_masked_alarms_are_not_raised_again() {
    let sim = controller();
    let node = node(&sim);
    for entity in ["host=a", "host=b"] {
        node.client.set(alarm(entity)).unwrap();
    }
    node.wait_delivered();
    sim.suppress(ALARM_ID, true).unwrap();
    let uuid = sim.alarms().unwrap()[1].fields.uuid.clone();
    sim.mask_alarm(&uuid, true).unwrap();
    assert_eq!(numbers(&resync(&node)), [0, 0, 0, 1]);
    // Its event has aged out: it makes room for the one that is raised.
    sim.set_event_cap(1);
    let other = Node::with_platform(&sim);
    other.client.set(fm_common::Alarm { alarm_id: "100.101".to_owned(), ..alarm("host=other") }).unwrap();
    other.wait_delivered();
    resync(&node);
    node.wait_delivered();
    assert_eq!(entities(&sim), ["host=a", "host=b", "host=other"]);
}

#[test]
fn without_a_list_nothing_is_healed() {
    let sim = controller();
    let node = node(&sim);
    node.client.set(alarm("host=a")).unwrap();
    node.wait_delivered();
    let sim = replaced(sim, SimConfig::default());
    let poisoned = sim.add_fault(Fault::status(500).on("GET", "/v1/alarms")).unwrap();
    assert_eq!(code(node.client.resync("platform")), ErrorCode::NoConnect);
    assert!(standing(&sim).is_empty());
    assert!(node.log().contains("nothing was healed"));
    sim.remove_fault(poisoned).unwrap();
    wait_for("the alarm to be raised again", || entities(&sim) == ["host=a"]);
}

#[test]
fn an_alarm_whose_raise_was_never_recorded_stands_once() {
    let sim = controller();
    let node = node(&sim);
    // The service's own defect: the alarm is stored, its event is not.
    let dying = Fault::new(FaultKind::Reset).applied(Apply::AlarmOnly).on("POST", "/v1/alarms").times(1);
    sim.add_fault(dying).unwrap();
    node.client.set(alarm("host=a")).unwrap();
    node.wait_delivered();
    assert!(events(&sim, "host=a").is_empty());
    assert_eq!(numbers(&resync(&node)), [0; 4]);
    // It is lost without a trace: nothing says that somebody removed it.
    let uuid = sim.alarms().unwrap()[0].fields.uuid.clone();
    sim.remove_alarm(&uuid).unwrap();
    assert_eq!(numbers(&resync(&node)), [1, 0, 0, 0]);
    node.wait_delivered();
    assert_eq!(entities(&sim), ["host=a"]);
}

#[test]
fn a_node_without_alarms_asks_for_no_list_but_whether_the_controller_answers() {
    let sim = controller();
    let node = node(&sim);
    assert_eq!(numbers(&resync(&node)), [0; 4]);
    let asked = sim.requests().into_iter().map(|request| request.path);
    let asked: Vec<String> = asked.filter(|path| !path.starts_with("/v3/")).collect();
    assert!(!asked.is_empty() && asked.iter().all(|path| path == "/v1/alarms/summary"), "{asked:?}");
}

#[test]
fn a_controller_that_was_never_reached_cannot_be_compared() {
    let sim = controller();
    sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    // Nobody has asked it yet.
    let node = Node::start(&domain("platform", &sim, "labrador").replace(
        "[platform.fm_rest_api]",
        "[platform]\ncompare_spread_ms = 3600000\n[platform.fm_rest_api]",
    ));
    assert_eq!(node.domain("platform")["state"], "unknown");
    assert_eq!(code(node.client.resync("platform")), ErrorCode::NoConnect);
    assert!(node.domain("platform")["compared"]["failed"].is_string());
    node.wait_down("platform");
}

#[test]
fn what_cannot_be_compared_is_said() {
    let sim = controller();
    let node = node(&sim);
    assert_eq!(code(node.client.resync("moon")), ErrorCode::InvalidParameter);
    assert_eq!(code(node.client.resync("openstack")), ErrorCode::InvalidParameter);
    let here = Node::start("");
    assert_eq!(code(here.client.resync("platform")), ErrorCode::InvalidParameter);
    sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    notice(&node);
    assert_eq!(code(node.client.resync("platform")), ErrorCode::NoConnect);
}
