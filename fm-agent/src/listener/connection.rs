//! One caller: its hello, its requests, its answers.
//!
//! Invariants:
//! - Requests get their place in the order in which they arrived; answers leave as they are ready.
//! - While [`MOST_UNANSWERED`] answers are under way no further request is read: the peer waits.
//! - A peer that has gone, or does not take its answers within [`WRITE_LIMIT`], gets no more of them; what
//!   it has sent is taken all the same, before a stop too: a process may raise an alarm and exit.
//! - Nobody waits for the answer to a detached request: one that finds no room is dropped.

use std::fmt;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fm_common::ErrorCode;
use fm_common::protocol::codec::{self, CodecError};
use fm_common::protocol::{
    HelloAnswer, MAGIC, MAX_FRAME_BYTES, MAX_HELLO_BYTES, Refusal, RequestHeader, Response, VERSION,
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
use crate::service::Service;

/// Requests of one connection that may be unanswered at a time.
const MOST_UNANSWERED: usize = 256;
/// How long a peer may take to introduce itself.
const HELLO_LIMIT: Duration = Duration::from_secs(5);
/// How long a peer may take to accept an answer.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// Who is at the other end, for the log.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) uid: u32,
    pub(super) pid: Option<i32>,
    program: String,
}

impl Peer {
    pub(super) fn of(stream: &UnixStream) -> std::io::Result<Self> {
        let credentials = stream.peer_cred()?;
        Ok(Self { uid: credentials.uid(), pid: credentials.pid(), program: String::new() })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} uid {} pid {}", self.program, self.uid, self.pid.unwrap_or_default())
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

/// Serves a connection until its peer closes it, fails, or `stop`.
pub(super) async fn serve(
    stream: UnixStream,
    mut peer: Peer,
    service: Arc<Service>,
    stop: CancellationToken,
) {
    let (reader, writer) = stream.into_split();
    let mut frames = FrameReader::new(reader);
    let mut answers = Answers { writer, buffer: Vec::new(), gone: false };
    let greeted = tokio::select! {
        greeted = greet(&mut frames, &mut answers, &mut peer) => greeted,
        () = stop.cancelled() => Ok(false),
    };
    let ended = match greeted {
        Ok(true) => exchange(&mut frames, &mut answers, &peer, &service, &stop).await,
        Ok(false) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = ended {
        tracing::info!(%peer, %error, "connection closed");
    }
}

/// Takes the hello; false when the peer left without one.
async fn greet(
    frames: &mut FrameReader<OwnedReadHalf>,
    answers: &mut Answers,
    peer: &mut Peer,
) -> Result<bool, ConnectionError> {
    let hello = match timeout(HELLO_LIMIT, frames.next(MAX_HELLO_BYTES)).await {
        Err(_) => return Err(ConnectionError::NoHello),
        Ok(Ok(None)) => return Ok(false),
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
            peer.program = hello.program.chars().filter(|c| !c.is_control()).take(64).collect();
            let agent = env!("CARGO_PKG_VERSION").to_owned();
            answers.hello(&HelloAnswer::Welcome { version: VERSION, agent }).await?;
            return Ok(true);
        }
        Err(error) => refuse(format!("not a hello of fm-agent's protocol: {error}")),
    };
    let message = refusal.message.clone();
    answers.hello(&HelloAnswer::Refused(refusal)).await?;
    Err(ConnectionError::NotACaller(message))
}

async fn exchange(
    frames: &mut FrameReader<OwnedReadHalf>,
    answers: &mut Answers,
    peer: &Peer,
    service: &Arc<Service>,
    stop: &CancellationToken,
) -> Result<(), ConnectionError> {
    let mut under_way = FuturesUnordered::new();
    let (mut reading, mut stopping) = (true, false);
    while reading || !under_way.is_empty() {
        tokio::select! {
            biased;
            Some((header, kind, begun, response)) = under_way.next() => {
                service.metrics().answered(kind, result(&response), Instant::elapsed(&begun));
                note(peer, &header, kind, &response);
                if header.detached {
                    answers.offer(header.id, &response, peer).await?;
                } else {
                    answers.response(header.id, &response, peer).await?;
                }
            }
            frame = frames.next(MAX_FRAME_BYTES), if reading && under_way.len() < MOST_UNANSWERED => {
                let Some(payload) = answers.or_tell(frame, peer).await? else {
                    reading = false;
                    continue;
                };
                let (header, body) = codec::decode_request_header(&payload)?;
                match codec::decode_request(body) {
                    Ok(request) => {
                        let (kind, begun) = (request.kind(), Instant::now());
                        let pending = service.begin(header, request, peer.uid).await;
                        under_way.push(async move { (header, kind, begun, pending.await) });
                    }
                    Err(error) => {
                        let response = Err(not_understood(&error));
                        service.metrics().answered("unknown", result(&response), Duration::ZERO);
                        note(peer, &header, "unknown", &response);
                        answers.response(header.id, &response, peer).await?;
                    }
                }
            }
            // Nothing more can be sent from here on, so what was sent before can be read to its end.
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                reading &= shutdown(frames.stream().as_ref().as_raw_fd(), Shutdown::Read).is_ok();
            }
        }
    }
    Ok(())
}

fn not_understood(error: &CodecError) -> Refusal {
    let message = format!("this agent does not understand the request: {error}");
    // A text that is no UTF-8 is the caller's parameter; all else is a request of another version.
    let code = if error.is_invalid_text() { ErrorCode::InvalidParameter } else { ErrorCode::InvalidRequest };
    Refusal::new(code, message)
}

/// The result of a request, as the metrics name it.
fn result(response: &Response) -> &'static str {
    response.as_ref().map_or_else(|refusal| refusal.code.name(), |_| "ok")
}

/// The failure of a call whose caller does not look at the answer is told here instead.
fn note(peer: &Peer, header: &RequestHeader, kind: &'static str, response: &Response) {
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

    async fn response(&mut self, id: u64, response: &Response, peer: &Peer) -> Result<(), CodecError> {
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
    async fn offer(&mut self, id: u64, response: &Response, peer: &Peer) -> Result<(), CodecError> {
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

    async fn deliver(&mut self, peer: &Peer) {
        if let Err(error) = self.send().await {
            tracing::debug!(%peer, %error, "answers are not taken any more");
            self.gone = true;
        }
    }

    /// Tells a peer that broke the framing why its connection ends, under the id 0.
    async fn or_tell(
        &mut self,
        frame: Result<Option<Vec<u8>>, FrameError>,
        peer: &Peer,
    ) -> Result<Option<Vec<u8>>, ConnectionError> {
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
        if self.buffer.capacity() > 64 * 1024 {
            self.buffer = Vec::new();
        }
        Ok(sent.map_err(|_| ConnectionError::SlowReader)??)
    }
}
