//! No room that is not a full disk: quotas, and limits on the size of a file. Callers are told what they are told of
//! a full disk, the agent lives, and nothing that it took is lost.

use std::path::Path;
use std::process::Command;

use fm_common::{Alarm, ErrorCode};
use fm_rest_sim::{Fault, FaultKind, Sim};
use nix::errno::Errno;
use serde_json::Value;

use crate::disturb::Disturbed;
use crate::support::{Node, alarm, code, controller, domain, key, standing, wait_for};

fn long(entity: &str) -> Alarm {
    Alarm { reason_text: "long ".repeat(6000), ..alarm(entity) }
}

fn store(node: &Node) -> Value {
    let status: Value = serde_json::from_str(&node.client.status().unwrap()).unwrap();
    status["store"].clone()
}

fn delivered(sim: &Sim, node: &Node, entities: &[&str]) {
    node.wait_delivered();
    let mut there: Vec<String> = standing(sim).into_iter().map(|(entity, _)| entity).collect();
    there.sort();
    assert_eq!(there, entities);
}

/// Sets the limit on the size of the running agent's files.
fn limit_files(node: &Node, limit: &str) {
    let status = Command::new("prlimit")
        .args(["--pid", &node.pid().to_string(), &format!("--fsize={limit}:unlimited")])
        .status()
        .unwrap();
    assert!(status.success(), "prlimit cannot set the limit: {status}");
}

/// While there is no room, calls get the answer for it and reads go on; `room` makes it again.
fn no_room(sim: &Sim, node: &Node, words: &str, take: impl FnOnce(), room: impl FnOnce()) {
    node.client.set(alarm("host=before")).unwrap();
    node.wait_delivered();
    let outage = sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    node.client.set(alarm("host=waits")).unwrap();
    node.wait_down("platform");
    take();
    for number in 0..3 {
        let error = node.client.set(alarm(&format!("host=no{number}"))).unwrap_err();
        assert_eq!(error.code(), ErrorCode::NotEnoughSpace, "{error}");
    }
    let error = node.client.clear(key("host=before")).unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotEnoughSpace, "{error}");
    assert!(error.to_string().contains(words), "{error}");
    assert_eq!(node.client.get(key("host=waits")).unwrap().entity_instance_id, "host=waits");
    let told = store(node);
    assert!(told["refused_disk_full"].as_u64().unwrap() >= 4, "{told}");
    assert_eq!((&told["failed"], &told["disk_full"]), (&Value::from(0), &Value::from(true)));
    room();
    wait_for("room", || node.client.set(alarm("host=then")).is_ok());
    node.client.clear(key("host=before")).unwrap();
    assert_eq!(store(node)["disk_full"], false);
    sim.remove_fault(outage).unwrap();
    delivered(sim, node, &["host=then", "host=waits"]);
}

#[test]
fn a_quota_is_a_full_disk_and_a_broken_disk_is_none() {
    let sim = controller();
    let (node, disk) = Disturbed::with_platform(&sim);
    let quota = || disk.fail_writes(Errno::EDQUOT as i32);
    no_room(&sim, &node, "quota", quota, || disk.fail_writes(0));
    disk.fail_writes(Errno::EIO as i32);
    assert_eq!(code(node.client.set(alarm("host=no"))), ErrorCode::ResourceUnavailable);
    disk.fail_writes(0);
    wait_for("the disk", || node.client.set(alarm("host=well")).is_ok());
    delivered(&sim, &node, &["host=then", "host=waits", "host=well"]);
}

#[test]
fn a_limit_on_files_that_is_reached_while_the_agent_runs() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    let take = || limit_files(&node, "4096");
    no_room(&sim, &node, "LimitFSIZE", take, || limit_files(&node, "unlimited"));
}

/// A limit that is there from the start is kept like a configured one: there is room for clears and for what
/// deliveries write.
#[test]
fn a_limit_on_files_from_the_start() {
    const LIMIT: u64 = 12 << 20;
    let sim = controller();
    let mut node = Node::prepare(&domain("platform", &sim, "labrador"));
    let agent = node.command();
    let mut command = Command::new("prlimit");
    command.arg(format!("--fsize={LIMIT}")).arg(agent.get_program()).args(agent.get_args());
    node.run_command(&mut command);
    assert_eq!(store(&node)["max_bytes"], LIMIT);
    let outage = sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    let mut taken = Vec::new();
    let error = loop {
        let entity = format!("host=f{:04}", taken.len());
        match node.client.set(long(&entity)) {
            Ok(_) => taken.push(entity),
            Err(error) => break error,
        }
        assert!(taken.len() < 2000, "the limit is not reached");
    };
    assert_eq!(error.code(), ErrorCode::NotEnoughSpace, "{error}");
    for name in ["fm-agent.db", "fm-agent.db-wal"] {
        assert!(size(&node.state_dir().join(name)) < LIMIT, "{name} has room left");
    }
    node.client.clear(key(&taken[0])).unwrap();
    sim.remove_fault(outage).unwrap();
    node.wait_delivered();
    assert_eq!(standing(&sim).len(), taken.len() - 1);
    node.client.set(long("host=g")).unwrap();
    node.wait_delivered();
    assert_eq!(store(&node)["refused_disk_full"], 0, "it was never short of room for what it writes");
}

fn size(path: &Path) -> u64 {
    path.metadata().unwrap().len()
}
