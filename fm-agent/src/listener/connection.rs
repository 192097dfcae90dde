//! One caller: its hello, its requests, its answers.
//!
//! Invariants:
//! - Requests get their place in the order in which they arrived; answers leave as they are ready.
//! - While [`MOST_UNANSWERED`] answers are under way no further request is read: the peer waits. So does it
//!   while its process or user has its share of memory and places under way.
//! - A peer that has gone, or does not take its answers within [`WRITE_LIMIT`], gets no more of them; what
//!   it has sent is taken all the same, before a stop too: a process may raise an alarm and exit.
//! - Nobody waits for the answer to a detached request: one that finds no room is dropped.

use std::fmt;
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fm_common::ErrorCode;
use fm_common::protocol::codec::{self, CodecError, WEIGHED_BYTES};
use fm_common::protocol::{
    HelloAnswer, MAGIC, MAX_FRAME_BYTES, MAX_HELLO_BYTES, NOT_UNDERSTOOD, Refusal, RequestHeader, Response,
    VERSION,
};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use nix::sys::socket::{Shutdown, shutdown};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::frames::{FrameError, FrameReader};
use super::shares::{Held, ListenerCounters, Seat, Shares};
use crate::caller::{Caller, Door, Origin, executable, peer_groups};
use crate::seldom::Seldom;
use crate::service::{Desk, Entry};

/// Requests of one connection that may be unanswered at a time.
const MOST_UNANSWERED: usize = 256;
/// Memory kept between answers, for thousands of idle peers.
const KEPT_BYTES: usize = 1024;
/// How long a peer may take to introduce itself.
const HELLO_LIMIT: Duration = Duration::from_secs(5);
/// How long a peer may take to accept an answer.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// Who is at the other end, before it has introduced itself.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) uid: u32,
    gid: u32,
    /// 0 when the kernel does not say.
    pub(super) pid: i32,
    door: Door,
}

impl Peer {
    pub(super) fn of(stream: &UnixStream, door: Door) -> std::io::Result<Self> {
        let credentials = stream.peer_cred()?;
        let pid = credentials.pid().unwrap_or_default();
        Ok(Self { uid: credentials.uid(), gid: credentials.gid(), pid, door })
    }

    /// The caller that has introduced itself as this program.
    fn caller(&self, program: &str, groups: Vec<u32>) -> Caller {
        let origin = Origin {
            uid: self.uid,
            gid: self.gid,
            pid: self.pid,
            program: program.chars().filter(|c| !c.is_control()).take(64).collect(),
            executable: executable(self.pid),
        };
        Caller { origin: Arc::new(origin), groups, door: self.door }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uid {} pid {}", self.uid, self.pid)
    }
}

/// Why a connection ends before the peer closes it.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Codec(#[from] CodecError),
    #[error("it did not introduce itself within {} s", HELLO_LIMIT.as_secs())]
    NoHello,
    #[error("{0}")]
    NotACaller(String),
    #[error("it did not take its answers within {} s", WRITE_LIMIT.as_secs())]
    SlowReader,
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl ConnectionError {
    /// Counts it as what it is.
    fn count(&self, counters: &ListenerCounters) {
        let counter = match self {
            Self::Frame(FrameError::Slow) | Self::NoHello | Self::SlowReader => &counters.closed_slow,
            Self::Frame(FrameError::TooLong { .. }) | Self::Codec(_) | Self::NotACaller(_) => {
                &counters.closed_garbage
            }
            Self::Frame(FrameError::Cut | FrameError::Io(_)) | Self::Io(_) => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Serves a connection until its peer closes it, fails, or `stop`.
pub(super) async fn serve(
    stream: UnixStream,
    peer: Peer,
    seat: &Seat,
    desk: Arc<Desk>,
    stop: CancellationToken,
) {
    let groups = groups(&stream, &peer);
    let (reader, writer) = stream.into_split();
    let mut frames = FrameReader::new(reader);
    let mut answers = Answers { writer, buffer: Vec::new(), gone: false };
    let greeted = tokio::select! {
        greeted = greet(&mut frames, &mut answers) => greeted,
        () = stop.cancelled() => Ok(None),
    };
    let ended = match greeted {
        Ok(Some(program)) => {
            let caller = Arc::new(peer.caller(&program, groups));
            let requests = Requests { frames, seat, desk: &desk };
            exchange(requests, &mut answers, &caller, &stop).await
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = ended {
        error.count(seat.shares().counters());
        if let Some(kept_back) = CLOSED.may() {
            tracing::info!(%peer, %error, kept_back, "connection closed");
        }
    }
}

/// A peer can bring about as many of these lines as it likes.
static CLOSED: Seldom = Seldom::new();

/// The groups of the peer's process besides its own; none when they are not to be had.
fn groups(stream: &UnixStream, peer: &Peer) -> Vec<u32> {
    peer_groups(stream).unwrap_or_else(|error| {
        tracing::warn!(%peer, %error, "the groups of a caller are not known: only its own group counts");
        Vec::new()
    })
}

/// Takes the hello and gives the program's name; `None` when the peer left without one.
async fn greet(
    frames: &mut FrameReader<OwnedReadHalf>,
    answers: &mut Answers,
) -> Result<Option<String>, ConnectionError> {
    let hello = match timeout(HELLO_LIMIT, frames.next(MAX_HELLO_BYTES)).await {
        Err(_) => return Err(ConnectionError::NoHello),
        Ok(Ok(None)) => return Ok(None),
        Ok(Ok(Some(payload))) => codec::decode_hello(&payload).map_err(ConnectionError::from),
        Ok(Err(error)) => Err(error.into()),
    };
    let refuse = |message: String| Refusal::new(ErrorCode::InvalidRequest, message);
    let refusal = match hello {
        Ok(hello) if hello.magic != MAGIC => refuse("this is the socket of fm-agent".to_owned()),
        Ok(hello) if hello.version != VERSION => {
            refuse(format!("protocol {} is not known here, {VERSION} is", hello.version))
        }
        Ok(hello) => {
            let agent = env!("CARGO_PKG_VERSION").to_owned();
            answers.hello(&HelloAnswer::Welcome { version: VERSION, agent }).await?;
            return Ok(Some(hello.program));
        }
        Err(error) => refuse(format!("not a hello of fm-agent's protocol: {error}")),
    };
    let message = refusal.message.clone();
    answers.hello(&HelloAnswer::Refused(refusal)).await?;
    Err(ConnectionError::NotACaller(message))
}

/// The requests of one connection.
struct Requests<'a> {
    frames: FrameReader<OwnedReadHalf>,
    seat: &'a Seat,
    desk: &'a Desk,
}

/// A request off the connection, with what it holds until it is answered.
struct Arrived {
    payload: Vec<u8>,
    /// How many entries its list has, when that is more than it may have.
    too_many: Option<usize>,
    held: (Held, Held),
    entry: Entry,
}

impl Requests<'_> {
    /// The next request, once its connection's process and user have room for it and there is a service.
    async fn next(mut self) -> (Self, Result<Option<Arrived>, FrameError>) {
        let arrived = self.arrive().await;
        (self, arrived)
    }

    async fn arrive(&mut self) -> Result<Option<Arrived>, FrameError> {
        let Some(length) = self.frames.announced(MAX_FRAME_BYTES, WEIGHED_BYTES).await? else {
            return Ok(None);
        };
        let weight = codec::weigh(self.frames.start(length), length);
        let too_many = Some(weight.entries).filter(|entries| *entries > self.seat.shares().list_entries());
        // One that will not be decoded needs its frame's bytes only.
        let bytes = if too_many.is_some() { length } else { weight.bytes };
        let memory = self.seat.memory(bytes).await;
        self.frames.forgive();
        let payload = self.frames.payload(length).await?;
        let places = self.seat.places(if too_many.is_some() { 1 } else { weight.places }).await;
        let entry = self.desk.enter().await;
        Ok(Some(Arrived { payload, too_many, held: (memory, places), entry }))
    }
}

async fn exchange(
    requests: Requests<'_>,
    answers: &mut Answers,
    caller: &Arc<Caller>,
    stop: &CancellationToken,
) -> Result<(), ConnectionError> {
    let (shares, metrics) = (Arc::clone(requests.seat.shares()), requests.desk.metrics());
    let socket = requests.frames.stream().as_ref().as_raw_fd();
    let peer = &*caller.origin;
    let mut under_way = FuturesUnordered::new();
    let (mut reading, mut stopping) = (true, false);
    let mut next = pin!(requests.next());
    while reading || !under_way.is_empty() {
        tokio::select! {
            biased;
            Some((header, kind, begun, response, held)) = under_way.next() => {
                metrics.answered(kind, result(&response), Instant::elapsed(&begun));
                note(peer, &header, kind, &response);
                if header.detached {
                    answers.offer(header.id, &response, peer).await?;
                } else {
                    answers.response(header.id, &response, peer).await?;
                }
                drop::<(Held, Held)>(held);
            }
            (requests, arrived) = &mut next, if reading && under_way.len() < MOST_UNANSWERED => {
                let Some(Arrived { payload, too_many, held, entry }) = answers.or_tell(arrived, peer).await? else {
                    reading = false;
                    continue;
                };
                next.set(requests.next());
                let (header, body) = codec::decode_request_header(&payload)?;
                let refusal = match too_many {
                    Some(entries) => too_long(entries, &shares),
                    None => match codec::decode_request(body) {
                        Ok(request) => {
                            drop(payload);
                            let (kind, begun) = (request.kind(), Instant::now());
                            let (pending, using) = entry.begin(header, request, caller).await;
                            under_way.push(async move {
                                let response = pending.await;
                                drop(using);
                                (header, kind, begun, response, held)
                            });
                            continue;
                        }
                        Err(error) => not_understood(&error),
                    },
                };
                let response = Err(refusal);
                metrics.answered("unknown", result(&response), Duration::ZERO);
                note(peer, &header, "unknown", &response);
                answers.response(header.id, &response, peer).await?;
            }
            // Nothing more can be sent from here on, so what was sent before can be read to its end.
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                reading &= shutdown(socket, Shutdown::Read).is_ok();
            }
        }
    }
    Ok(())
}

fn too_long(entries: usize, shares: &Shares) -> Refusal {
    shares.counters().refused_lists.fetch_add(1, Ordering::Relaxed);
    let message = format!(
        "the list has {entries} entries, one call may have {} (limits.list_entries): make several calls",
        shares.list_entries()
    );
    Refusal::new(ErrorCode::InvalidParameter, message)
}

fn not_understood(error: &CodecError) -> Refusal {
    let message = format!("{NOT_UNDERSTOOD}: {error}");
    // A text that is no UTF-8 is the caller's parameter; all else is a request of another version.
    let code = if error.is_invalid_text() { ErrorCode::InvalidParameter } else { ErrorCode::InvalidRequest };
    Refusal::new(code, message)
}

/// The result of a request, as the metrics name it.
fn result(response: &Response) -> &'static str {
    response.as_ref().map_or_else(|refusal| refusal.code.name(), |_| "ok")
}

/// The failure of a call whose caller does not look at the answer is told here instead.
fn note(peer: &Origin, header: &RequestHeader, kind: &'static str, response: &Response) {
    match response {
        Err(refusal) if header.detached => {
            tracing::warn!(%peer, kind, code = %refusal.code, reason = refusal.message, "a detached request failed");
        }
        Err(refusal) => {
            tracing::debug!(%peer, kind, code = %refusal.code, reason = refusal.message, "refused");
        }
        Ok(_) => tracing::trace!(%peer, kind, "answered"),
    }
}

/// The writing half of a connection.
struct Answers {
    writer: OwnedWriteHalf,
    buffer: Vec<u8>,
    /// Nobody takes answers any more.
    gone: bool,
}

impl Answers {
    async fn hello(&mut self, answer: &HelloAnswer) -> Result<(), ConnectionError> {
        self.buffer.clear();
        codec::encode_hello_answer(&mut self.buffer, answer)?;
        self.send().await
    }

    async fn response(&mut self, id: u64, response: &Response, peer: &Origin) -> Result<(), CodecError> {
        if self.gone {
            return Ok(());
        }
        self.buffer.clear();
        if let Err(error) = codec::encode_response(&mut self.buffer, id, response) {
            // Only a list that is too long for a frame comes here: the caller has to ask for less.
            let refusal = Refusal::new(ErrorCode::NotEnoughSpace, format!("the answer is too long: {error}"));
            codec::encode_response(&mut self.buffer, id, &Err(refusal))?;
        }
        self.deliver(peer).await;
        Ok(())
    }

    /// Answers a request whose peer need not look, if there is room for it now.
    async fn offer(&mut self, id: u64, response: &Response, peer: &Origin) -> Result<(), CodecError> {
        if self.gone {
            return Ok(());
        }
        self.buffer.clear();
        codec::encode_response(&mut self.buffer, id, response)?;
        // What is there in part has to be followed by the rest.
        if let Ok(written) = self.writer.try_write(&self.buffer) {
            self.buffer.drain(..written);
            self.deliver(peer).await;
        }
        Ok(())
    }

    async fn deliver(&mut self, peer: &Origin) {
        if let Err(error) = self.send().await {
            tracing::debug!(%peer, %error, "answers are not taken any more");
            self.gone = true;
        }
    }

    /// Tells a peer that broke the framing why its connection ends, under the id 0.
    async fn or_tell<T>(
        &mut self,
        frame: Result<Option<T>, FrameError>,
        peer: &Origin,
    ) -> Result<Option<T>, ConnectionError> {
        match frame {
            Err(error @ (FrameError::TooLong { .. } | FrameError::Slow)) => {
                let refusal = Refusal::new(ErrorCode::InvalidRequest, error.to_string());
                self.response(0, &Err(refusal), peer).await?;
                Err(error.into())
            }
            // A peer that left without taking its answers: what it has begun still comes to its end.
            Err(error @ (FrameError::Io(_) | FrameError::Cut)) => {
                tracing::debug!(%peer, %error, "the connection failed");
                Ok(None)
            }
            other => Ok(other?),
        }
    }

    async fn send(&mut self) -> Result<(), ConnectionError> {
        let sent = timeout(WRITE_LIMIT, self.writer.write_all(&self.buffer)).await;
        if self.buffer.capacity() > KEPT_BYTES {
            self.buffer = Vec::new();
        }
        Ok(sent.map_err(|_| ConnectionError::SlowReader)??)
    }
}
