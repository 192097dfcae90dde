//! One connection to the agent: connect, greet, send a frame, wait for its answer.
//!
//! Invariants:
//! - Every wait ends at the deadline, also when bytes trickle in or signals interrupt.
//! - A connection that failed is never used again: it is dropped by whoever sees the failure.
//! - A call costs two system calls when nothing is in the way: one send, one receive.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use super::error::ClientError;
use crate::protocol::codec::{self, CodecError};
use crate::protocol::{
    Hello, HelloAnswer, LENGTH_BYTES, MAX_FRAME_BYTES, Request, RequestHeader, Response, VERSION,
};

/// Memory kept between calls.
const KEPT_BYTES: usize = 64 * 1024;

/// How one exchange failed.
#[derive(Debug)]
pub(super) enum CallFailure {
    /// The connection broke: worth one more try on a new one.
    Broken(io::Error),
    /// The deadline passed.
    TimedOut,
    /// Trying again would not help.
    Final(ClientError),
}

impl CallFailure {
    pub(super) fn into_error(self, timeout: Duration) -> ClientError {
        match self {
            Self::Broken(source) => ClientError::Broken { source },
            Self::TimedOut => ClientError::Timeout { timeout },
            Self::Final(error) => error,
        }
    }
}

impl From<CodecError> for CallFailure {
    fn from(error: CodecError) -> Self {
        Self::Final(error.into())
    }
}

/// Marks the id of a request that is sent only for its answer's place among the others.
const PING: u64 = 1 << 63;

#[derive(Debug)]
pub(super) struct Connection {
    socket: Arc<OwnedFd>,
    /// The receive time limit that the socket has now, so that it is set only when it changes.
    receive_limit: Duration,
    next_id: u64,
    buffer: Vec<u8>,
    /// Answers to posted requests that have come in part.
    answers: Vec<u8>,
    /// The last ping that was answered.
    settled: u64,
    /// A request was sent in part only: nothing can follow it.
    cut: bool,
}

impl Connection {
    /// Connects and introduces this program.
    pub(super) fn open(path: &Path, deadline: Instant) -> Result<Self, ClientError> {
        let started = Instant::now();
        let not_running =
            |errno: Errno| ClientError::NotRunning { socket: path.to_owned(), source: errno.into() };
        let address = UnixAddr::new(path).map_err(not_running)?;
        let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
            .map_err(not_running)?;
        connect_by(&socket, &address, deadline)
            .map_err(|source| ClientError::NotRunning { socket: path.to_owned(), source })?;
        let mut connection = Self {
            socket: Arc::new(socket),
            receive_limit: Duration::ZERO,
            next_id: 1,
            buffer: Vec::new(),
            answers: Vec::new(),
            settled: 0,
            cut: false,
        };
        let timeout = deadline.saturating_duration_since(started);
        connection.greet(deadline).map_err(|failure| failure.into_error(timeout))?;
        Ok(connection)
    }

    fn greet(&mut self, deadline: Instant) -> Result<(), CallFailure> {
        self.buffer.clear();
        codec::encode_hello(&mut self.buffer, &Hello::new(&program_name()))?;
        // An agent that refuses does so at once and leaves: its reason is there though the hello is not.
        let sent = self.send_all(deadline);
        self.receive_frame(deadline).or_else(|failure| sent.and(Err(failure)))?;
        match codec::decode_hello_answer(&self.buffer)? {
            HelloAnswer::Welcome { version: VERSION, .. } => Ok(()),
            HelloAnswer::Welcome { version, agent } => {
                Err(CallFailure::Final(ClientError::Refused(crate::protocol::Refusal::new(
                    crate::ErrorCode::InvalidRequest,
                    format!(
                        "agent {agent} speaks protocol {version}, this library {VERSION}: update the older one"
                    ),
                ))))
            }
            HelloAnswer::Refused(refusal) => Err(CallFailure::Final(ClientError::Refused(refusal))),
        }
    }

    /// Sends one request and waits for its answer.
    pub(super) fn call(
        &mut self,
        mut header: RequestHeader,
        request: &Request,
        deadline: Instant,
    ) -> Result<Response, CallFailure> {
        header.id = self.next_id;
        self.next_id += 1;
        self.buffer.clear();
        codec::encode_request(&mut self.buffer, &header, request)?;
        self.send_all(deadline)?;
        self.receive_frame(deadline)?;
        let (id, response) = codec::decode_response(&self.buffer)?;
        if self.buffer.capacity() > KEPT_BYTES {
            self.buffer = Vec::new();
        }
        if id == header.id {
            return Ok(response);
        }
        let what = format!("the agent answered request {id}, asked was {}", header.id);
        Err(CallFailure::Broken(io::Error::new(io::ErrorKind::InvalidData, what)))
    }

    /// Sends the buffer.
    fn send_all(&mut self, deadline: Instant) -> Result<(), CallFailure> {
        let mut sent = 0;
        while sent < self.buffer.len() {
            let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
            match send(self.socket.as_raw_fd(), &self.buffer[sent..], flags) {
                Ok(bytes) => sent += bytes,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => self.wait(PollFlags::POLLOUT, deadline)?,
                Err(errno) => return Err(CallFailure::Broken(errno.into())),
            }
        }
        Ok(())
    }

    /// Receives one frame into the buffer, without its length.
    fn receive_frame(&mut self, deadline: Instant) -> Result<(), CallFailure> {
        const FIRST_READ_BYTES: usize = 4096;
        self.limit_receive(deadline)?;
        self.buffer.resize(FIRST_READ_BYTES, 0);
        let mut filled = 0;
        let mut length = None;
        loop {
            let wanted = length.unwrap_or(self.buffer.len());
            match recv(self.socket.as_raw_fd(), &mut self.buffer[filled..wanted], MsgFlags::empty()) {
                Ok(0) => return Err(CallFailure::Broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(bytes) => filled += bytes,
                // Interrupted, or the socket's own limit is over: what is left is waited for below.
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(errno) => return Err(CallFailure::Broken(errno.into())),
            }
            if length.is_none() && filled >= LENGTH_BYTES {
                let total = LENGTH_BYTES + frame_length(&self.buffer)?;
                self.buffer.resize(total.max(filled), 0);
                length = Some(total);
            }
            if let Some(total) = length.filter(|total| filled >= *total) {
                if filled > total {
                    let what = "the agent sent more than one answer to one request";
                    return Err(CallFailure::Broken(io::Error::new(io::ErrorKind::InvalidData, what)));
                }
                self.buffer.truncate(total);
                self.buffer.drain(..LENGTH_BYTES);
                return Ok(());
            }
            // The socket's own limit starts anew at each receive, so from here on the deadline is
            // watched before each.
            self.wait(PollFlags::POLLIN, deadline)?;
        }
    }

    /// Makes a receive end by the deadline. The limit is cut to a step of 10 ms so that the calls of one
    /// kind share one and it is set only once.
    fn limit_receive(&mut self, deadline: Instant) -> Result<(), CallFailure> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(CallFailure::TimedOut);
        }
        let steps = u64::try_from(left.as_millis()).unwrap_or(u64::MAX) / 10;
        // A limit of zero would mean none.
        let step = Duration::from_millis(steps.saturating_mul(10).max(1));
        if step != self.receive_limit {
            setsockopt(&self.socket, sockopt::ReceiveTimeout, &time_value(step))
                .map_err(|errno| CallFailure::Broken(errno.into()))?;
            self.receive_limit = step;
        }
        Ok(())
    }

    /// Waits until the socket is ready, at most until the deadline.
    fn wait(&self, ready: PollFlags, deadline: Instant) -> Result<(), CallFailure> {
        wait(&self.socket, ready, deadline)
    }
}

/// What a connection needs whose answers are not waited for. It serves posted requests only: what comes
/// is taken for their answers.
impl Connection {
    /// Puts one request into the socket and returns its id. While there is no room for it, answers are
    /// taken, so that an agent that waits for that goes on.
    pub(super) fn post(
        &mut self,
        mut header: RequestHeader,
        request: &Request,
        deadline: Instant,
    ) -> Result<u64, CallFailure> {
        header.id = self.next_id | (header.id & PING);
        self.next_id += 1;
        self.buffer.clear();
        codec::encode_request(&mut self.buffer, &header, request)?;
        let mut sent = 0;
        while sent < self.buffer.len() {
            let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
            match send(self.socket.as_raw_fd(), &self.buffer[sent..], flags) {
                Ok(bytes) => sent += bytes,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    self.cut = sent > 0;
                    self.wait(PollFlags::POLLOUT | PollFlags::POLLIN, deadline)?;
                    self.take_answers()?;
                }
                Err(errno) => {
                    self.cut = true;
                    return Err(CallFailure::Broken(errno.into()));
                }
            }
        }
        self.cut = false;
        Ok(header.id & !PING)
    }

    /// Posts a request whose answer tells that those before it have taken effect, and returns its id.
    pub(super) fn post_ping(
        &mut self,
        mut header: RequestHeader,
        deadline: Instant,
    ) -> Result<u64, CallFailure> {
        header.id = PING;
        self.post(header, &Request::Ping, deadline)
    }

    /// Takes the answers that are there, without waiting. The agent logs the failures among them.
    pub(super) fn take_answers(&mut self) -> Result<(), CallFailure> {
        const READ_BYTES: usize = 4096;
        loop {
            let kept = self.answers.len();
            self.answers.resize(kept + READ_BYTES, 0);
            let received = recv(self.socket.as_raw_fd(), &mut self.answers[kept..], MsgFlags::MSG_DONTWAIT);
            self.answers.truncate(kept + received.unwrap_or(0));
            match received {
                Ok(0) => return Err(self.broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => self.take_whole_answers().inspect_err(|_| self.cut = true)?,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(()),
                Err(errno) => return Err(self.broken(errno.into())),
            }
        }
    }

    fn take_whole_answers(&mut self) -> Result<(), CallFailure> {
        let mut taken = 0;
        while self.answers.len() - taken >= LENGTH_BYTES {
            let frame = &self.answers[taken..];
            let end = LENGTH_BYTES + frame_length(frame)?;
            let Some(payload) = frame.get(LENGTH_BYTES..end) else { break };
            let (id, _response) = codec::decode_response(payload)?;
            if id & PING != 0 {
                self.settled = self.settled.max(id & !PING);
            }
            taken += end;
        }
        self.answers.drain(..taken);
        if self.answers.is_empty() && self.answers.capacity() > KEPT_BYTES {
            self.answers = Vec::new();
        }
        Ok(())
    }

    fn broken(&mut self, error: io::Error) -> CallFailure {
        self.cut = true;
        CallFailure::Broken(error)
    }

    /// Whether another request may follow.
    pub(super) fn is_in_step(&self) -> bool {
        !self.cut
    }

    /// The id of the last ping that was answered: what was posted before it has taken effect.
    pub(super) fn settled(&self) -> u64 {
        self.settled
    }

    /// Whether nothing was posted after the request with this id.
    pub(super) fn is_last(&self, id: u64) -> bool {
        self.next_id == id + 1
    }

    /// The socket, to be waited for by a thread that does not have the connection.
    pub(super) fn share(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.socket)
    }

    /// Whether this is the socket of the connection.
    pub(super) fn is_on(&self, socket: &Arc<OwnedFd>) -> bool {
        Arc::ptr_eq(&self.socket, socket)
    }
}

/// Waits until a socket is ready, at most until the deadline.
pub(super) fn wait(socket: &OwnedFd, ready: PollFlags, deadline: Instant) -> Result<(), CallFailure> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(CallFailure::TimedOut);
        }
        let millis = left.as_millis() + 1;
        let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(socket.as_fd(), ready)], timeout) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(CallFailure::Broken(errno.into())),
        }
    }
}

/// Connects; waits for its turn when many callers want to, at most until the deadline.
fn connect_by(socket: &OwnedFd, address: &UnixAddr, deadline: Instant) -> io::Result<()> {
    let started = Instant::now();
    loop {
        // The send limit bounds connect() too, and starts anew each time.
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        setsockopt(socket, sockopt::SendTimeout, &time_value(left))?;
        match connect(socket.as_raw_fd(), address) {
            Ok(()) => return Ok(()),
            Err(Errno::EINTR) if Instant::now() < deadline => {}
            Err(Errno::EINTR | Errno::EAGAIN) => {
                let millis = started.elapsed().as_millis();
                let what = format!("the agent did not take the connection within {millis} ms");
                return Err(io::Error::new(io::ErrorKind::TimedOut, what));
            }
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn frame_length(buffer: &[u8]) -> Result<usize, CallFailure> {
    let mut bytes = [0; LENGTH_BYTES];
    bytes.copy_from_slice(&buffer[..LENGTH_BYTES]);
    let length = u32::from_le_bytes(bytes) as usize;
    if length <= MAX_FRAME_BYTES { Ok(length) } else { Err(CodecError::TooLong { bytes: length }.into()) }
}

fn time_value(duration: Duration) -> TimeVal {
    TimeVal::microseconds(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

fn program_name() -> String {
    let name = std::env::args_os().next().unwrap_or_default();
    Path::new(&name).file_name().unwrap_or_default().to_string_lossy().into_owned()
}
