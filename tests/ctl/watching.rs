//! `fmctl tail` and `fmctl status --watch`: what goes on and on.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use fm_common::Alarm;
use serde_json::Value;

use crate::run::command;
use crate::support::{ALARM_ID, Node, alarm, controller, key};

/// A run of `fmctl` that goes on; ended when dropped.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    fn start(node: &Node, arguments: &[&str]) -> Self {
        let mut child = command(&node.socket()).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.lines.read_line(&mut line).unwrap() > 0, "it has ended");
        line
    }

    fn event(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    /// Raises alarms until it shows one of them.
    fn catch_up(&mut self, node: &Node) {
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    node.client.set(alarm("host=first")).unwrap();
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
            self.line();
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended by itself is as good.
        let _ended = self.child.kill();
        self.child.wait().unwrap();
    }
}

#[test]
fn what_passes_is_told_with_its_outcome() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    let mut tail = Running::start(&node, &["tail", "--json"]);
    tail.catch_up(&node);
    node.client.set(Alarm { reason_text: "seen".to_owned(), ..alarm("host=a") }).unwrap();
    node.client.clear(key("host=a")).unwrap();
    assert!(node.client.clear(key("host=nobody")).is_err());
    let mut seen = Vec::new();
    let about = |event: &Value, entity: &str| event["entity_instance_id"] == entity;
    while seen.iter().filter(|event| about(event, "host=a")).count() < 4
        || !seen.iter().any(|event| about(event, "host=nobody"))
    {
        seen.push(tail.event());
    }
    let find = |event: &str, entity: &str, key: &str, value: &str| -> Value {
        let found = seen.iter().find(|it| it["event"] == event && about(it, entity) && it[key] == value);
        found.cloned().unwrap_or_else(|| panic!("no {event} of {entity} with {key} {value} in {seen:?}"))
    };
    let set = find("set", "host=a", "reason_text", "seen");
    assert_eq!((&set["outcome"], &set["alarm_id"]), (&"ok".into(), &ALARM_ID.into()));
    assert!(set["uid"].is_u64() && set["at"].is_string() && set["n"].is_u64(), "{set}");
    let delivered = find("delivery", "host=a", "kind", "clear");
    assert_eq!((&delivered["outcome"], &delivered["domain"]), (&"done".into(), &"platform".into()));
    assert_eq!(find("clear", "host=nobody", "outcome", "FM_ERR_ENTITY_NOT_FOUND")["event"], "clear");
    sim.stop().unwrap();
    node.client.set(alarm("host=b")).unwrap();
    loop {
        let event = tail.event();
        if event["event"] == "delivery" && about(&event, "host=b") {
            assert!(event["outcome"] == "down" && event["reason"].is_string(), "{event}");
            break;
        }
    }
}

#[test]
fn only_what_is_asked_for_is_told_and_only_so_much() {
    let node = Node::start("");
    let mut tail = Running::start(&node, &["tail", "--entity", "host=a", "--limit", "2"]);
    let mut raised = 0;
    while tail.child.try_wait().unwrap().is_none() {
        node.client.set(alarm("host=b")).unwrap();
        node.client.set(Alarm { reason_text: format!("\x1b[2J{raised}"), ..alarm("host=a.port=x") }).unwrap();
        raised += 1;
    }
    let mut told = String::new();
    tail.lines.read_to_string(&mut told).unwrap();
    assert_eq!(told.lines().count(), 2, "{told}");
    assert!(told.lines().all(|line| line.contains("host=a.port=x") && line.contains("\\u{1b}[2J")), "{told}");
}

#[test]
fn a_slow_reader_holds_nobody_and_is_told_what_it_lost() {
    let node = Node::start("");
    let mut tail = Running::start(&node, &["tail", "--json"]);
    tail.catch_up(&node);
    // Far more than the pipe and the ring hold, and nobody reads.
    for round in 0..5 {
        let alarms = (0..2_000).map(|number| alarm(&format!("host=c{round}-{number}"))).collect();
        node.client.set_list(alarms).unwrap();
    }
    let started = Instant::now();
    node.client.ping().unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
    let mut told = 0;
    let lost = loop {
        let event = tail.event();
        if event["event"] == "lost" {
            break event["count"].as_u64().unwrap();
        }
        told += 1;
        assert!(told < 10_000, "everything was told");
    };
    assert!(lost > 1_000, "{lost}");
}

#[test]
fn a_tail_outlives_its_agent() {
    let mut node = Node::start("");
    let mut tail = Running::start(&node, &["tail", "--json"]);
    tail.catch_up(&node);
    node.terminate();
    assert!(node.wait_end().success(), "a watcher does not hold up the end");
    node.run();
    while tail.event()["event"] != "restarted" {}
}

#[test]
fn the_status_is_shown_again_and_again() {
    let node = Node::start("");
    let mut watch = Running::start(&node, &["status", "--watch=0.1", "--json"]);
    let uptimes: Vec<Value> = (0..3).map(|_| watch.event()["pid"].clone()).collect();
    assert!(uptimes.iter().all(|pid| *pid == uptimes[0] && pid.is_u64()), "{uptimes:?}");
    let mut watch = Running::start(&node, &["status", "--watch=0.1"]);
    let mut headings = 0;
    while headings < 2 {
        let line = watch.line();
        assert!(!line.contains('\x1b'), "it is no terminal: {line:?}");
        headings += usize::from(line.starts_with("DOMAIN"));
    }
}
