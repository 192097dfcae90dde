//! The store's files deleted or replaced under the running agent: what it has taken is there again, and at the next
//! start.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use fm_common::{Alarm, ErrorCode};
use fm_rest_sim::{Fault, FaultId, FaultKind, Sim};
use nix::errno::Errno;
use serde_json::Value;

use crate::disturb::Disturbed;
use crate::support::{Node, alarm, code, controller, events, key, standing, wait_for};

/// A node whose controller is away, with alarms that wait.
fn waiting(sim: &Sim) -> (Node, FaultId, Vec<String>) {
    let node = Node::with_platform(sim);
    let (outage, entities) = fill(sim, &node);
    (node, outage, entities)
}

fn fill(sim: &Sim, node: &Node) -> (FaultId, Vec<String>) {
    let outage = sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    let entities: Vec<String> = (0..20).map(|number| format!("host=c{number:02}")).collect();
    for entity in &entities {
        node.client.set(alarm(entity)).unwrap();
    }
    change(node, "1");
    node.wait_down("platform");
    (outage, entities)
}

fn put_back(node: &Node) -> u64 {
    let status: Value = serde_json::from_str(&node.client.status().unwrap()).unwrap();
    assert_eq!(status["quarantines"], 0, "nothing was damaged");
    status["put_back"].as_u64().unwrap()
}

/// Waits until the agent has noticed, which takes it a second or two.
fn noticed(node: &Node) {
    let started = Instant::now();
    // Its own status needs the state directory.
    wait_for("the files to be written anew", || node.client.status().is_ok() && put_back(node) == 1);
    assert!(started.elapsed() < Duration::from_secs(20), "noticed only after {:?}", started.elapsed());
}

/// Changes the one alarm whose order is looked at.
fn change(node: &Node, reason: &str) {
    node.client.set(Alarm { reason_text: reason.to_owned(), ..alarm("host=order") }).unwrap();
}

/// Kills the agent and starts it again: each of these is delivered, once, and the changes of an alarm in order.
fn nothing_is_lost(sim: &Sim, node: &mut Node, outage: FaultId, entities: &[String]) {
    node.kill();
    node.run();
    for entity in entities {
        assert_eq!(&node.client.get(key(entity)).unwrap().entity_instance_id, entity);
    }
    sim.remove_fault(outage).unwrap();
    node.wait_delivered();
    let mut there: Vec<String> = standing(sim).into_iter().map(|(entity, _)| entity).collect();
    there.retain(|entity| entity != "host=order");
    there.sort();
    assert_eq!(there, entities);
    let changes = events(sim, "host=order").into_iter().filter(|(state, _)| state == "set");
    assert_eq!(changes.map(|(_, reason)| reason).collect::<Vec<_>>(), ["1", "2", "3"]);
    for entity in entities {
        assert_eq!(events(sim, entity).len(), 1, "{entity} was raised once");
    }
}

/// Takes something away from a running agent, which goes on, and so does the next one.
fn taken_away(name: &str, take_away: impl FnOnce(&Node)) {
    let sim = controller();
    let (mut node, outage, mut entities) = waiting(&sim);
    take_away(&node);
    // Whether it has noticed or not: what is acknowledged meanwhile counts.
    node.client.set(alarm("host=meanwhile")).unwrap();
    change(&node, "2");
    noticed(&node);
    node.client.set(alarm("host=then")).unwrap();
    change(&node, "3");
    entities.extend(["host=meanwhile".to_owned(), "host=then".to_owned()]);
    let log = node.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("under the agent")).collect();
    assert!(told.len() == 1 && told[0].contains("ERROR") && told[0].contains(name), "{log}");
    // Nobody else can have the state directory.
    let other = node.command().stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(said.contains(&format!("(pid {})", node.pid())), "{said}");
    nothing_is_lost(&sim, &mut node, outage, &entities);
    assert_eq!(put_back(&node), 0);
}

#[test]
fn a_database_that_is_deleted() {
    taken_away("fm-agent.db was deleted", |node| {
        fs::remove_file(node.state_dir().join("fm-agent.db")).unwrap();
    });
}

#[test]
fn a_log_that_is_deleted() {
    taken_away("fm-agent.db-wal was deleted", |node| {
        fs::remove_file(node.state_dir().join("fm-agent.db-wal")).unwrap();
    });
}

#[test]
fn a_lock_that_is_deleted() {
    taken_away("fm-agent.lock was deleted", |node| {
        fs::remove_file(node.state_dir().join("fm-agent.lock")).unwrap();
    });
}

#[test]
fn a_state_directory_that_is_emptied() {
    taken_away("fm-agent.db was deleted", |node| {
        for entry in fs::read_dir(node.state_dir()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        wait_for("the room in reserve to be taken again", || {
            node.state_dir().join("fm-agent.reserve").exists()
        });
    });
}

#[test]
fn a_state_directory_that_is_deleted() {
    taken_away("fm-agent.db was deleted", |node| fs::remove_dir_all(node.state_dir()).unwrap());
}

/// As somebody does who puts a saved database back without stopping the agent.
#[test]
fn a_database_that_is_replaced() {
    let other = Node::start("");
    other.client.set(alarm("host=other")).unwrap();
    other.terminate();
    let saved = other.state_dir().join("fm-agent.db");
    let mut other = other;
    assert!(other.wait_end().success());
    taken_away("fm-agent.db was replaced", |node| {
        let state = node.state_dir();
        fs::copy(&saved, state.join("copy")).unwrap();
        fs::rename(state.join("copy"), state.join("fm-agent.db")).unwrap();
        // It is kept, as everything that is moved aside.
        wait_for("it to be moved aside", || {
            let mut names = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path());
            names.any(|path| {
                path.to_string_lossy().contains(".damaged-20")
                    && fs::read(&path).unwrap_or_default() == fs::read(&saved).unwrap()
            })
        });
    });
}

/// The operator's command and the service manager's come one after the other.
#[test]
fn a_database_that_is_deleted_before_an_orderly_end() {
    let sim = controller();
    let (mut node, outage, entities) = waiting(&sim);
    fs::remove_file(node.state_dir().join("fm-agent.db")).unwrap();
    node.terminate();
    assert!(node.wait_end().success());
    node.run();
    change(&node, "2");
    change(&node, "3");
    nothing_is_lost(&sim, &mut node, outage, &entities);
}

/// Where it cannot be written anew nothing is taken, so that nothing is acknowledged that would be gone.
#[test]
fn what_cannot_be_written_anew_is_not_added_to() {
    let sim = controller();
    let (mut node, outage, mut entities) = waiting(&sim);
    change(&node, "2");
    let (state, away) = (node.state_dir(), node.directory().join("away"));
    fs::rename(&state, &away).unwrap();
    fs::write(&state, "in the way").unwrap();
    let mut refused = None;
    let mut tries = 0;
    wait_for("a refusal", || {
        let entity = format!("host=d{tries:04}");
        tries += 1;
        match node.client.set(alarm(&entity)) {
            Ok(_) => entities.push(entity),
            Err(error) => refused = Some(error),
        }
        refused.is_some()
    });
    let refused = refused.unwrap();
    assert_eq!(refused.code(), ErrorCode::ResourceUnavailable);
    assert!(refused.to_string().contains("fm-agent.db was deleted"), "{refused}");
    assert_eq!(code(node.client.clear(key("host=c00"))), ErrorCode::ResourceUnavailable);
    // What it has can be read.
    assert_eq!(node.client.get(key("host=c00")).unwrap().entity_instance_id, "host=c00");
    assert!(node.log().contains("do not stop the agent"), "{}", node.log());
    fs::remove_file(&state).unwrap();
    noticed(&node);
    node.client.set(alarm("host=then")).unwrap();
    change(&node, "3");
    entities.push("host=then".to_owned());
    nothing_is_lost(&sim, &mut node, outage, &entities);
}

/// The lock can be made anew without room, the database cannot: the agent must not stand in its own way afterwards.
#[test]
fn a_state_directory_that_is_emptied_while_there_is_no_room() {
    let sim = controller();
    let (mut node, disk) = Disturbed::with_platform(&sim);
    let (outage, mut entities) = fill(&sim, &node);
    change(&node, "2");
    disk.fail_writes(Errno::ENOSPC as i32);
    for entry in fs::read_dir(node.state_dir()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    wait_for("two tries in vain", || node.log().matches("the store is not where it was").count() >= 2);
    let log = node.log();
    assert!(log.contains("could not be written anew") && !log.contains("in use by another"), "{log}");
    assert_eq!(code(node.client.set(alarm("host=no"))), ErrorCode::ResourceUnavailable);
    disk.fail_writes(0);
    noticed(&node);
    node.client.set(alarm("host=then")).unwrap();
    change(&node, "3");
    entities.push("host=then".to_owned());
    nothing_is_lost(&sim, &mut node, outage, &entities);
}
