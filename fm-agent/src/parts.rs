//! The parts of the agent that serve one configuration, and how they end.
//!
//! Invariants:
//! - None of them ends unnoticed, and none outlives its configuration.
//! - Callers are served while deliveries end for a new configuration: what has begun stays with the service that is
//!   there, and connections are not among these parts.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::lasting::Lasting;
use crate::listener::Connections;
use crate::store::Store;

/// How long deliveries that are under way when a new configuration is taken may take.
const RELOAD_GRACE: Duration = Duration::from_millis(500);

/// What serves one configuration.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// Deliveries and the rest that runs by itself.
    pub(crate) running: JoinSet<()>,
    /// Ends these, once what they have under way has ended.
    pub(crate) stopping: CancellationToken,
    /// Those that take connections.
    pub(crate) accepting: JoinSet<()>,
    /// Ends these.
    pub(crate) closing: CancellationToken,
}

impl Parts {
    /// Waits until one of them has ended.
    pub(crate) async fn ended(&mut self) {
        tokio::select! {
            Some(_) = self.running.join_next() => {}
            Some(_) = self.accepting.join_next() => {}
            else => {}
        }
    }

    /// Ends them, for others to take their places. Callers are served by the service that is there.
    pub(crate) async fn hand_over(&mut self, store: &Store) {
        self.stopping.cancel();
        // Deliveries that take longer are asked about afterwards.
        let _late = timeout(RELOAD_GRACE, all(&mut self.running)).await;
        self.running.shutdown().await;
        // What they have reported comes before what the next ones read. A full disk is an answer, too.
        let _answered = store.writer.flush().await;
        self.closing.cancel();
        all(&mut self.accepting).await;
    }

    /// Ends them and callers' connections, within the grace period.
    pub(crate) async fn end(&mut self, lasting: &Lasting, grace: Duration, hurry: &CancellationToken) {
        self.stopping.cancel();
        self.closing.cancel();
        lasting.passing.close();
        let Connections { open, stop } = &lasting.connections;
        stop.cancel();
        open.close();
        let drained = async { tokio::join!(all(&mut self.running), all(&mut self.accepting), open.wait()) };
        tokio::select! {
            drained = timeout(grace, drained) => {
                if drained.is_err() {
                    tracing::warn!("the grace period is over; deliveries under way are asked about afterwards");
                }
            }
            () = hurry.cancelled() => {
                tracing::warn!("hurried: deliveries under way are asked about afterwards");
            }
        }
        self.running.shutdown().await;
    }
}

/// Waits until all have ended.
async fn all(parts: &mut JoinSet<()>) {
    while parts.join_next().await.is_some() {}
}
