//! The blocking client against agents that are stopped, overrun, slow, dying or gone: no call holds its
//! caller past its deadline, and a call whose connection breaks is sent once more under the same token.

#![expect(clippy::unwrap_used, reason = "what a helper of tests cannot do fails the test")]

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use fm_common::client::{Client, ClientError, Options};
use fm_common::protocol::codec;
use fm_common::protocol::{Answer, HelloAnswer, Refusal, RequestHeader, VERSION};
use fm_common::{AlarmKey, ErrorCode};
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, bind, listen, recv, socket,
};

const DEADLINE: Duration = Duration::from_millis(600);
/// What a busy machine may add to a deadline; far under a second deadline.
const SLACK: Duration = Duration::from_millis(250);

/// What an agent under test does with one connection.
type Act = fn(&mut Caller);

/// An agent's end of one connection.
struct Caller {
    stream: UnixStream,
    seen: Sender<RequestHeader>,
}

impl Caller {
    fn frame(&mut self) -> Vec<u8> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).unwrap();
        let mut payload = vec![0; u32::from_le_bytes(length) as usize];
        self.stream.read_exact(&mut payload).unwrap();
        payload
    }

    fn welcome(&mut self) {
        codec::decode_hello(&self.frame()).unwrap();
        let mut frame = Vec::new();
        let welcome = HelloAnswer::Welcome { version: VERSION, agent: "test".to_owned() };
        codec::encode_hello_answer(&mut frame, &welcome).unwrap();
        self.stream.write_all(&frame).unwrap();
    }

    fn request(&mut self) -> RequestHeader {
        let payload = self.frame();
        let (header, _) = codec::decode_request_header(&payload).unwrap();
        self.seen.send(header).unwrap();
        header
    }

    /// Answers; a caller that has gone is none of the agent's business.
    fn answer(&mut self, id: u64) {
        let mut frame = Vec::new();
        codec::encode_response(&mut frame, id, &Ok(Answer::Done)).unwrap();
        let _gone = self.stream.write_all(&frame);
    }

    /// Answers every request, each after `pause`, until the caller leaves.
    fn serve_slowly(&mut self, pause: Duration) {
        self.welcome();
        while matches!(recv(self.stream.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK), Ok(1)) {
            let header = self.request();
            thread::sleep(pause);
            self.answer(header.id);
        }
    }

    fn serve(&mut self) {
        self.serve_slowly(Duration::ZERO);
    }

    /// Takes one request and dies.
    fn die(&mut self) {
        self.welcome();
        self.request();
    }

    /// Says nothing until the caller leaves.
    fn be_silent(&mut self) {
        while matches!(self.stream.read(&mut [0; 64]), Ok(1..)) {}
    }
}

/// An agent that treats one connection after the other as its script says; those beyond it stay
/// unaccepted, as they do with an agent that is stopped.
struct Agent {
    directory: tempfile::TempDir,
    seen: Receiver<RequestHeader>,
}

impl Agent {
    fn new(script: Vec<Act>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("a.sock")).unwrap();
        let (sender, seen) = channel();
        thread::spawn(move || {
            for act in script {
                let (stream, _) = listener.accept().unwrap();
                let seen = sender.clone();
                thread::spawn(move || act(&mut Caller { stream, seen }));
            }
            loop {
                thread::park();
            }
        });
        Self { directory, seen }
    }

    fn client(&self) -> Client {
        client(self.directory.path().join("a.sock"))
    }

    fn seen(&self) -> RequestHeader {
        self.seen.recv_timeout(Duration::from_secs(30)).unwrap()
    }
}

fn client(socket: PathBuf) -> Client {
    Client::new(Options {
        socket: Some(socket),
        write_timeout: DEADLINE,
        read_timeout: DEADLINE,
        ..Options::default()
    })
}

/// Tests that look at the clock go one at a time: some of them stop this very process for a moment.
static CLOCK: Mutex<()> = Mutex::new(());

/// Stops this process and lets it go on after `delay`: that interrupts system calls that have a time
/// limit, as a signal handler would.
fn interrupt_after(delay: &str) -> Child {
    let script = format!("sleep {delay}; kill -STOP {0}; sleep 0.05; kill -CONT {0}", std::process::id());
    Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).spawn().unwrap()
}

/// A call that must fail: within its deadline, and with a code that says 'temporary', for callers drop
/// the alarm on others.
fn fails_in_time(call: impl FnOnce() -> Result<(), ClientError>) -> ClientError {
    let started = Instant::now();
    let error = call().unwrap_err();
    let took = started.elapsed();
    assert!(took <= DEADLINE + SLACK, "{error} after {took:?}");
    assert!(matches!(error.code(), ErrorCode::NoConnect | ErrorCode::Communications), "{error}");
    error
}

/// A socket whose queue of connections is full, and what keeps it so.
fn overrun(directory: &tempfile::TempDir) -> (PathBuf, OwnedFd, UnixStream) {
    let path = directory.path().join("a.sock");
    let listener = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(listener.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let waiting = UnixStream::connect(&path).unwrap();
    (path, listener, waiting)
}

#[test]
fn no_agent_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.sock");
    let error = fails_in_time(|| client(path.clone()).ping());
    assert_eq!(error.code(), ErrorCode::NoConnect);
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    drop(UnixListener::bind(&path).unwrap());
    let error = fails_in_time(|| client(path).ping());
    assert_eq!(error.code(), ErrorCode::NoConnect, "a socket that nobody listens at");
}

#[test]
fn a_full_queue_of_connections_holds_nobody_past_the_deadline() {
    let _clock = CLOCK.lock();
    let directory = tempfile::tempdir().unwrap();
    let (path, _listener, _waiting) = overrun(&directory);
    let error = fails_in_time(|| client(path).ping());
    assert_eq!(error.code(), ErrorCode::NoConnect);
    assert!(error.to_string().contains("did not take the connection within"), "{error}");
}

#[test]
fn interruptions_do_not_prolong_a_connect() {
    let _clock = CLOCK.lock();
    let directory = tempfile::tempdir().unwrap();
    let (path, _listener, _waiting) = overrun(&directory);
    let mut interrupter = interrupt_after("0.5");
    let error = fails_in_time(|| client(path).ping());
    assert!(interrupter.wait().unwrap().success());
    assert_eq!(error.code(), ErrorCode::NoConnect);
}

#[test]
fn interruptions_do_not_end_a_call() {
    let _clock = CLOCK.lock();
    let agent = Agent::new(vec![|caller| caller.serve_slowly(Duration::from_millis(400))]);
    let mut interrupter = interrupt_after("0.2");
    agent.client().ping().unwrap();
    assert!(interrupter.wait().unwrap().success());
}

#[test]
fn a_stopped_agent_holds_nobody_past_the_deadline() {
    let _clock = CLOCK.lock();
    let not_accepted: Vec<Act> = Vec::new();
    let not_greeted: Vec<Act> = vec![Caller::be_silent];
    let not_answered: Vec<Act> = vec![|caller| {
        caller.welcome();
        caller.be_silent();
    }];
    for script in [not_accepted, not_greeted, not_answered] {
        let agent = Agent::new(script);
        let error = fails_in_time(|| agent.client().ping());
        assert!(error.to_string().contains(" ms"), "{error}");
    }
}

#[test]
fn an_agent_that_takes_no_bytes_holds_nobody_past_the_deadline() {
    let _clock = CLOCK.lock();
    let agent = Agent::new(vec![|caller| {
        caller.welcome();
        loop {
            thread::park();
        }
    }]);
    let many = vec![AlarmKey::new("100.101", &"x".repeat(1000)); 2000];
    fails_in_time(|| agent.client().clear_list(many));
}

#[test]
fn a_trickling_answer_holds_nobody_past_the_deadline() {
    let _clock = CLOCK.lock();
    let agent = Agent::new(vec![|caller| {
        caller.welcome();
        caller.request();
        caller.stream.write_all(&1000u32.to_le_bytes()).unwrap();
        while caller.stream.write_all(&[0]).is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    }]);
    let error = fails_in_time(|| agent.client().ping());
    assert!(matches!(error, ClientError::Timeout { .. }), "{error}");
}

#[test]
fn a_late_answer_is_never_taken_for_another_calls() {
    let _clock = CLOCK.lock();
    let agent = Agent::new(vec![|caller| caller.serve_slowly(DEADLINE * 2), Caller::serve]);
    let client = agent.client();
    assert!(matches!(client.ping(), Err(ClientError::Timeout { .. })));
    thread::sleep(DEADLINE * 2);
    let late = agent.seen();
    client.ping().unwrap();
    assert_ne!(agent.seen().token, late.token);
}

#[test]
fn a_broken_call_goes_once_more_under_its_token() {
    let agent = Agent::new(vec![Caller::die, Caller::serve]);
    let client = agent.client();
    client.ping().unwrap();
    let (first, second) = (agent.seen(), agent.seen());
    assert_eq!(first.token, second.token);
    client.ping().unwrap();
    assert_ne!(agent.seen().token, second.token, "another call has another token");
}

#[test]
fn a_call_that_breaks_twice_is_given_up() {
    let agent = Agent::new(vec![Caller::die, Caller::die, Caller::serve]);
    let client = agent.client();
    let error = fails_in_time(|| client.ping());
    assert!(matches!(error, ClientError::Broken { .. }), "{error}");
    client.ping().unwrap();
}

#[test]
fn a_refused_caller_is_told_why_however_its_hello_fares() {
    // The agent closes at once: the hello meets an open socket in some rounds, a closed one in others.
    let refuse: Act = |caller| {
        let mut frame = Vec::new();
        let refusal = Refusal::new(ErrorCode::ResourceUnavailable, "full house");
        codec::encode_hello_answer(&mut frame, &HelloAnswer::Refused(refusal)).unwrap();
        caller.stream.write_all(&frame).unwrap();
    };
    let agent = Agent::new(vec![refuse; 300]);
    for round in 0..300 {
        let error = agent.client().ping().unwrap_err();
        assert_eq!(error.code(), ErrorCode::ResourceUnavailable, "round {round}: {error}");
        assert_eq!(error.to_string(), "full house");
    }
}

#[test]
fn threads_call_at_the_same_time_and_connections_are_kept() {
    let _clock = CLOCK.lock();
    let pause = Duration::from_millis(200);
    let agent = Agent::new(vec![|caller| caller.serve_slowly(Duration::from_millis(200)); 8]);
    let client = agent.client();
    let started = Instant::now();
    // The second round finds no further connection accepted: it must use those of the first.
    for _ in 0..2 {
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| client.ping().unwrap());
            }
        });
    }
    assert!(started.elapsed() < pause * 8, "{:?}", started.elapsed());
}
