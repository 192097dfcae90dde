//! Accepting connections, up to the limits.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fm_common::ErrorCode;
use fm_common::protocol::codec;
use fm_common::protocol::{HelloAnswer, Refusal};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{Peer, serve};
use super::shares::{Full, Seat, Shares};
use crate::caller::Door;
use crate::seldom::Seldom;
use crate::service::Desk;

/// A pause after a failed accept (out of descriptors): the queue of the socket holds callers meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Callers' connections, over all configurations.
#[derive(Debug, Clone, Default)]
pub struct Connections {
    /// Those that are open.
    pub open: TaskTracker,
    /// They end, once what their callers have sent is answered.
    pub stop: CancellationToken,
}

/// One of the agent's sockets.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    door: Door,
    shares: Arc<Shares>,
}

impl Listener {
    /// A listener on a bound socket.
    ///
    /// # Errors
    /// A socket that the runtime cannot watch.
    pub fn new(
        socket: std::os::unix::net::UnixListener,
        door: Door,
        shares: Arc<Shares>,
    ) -> io::Result<Self> {
        Ok(Self { socket: UnixListener::from_std(socket)?, door, shares })
    }

    /// Takes callers until `end`. Their connections go on.
    pub async fn run(self, desk: Arc<Desk>, connections: Connections, end: CancellationToken) {
        let (failing, full) = (Seldom::new(), Seldom::new());
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = end.cancelled() => return,
            };
            match accepted.and_then(|(stream, _)| Ok((Peer::of(&stream, self.door)?, stream))) {
                Ok((peer, stream)) => match self.admit(&peer) {
                    Ok((place, seat)) => {
                        self.shares.counters().accepted.fetch_add(1, Ordering::Relaxed);
                        let open = desk.metrics().connection();
                        let (desk, stop) = (Arc::clone(&desk), connections.stop.clone());
                        connections.open.spawn(async move {
                            serve(stream, peer, &seat, desk, stop).await;
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
    }

    fn admit(&self, peer: &Peer) -> Result<(OwnedSemaphorePermit, Seat), Full> {
        let counters = self.shares.counters();
        let place = self.shares.place(self.door).ok_or_else(|| {
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
