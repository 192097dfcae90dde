//! Who may do what, what the socket files look like, who is written down as having done it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use fm_common::client::{Client, ClientError};
use fm_common::{Alarm, AlarmState, ErrorCode};
use fm_rest_sim::Fault;
use nix::unistd::{getegid, geteuid};
use serde_json::{Value, json};

use crate::preload;
use crate::support::{ALARM_ID, Node, alarm, caller, code, controller, domain, key, wait_for};

/// Why a call was refused.
fn reason<T: std::fmt::Debug>(result: Result<T, ClientError>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidRequest, "{error}");
    error.to_string()
}

/// Runs as another user, with the group 4321 besides its own.
#[test]
fn as_a_member() {
    let Some(client) = caller() else { return };
    client.ping().unwrap();
    client.set(alarm("host=member")).unwrap();
    let refused = reason(client.get(key("host=member")));
    for part in ["'get'", "uid 65534", "access.read", "uid:7", "uid:65534"] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    reason(client.status());
    reason(client.list_by_id(ALARM_ID));
    assert!(reason(client.replay(1)).contains("access.admin"));
}

/// Runs as another user that nothing is allowed to.
#[test]
fn as_a_stranger() {
    let Some(client) = caller() else { return };
    client.ping().unwrap();
    reason(client.set(alarm("host=stranger")));
    reason(client.clear(key("host=member")));
    reason(client.clear_all("host=member"));
    // Whether its answer is looked at or not.
    client.set_detached(alarm("host=stranger")).unwrap();
    client.ping().unwrap();
    reason(client.get(key("host=member")));
}

#[test]
fn a_group_besides_its_own_lets_a_process_in() {
    if !geteuid().is_root() {
        eprintln!("left out: only root can become another user");
        return;
    }
    let config = "[access]\nread = ['uid:7']\nwrite = ['gid:4321']\nadmin = ['gid:4323']\n";
    let node = Node::start(config);
    let ended = node.elsewhere("access::as_a_member").output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(node.client.get(key("host=member")).unwrap().entity_instance_id, "host=member");
    let admin = fs::metadata(node.directory().join("admin.sock")).unwrap();
    assert_eq!((admin.mode() & 0o777, admin.gid()), (0o660, 4323), "as narrow as access.admin");
}

#[test]
fn who_is_not_named_is_refused_and_told_why() {
    if !geteuid().is_root() {
        eprintln!("left out: only root can become another user");
        return;
    }
    let node = Node::start("[access]\nread = ['root']\nwrite = ['root', 'group:root']\n");
    let ended = node.elsewhere("access::as_a_stranger").output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(code(node.client.get(key("host=stranger"))), ErrorCode::EntityNotFound);
    assert!(node.log().contains("access refused"), "{}", node.log());
}

#[test]
fn the_sockets_are_as_they_are_configured() {
    let group = getegid().as_raw();
    let mut node = Node::prepare(&format!(
        "socket_mode = '0660'\nsocket_group = '{group}'\nsocket_owner = '{}'\nadmin_socket_mode = '0600'\n",
        geteuid().as_raw()
    ));
    node.run();
    let found = |name: &str| {
        let found = fs::metadata(node.directory().join(name)).unwrap();
        (found.mode() & 0o777, found.uid(), found.gid())
    };
    assert_eq!(found("a.sock"), (0o660, geteuid().as_raw(), group));
    assert_eq!(found("admin.sock"), (0o600, geteuid().as_raw(), group));
    assert!(!node.directory().join("a.sock.new").exists());
    node.terminate();
    assert!(node.wait_end().success());
    assert!(!node.directory().join("admin.sock").exists(), "both go with the agent");
}

/// The filter of system calls of a service may hold these calls back.
#[test]
fn a_socket_that_is_nobody_elses_is_not_given_away() {
    let library = preload::compiled("agent/no_chown.c", "libnochown.so", &[]);
    let mut node = Node::prepare("socket_mode = '0660'\nadmin_socket_mode = '0600'\n");
    let mut command = node.command();
    node.run_command(command.env("LD_PRELOAD", &library));
    let found = fs::metadata(node.socket()).unwrap();
    assert_eq!((found.mode() & 0o777, found.uid()), (0o660, geteuid().as_raw()));
    node.terminate();
    assert!(node.wait_end().success());
    // One that is to be given away says what it needs, and nobody finds it unfinished.
    node.configure(&format!("socket_group = '{}'\n", getegid().as_raw()));
    let ended = node.command().env("LD_PRELOAD", &library).status().unwrap();
    assert_eq!(ended.code(), Some(1));
    for part in ["a.sock", "not permitted", "a group that the agent's user is in", "usermod"] {
        assert!(node.log().contains(part), "{part}: {}", node.log());
    }
    assert!(!node.socket().exists());
}

#[test]
fn administrators_have_their_own_socket() {
    let node = Node::start("");
    let over_the_main = Client::new(fm_common::client::Options {
        admin_socket: Some(node.socket()),
        ..node.client.options().clone()
    });
    assert!(reason(over_the_main.rejected(0, 1)).contains("FM_AGENT_ADMIN_SOCKET"));
    // Data requests are taken on both.
    let over_the_admins = Client::new(fm_common::client::Options {
        socket: Some(node.directory().join("admin.sock")),
        ..node.client.options().clone()
    });
    over_the_admins.set(alarm("host=a")).unwrap();
    node.client.rejected(0, 1).unwrap();
}

#[test]
fn who_raised_changed_and_asked_is_kept() {
    let sim = controller();
    let mut node = Node::with_platform(&sim);
    sim.add_fault(Fault::status(400).on("POST", "/v1/alarms")).unwrap();
    node.client.set(alarm("host=a")).unwrap();
    node.wait_delivered();
    let me = |origin: &Value| {
        let program = std::env::current_exe().unwrap();
        let name = program.file_name().unwrap().to_string_lossy();
        assert_eq!(
            (&origin["uid"], &origin["gid"], &origin["pid"], &origin["program"], &origin["executable"]),
            (
                &json!(geteuid().as_raw()),
                &json!(getegid().as_raw()),
                &json!(std::process::id()),
                &json!(name.chars().take(64).collect::<String>()),
                &json!(program.to_string_lossy())
            ),
            "{origin}"
        );
    };
    let list: Value = serde_json::from_str(&node.client.rejected(0, 9).unwrap()).unwrap();
    me(&list["rejected"][0]["origin"]);
    // While it waits: the controller does not answer.
    sim.add_fault(Fault::status(503)).unwrap();
    node.client.set(alarm("host=b")).unwrap();
    node.client.clear(key("host=b")).unwrap();
    node.kill();
    node.run();
    let explained: Value =
        serde_json::from_str(&node.client.explain(ALARM_ID, "", "host=b").unwrap()).unwrap();
    me(&explained["raised_by"]);
    me(&explained["changed_by"]);
    let (raised, changed) = (&explained["raised_by"]["at"], &explained["changed_by"]["at"]);
    assert!(raised.as_str().unwrap() < changed.as_str().unwrap(), "{explained}");
    let explained: Value =
        serde_json::from_str(&node.client.explain(ALARM_ID, "", "host=nobody").unwrap()).unwrap();
    assert_eq!((&explained["raised_by"], &explained["changed_by"]), (&Value::Null, &Value::Null));
}

#[test]
fn the_audit_file_says_who_did_what() {
    let sim = controller();
    let mut node = Node::prepare("");
    let path = node.directory().join("audit.log");
    let config = node.directory().join("fm-agent.toml");
    let audit = format!("[audit]\nto = '{}'\n{}", path.display(), domain("platform", &sim, "labrador"));
    fs::write(&config, fs::read_to_string(&config).unwrap() + &audit).unwrap();
    node.run();
    let uuid = node.client.set(alarm("host=a")).unwrap();
    let evil = Alarm { reason_text: "x".to_owned(), ..alarm("host=b\nset uid=0 result=ok") };
    node.client.set_list(vec![evil, Alarm { alarm_state: AlarmState::Log, ..alarm("host=log") }]).unwrap();
    node.client.clear(key("host=a")).unwrap();
    node.client.clear_all("host=b").unwrap_err();
    node.client.clear_list(vec![key("host=c"), key("host=d")]).unwrap();
    assert_eq!(
        code(node.client.set(Alarm { alarm_id: String::new(), ..alarm("host=a") })),
        ErrorCode::InvalidParameter
    );
    assert_eq!(code(node.client.replay(77)), ErrorCode::EntityNotFound);
    node.client.get(key("host=none")).unwrap_err();
    let lines =
        || fs::read_to_string(&path).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    wait_for("the lines", || lines().len() >= 9);
    let found = lines();
    assert_eq!(found.len(), 9, "reads leave none, and no text makes one: {found:#?}");
    let who = format!("uid={} gid={} pid={} program=\"", geteuid(), getegid(), std::process::id());
    for (index, parts) in [
        vec![" set ", "alarm_id=\"100.103\" entity=\"host=a\" severity=\"major\" domain=platform", &uuid],
        vec![" set ", "entity=\"host=b\\nset uid=0 result=ok\"", "result=ok"],
        vec![" log ", "host=log", "uuid=\""],
        vec![" clear ", "entity=\"host=a\"", "result=ok"],
        vec![" clear_all ", "entity=\"host=b\"", "result=FM_ERR_ENTITY_NOT_FOUND"],
        vec![" clear ", "host=c"],
        vec![" clear ", "host=d"],
        vec![" set ", "result=FM_ERR_INVALID_PARAMETER", "reason=\"alarm_id"],
        vec![" replay ", "seq=77", "result=FM_ERR_ENTITY_NOT_FOUND"],
    ]
    .into_iter()
    .enumerate()
    {
        assert!(found[index].contains(&who), "{}", found[index]);
        for part in parts {
            assert!(found[index].contains(part), "{part}: {}", found[index]);
        }
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!node.log().contains("entity=\"host=a\""), "the agent's own log has none of it");
    // A rotation, with the signal that rotations send.
    fs::rename(&path, path.with_extension("1")).unwrap();
    node.signal("HUP");
    node.client.set(alarm("host=later")).unwrap();
    wait_for("the new file", || lines().len() == 1);
    assert!(lines()[0].contains("host=later"));
    // The last lines are there when the agent is gone.
    node.client.set(alarm("host=last")).unwrap();
    node.terminate();
    assert!(node.wait_end().success());
    assert!(lines().last().unwrap().contains("host=last"), "{:?}", lines());
}

#[test]
fn a_full_disk_for_the_audit_file_fails_no_request() {
    let node = Node::start("[audit]\nto = '/dev/full'\n");
    for number in 0..50 {
        node.client.set(alarm(&format!("host=c{number}"))).unwrap();
    }
    wait_for("the log to tell", || node.log().contains("audit lines are lost"));
    assert_eq!(node.client.list_by_id(ALARM_ID).unwrap().len(), 50);
}

#[test]
fn audit_lines_in_the_log_have_their_own_switch() {
    let node = Node::start("log = 'error'\n[audit]\nto = 'log'\n");
    node.client.set(alarm("host=a\u{1b}[31m\r\nfake")).unwrap();
    wait_for("the line", || node.log().contains("result=ok"));
    let log = node.log();
    let line = log.lines().find(|line| line.contains("result=ok")).unwrap();
    assert!(line.contains(" audit: set uid=") && line.contains("\\u{1b}[31m\\r\\nfake"), "{line}");
    assert!(!log.contains("ready"), "the rest is as agent.log says");
}
