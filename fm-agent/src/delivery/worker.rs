//! The task of one domain: fills the lanes from the store, keeps requests under way, records what
//! became of them, and probes a controller that is down.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use fm_common::AlarmKey;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::Notify;
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::lanes::{Lanes, Next};
use super::limit::InFlightLimit;
use super::outcome::{Known, Outcome, attempt, needs_standing};
use super::survey::{self, Survey};
use super::told::Told;
use crate::backend::health::Way;
use crate::backend::{Controller, Failure, FailureKind, Query};
use crate::config::Domain;
use crate::failpoint::{self, Moment};
use crate::metrics::Metrics;
use crate::passing::Passing;
use crate::store::{Report, RequestKind, Store, StoreError, Turn};

/// Requests read from the store at once, at most.
const CHUNK: usize = 256;
/// With texts that take about so much memory: they exceed what the lanes have room for by no more.
const CHUNK_BYTES: usize = 1 << 20;

/// How far ahead of the request that goes next the store is told what may have been sent: one commit for
/// so many requests.
const BEGUN_AHEAD: i64 = 64;
/// Answers of the controller that wait for the disk, at most: what is asked about again after a crash.
const MOST_UNRECORDED: usize = 64;

/// The delivery of one domain.
#[derive(Debug)]
pub struct Worker {
    domain: Domain,
    store: Arc<Store>,
    controller: Controller,
    wake: Arc<Notify>,
    passing: Arc<Passing>,
    lanes: Lanes,
    limit: InFlightLimit,
    survey: Survey,
    /// Answers that wait for the disk.
    unrecorded: usize,
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

/// Something that was under way has ended.
enum Ended {
    /// An attempt at a request.
    Attempt(i64, Outcome),
    /// Noting what became of a request; whether that is on disk.
    Record(i64, Result<(), StoreError>),
    /// The question what does not stand.
    Survey(Option<HashSet<AlarmKey>>),
}

/// What is under way.
type UnderWay = FuturesUnordered<Pin<Box<dyn Future<Output = Ended> + Send>>>;

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
        passing: Arc<Passing>,
    ) -> Result<Self, StoreError> {
        let begun = store.reader.begun(domain).await?;
        let wake = store.wake(domain).unwrap_or_default();
        Ok(Self {
            domain,
            store,
            controller,
            wake,
            passing,
            lanes: Lanes::new(begun),
            begun,
            limit: InFlightLimit::new(max_in_flight),
            survey: Survey::default(),
            unrecorded: 0,
            read_up_to: 0,
            more: true,
            read_again_at: None,
            metrics,
        })
    }

    /// Delivers until `stop`; then waits for what is under way.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut under_way = UnderWay::new();
        let mut was_open = true;
        loop {
            if stop.is_cancelled() && under_way.is_empty() {
                return;
            }
            let way = self.controller.health.way();
            let is_open = way == Way::Open;
            if is_open && !was_open {
                self.survey.resume();
            }
            was_open = is_open;
            let due = match way {
                Way::Closed(probe_at) => Some(probe_at),
                Way::Open | Way::Trial => {
                    if !stop.is_cancelled() {
                        self.go_on(is_open, &mut under_way).await;
                    }
                    self.lanes.next_due(Instant::now()).into_iter().chain(self.read_again_at).min()
                }
            };
            tokio::select! {
                Some(ended) = under_way.next() => self.ended(ended, &mut under_way),
                () = self.wake.notified() => self.more = true,
                () = self.controller.health.changed() => {}
                () = until(due), if !stop.is_cancelled() => {
                    if let Way::Closed(_) = way {
                        self.probe(&stop).await;
                    }
                }
                () = stop.cancelled(), if !stop.is_cancelled() => {}
            }
        }
    }

    /// Starts what may go: all that there is room for at the controller, or one request to see whether it is taken.
    async fn go_on(&mut self, is_open: bool, under_way: &mut UnderWay) {
        self.fill().await;
        if is_open {
            self.ask(under_way);
            while self.lanes.running() < self.limit.get()
                && self.unrecorded < MOST_UNRECORDED
                && let Some(next) = self.lanes.next(Instant::now())
            {
                self.start(next, under_way).await;
            }
        } else if self.lanes.running() == 0
            && let Some(next) = self.lanes.next_trial(Instant::now())
        {
            self.start(next, under_way).await;
        }
    }

    /// Reads on from the store while there is room.
    async fn fill(&mut self) {
        self.read_again_at = None;
        if let Some(seq) = self.lanes.read_again_from() {
            // It may have been read again already, but not up to there.
            self.read_up_to = self.read_up_to.min(seq - 1);
            self.more = true;
        }
        while self.more && self.lanes.has_room() {
            match self.store.reader.waiting(self.domain, self.read_up_to, CHUNK, CHUNK_BYTES).await {
                Ok((requests, more)) => {
                    self.more = more;
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

    /// Asks what does not stand of that which is to be raised next, when it is time to.
    fn ask(&mut self, under_way: &mut UnderWay) {
        let now = Instant::now();
        if !self.survey.is_due(now) {
            return;
        }
        let Some(keys) = self.survey.question(self.lanes.raises_ahead(survey::MOST), now) else { return };
        let (domain, controller) = (self.domain, self.controller.clone());
        under_way.push(Box::pin(async move {
            // Whatever fails, each raise asks for itself, and finds out what that means for the domain.
            Ended::Survey(match AssertUnwindSafe(controller.backend.absent(&keys)).catch_unwind().await {
                Ok(Ok(absent)) => Some(absent),
                Ok(Err(failure)) => {
                    tracing::debug!(%domain, reason = failure.reason, "what stands cannot be asked at once");
                    None
                }
                Err(_) => {
                    tracing::error!(%domain, "the agent failed on a question: please report the panic in the log above");
                    None
                }
            })
        }));
    }

    /// Starts an attempt at this request.
    async fn start(&mut self, next: Next, under_way: &mut UnderWay) {
        if !self.begin(next.request.seq).await {
            return;
        }
        let absent_until = match &next.request.kind {
            RequestKind::Raise { alarm, .. } => self.survey.take(&alarm.key(), Instant::now()),
            _ => None,
        };
        let (store, controller) = (Arc::clone(&self.store), self.controller.clone());
        let (traffic, told) = (Arc::clone(&controller.traffic), self.told(&next));
        let delivery = deliver(self.domain, store, controller, next, absent_until);
        under_way.push(Box::pin(async move {
            let _under_way = traffic.begin();
            let ended = delivery.await;
            if let (Some(told), Ended::Attempt(_, outcome)) = (told, &ended) {
                told.tell(outcome);
            }
            ended
        }));
    }

    /// An attempt that somebody watches.
    fn told(&self, next: &Next) -> Option<Told> {
        Told::new(self.domain, &next.request, &self.passing)
    }

    fn ended(&mut self, ended: Ended, under_way: &mut UnderWay) {
        if let Ended::Attempt(_, outcome) = &ended {
            self.metrics.delivered(self.domain.name(), outcome.name());
        }
        match ended {
            Ended::Attempt(seq, Outcome::Finished { report, unclear }) => {
                failpoint::pass(Moment::AfterAnswer);
                self.controller.health.took_write();
                self.controller.traffic.count_finished();
                if unclear {
                    self.limit.unclear();
                } else {
                    self.limit.clean();
                }
                // The controller is free for another while the disk takes this.
                self.lanes.answered(seq);
                self.unrecorded += 1;
                let store = Arc::clone(&self.store);
                under_way
                    .push(Box::pin(async move { Ended::Record(seq, store.writer.report(report).await) }));
            }
            Ended::Attempt(seq, Outcome::GivenUp) => self.lanes.done(seq),
            Ended::Attempt(seq, Outcome::Again(failure)) => {
                self.controller.health.put_off_write(&failure.reason);
                tracing::debug!(domain = %self.domain, seq, reason = failure.reason, "delivery failed, goes again");
                self.limit.unclear();
                self.again(seq, failure.in_doubt);
            }
            Ended::Attempt(seq, Outcome::Waits(failure)) => {
                // It answered cleanly what it was asked before the write, and the write was spared it.
                self.controller.health.took_write();
                tracing::debug!(domain = %self.domain, seq, reason = failure.reason, "delivery waits, goes again");
                self.again(seq, failure.in_doubt);
            }
            Ended::Attempt(seq, Outcome::Down(failure)) => {
                self.controller.health.refused_write(&failure.reason);
                self.limit.unclear();
                self.again(seq, failure.in_doubt);
            }
            Ended::Record(seq, recorded) => {
                failpoint::pass(Moment::AfterReport);
                self.unrecorded -= 1;
                match recorded {
                    Ok(()) => self.lanes.done(seq),
                    // It was taken, but that is not on disk: asking again will find it.
                    Err(error) => {
                        tracing::error!(domain = %self.domain, seq, %error, "a delivery cannot be recorded");
                        self.again(seq, true);
                    }
                }
            }
            Ended::Survey(absent) => self.survey.answered(absent, Instant::now()),
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
                Ok(()) => health.probed(),
                // It answers; one request that fails does not make a controller unusable.
                Err(failure) if failure.kind != FailureKind::Unavailable => health.probed(),
                Err(failure) => health.failed(&failure.reason),
            },
            () = stop.cancelled() => {}
        }
    }
}

/// Makes one attempt.
async fn deliver(
    domain: Domain,
    store: Arc<Store>,
    controller: Controller,
    next: Next,
    absent_until: Option<Instant>,
) -> Ended {
    let seq = next.request.seq;
    let standing = match store.reader.still_waits(domain, seq, needs_standing(&next.request.kind)).await {
        Ok(Turn::Waits(standing)) => standing,
        Ok(Turn::Gone) => return Ended::Attempt(seq, Outcome::GivenUp),
        Err(error) => return Ended::Attempt(seq, Outcome::Again(Failure::retry(error.to_string()))),
    };
    let covered = match &next.request.kind {
        RequestKind::ClearAll { entity_instance_id, rule } => {
            store.reader.held_under(domain, entity_instance_id.clone(), *rule).await
        }
        _ => Ok(Vec::new()),
    };
    let covered = match covered {
        Ok(covered) => covered,
        Err(error) => return Ended::Attempt(seq, Outcome::Again(Failure::retry(error.to_string()))),
    };
    let kind = next.request.kind.name();
    let changed = standing.clone().zip(needs_standing(&next.request.kind));
    // A request that the agent itself fails on must not take the whole domain with it.
    let outcome =
        AssertUnwindSafe(attempt(&*controller.backend, next, Known { standing, covered, absent_until }))
            .catch_unwind()
            .await
            .unwrap_or_else(|_| {
                let reason = "the agent failed on it: please report this with the panic in the log above";
                tracing::error!(%domain, seq, kind, reason, "delivery failed, goes again");
                Outcome::Again(Failure::retry(reason).in_doubt(true))
            });
    match &outcome {
        Outcome::Finished { report: Report::Rejected { answer, .. }, .. } => {
            if let Some((uuid, key)) = changed
                && let Err(failure) = note_if_gone(domain, &store, &controller, key, uuid).await
            {
                return Ended::Attempt(seq, Outcome::Again(failure));
            }
            tracing::warn!(%domain, seq, kind, answer, "the controller refuses a request; it is kept as rejected");
        }
        Outcome::Finished { .. } => tracing::debug!(%domain, seq, kind, "delivered"),
        Outcome::Again(_) | Outcome::Waits(_) | Outcome::Down(_) | Outcome::GivenUp => {}
    }
    Ended::Attempt(seq, outcome)
}

/// A change deletes what stood before. When it is refused then, nothing stands any more, and nobody is to be told
/// that something does.
async fn note_if_gone(
    domain: Domain,
    store: &Store,
    controller: &Controller,
    key: AlarmKey,
    uuid: String,
) -> Result<(), Failure> {
    let standing = controller.backend.list_raised(&Query::one(&key)).await?;
    if standing.iter().any(|alarm| alarm.uuid.as_ref().is_some_and(|found| found.eq_ignore_ascii_case(&uuid)))
    {
        return Ok(());
    }
    let gone = Report::Gone { domain, key, uuid };
    store.writer.report(gone).await.map_err(|error| Failure::retry(error.to_string()))
}

/// Until this moment; without one, for ever.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
