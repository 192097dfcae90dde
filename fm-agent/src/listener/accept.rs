//! Accepting connections, up to the limit.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use fm_common::ErrorCode;
use fm_common::protocol::codec;
use fm_common::protocol::{HelloAnswer, Refusal};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{Peer, serve};
use super::room;
use crate::service::Service;

/// A pause after a failed accept (out of descriptors): the queue of the socket holds callers meanwhile.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The agent's socket.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    places: Arc<Semaphore>,
}

impl Listener {
    /// A listener on a bound socket.
    ///
    /// # Errors
    /// A socket that the runtime cannot watch.
    pub fn new(socket: std::os::unix::net::UnixListener, max_connections: usize) -> io::Result<Self> {
        let places = Arc::new(Semaphore::new(room::connections(max_connections).min(Semaphore::MAX_PERMITS)));
        Ok(Self { socket: UnixListener::from_std(socket)?, places })
    }

    /// Serves callers until `stop`, then waits until what they have begun is answered.
    pub async fn run(self, service: Arc<Service>, stop: CancellationToken) {
        let Self { socket, places } = self;
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = stop.cancelled() => break,
            };
            match accepted.and_then(|(stream, _)| Ok((Peer::of(&stream)?, stream))) {
                Ok((peer, stream)) => {
                    let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                        service.metrics().connection_refused();
                        turn_away(&stream, &peer);
                        continue;
                    };
                    let open = service.metrics().connection();
                    let (service, stop) = (Arc::clone(&service), stop.clone());
                    connections.spawn(async move {
                        serve(stream, peer, service, stop).await;
                        drop((place, open));
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Whoever comes now is told at once that there is no agent, rather than held until its deadline.
        drop(socket);
        connections.close();
        connections.wait().await;
    }
}

/// Tells one caller too many so; what does not fit into its socket at once is left.
fn turn_away(stream: &UnixStream, peer: &Peer) {
    let reason = "the agent has as many connections as it may (agent.max_connections, or the limit of open files): try again later";
    let answer = HelloAnswer::Refused(Refusal::new(ErrorCode::ResourceUnavailable, reason));
    let mut frame = Vec::new();
    let told = codec::encode_hello_answer(&mut frame, &answer)
        .map_err(io::Error::other)
        .and_then(|()| stream.try_write(&frame));
    tracing::warn!(%peer, told = told.is_ok(), "connection refused: there are as many as there may be");
}
