//! A platform whose controller is the central manager: the real agent, its socket protocol, a stand-in.

use std::time::{Duration, Instant};

use fm_common::{Alarm, AlarmState, ErrorCode};
use fm_manager_sim::{Action, EventState, Fault, FaultKind, ManagerConfig, ManagerSim};

use crate::support::{ALARM_ID, Node, alarm, code, key, wait_for};

/// What a caller may wait for an answer of the agent at most, with a machine that is busy in mind.
const AT_ONCE: Duration = Duration::from_millis(900);

fn manager() -> ManagerSim {
    ManagerSim::start(ManagerConfig::default()).unwrap()
}

fn node_of(sim: &ManagerSim) -> Node {
    let (host, port) = (sim.address().ip(), sim.address().port());
    Node::start(&format!(
        "[platform.fm_manager]\nhost = '{host}'\nport = {port}\nconnect_timeout_ms = 1000\nread_timeout_ms = 1000\n"
    ))
}

fn worse(entity: &str, reason: &str) -> Alarm {
    Alarm { reason_text: reason.to_owned(), ..alarm(entity) }
}

/// What stands at the manager: entity and reason, sorted.
fn standing(sim: &ManagerSim) -> Vec<(String, String)> {
    let rows = sim.alarms().into_iter();
    let mut standing: Vec<_> = rows.map(|row| (row.entity_instance_id, row.reason_text)).collect();
    standing.sort();
    standing
}

fn entities(sim: &ManagerSim) -> Vec<String> {
    standing(sim).into_iter().map(|(entity, _)| entity).collect()
}

/// The states of the events of one entity, once all are written.
fn events(sim: &ManagerSim, entity: &str) -> Vec<EventState> {
    wait_for("the event log", || sim.is_settled());
    let events = sim.events().into_iter();
    events.filter(|event| event.record.entity_instance_id == entity).map(|event| event.state).collect()
}

#[test]
fn alarms_are_raised_read_and_cleared() {
    let sim = manager();
    let node = node_of(&sim);
    let uuid = node.client.set(alarm("host=a")).unwrap();
    node.client.set(alarm("host=a.port=1")).unwrap();
    node.client.set(alarm("host=ab")).unwrap();
    node.client.set(Alarm { alarm_state: AlarmState::Msg, ..worse("host=log", "logged") }).unwrap();
    node.wait_delivered();
    assert_eq!(sim.alarms()[0].uuid, uuid);
    // A caller reads back what it wrote, though the manager has no word for the cause.
    let found = node.client.get(key("host=a")).unwrap();
    assert!(found.same_content(&alarm("host=a")), "{found:?}");
    let listed = |alarms: Vec<Alarm>| -> Vec<String> {
        alarms.into_iter().map(|alarm| alarm.entity_instance_id).collect()
    };
    assert_eq!(listed(node.client.list_by_entity("host=a").unwrap()), ["host=a", "host=a.port=1"]);
    assert_eq!(
        listed(node.client.list_by_id_and_entity(key("host=a")).unwrap()),
        ["host=a", "host=a.port=1"]
    );
    assert_eq!(node.client.list_by_id(ALARM_ID).unwrap().len(), 3);
    assert_eq!(code(node.client.clear(key("host=nothing"))), ErrorCode::EntityNotFound);
    node.client.clear(key("host=a.port=1")).unwrap();
    node.client.clear(key("host=ab")).unwrap();
    node.client.clear_all("host=a").unwrap();
    node.wait_delivered();
    assert!(sim.alarms().is_empty());
    assert_eq!(events(&sim, "host=a"), [EventState::Set, EventState::Clear]);
    assert_eq!(events(&sim, "host=log"), [EventState::Log]);
    assert_eq!(code(node.client.list_by_id(ALARM_ID)), ErrorCode::EntityNotFound);
}

#[test]
fn clearing_subcloud1_never_clears_subcloud10() {
    let sim = manager();
    let node = node_of(&sim);
    for number in [1, 2, 10] {
        node.client.set(alarm(&format!("subcloud=subcloud{number}"))).unwrap();
    }
    node.wait_delivered();
    node.client.clear(key("subcloud=subcloud1")).unwrap();
    // For callers it is cleared; at the manager it waits, and delays nobody.
    assert_eq!(code(node.client.get(key("subcloud=subcloud1"))), ErrorCode::EntityNotFound);
    node.client.clear(key("subcloud=subcloud2")).unwrap();
    node.client.set(alarm("subcloud=subcloud3")).unwrap();
    wait_for("the others to be delivered", || node.waiting("platform") == 1);
    assert_eq!(entities(&sim), ["subcloud=subcloud1", "subcloud=subcloud10", "subcloud=subcloud3"]);
    assert!(node.log().contains("a clear waits"), "{}", node.log());
    assert_eq!(node.domain("platform")["state"], "up");
    // Once the longer name is cleared, the shorter one goes too.
    node.client.clear(key("subcloud=subcloud10")).unwrap();
    node.wait_delivered();
    assert_eq!(entities(&sim), ["subcloud=subcloud3"]);
    for entity in ["subcloud=subcloud1", "subcloud=subcloud10"] {
        assert_eq!(events(&sim, entity), [EventState::Set, EventState::Clear]);
    }
    assert_eq!(node.log().matches("a clear waits").count(), 1);
}

/// Raises, changes and clears while the manager is away, lets it come back, and checks what has arrived.
fn outage(sim: &ManagerSim, node: &Node, back: impl FnOnce()) {
    let started = Instant::now();
    node.client.set(worse("host=a", "1")).unwrap();
    node.client.set(worse("host=a", "2")).unwrap();
    node.client.clear(key("host=a")).unwrap();
    node.client.set(worse("host=a", "3")).unwrap();
    node.client.set(alarm("host=b")).unwrap();
    node.client.clear(key("host=b")).unwrap();
    node.client.set(Alarm { alarm_state: AlarmState::Msg, ..worse("host=log", "logged") }).unwrap();
    assert!(started.elapsed() < AT_ONCE * 7, "seven calls took {:?}", started.elapsed());
    assert_eq!(node.client.get(key("host=a")).unwrap().reason_text, "3");
    node.wait_down("platform");
    assert_eq!(code(node.client.list_by_id(ALARM_ID)), ErrorCode::NoConnect);
    back();
    node.wait_delivered();
    assert_eq!(standing(sim), [("host=a".to_owned(), "3".to_owned())], "{}", node.log());
    let set_clear = [EventState::Set, EventState::Clear];
    assert_eq!(events(sim, "host=b"), set_clear);
    // The manager changes an alarm in place, so the second raise leaves a set event and no clear.
    assert_eq!(events(sim, "host=a"), [EventState::Set, EventState::Set, EventState::Clear, EventState::Set]);
    assert_eq!(events(sim, "host=log"), [EventState::Log]);
    assert!(node.client.list_by_id(ALARM_ID).is_ok());
}

#[test]
fn a_manager_that_is_down_and_comes_back() {
    let sim = manager();
    let node = node_of(&sim);
    sim.kill();
    outage(&sim, &node, || sim.restart().unwrap());
}

#[test]
fn a_manager_that_hangs_and_recovers() {
    let sim = manager();
    let node = node_of(&sim);
    sim.add_fault(Fault::new(FaultKind::Hang));
    outage(&sim, &node, || sim.clear_faults());
}

#[test]
fn a_manager_whose_database_is_down() {
    let sim = manager();
    let node = node_of(&sim);
    sim.set_database_down(true);
    outage(&sim, &node, || sim.set_database_down(false));
}

#[test]
fn a_manager_that_talks_garbage() {
    let sim = manager();
    let node = node_of(&sim);
    sim.add_fault(Fault::new(FaultKind::Garbage));
    outage(&sim, &node, || sim.clear_faults());
}

#[test]
fn a_manager_that_is_killed_after_it_stored_has_every_alarm_once() {
    let sim = manager();
    let node = node_of(&sim);
    sim.add_fault(Fault::new(FaultKind::Die).applied().on(Action::Create).times(1));
    let uuid = node.client.set(alarm("host=a")).unwrap();
    node.client.set(alarm("host=b")).unwrap();
    node.wait_down("platform");
    assert_eq!(sim.alarms().len(), 1);
    sim.restart().unwrap();
    node.wait_delivered();
    assert_eq!(entities(&sim), ["host=a", "host=b"]);
    assert_eq!(sim.alarms()[0].uuid, uuid);
    // What the manager had not written yet when it died is lost with it; the alarm is not sent twice.
    assert!(events(&sim, "host=a").is_empty());
    assert_eq!(events(&sim, "host=b"), [EventState::Set]);
}

#[test]
fn what_was_answered_survives_a_crash_of_the_agent() {
    let sim = manager();
    let mut node = node_of(&sim);
    sim.kill();
    let mut uuids: Vec<String> =
        (0..20).map(|number| node.client.set(alarm(&format!("host=c{number}x"))).unwrap()).collect();
    node.kill();
    sim.restart().unwrap();
    node.run();
    node.wait_delivered();
    let mut there: Vec<String> = sim.alarms().into_iter().map(|row| row.uuid).collect();
    uuids.sort();
    there.sort();
    assert_eq!(there, uuids);
}

#[test]
fn an_alarm_that_the_manager_refuses_is_kept_as_rejected_and_delays_nobody() {
    let sim = manager();
    let node = node_of(&sim);
    node.client.set(alarm("host=o'brien")).unwrap();
    node.client.set(Alarm { alarm_id: "999.999".to_owned(), ..alarm("host=a") }).unwrap();
    node.client.set(alarm("host=b")).unwrap();
    node.wait_delivered();
    assert_eq!(entities(&sim), ["host=b"]);
    assert_eq!(node.domain("platform")["rejected"], 2);
}

#[test]
fn no_call_passes_its_deadline_while_the_manager_hangs() {
    let sim = manager();
    let node = node_of(&sim);
    node.client.set(alarm("host=known")).unwrap();
    node.wait_delivered();
    sim.add_fault(Fault::new(FaultKind::Hang));
    let (write_ms, read_ms) = (1000, 1500);
    let caller = node.hasty_client(write_ms, read_ms);
    let slack = Duration::from_millis(250);
    for round in 0..2 {
        let timed = |what: &str, limit_ms: u64, call: &dyn Fn() -> Result<(), ErrorCode>| {
            let started = Instant::now();
            let result = call();
            let took = started.elapsed();
            assert!(took <= Duration::from_millis(limit_ms) + slack, "{what} took {took:?}");
            result
        };
        let entity = format!("host=c{round}");
        let set = timed("set", write_ms, &|| caller.set(alarm(&entity)).map(drop).map_err(|e| e.code()));
        assert_eq!(set, Ok(()));
        let clear = timed("clear", write_ms, &|| caller.clear(key("host=unknown")).map_err(|e| e.code()));
        assert_eq!(clear, Ok(()));
        let get = timed("get", read_ms, &|| caller.get(key("host=known")).map(drop).map_err(|e| e.code()));
        assert_eq!(get, Ok(()), "as last written here");
        let list = timed("list", read_ms, &|| caller.list_by_id(ALARM_ID).map(drop).map_err(|e| e.code()));
        assert_eq!(list, Err(ErrorCode::NoConnect));
    }
}
