//! Hostile and broken peers: what they cost the others, in time and in memory.
//!
//! The bounds are generous, because the machine that runs this is busy; the figures are printed.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout};
use std::time::{Duration, Instant};

use fm_common::client::Client;
use fm_common::protocol::codec;
use fm_common::protocol::{Hello, HelloAnswer, Request, RequestHeader, Response};
use fm_common::{AlarmKey, ErrorCode};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::support::{ALARM_ID, CALLER, Node, alarm, key, wait_for};

/// What a call of an innocent caller may take at most while others misbehave: the deadline that callers have.
const DEADLINE: Duration = Duration::from_secs(1);
/// What the agent may have in memory at most while others misbehave, in MiB: the 128 MiB for requests, and as
/// much again.
const MOST_MEMORY: u64 = 256;

/// A connection that has introduced itself.
fn greeted(socket: &std::path::Path) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut frame = Vec::new();
    codec::encode_hello(&mut frame, &Hello::new("hostile")).unwrap();
    // Who is refused at once finds the reason, though its hello found nobody.
    let sent = stream.write_all(&frame);
    let answer = next(&mut stream).or_else(|error| sent.and(Err(error)))?;
    match codec::decode_hello_answer(&answer).unwrap() {
        HelloAnswer::Welcome { .. } => Ok(stream),
        HelloAnswer::Refused(refusal) => Err(io::Error::other(refusal)),
    }
}

fn next(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut payload = vec![0; u32::from_le_bytes(length) as usize];
    stream.read_exact(&mut payload)?;
    Ok(payload)
}

fn response(stream: &mut UnixStream) -> Response {
    codec::decode_response(&next(stream).unwrap()).unwrap().1
}

fn request(id: u64, request: &Request) -> Vec<u8> {
    let token = u128::from(id + (u64::from(std::process::id()) << 32)).to_le_bytes();
    let header = RequestHeader { id, timeout_ms: 60_000, detached: false, token };
    let mut frame = Vec::new();
    codec::encode_request(&mut frame, &header, request).unwrap();
    frame
}

/// Median and 99th percentile of the sets of an innocent caller; none of them fails.
fn latency(caller: &Client, what: &str) -> (Duration, Duration) {
    let mut took: Vec<Duration> = (0..300)
        .map(|number| {
            let started = Instant::now();
            caller.set(alarm(&format!("host=innocent-{}", number % 10))).unwrap();
            started.elapsed()
        })
        .collect();
    took.sort_unstable();
    let (median, worst) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    eprintln!("{what}: set p50 {median:?}, p99 {worst:?}");
    (median, worst)
}

/// Compares an innocent caller's calls before and while `hostile` goes on; gives what it gave.
fn innocent<T>(node: &Node, what: &str, hostile: impl FnOnce() -> T) -> T {
    let caller = node.hasty_client(1000, 5000);
    latency(&caller, &format!("{what}, before"));
    let kept = hostile();
    let (_, worst) = latency(&caller, &format!("{what}, during"));
    assert!(worst < DEADLINE, "{what}: {worst:?}");
    let memory = node.memory();
    eprintln!("{what}: the agent has {memory} MiB");
    assert!(memory < MOST_MEMORY, "{what}: {memory} MiB");
    kept
}

/// A test that misbehaves in a process of its own, until it is dropped.
struct Elsewhere {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Elsewhere {
    /// Starts it and waits until it says that it is ready.
    fn ready(node: &Node, test: &str) -> Self {
        let mut child = node.elsewhere(test).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut this = Self { child, said };
        this.wait_for("ready");
        this
    }

    fn wait_for(&mut self, word: &str) {
        let mut line = String::new();
        while line.trim_end() != word {
            line.clear();
            let read = self.said.read_line(&mut line).unwrap();
            if read == 0 {
                let mut why = String::new();
                self.child.stderr.take().unwrap().read_to_string(&mut why).unwrap();
                panic!("it ended before it said '{word}': {why}");
            }
        }
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The agent's socket, in a test that was started elsewhere.
fn told_socket() -> Option<PathBuf> {
    std::env::var_os(CALLER).map(PathBuf::from)
}

/// Says a word to the test that started this one.
fn say(word: &str) {
    println!("\n{word}");
}

fn for_ever() -> ! {
    loop {
        std::thread::park();
    }
}

#[test]
fn as_a_slow_sender() {
    let Some(socket) = told_socket() else { return };
    let mut left = Vec::new();
    let long = request(1, &Request::SetList(vec![alarm("host=a"); 2000]));
    // Garbage with and without a hello, and a length that is too much.
    for _ in 0..100 {
        let mut stream = UnixStream::connect(&socket).unwrap();
        let _closed_already = stream.write_all(&[0xA5; 4096]);
        left.push(stream);
        let mut stream = greeted(&socket).unwrap();
        stream.write_all(&[&[16, 0, 0, 0], &[0xFF; 16][..]].concat()).unwrap();
        left.push(stream);
        let mut stream = greeted(&socket).unwrap();
        stream.write_all(&u32::MAX.to_le_bytes()).unwrap();
        left.push(stream);
    }
    // No hello, half a hello, half a frame, half a long frame.
    for _ in 0..100 {
        let mut stream = greeted(&socket).unwrap();
        stream.write_all(&[200, 0, 0, 0, 7]).unwrap();
        left.push(stream);
        left.push(UnixStream::connect(&socket).unwrap());
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.write_all(&[40, 0, 0]).unwrap();
        left.push(stream);
    }
    for _ in 0..20 {
        let mut stream = greeted(&socket).unwrap();
        stream.write_all(&long[..50_000]).unwrap();
        left.push(stream);
    }
    say("ready");
    for stream in &mut left {
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        // What it is told first does not matter; it is not left open.
        match stream.read_to_end(&mut Vec::new()) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "left open: {error}"),
        }
    }
    say("closed");
    for_ever();
}

#[test]
fn slow_half_and_garbage_senders_are_closed_and_cost_nobody_else() {
    let node = Node::start("");
    let mut slow = innocent(&node, "slow, half and garbage senders", || {
        Elsewhere::ready(&node, "hostile::as_a_slow_sender")
    });
    slow.wait_for("closed");
}

#[test]
fn ten_thousand_idle_connections() {
    const WANTED: u64 = 10_000;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let number = WANTED.min(hard.saturating_sub(300));
    let node = Node::start("max_connections = 11000\n[limits]\nconnections_per_process = 11000\n");
    let socket = node.socket();
    let mut idle = Vec::new();
    innocent(&node, "idle connections", || {
        for _ in 0..number {
            let mut stream = greeted(&socket).unwrap();
            // Each has made a call.
            if idle.len() % 10 == 0 {
                stream.write_all(&request(1, &Request::Set(alarm("host=idle")))).unwrap();
                response(&mut stream).unwrap();
            }
            idle.push(stream);
        }
        eprintln!("{number} of {WANTED} idle connections (the limit of open files is {hard})");
    });
    // They are served as before.
    for stream in idle.iter_mut().step_by(997) {
        stream.write_all(&request(2, &Request::Ping)).unwrap();
        response(stream).unwrap();
    }
}

/// Sends sets on many connections, as fast as they are taken.
#[test]
fn as_a_flood() {
    let Some(socket) = told_socket() else { return };
    for flooder in 0..64_u64 {
        let mut stream = greeted(&socket).unwrap();
        let mut answers = stream.try_clone().unwrap();
        std::thread::spawn(move || io::copy(&mut answers, &mut io::sink()));
        std::thread::spawn(move || {
            for id in 0.. {
                let entity = format!("host=flood-{flooder}-{}", id % 50);
                let alarm = fm_common::Alarm { reason_text: id.to_string(), ..alarm(&entity) };
                let id = (flooder << 24) + id;
                stream.write_all(&request(id, &Request::Set(alarm))).unwrap();
            }
        });
    }
    std::thread::sleep(Duration::from_millis(500));
    say("ready");
    for_ever();
}

#[test]
fn a_flood_from_one_process_delays_nobody_else() {
    let node = Node::start("");
    let what = "a flood on 64 connections of one process";
    innocent(&node, what, || Elsewhere::ready(&node, "hostile::as_a_flood"));
    assert!(node.client.get(key("host=flood-63-0")).is_ok(), "it did flood");
}

/// Asks for many long lists and reads no answer.
#[test]
fn as_a_deaf_reader() {
    let Some(socket) = told_socket() else { return };
    let mut peers = Vec::new();
    for _ in 0..20 {
        let mut stream = greeted(&socket).unwrap();
        stream.set_nonblocking(true).unwrap();
        // As much as is taken: the rest waits in the socket.
        for id in 0..500 {
            let list = request(id, &Request::ListById { alarm_id: ALARM_ID.to_owned() });
            if stream.write_all(&list).is_err() {
                break;
            }
        }
        peers.push(stream);
    }
    say("ready");
    for_ever();
}

#[test]
fn answers_that_are_never_read_hold_up_their_own_connection() {
    let node = Node::start("");
    let alarms = (0..2000).map(|number| alarm(&format!("host=c{number}"))).collect();
    node.client.set_list(alarms).unwrap();
    innocent(&node, "answers that are never read", || Elsewhere::ready(&node, "hostile::as_a_deaf_reader"));
}

/// Sends long frames that would be many times longer decoded, all but their last byte.
#[test]
fn as_a_long_sender() {
    let Some(socket) = told_socket() else { return };
    let frame = request(1, &Request::ClearList(vec![AlarmKey::new("1", "a"); 3_000_000]));
    let mut peers = Vec::new();
    for _ in 0..30 {
        let mut stream = greeted(&socket).unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut sent = 0;
        let until = Instant::now() + Duration::from_millis(100);
        while sent < frame.len() - 1 && Instant::now() < until {
            sent += stream.write(&frame[sent..frame.len() - 1]).unwrap_or_default();
        }
        peers.push(stream);
    }
    say("ready");
    for_ever();
}

#[test]
fn long_frames_share_what_memory_there_is() {
    let node = Node::start("");
    innocent(&node, "30 long frames begun", || Elsewhere::ready(&node, "hostile::as_a_long_sender"));
    let node = Node::start("[limits]\nlist_entries = 1000000\n");
    let what = "30 long frames begun that may be decoded";
    innocent(&node, what, || Elsewhere::ready(&node, "hostile::as_a_long_sender"));
}

#[test]
fn what_is_too_much_is_told_with_its_limit() {
    let config = "[limits]\nconnections_per_process = 4\nlist_entries = 10\n";
    let node = Node::start(config);
    let socket = node.socket();
    // The test's own client holds one of the places.
    let mut kept: Vec<UnixStream> = (0..3).map(|_| greeted(&socket).unwrap()).collect();
    let refused = greeted(&socket).unwrap_err().to_string();
    assert!(refused.contains("limits.connections_per_process"), "{refused}");
    kept[0].write_all(&request(7, &Request::SetList(vec![alarm("host=a"); 11]))).unwrap();
    let refusal = response(&mut kept[0]).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::InvalidParameter);
    assert!(refusal.message.contains("limits.list_entries") && refusal.message.contains("11"), "{refusal}");
    kept[0].write_all(&request(8, &Request::SetList(vec![alarm("host=a"); 10]))).unwrap();
    response(&mut kept[0]).unwrap();
    kept.clear();
    wait_for("a place", || greeted(&socket).is_ok());
}
