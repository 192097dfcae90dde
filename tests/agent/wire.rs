//! Peers that do not speak as the client does: other versions, garbage, detached requests, floods.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fm_common::ErrorCode;
use fm_common::protocol::codec;
use fm_common::protocol::{Answer, Hello, HelloAnswer, MAX_FRAME_BYTES, Request, RequestHeader, Response};

use crate::support::{ALARM_ID, Node, alarm, controller, domain, key, standing, wait_for};

/// A raw connection that has introduced itself.
struct Raw(UnixStream);

impl Raw {
    fn connect(node: &Node) -> Self {
        let stream = UnixStream::connect(node.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self(stream)
    }

    fn greeted(node: &Node) -> Self {
        let mut raw = Self::connect(node);
        let mut frame = Vec::new();
        codec::encode_hello(&mut frame, &Hello::new("raw")).unwrap();
        raw.0.write_all(&frame).unwrap();
        let answer = codec::decode_hello_answer(&raw.frame().unwrap()).unwrap();
        assert!(matches!(answer, HelloAnswer::Welcome { version: 1, .. }), "{answer:?}");
        raw
    }

    /// The next frame; `None` when the agent has closed.
    fn frame(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).ok()?;
        let mut payload = vec![0; u32::from_le_bytes(length) as usize];
        self.0.read_exact(&mut payload).ok()?;
        Some(payload)
    }

    fn response(&mut self) -> (u64, Response) {
        codec::decode_response(&self.frame().unwrap()).unwrap()
    }

    fn send(&mut self, id: u64, detached: bool, request: &Request) {
        let mut token = [0; 16];
        token[..8].copy_from_slice(&id.to_le_bytes());
        token[8] = 1;
        let header = RequestHeader { id, timeout_ms: 5000, detached, token };
        let mut frame = Vec::new();
        codec::encode_request(&mut frame, &header, request).unwrap();
        self.0.write_all(&frame).unwrap();
    }

    fn send_payload(&mut self, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap();
        self.0.write_all(&[&length.to_le_bytes(), payload].concat()).unwrap();
    }
}

/// A request's bytes: header with this id, then the body.
fn payload(id: u64, body: &[u8]) -> Vec<u8> {
    let header = RequestHeader { id, timeout_ms: 5000, detached: false, token: [3; 16] };
    let mut frame = Vec::new();
    codec::encode_request(&mut frame, &header, &Request::Ping).unwrap();
    let mut payload = frame[4..frame.len() - 1].to_vec();
    payload.extend_from_slice(body);
    payload
}

#[test]
fn pipelined_requests_take_effect_in_order() {
    let node = Node::start("");
    let mut raw = Raw::greeted(&node);
    for id in 1..=200 {
        let request = if id % 2 == 1 { Request::Set(alarm("host=a")) } else { Request::Clear(key("host=a")) };
        raw.send(id, false, &request);
    }
    raw.send(201, false, &Request::Get(key("host=a")));
    let mut ids: Vec<u64> = (0..201)
        .map(|_| {
            let (id, response) = raw.response();
            assert!(response.is_ok() || id == 201, "{id}: {response:?}");
            id
        })
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=201).collect::<Vec<u64>>());
}

#[test]
fn detached_requests_outlive_their_process() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    let mut raw = Raw::greeted(&node);
    for id in 0..100 {
        raw.send(id, true, &Request::Set(alarm(&format!("host=c{id}"))));
    }
    raw.send(100, true, &Request::Clear(key("host=c7")));
    raw.send(101, true, &Request::Clear(key("host=unknown")));
    drop(raw);
    wait_for("all of them", || standing(&sim).len() == 99 && node.waiting("platform") == 0);
    assert!(!standing(&sim).iter().any(|(entity, _)| entity == "host=c7"));
}

#[test]
fn what_was_sent_before_a_stop_is_taken() {
    let mut node = Node::start("");
    let mut raw = Raw::greeted(&node);
    node.signal("STOP");
    let mut frames = Vec::new();
    for id in 0..400 {
        let token = u128::from(id).to_le_bytes();
        let header = RequestHeader { id, timeout_ms: 5000, detached: true, token };
        codec::encode_request(&mut frames, &header, &Request::Set(alarm(&format!("host=c{id}")))).unwrap();
    }
    raw.0.write_all(&frames).unwrap();
    node.signal("TERM");
    node.signal("CONT");
    while raw.frame().is_some() {}
    assert!(node.wait_end().success());
    node.run();
    assert_eq!(node.client.list_by_id(ALARM_ID).unwrap().len(), 400);
}

#[test]
fn what_was_sent_is_taken_when_nobody_takes_the_answers() {
    let node = Node::start("");
    let mut raw = Raw::greeted(&node);
    raw.0.shutdown(Shutdown::Read).unwrap();
    for id in 0..500 {
        raw.send(id, id % 2 == 0, &Request::Set(alarm(&format!("host=c{id}"))));
    }
    drop(raw);
    wait_for("all of them", || node.client.list_by_id(ALARM_ID).is_ok_and(|alarms| alarms.len() == 500));
}

#[test]
fn the_failure_of_a_detached_request_is_logged() {
    let node = Node::start("");
    let mut raw = Raw::greeted(&node);
    let mut bad = alarm("host=a");
    bad.severity = "loud".into();
    raw.send(1, true, &Request::Set(bad));
    let header = RequestHeader { id: 2, timeout_ms: 5000, detached: true, token: [3; 16] };
    let mut frame = Vec::new();
    codec::encode_request(&mut frame, &header, &Request::Ping).unwrap();
    *frame.last_mut().unwrap() = 200;
    raw.0.write_all(&frame).unwrap();
    drop(raw);
    wait_for("the log lines", || {
        let log = node.log();
        let lines = |words: &str| {
            log.lines().any(|line| line.contains("a detached request failed") && line.contains(words))
        };
        log.contains("raw") && lines("severity") && lines("does not understand")
    });
}

#[test]
fn a_call_repeated_under_its_token_is_taken_once() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    let mut log = alarm("host=a");
    log.alarm_state = "log".into();
    log.uuid = Some("6ba7b810-9dad-41d1-80b4-00c04fd430c8".to_owned());
    for _ in 0..3 {
        let mut raw = Raw::greeted(&node);
        raw.send(5, false, &Request::Set(log.clone()));
        assert_eq!(raw.response(), (5, Ok(Answer::Uuid(log.uuid.clone().unwrap()))));
    }
    node.wait_delivered();
    assert_eq!(sim.events().unwrap().len(), 1);
}

#[test]
fn a_request_of_a_later_version_is_refused_by_itself() {
    let node = Node::start("");
    let mut raw = Raw::greeted(&node);
    raw.send_payload(&payload(9, &[200]));
    let (id, response) = raw.response();
    assert_eq!((id, response.unwrap_err().code), (9, ErrorCode::InvalidRequest));
    raw.send(10, false, &Request::Ping);
    assert_eq!(raw.response(), (10, Ok(Answer::Done)));
}

#[test]
fn text_that_is_no_utf8_is_refused_and_nothing_is_stored() {
    let node = Node::start("");
    let mut raw = Raw::greeted(&node);
    raw.send_payload(&payload(9, &[7, 2, 0xC3, 0x28]));
    let (id, response) = raw.response();
    assert_eq!((id, response.unwrap_err().code), (9, ErrorCode::InvalidParameter));
    raw.send(10, false, &Request::ListById { alarm_id: ALARM_ID.to_owned() });
    assert_eq!(raw.response().1.unwrap_err().code, ErrorCode::EntityNotFound);
}

#[test]
fn strangers_are_told_and_left() {
    let node = Node::start("");
    for stranger in [&b"GET / HTTP/1.1\r\nHost: fm\r\n\r\n"[..], &[0; 64], &[5, 0, 0, 0, 1, 2, 3, 4, 5]] {
        let mut raw = Raw::connect(&node);
        raw.0.write_all(stranger).unwrap();
        while raw.frame().is_some() {}
    }
    let mut other_version = Raw::connect(&node);
    let mut frame = Vec::new();
    codec::encode_hello(&mut frame, &Hello { version: 9, ..Hello::new("later") }).unwrap();
    other_version.0.write_all(&frame).unwrap();
    let answer = codec::decode_hello_answer(&other_version.frame().unwrap()).unwrap();
    let HelloAnswer::Refused(refusal) = answer else { panic!("{answer:?}") };
    assert!(refusal.message.contains('9') && refusal.message.contains('1'), "{refusal}");
    assert!(other_version.frame().is_none(), "and closed");
    node.client.ping().unwrap();
}

#[test]
fn a_frame_over_the_limit_ends_its_own_connection_only() {
    let node = Node::start("");
    let mut raw = Raw::greeted(&node);
    let too_long = u32::try_from(MAX_FRAME_BYTES + 1).unwrap();
    raw.0.write_all(&too_long.to_le_bytes()).unwrap();
    let (id, response) = raw.response();
    assert_eq!((id, response.unwrap_err().code), (0, ErrorCode::InvalidRequest));
    assert!(raw.frame().is_none());
    node.client.ping().unwrap();
}

#[test]
fn half_frames_and_idle_peers_cost_nobody_else_anything() {
    let node = Node::start("");
    let mut peers: Vec<Raw> = (0..200).map(|_| Raw::greeted(&node)).collect();
    for raw in peers.iter_mut().take(100) {
        raw.0.write_all(&[200, 0, 0, 0, 7]).unwrap();
    }
    for _ in 0..50 {
        node.client.set(alarm("host=a")).unwrap();
        node.client.get(key("host=a")).unwrap();
    }
}

#[test]
fn one_connection_too_many_is_told_so() {
    let node = Node::start("max_connections = 3\n");
    // The test's own client holds one of the places.
    let _first = Raw::greeted(&node);
    let _second = Raw::greeted(&node);
    let mut third = Raw::connect(&node);
    let answer = codec::decode_hello_answer(&third.frame().unwrap()).unwrap();
    let HelloAnswer::Refused(refusal) = answer else { panic!("{answer:?}") };
    assert_eq!(refusal.code, ErrorCode::ResourceUnavailable);
    node.client.ping().unwrap();
}

#[test]
fn as_many_connections_as_there_are_descriptors_leave_the_agent_at_work() {
    let sim = controller();
    let mut node = Node::prepare(&domain("platform", &sim, "labrador"));
    let agent = node.command();
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "ulimit -n 128 && exec \"$@\"", "sh"])
        .arg(agent.get_program())
        .args(agent.get_args());
    node.run_command(limited.stderr(Stdio::null()));
    let peers: Vec<UnixStream> = (0..200).map(|_| UnixStream::connect(node.socket()).unwrap()).collect();
    let started = Instant::now();
    let refused = node.hasty_client(20_000, 20_000).ping().unwrap_err();
    assert_eq!(refused.code(), ErrorCode::ResourceUnavailable, "{refused}");
    assert!(started.elapsed() < Duration::from_secs(3), "told at once, not after {:?}", started.elapsed());
    node.client.set(alarm("host=a")).unwrap();
    node.wait_delivered();
    assert_eq!((standing(&sim).len(), peers.len()), (1, 200));
}
