//! Accepting connections, up to the limits.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fm_common::ErrorCode;
use fm_common::protocol::codec;
use fm_common::protocol::{HelloAnswer, Refusal};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{Peer, serve};
use super::room;
use super::shares::{Full, Seat, Shares};
use crate::caller::Door;
use crate::seldom::Seldom;
use crate::service::Service;

/// A pause after a failed accept (out of descriptors): the queue of the socket holds callers meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections of administrators at the same time: besides the others', so that an agent that is overrun can
/// still be looked into.
const ADMIN_CONNECTIONS: usize = 64;

/// One of the agent's sockets.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    door: Door,
    places: Arc<Semaphore>,
    shares: Arc<Shares>,
}

impl Listener {
    /// A listener on a bound socket, for at most so many connections of all callers; administrators' has
    /// its own number.
    ///
    /// # Errors
    /// A socket that the runtime cannot watch.
    pub fn new(
        socket: std::os::unix::net::UnixListener,
        door: Door,
        max_connections: usize,
        shares: Arc<Shares>,
    ) -> io::Result<Self> {
        let places = match door {
            Door::Main => room::connections(max_connections),
            Door::Admin => ADMIN_CONNECTIONS,
        };
        let places = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        Ok(Self { socket: UnixListener::from_std(socket)?, door, places, shares })
    }

    /// Serves callers until `stop`, then waits until what they have begun is answered.
    pub async fn run(self, service: Arc<Service>, stop: CancellationToken) {
        let connections = TaskTracker::new();
        let (failing, full) = (Seldom::new(), Seldom::new());
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = stop.cancelled() => break,
            };
            match accepted.and_then(|(stream, _)| Ok((Peer::of(&stream, self.door)?, stream))) {
                Ok((peer, stream)) => match self.admit(&peer) {
                    Ok((place, seat)) => {
                        self.shares.counters().accepted.fetch_add(1, Ordering::Relaxed);
                        let open = service.metrics().connection();
                        let (service, stop) = (Arc::clone(&service), stop.clone());
                        connections.spawn(async move {
                            serve(stream, peer, &seat, service, stop).await;
                            drop((place, seat, open));
                        });
                    }
                    Err(Full(key)) => turn_away(&stream, &peer, key, &full),
                },
                Err(error) => {
                    if let Some(kept_back) = failing.may() {
                        tracing::warn!(%error, kept_back, "a connection could not be accepted");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Whoever comes now is told at once that there is no agent, rather than held until its deadline.
        drop(self.socket);
        connections.close();
        connections.wait().await;
    }

    fn admit(&self, peer: &Peer) -> Result<(OwnedSemaphorePermit, Seat), Full> {
        let counters = self.shares.counters();
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            counters.refused_connections.fetch_add(1, Ordering::Relaxed);
            match self.door {
                Door::Main => Full("agent.max_connections, or the limit of open files"),
                Door::Admin => Full("at most 64 on the socket for administrators"),
            }
        })?;
        Ok((place, self.shares.seat(peer.uid, peer.pid)?))
    }
}

/// Tells one caller too many so; what does not fit into its socket at once is left.
fn turn_away(stream: &UnixStream, peer: &Peer, key: &str, seldom: &Seldom) {
    let reason = format!(
        "the agent has as many connections of uid {} pid {} or of all callers as it may ({key}): close some, try \
         again later, or raise the limit",
        peer.uid, peer.pid
    );
    let answer = HelloAnswer::Refused(Refusal::new(ErrorCode::ResourceUnavailable, reason));
    let mut frame = Vec::new();
    let told = codec::encode_hello_answer(&mut frame, &answer)
        .map_err(io::Error::other)
        .and_then(|()| stream.try_write(&frame));
    if let Some(kept_back) = seldom.may() {
        let (uid, pid, told) = (peer.uid, peer.pid, told.is_ok());
        tracing::warn!(
            uid,
            pid,
            limit = key,
            told,
            kept_back,
            "connection refused: there are as many as there may be"
        );
    }
}
