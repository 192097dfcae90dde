//! A backlog that reaches the limits of the store, while the controller fails or is away.

use fm_common::{Alarm, ErrorCode};
use fm_rest_sim::Fault;
use serde_json::Value;

use crate::support::{Node, alarm, code, controller, domain, events, key, standing, wait_for};

fn store(node: &Node) -> Value {
    let status: Value = serde_json::from_str(&node.client.status().unwrap()).unwrap();
    status["store"].clone()
}

fn worse(entity: &str, reason: &str) -> Alarm {
    Alarm { reason_text: reason.to_owned(), ..alarm(entity) }
}

#[test]
fn what_is_folded_is_not_sent_and_the_latest_state_arrives() {
    let sim = controller();
    let bounds = "max_requests = 1000\nhigh_water = 0.1\n";
    let node = Node::start(&format!("{bounds}{}", domain("platform", &sim, "labrador")));
    node.client.set(alarm("host=before")).unwrap();
    node.wait_delivered();
    // It answers, so the agent reads on and tries one after the other.
    let failing = sim.add_fault(Fault::status(500).on("POST", "/v1/alarms")).unwrap();
    for number in 0..200 {
        node.client.set(worse("host=a", &number.to_string())).unwrap();
        node.client.set(worse("host=b", &number.to_string())).unwrap();
        node.client.clear(key("host=b")).unwrap();
    }
    let held = store(&node);
    assert!(held["folded"].as_u64().unwrap() > 300, "{held}");
    assert!(held["waiting"].as_u64().unwrap() <= 200, "{held}");
    assert_eq!(held["waiting"].as_u64().unwrap(), node.waiting("platform"));
    sim.remove_fault(failing).unwrap();
    node.wait_delivered();
    let stands = [("host=a".to_owned(), "199".to_owned()), ("host=before".to_owned(), alarm("").reason_text)];
    let mut found = standing(&sim);
    found.sort();
    assert_eq!(found, stands, "{}", node.log());
    assert!(events(&sim, "host=a").len() < 200);
    assert!(node.log().contains("above high water"), "{}", node.log());
}

#[test]
fn at_the_limit_a_set_is_refused_and_a_clear_is_not() {
    let sim = controller();
    let node = Node::start(&format!("max_requests = 1000\n{}", domain("platform", &sim, "labrador")));
    node.client.set(alarm("host=before")).unwrap();
    node.wait_delivered();
    let down = sim.add_fault(Fault::status(503)).unwrap();
    node.client.set_list((0..999).map(|number| alarm(&format!("host=c{number}"))).collect()).unwrap();
    let two = vec![alarm("host=one"), alarm("host=two")];
    assert_eq!(code(node.client.set_list(two)), ErrorCode::NotEnoughSpace);
    assert_eq!(code(node.client.get(key("host=one"))), ErrorCode::NoConnect, "half of a list was taken");
    node.client.set(alarm("host=one")).unwrap();
    assert_eq!(code(node.client.set(alarm("host=two"))), ErrorCode::NotEnoughSpace);
    node.client.clear(key("host=before")).unwrap();
    assert_eq!(store(&node)["refused_at_limit"], 2);
    sim.remove_fault(down).unwrap();
    // As soon as some have gone.
    wait_for("room in the store", || node.client.set(alarm("host=two")).is_ok());
    node.wait_delivered();
    let found = standing(&sim);
    assert_eq!(found.len(), 1001, "{}", node.log());
    assert!(!found.iter().any(|(entity, _)| entity == "host=before"));
}
