//! What callers see of failures: an agent that refuses, leaves or floods; values that C cannot hold; the log.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use fm_common::protocol::codec;
use fm_common::protocol::{HelloAnswer, Refusal, VERSION};
use fm_common::{Alarm, ErrorCode, Timestamp};

use crate::support::{Node, alarm};
use crate::toolbox::{caller, program, run, succeed};

/// What a stand-in does with a request.
#[derive(Debug, Clone, Copy)]
enum Manner {
    Refuse(ErrorCode),
    /// Closes once the request is there.
    Leave,
    /// Closes once the caller has introduced itself.
    LeaveEarly,
    /// Refuses the caller itself.
    TurnAway(ErrorCode),
    /// Answers with bytes that mean nothing.
    Garbage,
}

/// A stand-in of the agent, for answers that a good one does not give.
struct BadAgent {
    directory: tempfile::TempDir,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl BadAgent {
    fn start(manner: Manner) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("a.sock")).unwrap();
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                // A caller that leaves ends its connection, not the stand-in.
                let _left = serve(stream.unwrap(), manner);
            }
        });
        Self { directory, stopping, thread: Some(thread) }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("a.sock")
    }
}

impl Drop for BadAgent {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        UnixStream::connect(self.socket()).unwrap();
        self.thread.take().unwrap().join().unwrap();
    }
}

fn frame(stream: &mut UnixStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut payload = vec![0; u32::from_le_bytes(length) as usize];
    stream.read_exact(&mut payload)?;
    Ok(payload)
}

fn serve(mut stream: UnixStream, manner: Manner) -> std::io::Result<()> {
    frame(&mut stream)?;
    let mut bytes = Vec::new();
    let answer = match manner {
        Manner::TurnAway(code) => HelloAnswer::Refused(Refusal::new(code, "for reasons")),
        _ => HelloAnswer::Welcome { version: VERSION, agent: "stand-in".to_owned() },
    };
    codec::encode_hello_answer(&mut bytes, &answer).unwrap();
    stream.write_all(&bytes)?;
    if matches!(manner, Manner::LeaveEarly | Manner::TurnAway(_)) {
        return Ok(());
    }
    loop {
        let payload = frame(&mut stream)?;
        let (header, _) = codec::decode_request_header(&payload).unwrap();
        let mut bytes = Vec::new();
        match manner {
            Manner::Refuse(code) => {
                codec::encode_response(&mut bytes, header.id, &Err(Refusal::new(code, "for reasons")))
                    .unwrap();
            }
            Manner::Garbage => bytes.extend_from_slice(&[3, 0, 0, 0, 0xff, 0xff, 0xff]),
            _ => return Ok(()),
        }
        stream.write_all(&bytes)?;
    }
}

/// The codes of these calls, each made once in one process with the system's own SIGPIPE.
fn codes(agent: &BadAgent, calls: &[&str]) -> Vec<(u32, String)> {
    let told = succeed(caller(&program("gcc", "one_call.c", &[]), &agent.socket()).args(calls));
    told.lines()
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            (columns[1].parse().unwrap(), columns[3].to_owned())
        })
        .collect()
}

#[test]
fn every_code_of_an_agent_comes_through_with_its_reason() {
    for code in ErrorCode::ALL {
        let agent = BadAgent::start(Manner::Refuse(*code));
        for told in codes(&agent, &["set", "clear", "get", "get_by_id"]) {
            assert_eq!(told, (code.number(), "for reasons".to_owned()));
        }
    }
}

#[test]
fn an_agent_without_room_is_a_temporary_fault() {
    let agent = BadAgent::start(Manner::TurnAway(ErrorCode::ResourceUnavailable));
    for (code, reason) in codes(&agent, &["set", "get", "set_async"]) {
        assert_eq!((code, reason.as_str()), (ErrorCode::ResourceUnavailable.number(), "for reasons"));
    }
}

/// With SIGPIPE as it is by default: the program would be killed by it.
#[test]
fn a_peer_that_leaves_is_a_temporary_fault() {
    for manner in [Manner::Leave, Manner::LeaveEarly, Manner::Garbage] {
        let agent = BadAgent::start(manner);
        let told = codes(&agent, &["set", "clear", "get", "clear_all", "set"]);
        for (code, reason) in told {
            assert_eq!(code, ErrorCode::Communications.number(), "{manner:?}: {reason}");
        }
        for _ in 0..20 {
            // Whether the request went in before the peer left is a race; nothing else may come of it.
            for (code, reason) in codes(&agent, &["set_async", "set_async", "clear_async"]) {
                assert!([0, ErrorCode::Communications.number()].contains(&code), "{manner:?}: {reason}");
            }
        }
    }
}

/// What a C caller sees of an alarm that another interface has raised.
fn shown(node: &Node, alarm: &Alarm) -> Vec<String> {
    node.client.set(alarm.clone()).unwrap();
    let mut show = caller(&program("gcc", "show.c", &[]), &node.socket());
    let told = succeed(show.arg(&alarm.entity_instance_id));
    told.trim_end_matches('\n').split('\t').map(str::to_owned).collect()
}

#[test]
fn values_that_c_cannot_hold() {
    let node = Node::start("");
    let time = Timestamp::from_micros(1_795_341_600_500_000);
    let plain = Alarm { timestamp: Some(time), ..alarm("host=v-1") };
    let seen = shown(&node, &plain);
    assert_eq!(seen, ["1", "3", "3", "0", "1795341600500000", "host=v-1", "driver out of sync"]);

    let long = format!("{}\u{e4} and more", "x".repeat(253));
    let seen = shown(&node, &Alarm { reason_text: long, ..plain.clone() });
    assert_eq!(seen[6], "x".repeat(253), "cut before the character that does not fit");

    for (cause, number) in [
        ("configuration-out-of-date", "7"),
        ("configuration-provisioning-required", "7"),
        ("certificate-expiration", "73"),
        ("unknown", "0"),
        ("excessive-vibration", "16"),
    ] {
        let seen = shown(&node, &Alarm { probable_cause: cause.into(), ..plain.clone() });
        assert_eq!(seen[3], number, "{cause}");
    }
    let seen = shown(&node, &Alarm { alarm_type: "deployment in progress".into(), ..plain.clone() });
    assert_eq!(seen[2], "0");
}

#[test]
fn awkward_entities_are_literal() {
    let node = Node::start("");
    for entity in ["host=o'brien", "x'; DROP TABLE alarm; --", "100%_of.disk=\"a\"", "name=a###b#"] {
        let seen = shown(&node, &alarm(entity));
        assert_eq!(seen[5], entity);
    }
}

#[test]
fn the_log_is_syslog_quiet_and_rare() {
    let node = Node::start("");
    let logs = program("gcc", "logs.c", &["-rdynamic"]);
    let logged = |level: Option<&str>, calls: &[&str]| {
        let mut command = caller(&logs, &node.socket());
        match level {
            Some(level) => command.env("FM_API_LOG", level),
            None => command.env_remove("FM_API_LOG"),
        };
        let output = run(command.args(calls));
        assert!(output.status.success());
        assert_eq!(output.stderr, b"", "nothing goes to standard error");
        String::from_utf8(output.stdout).unwrap()
    };
    // No such alarm: callers live with it.
    assert_eq!(logged(None, &["clear"]), "");
    assert!(
        logged(Some("info"), &["clear"])
            .starts_with("6 libfmcommon: fm_clear_fault: FM_ERR_ENTITY_NOT_FOUND")
    );
    let line = "4 libfmcommon: fm_clear_fault: FM_ERR_INVALID_PARAMETER: filter: is NULL\n";
    assert_eq!(logged(None, &["null"; 100]), line);
    assert_eq!(logged(Some("error"), &["null"]), "");
    assert_eq!(logged(Some("off"), &["null", "clear", "server"]), "");
    let server = logged(None, &["server"]);
    assert!(server.contains("run fm-agent on the node"), "{server}");
}
