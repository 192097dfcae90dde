//! Requests whose answers nobody waits for: all of them arrive, in order, whatever becomes of the caller.

use std::io::{Read, Write};
use std::process::Stdio;

use fm_rest_sim::{Fault, FaultKind};

use crate::support::{Node, controller, events, key, wait_for};
use crate::toolbox::{caller, program, succeed};

const COUNT: usize = 1000;

fn reasons() -> Vec<String> {
    (0..COUNT).map(|number| number.to_string()).collect()
}

/// The reasons of the raises that a controller has recorded for the entity, in order.
fn raised(sim: &fm_rest_sim::Sim) -> Vec<String> {
    let raised = events(sim, "host=burst").into_iter().filter(|(state, _)| state == "set");
    raised.map(|(_, reason)| reason).collect()
}

#[test]
fn a_thousand_and_an_immediate_exit() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    succeed(caller(&program("gcc", "burst.c", &[]), &node.socket()).arg(COUNT.to_string()));
    wait_for("the last of them", || {
        node.client.get(key("host=burst")).is_ok_and(|alarm| alarm.reason_text == "999")
    });
    node.wait_delivered();
    assert_eq!(raised(&sim), reasons());
}

/// The caller lives on and never looks at an answer: that must not keep its requests from being read.
#[test]
fn a_thousand_from_a_caller_that_goes_silent() {
    let node = Node::start("");
    let mut command = caller(&program("gcc", "burst.c", &[]), &node.socket());
    let mut burst = command
        .arg(COUNT.to_string())
        .args(["last"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("the last of them", || {
        node.client.get(key("host=burst")).is_ok_and(|alarm| alarm.reason_text == "999")
    });
    burst.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(burst.wait().unwrap().success());
}

/// What is in the socket of an agent that is told to stop is taken before it ends.
#[test]
fn an_agent_that_stops_takes_what_was_sent() {
    let mut node = Node::start("");
    let mut command = caller(&program("gcc", "burst.c", &[]), &node.socket());
    command.arg("100").args(["first"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut burst = command.spawn().unwrap();
    let mut word = [0; 10];
    burst.stdout.take().unwrap().read_exact(&mut word).unwrap();
    assert_eq!(&word, b"connected\n");
    node.signal("STOP");
    burst.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(burst.wait().unwrap().success());
    node.terminate();
    node.signal("CONT");
    assert!(node.wait_end().success());
    node.run();
    assert_eq!(node.client.get(key("host=burst")).unwrap().reason_text, "99");
}

#[test]
fn they_arrive_after_an_outage() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    let fault = sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    let told = succeed(caller(&program("gcc", "one_call.c", &[]), &node.socket()).args([
        "set_async",
        "clear_async",
        "set_async",
    ]));
    assert_eq!(told.lines().filter(|line| line.contains("async\t0\t")).count(), 3, "{told}");
    node.wait_down("platform");
    sim.remove_fault(fault).unwrap();
    node.wait_delivered();
    let states: Vec<String> = events(&sim, "host=c-1").into_iter().map(|(state, _)| state).collect();
    assert_eq!(states, ["set", "clear", "set"]);
}

/// A clear-all of what this node does not know keeps its place before the raise that follows it.
#[test]
fn a_clear_all_stays_before_the_raise_that_follows() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    let mut command = caller(&program("gcc", "one_call.c", &[]), &node.socket());
    succeed(command.args(["clear_all_async", "set_async", "get"]));
    node.wait_delivered();
    assert!(node.client.get(key("host=c-1")).is_ok());
}
