//! What administrators ask the agent for.

use fm_common::{Alarm, AlarmState, ErrorCode};
use fm_rest_sim::{Fault, Sim};
use serde_json::{Value, json};

use crate::support::{
    ALARM_ID, Node, OPENSTACK_ALARM_ID, alarm, caller, code, controller, domain, key, standing, wait_for,
};

fn rejected(node: &Node) -> Vec<Value> {
    let list: Value = serde_json::from_str(&node.client.rejected(0, 100).unwrap()).unwrap();
    assert_eq!(list["more"], json!(false));
    list["rejected"].as_array().unwrap().clone()
}

/// Lets the controller refuse what is posted, with its own words.
fn refusing(sim: &Sim) -> fm_rest_sim::FaultId {
    let words = r#"{"error_message": "{\"faultcode\": \"Client\", \"faultstring\": \"Not so.\"}"}"#;
    let fault = Fault { body: words.to_owned(), ..Fault::status(400).on("POST", "/v1/alarms") };
    sim.add_fault(fault).unwrap()
}

#[test]
fn after_a_refused_change_callers_see_what_stands() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    let uuid = node.client.set(alarm("host=a")).unwrap();
    node.wait_delivered();
    // A change is a removal and a raise: the one that stood is gone when the other is refused.
    let refused = refusing(&sim);
    let worse = Alarm { reason_text: "worse".into(), ..alarm("host=a") };
    node.client.set(worse.clone()).unwrap();
    node.wait_delivered();
    assert_eq!(rejected(&node)[0]["alarm"]["reason_text"], "worse");
    assert_eq!(standing(&sim), []);
    assert_eq!(code(node.client.get(key("host=a"))), ErrorCode::EntityNotFound);
    sim.stop().unwrap();
    assert_eq!(code(node.client.get(key("host=a"))), ErrorCode::NoConnect, "this node does not know");
    sim.restart().unwrap();
    sim.remove_fault(refused).unwrap();
    // And it can be raised again as it was, and changed.
    for again in [alarm("host=a"), worse] {
        node.client.set(again.clone()).unwrap();
        node.wait_delivered();
        assert_eq!(standing(&sim), [("host=a".to_owned(), again.reason_text)]);
    }
    assert_ne!(sim.alarms().unwrap()[0].fields.uuid, uuid);
}

#[test]
fn refused_requests_are_listed_replayed_and_dropped() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    let fault = refusing(&sim);
    node.client.set(alarm("host=a")).unwrap();
    node.client.set(Alarm { alarm_state: AlarmState::Log, ..alarm("host=log") }).unwrap();
    node.client.set(alarm("host=b")).unwrap();
    node.wait_delivered();
    let found = rejected(&node);
    assert_eq!(found.len(), 3);
    let first = found.iter().find(|entry| entry["entity_instance_id"] == "host=a").unwrap();
    assert_eq!((&first["kind"], &first["alarm_id"]), (&json!("raise"), &json!(ALARM_ID)));
    assert_eq!(first["alarm"]["reason_text"], "driver out of sync");
    assert!(first["answer"].as_str().unwrap().contains("Not so."), "{first}");
    assert!(node.domain("platform")["rejected"] == 3);
    // Page by page.
    let page: Value = serde_json::from_str(&node.client.rejected(0, 1).unwrap()).unwrap();
    assert_eq!((page["rejected"].as_array().unwrap().len(), &page["more"]), (1, &json!(true)));
    let after = found[0]["seq"].as_i64().unwrap();
    let page: Value = serde_json::from_str(&node.client.rejected(after, 9).unwrap()).unwrap();
    assert_eq!(page["rejected"].as_array().unwrap().len(), 2);
    // They survive the agent, and go when they are told to.
    sim.remove_fault(fault).unwrap();
    let seq = |entity: &str| {
        let entry = found.iter().find(|entry| entry["entity_instance_id"] == entity).unwrap();
        entry["seq"].as_i64().unwrap()
    };
    let mut node = node;
    node.kill();
    node.run();
    node.client.drop_rejected(seq("host=b")).unwrap();
    node.client.replay(seq("host=a")).unwrap();
    node.client.replay(seq("host=log")).unwrap();
    node.wait_delivered();
    assert_eq!(standing(&sim), [("host=a".to_owned(), "driver out of sync".to_owned())]);
    assert_eq!(sim.events().unwrap().len(), 2);
    assert_eq!(rejected(&node), Vec::<Value>::new());
    assert_eq!(code(node.client.replay(seq("host=a"))), ErrorCode::EntityNotFound);
    assert_eq!(code(node.client.drop_rejected(seq("host=b"))), ErrorCode::EntityNotFound);
    node.client.clear(key("host=a")).unwrap();
    node.wait_delivered();
    assert!(standing(&sim).is_empty());
}

#[test]
fn refused_requests_are_bounded_by_count() {
    let sim = controller();
    let config = domain("platform", &sim, "labrador");
    let node = Node::start(&format!("max_rejected = 3\n{config}"));
    refusing(&sim);
    let entities: Vec<String> = (0..5).map(|number| format!("host=c{number}")).collect();
    for entity in &entities {
        node.client.set(alarm(entity)).unwrap();
        node.wait_delivered();
    }
    let kept: Vec<Value> = rejected(&node).iter().map(|entry| entry["entity_instance_id"].clone()).collect();
    assert_eq!(kept, ["host=c2", "host=c3", "host=c4"]);
}

#[test]
fn routing_is_explained() {
    let (platform, openstack) = (controller(), controller());
    let config = domain("platform", &platform, "labrador")
        + &domain("openstack", &openstack, "labrador")
        + "[[route]]\nalarm_id = '100.*'\nentity_instance_id = 'host=odd*'\ndomain = 'openstack'\n";
    let node = Node::start(&config);
    let explain = |id: &str, ty: &str, entity: &str| -> Value {
        serde_json::from_str(&node.client.explain(id, ty, entity).unwrap()).unwrap()
    };
    for (id, ty, entity, domain, reason) in [
        ("100.103", "host", "host=odd-1", "openstack", "route[0]"),
        ("100.103", "host", "host=c0", "platform", "catalogue"),
        (OPENSTACK_ALARM_ID, "", "host=c0", "openstack", "catalogue"),
        ("100.103", "", "tenant=1.instance=2", "openstack", "instance"),
        ("999.999", "host", "host=c0", "platform", "default"),
    ] {
        let said = explain(id, ty, entity);
        assert_eq!((&said["domain"], &said["reason"]), (&json!(domain), &json!(reason)), "{said}");
        assert!(said["decision"].as_str().unwrap().starts_with(domain));
        assert_eq!(said["recorded"], Value::Null);
    }
    node.client.set(alarm("host=odd-1")).unwrap();
    assert_eq!(explain(ALARM_ID, "", "host=odd-1")["recorded"], "openstack");
    assert_eq!(code(node.client.explain("", "", "")), ErrorCode::InvalidParameter);
}

/// Runs in a process of another user that the test below starts; by itself it has nobody to call.
#[test]
fn as_another_user() {
    let Some(client) = caller() else { return };
    client.status().unwrap();
    client.set(alarm("host=theirs")).unwrap();
    assert_eq!(code(client.rejected(0, 1)), ErrorCode::InvalidRequest);
    assert_eq!(code(client.replay(1)), ErrorCode::InvalidRequest);
    assert_eq!(code(client.drop_rejected(1)), ErrorCode::InvalidRequest);
    assert_eq!(code(client.explain(ALARM_ID, "", "host=a")), ErrorCode::InvalidRequest);
    assert_eq!(code(client.resync("platform")), ErrorCode::InvalidRequest);
}

/// Only root can become another user; everybody else sees the policy's own test.
#[test]
fn others_raise_alarms_but_do_not_administer() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let node = Node::start("");
    let ended = node.elsewhere("admin::as_another_user").output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    wait_for("the other user's alarm", || node.client.get(key("host=theirs")).is_ok());
}
