//! The event log.

use std::time::Duration;

use fm_manager_sim::{AlarmRecord, EventState, ManagerConfig, ManagerSim};

use crate::bench::{ID, Peer, alarm, sim, uuid, wait_for};

fn states(sim: &ManagerSim) -> Vec<EventState> {
    sim.events().into_iter().map(|event| event.state).collect()
}

#[test]
fn events_are_written_after_the_answer() {
    let sim =
        ManagerSim::start(ManagerConfig { event_delay: Duration::from_secs(1), ..ManagerConfig::default() })
            .unwrap();
    let mut peer = Peer::new(&sim);
    peer.create(&AlarmRecord { uuid: uuid(1), ..alarm("host=a") });
    assert!(sim.events().is_empty(), "answered, and not yet written");
    peer.delete(ID, "host=a");
    wait_for("the event log", || sim.is_settled());
    assert_eq!(states(&sim), [EventState::Set, EventState::Clear]);
    let events = sim.events();
    assert_eq!(events[0].record.uuid, uuid(1));
    assert_ne!(events[1].record.uuid, uuid(1), "a clear is an event of its own");
}

#[test]
fn a_death_loses_the_events_that_are_queued() {
    let sim = sim();
    Peer::new(&sim).create(&alarm("host=a"));
    sim.kill();
    sim.restart().unwrap();
    Peer::new(&sim).create(&alarm("host=b"));
    wait_for("the event log", || sim.is_settled() && !sim.events().is_empty());
    assert_eq!(sim.alarms().len(), 2, "the tables stay");
    assert_eq!(sim.events().len(), 1);
}

#[test]
fn a_log_makes_an_event_and_no_alarm_and_may_have_any_id() {
    let sim = sim();
    let log = AlarmRecord { alarm_id: "999.999".into(), alarm_state: 2, uuid: uuid(1), ..alarm("it's") };
    assert_eq!(Peer::new(&sim).create(&log), 0);
    wait_for("the event log", || sim.is_settled());
    assert!(sim.alarms().is_empty());
    assert_eq!(states(&sim), [EventState::Log]);
}

#[test]
fn the_event_log_takes_a_uuid_once() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    let log = AlarmRecord { alarm_state: 2, uuid: uuid(1), ..alarm("host=a") };
    // Both are answered before the first is written.
    assert_eq!((peer.create(&log), peer.create(&log)), (0, 0));
    wait_for("the event log", || sim.is_settled());
    assert_eq!(sim.events().len(), 1);
    assert_eq!(peer.create(&log), 11);
}

#[test]
fn a_state_that_is_not_a_logs_makes_an_alarm() {
    let sim = sim();
    // 3 is the word of the event log; the manager takes it for an alarm.
    Peer::new(&sim).create(&AlarmRecord { alarm_state: 3, ..alarm("host=a") });
    assert_eq!(sim.alarms().len(), 1);
}
