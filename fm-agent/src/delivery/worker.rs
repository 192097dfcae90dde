//! The task of one domain: fills the lanes from the store, keeps requests under way, records what
//! became of them, and probes a controller that is down.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::Notify;
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::lanes::{Lanes, Next};
use super::limit::InFlightLimit;
use super::outcome::{Outcome, attempt, needs_standing};
use crate::backend::{Controller, Failure, FailureKind};
use crate::config::Domain;
use crate::metrics::Metrics;
use crate::store::{Report, Store, StoreError, Turn};

/// Requests held in memory at most; the rest waits on disk.
const WINDOW: usize = 4096;
/// Requests read from the store at once.
const CHUNK: usize = 256;

/// How far ahead of the request that goes next the store is told what may have been sent: one commit for
/// so many requests.
const BEGUN_AHEAD: i64 = 64;

/// The delivery of one domain.
#[derive(Debug)]
pub struct Worker {
    domain: Domain,
    store: Arc<Store>,
    controller: Controller,
    wake: Arc<Notify>,
    lanes: Lanes,
    limit: InFlightLimit,
    /// What may be sent: the store knows that requests up to here may have been.
    begun: i64,
    /// The last request read from the store.
    read_up_to: i64,
    /// The store has more than what was read.
    more: bool,
    /// When to read again after the store could not be read.
    read_again_at: Option<Instant>,
    metrics: Arc<Metrics>,
}

/// An attempt that has ended.
struct Ended {
    seq: i64,
    outcome: Outcome,
    /// Whether what became of it is on disk.
    recorded: Result<(), StoreError>,
}

impl Worker {
    /// A worker for a domain whose alarms a controller keeps.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub async fn new(
        domain: Domain,
        store: Arc<Store>,
        controller: Controller,
        max_in_flight: usize,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StoreError> {
        let begun = store.reader.begun(domain).await?;
        let wake = store.wake(domain).unwrap_or_default();
        Ok(Self {
            domain,
            store,
            controller,
            wake,
            lanes: Lanes::new(begun),
            begun,
            limit: InFlightLimit::new(max_in_flight),
            read_up_to: 0,
            more: true,
            read_again_at: None,
            metrics,
        })
    }

    /// Delivers until `stop`; then waits for what is under way.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut under_way = FuturesUnordered::new();
        loop {
            if stop.is_cancelled() && under_way.is_empty() {
                return;
            }
            let is_down = self.controller.health.down().is_some();
            if !stop.is_cancelled() && !is_down {
                self.fill().await;
                while self.lanes.running() < self.limit.get()
                    && let Some(next) = self.lanes.next(Instant::now())
                {
                    if self.begin(next.request.seq).await {
                        let (store, controller) = (Arc::clone(&self.store), self.controller.clone());
                        under_way.push(deliver(self.domain, store, controller, next));
                    }
                }
            }
            let due = if is_down {
                self.controller.health.probe_at()
            } else {
                self.lanes.next_due(Instant::now()).into_iter().chain(self.read_again_at).min()
            };
            tokio::select! {
                Some(ended) = under_way.next() => self.ended(ended),
                () = self.wake.notified() => self.more = true,
                () = self.controller.health.changed() => {}
                () = until(due), if !stop.is_cancelled() => {
                    if is_down {
                        self.probe(&stop).await;
                    }
                }
                () = stop.cancelled(), if !stop.is_cancelled() => {}
            }
        }
    }

    /// Reads on from the store while there is room.
    async fn fill(&mut self) {
        self.read_again_at = None;
        if let Some(seq) = self.lanes.read_again_from() {
            self.read_up_to = seq - 1;
            self.more = true;
        }
        while self.more && self.lanes.len() + CHUNK <= WINDOW {
            match self.store.reader.waiting(self.domain, self.read_up_to, CHUNK).await {
                Ok(requests) => {
                    self.more = requests.len() == CHUNK;
                    self.read_up_to = requests.last().map_or(self.read_up_to, |request| request.seq);
                    self.lanes.append(requests);
                }
                Err(error) => {
                    tracing::error!(domain = %self.domain, %error, "waiting requests cannot be read");
                    self.read_again_at = Some(Instant::now() + self.controller.health.pause(1));
                    return;
                }
            }
        }
    }

    /// Makes sure that an agent that follows this one would ask whether this request was sent.
    async fn begin(&mut self, seq: i64) -> bool {
        if seq <= self.begun {
            return true;
        }
        let up_to = seq + BEGUN_AHEAD;
        match self.store.writer.report(Report::Begun { domain: self.domain, up_to }).await {
            Ok(()) => {
                self.begun = up_to;
                true
            }
            Err(error) => {
                tracing::error!(domain = %self.domain, seq, %error, "a delivery cannot be begun");
                self.again(seq, false);
                false
            }
        }
    }

    fn ended(&mut self, Ended { seq, outcome, recorded }: Ended) {
        self.metrics.delivered(self.domain.name(), outcome.name());
        match (outcome, recorded) {
            (Outcome::Finished { unclear, .. }, Ok(())) => {
                self.controller.health.succeeded();
                if unclear {
                    self.limit.unclear();
                } else {
                    self.limit.clean();
                }
                self.lanes.done(seq);
            }
            // It was taken, but that is not on disk: asking again will find it.
            (Outcome::Finished { .. }, Err(error)) => {
                tracing::error!(domain = %self.domain, seq, %error, "a delivery cannot be recorded");
                self.again(seq, true);
            }
            (Outcome::GivenUp, _) => self.lanes.done(seq),
            (Outcome::Again(failure), _) => {
                self.controller.health.succeeded();
                tracing::debug!(domain = %self.domain, seq, reason = failure.reason, "delivery failed, goes again");
                self.limit.unclear();
                self.again(seq, failure.in_doubt);
            }
            (Outcome::Down(failure), _) => {
                self.controller.health.failed(&failure.reason);
                self.limit.unclear();
                self.again(seq, failure.in_doubt);
            }
        }
    }

    fn again(&mut self, seq: i64, in_doubt: bool) {
        let health = &self.controller.health;
        self.lanes.failed(seq, in_doubt, |attempts| Instant::now() + health.pause(attempts));
    }

    /// Whether a controller that was down can be used again.
    async fn probe(&self, stop: &CancellationToken) {
        let health = &self.controller.health;
        tokio::select! {
            probed = self.controller.backend.probe() => match probed {
                Ok(()) => health.succeeded(),
                // It answers; one request that fails does not make a controller unusable.
                Err(failure) if failure.kind != FailureKind::Unavailable => health.succeeded(),
                Err(failure) => health.failed(&failure.reason),
            },
            () = stop.cancelled() => {}
        }
    }
}

/// Makes one attempt and records what became of it.
async fn deliver(domain: Domain, store: Arc<Store>, controller: Controller, next: Next) -> Ended {
    let seq = next.request.seq;
    let standing = match store.reader.still_waits(domain, seq, needs_standing(&next.request.kind)).await {
        Ok(Turn::Waits(standing)) => standing,
        Ok(Turn::Gone) => return Ended { seq, outcome: Outcome::GivenUp, recorded: Ok(()) },
        Err(error) => {
            let failure = Failure::retry(error.to_string());
            return Ended { seq, outcome: Outcome::Again(failure), recorded: Ok(()) };
        }
    };
    let kind = next.request.kind.name();
    // A request that the agent itself fails on must not take the whole domain with it.
    let outcome = AssertUnwindSafe(attempt(&*controller.backend, next, standing))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| {
            let reason = "the agent failed on it: please report this with the panic in the log above";
            tracing::error!(%domain, seq, kind, reason, "delivery failed, goes again");
            Outcome::Again(Failure::retry(reason).in_doubt(true))
        });
    let recorded = match &outcome {
        Outcome::Finished { report, .. } => {
            match report {
                Report::Done { .. } | Report::Begun { .. } => {
                    tracing::debug!(%domain, seq, kind, "delivered");
                }
                Report::Rejected { answer, .. } => {
                    tracing::warn!(%domain, seq, kind, answer, "the controller refuses a request; it is kept as rejected");
                }
            }
            store.writer.report(report.clone()).await
        }
        Outcome::Again(_) | Outcome::Down(_) | Outcome::GivenUp => Ok(()),
    };
    Ended { seq, outcome, recorded }
}

/// Until this moment; without one, for ever.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
