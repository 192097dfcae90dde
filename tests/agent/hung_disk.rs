//! A disk that does not answer: who waits for it waits, and nobody else.

use std::time::{Duration, Instant};

use fm_rest_sim::{Fault, FaultKind};

use crate::disturb::Disturbed;
use crate::support::{alarm, controller, key, standing, wait_for};

#[test]
fn a_disk_that_hangs_holds_up_only_those_who_wait_for_it() {
    let sim = controller();
    let (node, disk) = Disturbed::with_platform(&sim);
    node.client.set(alarm("host=delivered")).unwrap();
    node.wait_delivered();
    let outage = sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    let patient = node.hasty_client(60_000, 60_000);
    patient.set(alarm("host=before")).unwrap();
    node.wait_down("platform");
    for (round, entity) in ["host=a", "host=b", "host=c"].into_iter().enumerate() {
        // So that its next set is that of a caller that is alone.
        patient.get(key("host=before")).unwrap();
        let held = disk.held();
        disk.hang_disk(true);
        std::thread::scope(|scope| {
            let set = scope.spawn(|| patient.set(alarm(entity)));
            wait_for("a flush to hang", || disk.held() > held);
            // All threads of the agent that are at rest stay so.
            std::thread::sleep(Duration::from_millis(100));
            let other = node.hasty_client(2000, 2000);
            let asked = Instant::now();
            for _ in 0..20 {
                assert_eq!(other.get(key("host=before")).unwrap().entity_instance_id, "host=before");
            }
            assert!(asked.elapsed() < Duration::from_secs(2), "round {round}: {:?}", asked.elapsed());
            assert_eq!(node.domain("platform")["state"], "down");
            assert!(!set.is_finished(), "a flush that is not done was answered");
            disk.hang_disk(false);
            set.join().unwrap().unwrap();
        });
    }
    sim.remove_fault(outage).unwrap();
    node.wait_delivered();
    assert_eq!(standing(&sim).len(), 5);
}

#[test]
fn a_new_configuration_that_waits_for_the_disk_holds_up_no_stop() {
    let sim = controller();
    let (mut node, disk) = Disturbed::with_platform(&sim);
    let patient = node.hasty_client(60_000, 60_000);
    patient.set(alarm("host=before")).unwrap();
    disk.hang_disk(true);
    std::thread::scope(|scope| {
        let set = scope.spawn(|| patient.set(alarm("host=begun")));
        wait_for("a flush to hang", || disk.held() > 0);
        node.signal("HUP");
        wait_for("the new configuration", || node.log().contains("the new configuration is taken"));
        node.terminate();
        wait_for("the stop", || node.log().contains("stopping: what waits stays on disk"));
        disk.hang_disk(false);
        set.join().unwrap().unwrap();
    });
    assert!(node.wait_end().success(), "{}", node.log());
    node.run();
    node.wait_delivered();
    assert_eq!(standing(&sim).len(), 2);
}
