//! Damaged, foreign, read-only and full disks, and clocks that jump: what the real program makes of them.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fm_common::{Alarm, AlarmState, ErrorCode};
use fm_rest_sim::{Fault, FaultKind, Sim};
use rusqlite::Connection;
use serde_json::Value;

use crate::support::{Node, alarm, code, controller, domain, events, key, standing, wait_for};

fn database(node: &Node) -> PathBuf {
    node.state_dir().join("fm-agent.db")
}

fn status(node: &Node, counter: &str) -> u64 {
    let status: Value = serde_json::from_str(&node.client.status().unwrap()).unwrap();
    status[counter].as_u64().unwrap()
}

/// The damaged databases that were kept.
fn damaged(node: &Node) -> Vec<PathBuf> {
    let paths = fs::read_dir(node.state_dir()).unwrap().map(|entry| entry.unwrap().path());
    let mut kept: Vec<PathBuf> =
        paths.filter(|path| path.to_string_lossy().contains(".damaged-20")).collect();
    kept.sort();
    kept
}

/// A node whose controller is away, with this many alarms that wait.
fn waiting(sim: &Sim, alarms: usize) -> (Node, fm_rest_sim::FaultId, Vec<String>) {
    let node = Node::with_platform(sim);
    let fault = sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    let entities: Vec<String> = (0..alarms).map(|number| format!("host=c{number:04}")).collect();
    for part in entities.chunks(100) {
        node.client.set_list(part.iter().map(|entity| alarm(entity)).collect()).unwrap();
    }
    node.wait_down("platform");
    (node, fault, entities)
}

/// The pages of a table or an index, outermost first.
fn pages(path: &Path, name: &str, kind: &str) -> Vec<u64> {
    let connection = Connection::open(path).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let sql = "SELECT pageno FROM dbstat WHERE name = ?1 AND pagetype = ?2 ORDER BY pageno";
    let mut statement = connection.prepare(sql).unwrap();
    let pages = statement.query_map([name, kind], |row| row.get::<_, i64>(0)).unwrap();
    pages.map(|page| page.unwrap().unsigned_abs()).collect()
}

fn spoil(path: &Path, page: u64) {
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(&[0xA5; 4096], (page - 1) * 4096).unwrap();
}

/// Each of these stands once at the controller, in their order.
fn delivered_in_order(sim: &Sim, node: &Node, entities: &[String]) {
    node.wait_delivered();
    let mut there: Vec<String> = standing(sim).into_iter().map(|(entity, _)| entity).collect();
    there.sort();
    assert_eq!(there, entities);
    for entity in entities {
        assert_eq!(events(sim, entity).len(), 1, "{entity} was raised once");
    }
}

#[test]
fn a_database_that_was_damaged_while_the_agent_was_down() {
    let sim = controller();
    let (mut node, fault, entities) = waiting(&sim, 300);
    node.kill();
    let path = database(&node);
    spoil(&path, pages(&path, "request_by_domain", "leaf")[0]);
    node.run();
    assert_eq!(status(&node, "quarantines"), 1);
    let kept = damaged(&node);
    assert!(!kept.is_empty());
    let log = node.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("the database was damaged")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    for said in [kept[0].to_str().unwrap(), "requests=300", "alarms=300", "not_readable"] {
        assert!(lines[0].contains(said), "'{said}' is not in: {}", lines[0]);
    }
    sim.remove_fault(fault).unwrap();
    delivered_in_order(&sim, &node, &entities);
    // The next start finds nothing to say.
    node.kill();
    node.run();
    assert_eq!(status(&node, "quarantines"), 0);
}

#[test]
fn a_database_that_is_damaged_under_the_agent() {
    let sim = controller();
    let (node, fault, mut entities) = waiting(&sim, 300);
    let path = database(&node);
    for page in pages(&path, "request_by_domain", "leaf") {
        spoil(&path, page);
    }
    let connection = Connection::open(&path).unwrap();
    connection.execute("INSERT OR REPLACE INTO begun VALUES ('openstack', 0)", []).unwrap();
    drop(connection);
    // Whoever meets it: the agent goes on, and the caller gets its answer.
    node.client.set(alarm("host=new")).unwrap();
    entities.push("host=new".to_owned());
    assert_eq!(status(&node, "quarantines"), 1);
    sim.remove_fault(fault).unwrap();
    delivered_in_order(&sim, &node, &entities);
    assert_eq!(code(node.client.get(key("host=none"))), ErrorCode::EntityNotFound);
}

#[test]
fn one_request_that_cannot_be_read_holds_up_nothing() {
    let sim = controller();
    let (mut node, fault, entities) = waiting(&sim, 10);
    node.client.set(Alarm { alarm_state: AlarmState::Log, ..alarm("host=log") }).unwrap();
    node.kill();
    let connection = Connection::open(database(&node)).unwrap();
    let spoilt =
        "UPDATE request SET alarm = CAST(x'7B22FF' AS TEXT) WHERE entity IN ('host=c0003', 'host=log')";
    assert_eq!(connection.execute(spoilt, []).unwrap(), 2);
    drop(connection);
    sim.remove_fault(fault).unwrap();
    node.run();
    // The alarm is raised from this node's view; the log is nowhere else, and listed.
    delivered_in_order(&sim, &node, &entities);
    assert_eq!((status(&node, "quarantines"), status(&node, "unreadable")), (0, 2));
    let list: Value = serde_json::from_str(&node.client.rejected(0, 100).unwrap()).unwrap();
    let listed = list["rejected"].as_array().unwrap();
    assert_eq!(listed.len(), 2);
    for entry in listed {
        assert!(entry["answer"].as_str().unwrap().starts_with("unreadable"), "{entry}");
        assert_eq!(entry["alarm"], "{\"\u{FFFD}");
        node.client.drop_rejected(entry["seq"].as_i64().unwrap()).unwrap();
    }
    assert_eq!(node.domain("platform")["rejected"], 0);
}

#[test]
fn a_torn_log() {
    let sim = controller();
    let (mut node, fault, entities) = waiting(&sim, 5);
    node.kill();
    // As a power cut leaves it: a transaction that nobody was told of, in part.
    let wal = node.state_dir().join("fm-agent.db-wal");
    let mut bytes = fs::read(&wal).unwrap();
    let frame = bytes[bytes.len() - 4120..].to_vec();
    bytes.extend_from_slice(&frame[..2000]);
    fs::write(&wal, &bytes).unwrap();
    sim.remove_fault(fault).unwrap();
    node.run();
    assert_eq!(status(&node, "quarantines"), 0);
    delivered_in_order(&sim, &node, &entities);
}

#[test]
fn two_agents_on_one_state_directory_name_each_other() {
    let node = Node::start("");
    let output = node.command().stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&format!("(pid {})", node.pid())), "{said}");
    assert!(said.contains(node.state_dir().to_str().unwrap()), "{said}");
    node.client.set(alarm("host=a")).unwrap();
}

/// The agent's program as a user who may not do everything, whoever runs the test.
fn as_somebody(node: &Node) -> Command {
    let directory = node.socket().parent().unwrap().to_owned();
    let original = node.command();
    let program = directory.join("fm-agent");
    fs::copy(original.get_program(), &program).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(program);
    command.args(original.get_args()).current_dir("/").stdin(Stdio::null());
    if nix::unistd::geteuid().is_root() {
        fs::set_permissions(&directory, Permissions::from_mode(0o777)).unwrap();
        command.uid(65_534).gid(65_534);
    }
    command
}

#[test]
fn a_state_directory_or_a_database_that_may_not_be_written() {
    let mut node = Node::start("");
    node.client.set(alarm("host=a")).unwrap();
    node.kill();
    let state = node.state_dir();
    let path = database(&node);
    let is_root = nix::unistd::geteuid().is_root();
    let own = |path: &Path| {
        if is_root {
            std::os::unix::fs::chown(path, Some(65_534), Some(65_534)).unwrap();
        }
    };
    own(&state);
    for directory in [state.parent().unwrap(), &state] {
        for entry in fs::read_dir(directory).unwrap() {
            own(&entry.unwrap().path());
        }
    }
    let lock = state.join("fm-agent.lock");
    for (what, mode, named) in
        [(&path, 0o400, &path), (&lock, 0o400, &lock), (&state, 0o500, &state), (&state, 0o000, &state)]
    {
        let before = fs::metadata(what).unwrap().permissions();
        if *what == state && mode == 0o500 {
            // Nothing can be made in it any more.
            fs::remove_file(state.join("fm-agent.db-shm")).unwrap();
        }
        let content = fs::read(&path).unwrap();
        fs::set_permissions(what, Permissions::from_mode(mode)).unwrap();
        let output = as_somebody(&node).output().unwrap();
        fs::set_permissions(what, before).unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(named.to_str().unwrap()), "{mode:o} {}: {said}", what.display());
        assert!(said.contains("writable for the user that runs the agent"), "{said}");
        assert!(damaged(&node).is_empty() && fs::read(&path).unwrap() == content);
    }
    // With its rights back it goes on.
    let log = File::options().append(true).open(node.socket().with_file_name("agent.log")).unwrap();
    let mut command = as_somebody(&node);
    node.run_command(command.stderr(log));
    node.client.get(key("host=a")).unwrap();
}

/// A node whose state is on a disk of its own, of this size. It is there for the agent's process only, and goes
/// with it; what is in `state` before comes with it at the start, and `then` runs before the agent does.
fn on_a_small_disk(node: &mut Node, size: &str, then: &str) {
    let original = node.command();
    let state = node.state_dir();
    let prepared = state.with_extension("prepared");
    if state.exists() {
        fs::rename(&state, &prepared).unwrap();
    } else {
        fs::create_dir(&prepared).unwrap();
    }
    fs::create_dir(&state).unwrap();
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let script = format!(
        "mount -t tmpfs -o size={size} none '{0}' && cp -a '{1}/.' '{0}' && cd '{0}' && {then} && cd / && exec \"$@\"",
        state.display(),
        prepared.display(),
    );
    let log =
        File::options().create(true).append(true).open(node.socket().with_file_name("agent.log")).unwrap();
    command.args(["sh", "-c", &script, "sh"]).arg(original.get_program()).args(original.get_args());
    node.run_command(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log));
}

/// The agent's view of its state directory.
fn inside(node: &Node) -> PathBuf {
    PathBuf::from(format!("/proc/{}/root{}", node.pid(), node.state_dir().display()))
}

/// Fills what is left of the disk.
fn fill(directory: &Path) {
    let mut ballast = File::create(directory.join("ballast")).unwrap();
    for size in [65_536, 4096, 1] {
        while std::io::Write::write_all(&mut ballast, &vec![1; size]).is_ok() {}
    }
}

fn long(entity: &str) -> Alarm {
    Alarm { reason_text: "long ".repeat(6000), ..alarm(entity) }
}

/// Sets until there is no room, and gives those that were taken.
fn set_until_full(node: &Node) -> Vec<String> {
    let mut taken = Vec::new();
    loop {
        let entity = format!("host=f{:04}", taken.len());
        match node.client.set(long(&entity)) {
            Ok(_) => taken.push(entity),
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::NotEnoughSpace, "{error}");
                return taken;
            }
        }
        assert!(taken.len() < 2000, "the disk does not get full");
    }
}

#[test]
fn a_disk_that_gets_full_and_has_room_again() {
    let sim = controller();
    let mut node = Node::prepare(&domain("platform", &sim, "labrador"));
    on_a_small_disk(&mut node, "32m", "true");
    let fault = sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    let mut entities = set_until_full(&node);
    fill(&inside(&node));
    assert_eq!(code(node.client.set(long("host=none"))), ErrorCode::NotEnoughSpace);
    // Reads go on, and so does delivery: what is delivered makes room.
    assert_eq!(node.client.get(key(&entities[0])).unwrap().entity_instance_id, entities[0]);
    sim.remove_fault(fault).unwrap();
    delivered_in_order(&sim, &node, &entities);
    fs::remove_file(inside(&node).join("ballast")).unwrap();
    wait_for("room", || node.client.set(long("host=g")).is_ok());
    entities.push("host=g".to_owned());
    delivered_in_order(&sim, &node, &entities);
    assert_eq!(status(&node, "quarantines"), 0);
}

#[test]
fn a_start_on_a_full_disk() {
    let sim = controller();
    let (mut node, fault, mut entities) = waiting(&sim, 100);
    node.kill();
    let fill = "(cat /dev/zero > ballast 2>/dev/null || true)";
    on_a_small_disk(&mut node, "12m", fill);
    // What is left of the reserve of an earlier run is used up.
    entities.extend(set_until_full(&node));
    assert_eq!(code(node.client.set(long("host=none"))), ErrorCode::NotEnoughSpace);
    assert_eq!(node.client.get(key(&entities[0])).unwrap().entity_instance_id, entities[0]);
    sim.remove_fault(fault).unwrap();
    delivered_in_order(&sim, &node, &entities);
    fs::remove_file(inside(&node).join("ballast")).unwrap();
    wait_for("room", || node.client.set(long("host=g")).is_ok());
    entities.push("host=g".to_owned());
    delivered_in_order(&sim, &node, &entities);
}

/// Without room to salvage, the damaged database is left as it is, and the start says so.
#[test]
fn damage_on_a_full_disk_is_left_as_it_is() {
    let sim = controller();
    let (mut node, _, _) = waiting(&sim, 300);
    node.kill();
    let path = database(&node);
    spoil(&path, pages(&path, "request_by_domain", "leaf")[0]);
    let state = node.state_dir();
    // With the reserve there would be room.
    fs::remove_file(state.join("fm-agent.reserve")).unwrap();
    let original = node.command();
    let script = format!(
        "cp -a '{0}' '{0}.prepared' && mount -t tmpfs -o size=3m none '{0}' && cp -a '{0}.prepared/.' '{0}' \
         && cd '{0}' && (cat /dev/zero > ballast 2>/dev/null || truncate -s -128K ballast) && cd / && timeout 60 \"$@\"; \
         cmp '{0}/fm-agent.db' '{0}.prepared/fm-agent.db' && ls '{0}'",
        state.display()
    );
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["sh", "-c", &script, "sh"]).arg(original.get_program()).args(original.get_args());
    let output = command.stdin(Stdio::null()).output().unwrap();
    let (names, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "the database has changed: {names} {said}");
    assert!(said.contains("could not be salvaged") && said.contains("left as it is"), "{said}");
    assert!(!names.contains("salvag") && !names.contains("damaged"), "{names}");
}
