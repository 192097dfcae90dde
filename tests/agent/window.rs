//! A backlog of which the agent can hold a part only.

use fm_common::Alarm;
use fm_rest_sim::{Fault, FaultKind, NewAlarm};

use crate::support::{Node, alarm, controller, standing, wait_for};

#[test]
fn what_a_failing_clear_all_holds_back_delays_nobody_else() {
    let sim = controller();
    sim.insert_alarm(NewAlarm::new("100.101", "host=a.other", "major")).unwrap();
    // What is to be cleared can be seen, and not removed.
    let fault = sim.add_fault(Fault::status(500).on("DELETE", "/v1/alarms")).unwrap();
    let node = Node::with_platform(&sim);
    node.client.clear_all("host=a").unwrap();
    for chunk in 0..43 {
        let behind = (0..100).map(|number| alarm(&format!("host=a.p={chunk}-{number}")));
        node.client.set_list(behind.collect()).unwrap();
    }
    node.client.set(alarm("host=z")).unwrap();
    wait_for("an alarm of another host", || standing(&sim).iter().any(|(entity, _)| entity == "host=z"));
    wait_for("nothing but the clear-all and what it holds back", || node.waiting("platform") == 4301);
    sim.remove_fault(fault).unwrap();
    // It goes, and then the first of them.
    wait_for("what was held back", || node.waiting("platform") < 4290);
    let standing = standing(&sim);
    assert!(!standing.iter().any(|(entity, _)| entity == "host=a.other"), "{standing:?}");
    assert!(
        standing.iter().filter(|(entity, _)| entity.starts_with("host=a.p=")).count() > 5,
        "{standing:?}"
    );
}

#[test]
fn memory_is_bounded_whatever_the_size_of_what_waits() {
    let sim = controller();
    let refuse = sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    let mut node = Node::with_platform(&sim);
    let text = "x".repeat(65_000);
    for chunk in 0..16 {
        let alarms = (0..50).map(|number| Alarm {
            reason_text: text.clone(),
            proposed_repair_action: text.clone(),
            ..alarm(&format!("host=a.p={chunk}-{number}"))
        });
        node.client.set_list(alarms.collect()).unwrap();
    }
    node.kill();
    node.run();
    // It has read what it holds, and found nobody to give it to.
    node.wait_down("platform");
    let memory = node.memory();
    println!("{memory} MiB with 99 MiB of texts on disk");
    assert!(memory < 90, "{memory} MiB");
    sim.remove_fault(refuse).unwrap();
    node.wait_delivered();
    assert_eq!(standing(&sim).len(), 800);
    let memory = node.memory();
    println!("{memory} MiB when all of it is delivered");
    assert!(memory < 90, "{memory} MiB");
}
