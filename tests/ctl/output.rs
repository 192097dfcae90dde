//! Output: terminals, pipes, colour, generated texts.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use fm_common::Alarm;
use nix::pty::{Winsize, openpty};

use crate::run::{Ran, command, fmctl};
use crate::support::{Node, alarm};

/// What a run prints on a terminal of this width.
fn on_terminal(node: &Node, columns: u16, variables: &[(&str, &str)], arguments: &[&str]) -> String {
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = openpty(Some(&size), None).unwrap();
    let mut command = command(&node.socket());
    command.args(arguments).envs(variables.iter().copied()).stdout(terminal.slave);
    let mut child = command.spawn().unwrap();
    // The other end is the child's alone now.
    drop(command);
    let mut told = Vec::new();
    let mut master = File::from(terminal.master);
    // The end of the child is an error here (EIO), after all that it said.
    let _ended = master.read_to_end(&mut told);
    assert!(child.wait().unwrap().success());
    String::from_utf8(told).unwrap()
}

#[test]
fn colour_and_width_are_for_terminals() {
    let node = Node::start("");
    node.client.set(Alarm { reason_text: "word ".repeat(60), ..alarm("host=a") }).unwrap();
    let told = on_terminal(&node, 100, &[], &["alarms"]);
    assert!(told.contains("\x1b[31mmajor"), "{told:?}");
    let plain = on_terminal(&node, 100, &[("NO_COLOR", "1")], &["alarms"]);
    assert!(!plain.contains('\x1b') && plain.contains('…'), "{plain:?}");
    assert!(plain.lines().all(|line| line.chars().count() <= 100), "{plain:?}");
    let piped = fmctl(&node, &["alarms"]).ok().out;
    assert!(
        !piped.contains('\x1b') && !piped.contains('…') && piped.contains(&"word ".repeat(59)),
        "{piped:?}"
    );
    let forced = fmctl(&node, &["--color", "always", "alarms"]).ok().out;
    assert!(forced.contains("\x1b[31mmajor"), "{forced:?}");
    let never = on_terminal(&node, 100, &[], &["--color", "never", "alarms"]);
    assert!(!never.contains('\x1b'), "{never:?}");
}

#[test]
fn a_watched_status_begins_at_the_top_each_time() {
    let node = Node::start("");
    let terminal = openpty(None, None).unwrap();
    let mut command = command(&node.socket());
    let mut child = command.args(["status", "--watch=0.05"]).stdout(terminal.slave).spawn().unwrap();
    drop(command);
    let mut master = File::from(terminal.master);
    let (mut told, mut bytes) = (String::new(), [0; 1024]);
    while told.matches("\x1b[H\x1b[2J").count() < 3 {
        let read = master.read(&mut bytes).unwrap();
        told.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    assert!(told.starts_with("\x1b[H\x1b[2J") && told.contains("fm-agent "), "{told:?}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_an_alarm_says_is_never_obeyed_by_a_terminal() {
    let node = Node::start("");
    node.client.set(Alarm { reason_text: "\x1b]0;owned\x07\x1b[2J".to_owned(), ..alarm("host=a") }).unwrap();
    let told = fmctl(&node, &["alarms"]).ok().out;
    assert!(!told.contains('\x1b') && !told.contains('\x07') && told.contains("\\u{1b}]0;owned"), "{told:?}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let node = Node::start("");
    node.client.set_list((0..500).map(|number| alarm(&format!("host=c{number}"))).collect()).unwrap();
    let commands: [&[&str]; 5] = [
        &["alarms"],
        &["alarms", "--json"],
        &["status"],
        &["completion", "bash"],
        &["generate", "reference"],
    ];
    for arguments in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran =
            Ran::of(command(&node.socket()).args(arguments).stdout(OwnedFd::from(writer)).output().unwrap());
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{arguments:?}");
    }
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let node = Node::start("");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let ran = Ran::of(command(&node.socket()).arg("status").stdout(Stdio::from(full)).output().unwrap());
    assert!(ran.fails(74).err.contains("output cannot be written"));
}

#[test]
fn help_completions_and_pages_know_every_command() {
    let node = Node::prepare("");
    let help = fmctl(&node, &["--help"]).ok().out;
    let names = [
        "status",
        "alarms",
        "queue",
        "rejected",
        "route",
        "resync",
        "set",
        "clear",
        "get",
        "log",
        "tail",
        "flush",
        "doctor",
        "check-config",
        "completion",
    ];
    let pages = node.socket().with_file_name("man");
    fmctl(&node, &["generate", "man", &pages.display().to_string()]).ok();
    let scripts = ["bash", "zsh", "fish"].map(|shell| fmctl(&node, &["completion", shell]).ok().out);
    for name in names {
        assert!(help.contains(&format!("\n  {name} ")), "{name}: {help}");
        assert!(scripts.iter().all(|script| script.contains(name)), "{name}");
        let page = std::fs::read_to_string(pages.join(format!("fmctl-{name}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
    }
    let whole = std::fs::read_to_string(pages.join("fmctl.1")).unwrap();
    assert!(whole.contains("FM_AGENT_SOCKET") && whole.contains("wrong usage"), "{whole}");
    assert!(!help.contains("generate"), "{help}");
    assert!(pages.join("fmctl-rejected-replay.1").exists());
}
