//! Controllers that answer questions and refuse what is to be written: an account that may only read, a proxy with
//! rules of its own.

use std::thread::sleep;
use std::time::{Duration, Instant};

use fm_rest_sim::{Fault, Service, Sim, User};

use crate::support::{ALARM_ID, Node, alarm, controller, domain, key, standing, wait_for};

/// Watches for a while: whatever the agent tries, it says that the controller is down, since one moment, and why.
fn stays_down(node: &Node, sim: &Sim, reason: &str) {
    let since = node.domain("platform")["since"].clone();
    sim.clear_requests();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(8) {
        let now = node.domain("platform");
        assert_eq!((&now["state"], &now["since"]), (&"down".into(), &since), "{now}");
        assert!(now["reason"].as_str().unwrap().contains(reason), "{now}");
        sleep(Duration::from_millis(20));
    }
    assert!(!node.log().contains("up again"), "{}", node.log());
    let asked = sim.requests_to(Service::Fm).len();
    println!("{asked} requests in 8 s");
    // Pauses grow: eight attempts at most likely, each with a probe, two questions at most and a write.
    assert!((1..40).contains(&asked), "{asked} requests in 8 s");
}

fn node(sim: &Sim) -> Node {
    Node::start(
        &domain("platform", sim, "labrador")
            .replace("[platform.fm_rest_api]", "[platform]\ncompare_spread_ms = 50\n[platform.fm_rest_api]"),
    )
}

#[test]
fn an_account_that_may_only_read_is_down_for_writes_and_answers_reads() {
    let sim = controller();
    let node = node(&sim);
    for entity in ["host=held", "host=removed"] {
        node.client.set(alarm(entity)).unwrap();
    }
    node.wait_delivered();
    sim.set_users(vec![User::new("fm", "labrador", "services", &["reader"])]);
    sim.invalidate_tokens();
    node.client.set_list((0..100).map(|number| alarm(&format!("host=c0.p={number}"))).collect()).unwrap();
    assert!(node.wait_down("platform").contains("role"), "{}", node.log());
    wait_for("a list, which the controller answers", || node.client.list_by_id(ALARM_ID).is_ok());
    stays_down(&node, &sim, "role");
    assert_eq!(node.client.list_by_id(ALARM_ID).unwrap().len(), 102);
    assert_eq!(node.client.get(key("host=held")).unwrap().entity_instance_id, "host=held");
    // Put right, after somebody has removed something: it is compared.
    let removed = sim.alarms().unwrap().into_iter().map(|row| row.fields);
    let removed = removed.filter(|fields| fields.entity_instance_id.as_deref() == Some("host=removed"));
    sim.remove_alarm(&removed.map(|fields| fields.uuid).next().unwrap()).unwrap();
    sim.set_users(vec![User::new("fm", "labrador", "services", &["admin"])]);
    sim.invalidate_tokens();
    wait_for("all of it to stand", || standing(&sim).len() == 101);
    node.wait_delivered();
    assert_eq!(node.domain("platform")["state"], "up");
    assert_eq!(node.log().matches("up again").count(), 1, "{}", node.log());
    wait_for("the comparison", || node.domain("platform")["compared"]["left"] == 1);
}

#[test]
fn a_proxy_that_refuses_writes_is_not_pressed() {
    let sim = controller();
    let node = node(&sim);
    let page = Fault { body: "<html>no</html>".to_owned(), ..Fault::status(502) };
    let page = sim.add_fault(page.on("POST", "/v1/alarms")).unwrap();
    node.client.set(alarm("host=a")).unwrap();
    assert!(node.wait_down("platform").contains("502"), "{}", node.log());
    stays_down(&node, &sim, "502");
    sim.remove_fault(page).unwrap();
    node.wait_delivered();
    assert_eq!(node.domain("platform")["state"], "up");
    assert_eq!(standing(&sim).len(), 1);
}
