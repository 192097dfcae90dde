//! Reads.

use std::time::{Duration, Instant};

use fm_manager_sim::{Action, AlarmRecord, ManagerConfig, ManagerSim, text_bytes};

use crate::bench::{ID, Peer, alarm, filter, sim, uuid};

/// Two alarms that share a beginning, one of another id.
fn three(peer: &mut Peer) {
    for (number, alarm_id, entity) in [(1, ID, "host=a"), (2, ID, "host=ab"), (3, "100.101", "host=a.x")] {
        peer.create(&AlarmRecord { uuid: uuid(number), alarm_id: alarm_id.into(), ..alarm(entity) });
    }
}

fn entities(rows: &[AlarmRecord]) -> Vec<&str> {
    rows.iter().map(|row| row.entity_instance_id.as_str()).collect()
}

#[test]
fn get_is_exact_and_has_the_alarms_uuid() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    three(&mut peer);
    let (code, body) = peer.ask(Action::Get, &filter(ID, "host=a"));
    let row = AlarmRecord::from_bytes(&body).unwrap();
    assert_eq!((code, row), (0, AlarmRecord { uuid: uuid(1), ..alarm("host=a") }));
    assert_eq!(peer.ask(Action::Get, &filter(ID, "host=")), (10, Vec::new()));
    assert_eq!(peer.ask(Action::Get, &filter(ID, "host=_")), (10, Vec::new()));
}

#[test]
fn by_entity_is_by_prefix_and_has_the_uuid_of_another_table() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    three(&mut peer);
    let rows = peer.list(Action::GetByEntity, &text_bytes("host=a"));
    assert_eq!(entities(&rows), ["host=a", "host=ab", "host=a.x"]);
    // One uuid an alarm id, and none of an alarm.
    assert_eq!(rows[0].uuid, rows[1].uuid);
    assert_ne!(rows[0].uuid, rows[2].uuid);
    assert!(rows.iter().all(|row| sim.alarms().iter().all(|known| known.uuid != row.uuid)));
    assert_eq!(peer.list(Action::GetByEntity, &text_bytes("host=_b")).len(), 1);
    assert_eq!(peer.list(Action::GetByEntity, &text_bytes("")).len(), 3);
    assert!(peer.list(Action::GetByEntity, &text_bytes("host=z")).is_empty());
}

#[test]
fn by_id_and_entity_is_by_prefix_and_has_the_uuid_of_another_table() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    three(&mut peer);
    let rows = peer.list(Action::GetByIdAndEntity, &filter(ID, "host=a"));
    assert_eq!(entities(&rows), ["host=a", "host=ab"]);
    assert!(rows.iter().all(|row| sim.alarms().iter().all(|known| known.uuid != row.uuid)));
}

#[test]
fn by_id_is_exact_and_has_the_alarms_uuid() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    three(&mut peer);
    let rows = peer.by_id(ID);
    assert_eq!(rows.iter().map(|row| row.uuid.clone()).collect::<Vec<_>>(), [uuid(1), uuid(2)]);
    assert!(peer.by_id("100.10_").is_empty());
}

#[test]
fn suppressed_alarms_are_hidden_by_entity_and_by_both_and_shown_by_key_and_by_id() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    three(&mut peer);
    assert!(sim.suppress(ID, true));
    assert_eq!(entities(&peer.list(Action::GetByEntity, &text_bytes("host=a"))), ["host=a.x"]);
    assert!(peer.list(Action::GetByIdAndEntity, &filter(ID, "host=a")).is_empty());
    assert_eq!(peer.by_id(ID).len(), 2);
    assert_eq!(peer.ask(Action::Get, &filter(ID, "host=a")).0, 0);
    assert!(!sim.suppress("999.999", true));
}

#[test]
fn the_empty_entity_is_kept_as_a_space_and_given_back_empty() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    peer.create(&alarm(""));
    assert_eq!(sim.alarms()[0].entity_instance_id, " ");
    for entity in ["", " "] {
        let (code, body) = peer.ask(Action::Get, &filter(ID, entity));
        assert_eq!((code, AlarmRecord::from_bytes(&body).unwrap().entity_instance_id.as_str()), (0, ""));
    }
}

#[test]
fn reads_wait_for_a_poll_and_those_that_wait_are_answered_together() {
    let poll = Duration::from_millis(400);
    let sim = ManagerSim::start(ManagerConfig { poll, ..ManagerConfig::default() }).unwrap();
    let mut peer = Peer::new(&sim);
    // The answer to a read tells when the poll was.
    peer.by_id(ID);
    let started = Instant::now();
    for number in 0..20 {
        peer.send(Action::GetById, &text_bytes(&format!("100.{number}")));
    }
    for _ in 0..20 {
        assert_eq!(peer.receive().unwrap().0.code, 10);
    }
    let took = started.elapsed();
    assert!(took >= poll / 2 && took < poll * 5, "{took:?}");
}

#[test]
fn a_write_is_not_held_up_by_a_read() {
    let poll = Duration::from_millis(800);
    let sim = ManagerSim::start(ManagerConfig { poll, ..ManagerConfig::default() }).unwrap();
    let mut peer = Peer::new(&sim);
    peer.by_id(ID);
    peer.send(Action::GetById, &text_bytes(ID));
    peer.send(Action::Create, &alarm("host=a").to_bytes());
    let order = [peer.receive().unwrap().0.action, peer.receive().unwrap().0.action];
    assert_eq!(order, [Action::Create.number(), Action::GetById.number()]);
}

#[test]
fn the_managers_own_times_are_the_defaults() {
    let config = ManagerConfig::default();
    assert_eq!(config.poll, Duration::from_millis(100));
    assert_eq!(config.event_delay, Duration::from_millis(200));
    assert_eq!(config.silence, Duration::from_secs(5));
    assert_eq!(config.alarm_ids.len(), 135);
}
