//! Agents that are not there, and callers who may not.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::unistd::geteuid;

use crate::run::{Ran, fmctl};
use crate::support::{ALARM_ID, Node};

/// Commands that need an agent; the administrators' ones first.
const COMMANDS: [&[&str]; 14] = [
    &["alarms"],
    &["queue"],
    &["rejected", "list"],
    &["rejected", "show", "1"],
    &["rejected", "replay", "1"],
    &["rejected", "drop", "--all"],
    &["route", ALARM_ID],
    &["resync", "platform"],
    &["tail", "--limit", "1"],
    &["flush", "--wait"],
    &["status"],
    &["get", ALARM_ID],
    &["clear", ALARM_ID, "host=a"],
    &["set", ALARM_ID, "host=a", "--severity", "major"],
];

#[test]
fn an_agent_that_is_not_there_is_named() {
    let node = Node::prepare("");
    for arguments in COMMANDS {
        let ran = fmctl(&node, arguments).fails(69);
        let directory = node.socket().parent().unwrap().display().to_string();
        assert!(ran.out.is_empty() && ran.err.contains(&format!("no agent at {directory}/")), "{ran:?}");
    }
}

#[test]
fn the_socket_for_administrators_is_used_where_it_is_named() {
    let node = Node::start("");
    let run = |admin: &str, arguments: &[&str]| {
        let mut command = crate::run::command(&node.socket());
        Ran::of(command.env("FM_AGENT_ADMIN_SOCKET", admin).args(arguments).output().unwrap())
    };
    run("", &["queue"]).ok();
    run(&node.socket().with_file_name("admin.sock").display().to_string(), &["queue"]).ok();
    let callers = node.socket().display().to_string();
    assert!(run(&callers, &["queue"]).fails(77).err.contains("FM_AGENT_ADMIN_SOCKET"));
    run("/nonexistent/admin.sock", &["--socket", &callers, "queue"]).ok();
    assert_eq!(run("/nonexistent/admin.sock", &["doctor", "--offline"]).status, 1);
    assert!(run("/nonexistent/admin.sock", &["queue"]).fails(69).err.contains("/nonexistent/admin.sock"));
    run("/nonexistent/admin.sock", &["status"]).ok();
}

/// `fmctl` as a user who owns nothing, in a place where that user can run it.
pub(crate) fn as_nobody(node: &Node) -> Command {
    let directory = node.socket().parent().unwrap().to_owned();
    fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
    let program = directory.join("fmctl");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_fmctl"), &program).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new(program);
    command.env("FM_AGENT_SOCKET", node.socket()).env_remove("XDG_RUNTIME_DIR").current_dir("/");
    command.uid(65_534).gid(65_534);
    command
}

/// Only root can become another user; everybody else sees the policy's own tests.
#[test]
fn who_may_not_is_told_so() {
    if !geteuid().is_root() {
        return;
    }
    let node = Node::start("");
    for (index, arguments) in COMMANDS.into_iter().enumerate() {
        let ran = Ran::of(as_nobody(&node).args(arguments).output().unwrap());
        if index < 10 {
            let ran = ran.fails(77);
            assert!(ran.err.contains("Permission denied"), "{arguments:?}: {ran:?}");
            assert!(ran.err.contains("is there, and ") && !ran.err.contains("no agent at"), "{ran:?}");
        } else {
            assert_ne!(ran.status, 77, "{arguments:?}: {ran:?}");
        }
    }
    let doctor = Ran::of(as_nobody(&node).args(["doctor", "--json", "--offline"]).output().unwrap());
    let findings = doctor.json()["findings"].take();
    let found = findings.as_array().unwrap().iter().find(|finding| finding["check"] == "administrator");
    assert_eq!(found.unwrap()["level"], "warn", "{findings}");
    // A socket that is not for everybody.
    fs::set_permissions(node.socket(), Permissions::from_mode(0o600)).unwrap();
    let ran = Ran::of(as_nobody(&node).arg("status").output().unwrap()).fails(77);
    assert!(ran.err.contains("mode 600, owner root") && ran.err.contains("run this as root\n"), "{ran:?}");
    // One for a group that this user is not in.
    std::os::unix::fs::chown(node.socket(), None, Some(1)).unwrap();
    fs::set_permissions(node.socket(), Permissions::from_mode(0o660)).unwrap();
    let group =
        nix::unistd::Group::from_gid(1.into()).unwrap().map_or("gid 1".to_owned(), |group| group.name);
    let ran = Ran::of(as_nobody(&node).arg("status").output().unwrap()).fails(77);
    assert!(ran.err.contains(&format!("as a member of the group {group} ")), "{ran:?}");
    let doctor = Ran::of(as_nobody(&node).args(["doctor", "--offline"]).output().unwrap());
    assert!(
        doctor.out.contains("SocketMode=") && doctor.out.contains(&format!("group {group} ")),
        "{doctor:?}"
    );
}

/// What is needed can be given in two ways, and both are shown.
#[test]
fn each_way_to_use_a_command_is_shown() {
    let node = Node::prepare("");
    for (arguments, ways) in [
        (&["get"][..], ["get [OPTIONS] <ALARM_ID> [ENTITY]", "--under <ENTITY>"]),
        (&["clear"], ["clear [OPTIONS] <ALARM_ID> <ENTITY>", "--all <ENTITY>"]),
        (&["rejected", "replay"], ["replay [OPTIONS] <SEQS>...", "--all"]),
        (&["rejected", "drop"], ["drop [OPTIONS] <SEQS>...", "--all"]),
    ] {
        let ran = fmctl(&node, arguments).fails(64);
        let (error, usage) = ran.err.split_once("Usage:").unwrap();
        assert!(error.contains(ways[1].split(' ').next().unwrap()), "{error}");
        assert!(ways.iter().all(|way| usage.contains(way)), "{usage}");
    }
    assert!(fmctl(&node, &["clear", ALARM_ID]).fails(64).err.contains("<ENTITY>"));
    fmctl(&node, &["clear", ALARM_ID, "host=a", "--all", "host=a"]).fails(64);
    fmctl(&node, &["rejected", "drop", "1", "--all"]).fails(64);
    fmctl(&node, &["rejected", "drop", "1", "--id", ALARM_ID]).fails(64);
}

#[test]
fn a_socket_directory_that_cannot_be_entered_is_found() {
    let node = Node::start("");
    let directory = node.socket().parent().unwrap().to_owned();
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = if geteuid().is_root() {
        // Run from elsewhere: the node's directory is about to be closed.
        fs::set_permissions(elsewhere.path(), Permissions::from_mode(0o755)).unwrap();
        let program = elsewhere.path().join("fmctl");
        fs::copy(env!("CARGO_BIN_EXE_fmctl"), &program).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new(program);
        command.uid(65_534).gid(65_534).current_dir("/");
        command
    } else {
        Command::new(env!("CARGO_BIN_EXE_fmctl"))
    };
    fs::set_permissions(&directory, Permissions::from_mode(0o600)).unwrap();
    command.env("FM_AGENT_SOCKET", node.socket()).env_remove("XDG_RUNTIME_DIR");
    let ran = Ran::of(command.args(["doctor", "--json", "--offline"]).output().unwrap());
    fs::set_permissions(&directory, Permissions::from_mode(0o700)).unwrap();
    let findings = ran.json()["findings"].take();
    let found =
        findings.as_array().unwrap().iter().find(|it| it["check"] == "socket-directory").unwrap().clone();
    assert_eq!((ran.status, &found["level"]), (1, &"fail".into()), "{findings}");
    assert!(found["found"].as_str().unwrap().contains(&directory.display().to_string()), "{found}");
}
