//! No call holds its caller past its deadline, whatever does not answer.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

use fm_common::ErrorCode;
use fm_rest_sim::{Fault, FaultKind};

use crate::support::{Node, controller};
use crate::toolbox::{caller, program, succeed};

const WRITES: [&str; 5] = ["set", "set_array", "clear", "clear_array", "clear_all"];
const READS: [&str; 4] = ["get", "get_faults", "get_by_id", "get_by_both"];
const DETACHED: [&str; 3] = ["set_async", "clear_async", "clear_all_async"];

const WRITE_MS: u64 = 300;
const READ_MS: u64 = 700;
/// For a machine that is busy with other tests.
const SLACK_MS: u64 = 400;

/// One call as the program told it.
struct Told {
    call: String,
    code: u32,
    millis: u64,
    reason: String,
}

/// Makes calls with short deadlines.
fn call(socket: &Path, calls: &[&str]) -> Vec<Told> {
    let mut command = caller(&program("gcc", "one_call.c", &[]), socket);
    command
        .env("FM_API_TIMEOUT_MS", WRITE_MS.to_string())
        .env("FM_API_READ_TIMEOUT_MS", READ_MS.to_string())
        .args(calls);
    let told = succeed(&mut command);
    let told: Vec<Told> = told
        .lines()
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            Told {
                call: columns[0].to_owned(),
                code: columns[1].parse().unwrap(),
                millis: columns[2].parse().unwrap(),
                reason: columns[3].to_owned(),
            }
        })
        .collect();
    assert_eq!(told.len(), calls.len());
    told
}

fn all() -> Vec<&'static str> {
    [&WRITES[..], &READS, &DETACHED].concat()
}

fn assert_within(told: &Told) {
    let limit = if READS.contains(&told.call.as_str()) { READ_MS } else { WRITE_MS };
    assert!(told.millis <= limit + SLACK_MS, "{} took {} ms", told.call, told.millis);
}

#[test]
fn without_an_agent_every_call_says_so_at_once() {
    let node = Node::prepare("");
    for told in call(&node.socket(), &all()) {
        assert_eq!(told.code, ErrorCode::NoConnect.number(), "{}", told.call);
        assert!(told.millis < 200, "{} took {} ms", told.call, told.millis);
        assert!(told.reason.starts_with("no agent at "), "{}", told.reason);
    }
}

#[test]
fn an_agent_that_died_is_noticed_at_once() {
    let mut node = Node::start("");
    node.kill();
    for told in call(&node.socket(), &all()) {
        assert_eq!(told.code, ErrorCode::NoConnect.number(), "{}", told.call);
        assert!(told.millis < 200, "{} took {} ms", told.call, told.millis);
    }
}

#[test]
fn an_agent_that_stands_still() {
    let node = Node::start("");
    node.signal("STOP");
    for told in call(&node.socket(), &all()) {
        assert_eq!(told.code, ErrorCode::Communications.number(), "{}: {}", told.call, told.reason);
        assert_within(&told);
    }
    node.signal("CONT");
}

#[test]
fn deadlines_can_be_changed_while_the_program_runs() {
    let node = Node::start("");
    node.signal("STOP");
    let told = call(&node.socket(), &["short", "set", "set_async", "get"]);
    node.signal("CONT");
    assert_eq!(told[0].code, 0);
    for (told, limit) in told[1..].iter().zip([50, 50, 100]) {
        assert_eq!(told.code, ErrorCode::Communications.number(), "{}", told.call);
        assert!(told.millis < limit + 200, "{} took {} ms", told.call, told.millis);
    }
}

#[test]
fn a_controller_that_does_not_answer() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    sim.add_fault(Fault::new(FaultKind::Hang)).unwrap();
    for told in call(&node.socket(), &all()) {
        assert_within(&told);
        let expected = match told.call.as_str() {
            // Another node may have some: a partial list must not look whole.
            "get_faults" | "get_by_id" | "get_by_both" => vec![ErrorCode::NoConnect.number()],
            // What was cleared here before is known to be gone.
            "get" => vec![ErrorCode::EntityNotFound.number()],
            _ => vec![0],
        };
        assert!(expected.contains(&told.code), "{} is {}: {}", told.call, told.code, told.reason);
    }
}

/// A socket that nobody reads takes requests until it is full; then the deadline ends the wait, and what went
/// in arrives all the same.
#[test]
fn a_full_socket() {
    let node = Node::start("");
    let mut command = caller(&program("gcc", "full.c", &[]), &node.socket());
    command.env("FM_API_TIMEOUT_MS", WRITE_MS.to_string());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut line = || output.next().unwrap().unwrap();

    assert_eq!(line(), "connected");
    node.signal("STOP");
    input.write_all(b"\n").unwrap();
    let told: Vec<u64> = line().split('\t').map(|column| column.parse().unwrap()).collect();
    assert!(told[0] > 50, "{} requests went in", told[0]);
    assert_eq!(told[1], u64::from(ErrorCode::Communications.number()));
    assert!((WRITE_MS..=WRITE_MS + SLACK_MS).contains(&told[2]), "{} ms", told[2]);
    assert_eq!(line(), "full");
    node.signal("CONT");
    input.write_all(b"\n").unwrap();
    assert!(child.wait().unwrap().success());
}
