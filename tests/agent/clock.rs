//! A wall clock that jumps: a day ahead, a day behind, while the agent runs and between two of its lives.
//!
//! Order, pauses, deadlines and tokens go by time that passes, not by the clock on the wall; what is kept for so
//! many days is not lost because that clock is a day ahead.

use std::fs;
use std::time::{Duration, Instant};

use fm_common::{Alarm, AlarmState, ErrorCode, Timestamp};
use fm_rest_sim::{Fault, FaultKind, Sim, SimConfig};
use serde_json::Value;

use crate::disturb::Disturbed;
use crate::support::{Node, alarm, code, controller_with, domain, events, key, standing, wait_for};

const DAY: i64 = 24 * 60 * 60;

/// What a caller may wait for an answer at most, on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(5);
/// What may pass between a controller's return and its first request: many of the pauses that are configured, and
/// nothing beside a day.
const SOON: Duration = Duration::from_secs(20);

fn said(entity: &str, reason: &str) -> Alarm {
    Alarm { reason_text: reason.to_owned(), ..alarm(entity) }
}

fn in_time<T>(what: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = what();
    assert!(started.elapsed() < AT_ONCE, "a call took {:?}", started.elapsed());
    result
}

fn rejected(node: &Node) -> Vec<String> {
    let list: Value = serde_json::from_str(&node.client.rejected(0, 100).unwrap()).unwrap();
    let entities = list["rejected"].as_array().unwrap().iter();
    entities.map(|entry| entry["entity_instance_id"].as_str().unwrap().to_owned()).collect()
}

/// Lets the controller refuse one alarm.
fn reject_one(sim: &Sim, node: &Node, entity: &str) {
    sim.add_fault(Fault::status(400).on("POST", "/v1/alarms").times(1)).unwrap();
    node.client.set(alarm(entity)).unwrap();
    wait_for("the alarm to be refused", || rejected(node).last().is_some_and(|last| last == entity));
}

/// How far the agent's clock is from this one's, in seconds, by the time at which it took what waits.
fn ahead(node: &Node) -> i64 {
    let oldest = node.domain("platform")["oldest_waiting"].as_str().unwrap().to_owned();
    let micros = Timestamp::parse(&oldest).unwrap().as_micros() - Timestamp::now().as_micros();
    (micros + 30_000_000).div_euclid(60_000_000) * 60
}

/// What one entity went through, under the name of the step.
const CALLS: [(&str, &str); 4] = [("set", "1"), ("set", "2"), ("clear", ""), ("set", "3")];

/// Makes all calls about this entity and looks at their answers.
fn call(node: &Node, entity: &str) {
    for (state, reason) in CALLS {
        if state == "set" {
            in_time(|| node.client.set(said(entity, reason))).unwrap();
            assert_eq!(in_time(|| node.client.get(key(entity))).unwrap().reason_text, reason);
        } else {
            in_time(|| node.client.clear(key(entity))).unwrap();
            assert_eq!(code(in_time(|| node.client.get(key(entity)))), ErrorCode::EntityNotFound);
        }
    }
    in_time(|| node.client.set(Alarm { alarm_state: AlarmState::Log, ..said(entity, "logged") })).unwrap();
}

/// Everything that was asked about this entity has arrived, in order, once.
fn arrived(sim: &Sim, entity: &str) {
    let all = events(sim, entity);
    let happened: Vec<(&str, &str)> =
        all.iter().map(|(state, reason)| (state.as_str(), reason.as_str())).collect();
    // A change is a removal and a raise there; what removes an alarm has the words that it had.
    let expected =
        [("set", "1"), ("clear", "1"), ("set", "2"), ("clear", "2"), ("set", "3"), ("log", "logged")];
    assert_eq!(happened, expected, "{entity}");
    assert!(standing(sim).contains(&(entity.to_owned(), "3".to_owned())), "{entity}");
}

#[test]
fn a_clock_that_jumps_by_a_day_holds_up_nothing_and_loses_nothing() {
    // Tokens end while the clock jumps.
    let sim = controller_with(SimConfig { token_lifetime: Duration::from_secs(3), ..SimConfig::default() });
    let mut node = Node::prepare("");
    let audit = node.directory().join("audit.log");
    let hasty = domain("platform", &sim, "labrador")
        .replace("[platform.fm_rest_api]", "[platform]\nlongest_pause_ms = 500\n[platform.fm_rest_api]");
    node.configure(&format!("rejected_days = 1\n[audit]\nto = '{}'\n{hasty}", audit.display()));
    let clock = Disturbed::new(&node);
    node.run_command(&mut Disturbed::command(&node));
    reject_one(&sim, &node, "host=refused.first");

    let mut entities = Vec::new();
    // From right to a day ahead, back by two, ahead again by two, and right; in the middle of an outage each time,
    // while the agent runs, and the second time between two of its lives.
    for (round, restarts) in [false, true].into_iter().enumerate() {
        for (step, now) in [DAY, -DAY, DAY, 0].into_iter().enumerate() {
            let outage = sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
            let entity = format!("host=c{round}{step}");
            node.client.set(said(&format!("{entity}.before"), "")).unwrap();
            node.wait_down("platform");
            if restarts {
                node.kill();
            }
            clock.set_clock(now);
            if restarts {
                node.run_command(&mut Disturbed::command(&node));
            }
            call(&node, &entity);
            node.wait_down("platform");
            sim.remove_fault(outage).unwrap();
            let started = Instant::now();
            node.wait_delivered();
            assert!(started.elapsed() < SOON, "delivered only after {:?}", started.elapsed());
            entities.push(entity.clone());
            for entity in &entities {
                arrived(&sim, entity);
            }

            // The clock was really another: this waits with the agent's time on it.
            let outage = sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
            node.client.set(said(&format!("{entity}.after"), "")).unwrap();
            assert_eq!(ahead(&node), now);
            sim.remove_fault(outage).unwrap();
            node.wait_delivered();

            // What is kept for a day is kept, whatever the clock says.
            reject_one(&sim, &node, &format!("host=refused.{round}{step}"));
            assert_eq!(rejected(&node).first().unwrap(), "host=refused.first");
        }
    }
    assert_eq!(rejected(&node).len(), 9);
    // And everything that was done is in the audit log.
    node.terminate();
    assert!(node.wait_end().success());
    let lines = fs::read_to_string(&audit).unwrap();
    for entity in &entities {
        let told = lines.lines().filter(|line| line.contains(&format!("{entity}\""))).count();
        assert_eq!(told, CALLS.len() + 1, "{entity} in\n{lines}");
    }
}
