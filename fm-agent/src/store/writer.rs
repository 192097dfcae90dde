//! The writer thread: takes what is waiting, commits it as one transaction, then answers.
//!
//! Invariants:
//! - Only this thread writes. It never waits for company: it takes what is there and commits.
//! - Each request has a savepoint: one that fails takes no other with it. When the disk is full, what
//!   fits is taken all the same.
//! - An answer is sent after the commit. When the commit fails, every request in it fails, and the
//!   tokens taken in it are forgotten.
//! - The state directory is held as long as the thread runs.
//!
//! It must not call a controller, and nothing but the disk may hold it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use fm_common::protocol::Token;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{Notify, mpsc, oneshot};

use super::apply::Apply;
use super::error::{StoreError, StoreErrorKind};
use super::model::{Batch, Finding, KeepRejected, Outcome, Report};
use super::tokens::Tokens;
use super::reader::Reader;
use super::recover::Opened;
use super::repair::Repairer;
use super::{Condition, StoreOptions, deliveries, healing};
use crate::config::Domain;
use crate::metrics::Metrics;

/// Requests that may wait for the writer; callers beyond that wait at their own deadline.
const QUEUE: usize = 4096;
/// Requests of one transaction at most: it bounds how long the first of them waits for the last.
const MOST_IN_ONE_COMMIT: usize = 1024;

type Reply = oneshot::Sender<Result<Vec<Outcome>, StoreError>>;

struct Job {
    work: Work,
    reply: Reply,
}

enum Work {
    Batch(Batch),
    Report(Report),
    Heal(Domain, Vec<Finding>),
    /// Damage was seen when so many repairs had been done.
    Repair(u64, StoreError),
    Flush,
    Stop,
}

impl Job {
    /// A caller that has gone is no error: what it asked for is done, or is not.
    fn answer(self, result: Result<Vec<Outcome>, StoreError>) {
        let _gone = self.reply.send(result);
    }
}

/// The way to change the store. Dropping the last one commits what was submitted and waits for that.
#[derive(Debug, Clone)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
    // Below `jobs`, so that it is dropped after it: without senders the thread ends.
    _thread: Arc<Joined>,
}

/// A change that has its place in the order and waits for its commit.
#[derive(Debug)]
pub struct Submitted(oneshot::Receiver<Result<Vec<Outcome>, StoreError>>);

impl Submitted {
    /// Waits for the commit.
    pub async fn committed(self) -> Result<Vec<Outcome>, StoreError> {
        self.0.await.unwrap_or_else(|_| Err(StoreError::stopped()))
    }
}

impl Writer {
    pub(super) fn start(
        opened: Opened,
        lock: File,
        options: &StoreOptions,
        wakes: BTreeMap<Domain, Arc<Notify>>,
        condition: Arc<Condition>,
    ) -> Result<(Self, Reader), StoreError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let here = options.domains.iter().filter(|(_, here)| **here).map(|(domain, _)| *domain).collect();
        let tokens = Tokens::load(&opened.connection)?;
        let (max_events, rejected) = (options.max_events, options.rejected);
        let repairs = Repairs { jobs: jobs.downgrade(), done: Arc::default() };
        let repairer = Repairer::new(options, condition, repairs.clone(), opened.checked)?;
        let reader = Reader::new(repairer.slot(), repairs);
        let connection = opened.connection;
        let thread = Thread {
            connection,
            repairer,
            lock,
            queue,
            here,
            max_events,
            rejected,
            wakes,
            tokens,
            metrics: Arc::clone(&options.metrics),
        };
        let failed = |error| {
            let reason = format!("cannot start the store's writer thread: {error}");
            StoreError::new(StoreErrorKind::Io, reason)
        };
        let thread = thread::Builder::new()
            .name("fm-store-writer".to_owned())
            .spawn(move || thread.run())
            .map_err(failed)?;
        Ok((Self { jobs, _thread: Arc::new(Joined(Some(thread))) }, reader))
    }

    /// Puts a batch in its place in the order. Waits only while the queue is full.
    pub async fn submit(&self, batch: Batch) -> Result<Submitted, StoreError> {
        self.send(Work::Batch(batch)).await
    }

    /// Records what became of a delivery; returns after the commit.
    pub async fn report(&self, report: Report) -> Result<(), StoreError> {
        self.send(Work::Report(report)).await?.committed().await.map(drop)
    }

    /// Acts on what a comparison with the controller of this domain has found, all of it or nothing, and
    /// gives for each finding whether it still held; returns after the commit.
    pub async fn heal(&self, domain: Domain, findings: Vec<Finding>) -> Result<Vec<bool>, StoreError> {
        let outcomes = self.send(Work::Heal(domain, findings)).await?.committed().await?;
        Ok(outcomes.into_iter().map(|outcome| outcome == Outcome::Done).collect())
    }

    /// Returns when everything submitted before is on disk.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.send(Work::Flush).await?.committed().await.map(drop)
    }

    /// Commits what was submitted before, checkpoints, closes the database and gives the state directory
    /// free. What comes later fails.
    pub async fn stop(&self) -> Result<(), StoreError> {
        self.send(Work::Stop).await?.committed().await.map(drop)
    }

    /// Waits until the thread has ended, told to or not: from then on nothing is taken any more.
    pub async fn ended(&self) {
        self.jobs.closed().await;
    }

    async fn send(&self, work: Work) -> Result<Submitted, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job { work, reply }).await.map_err(|_| StoreError::stopped())?;
        Ok(Submitted(answer))
    }
}

/// The way to have damage repaired, for those who find it. It does not keep the writer going.
#[derive(Debug, Clone)]
pub(super) struct Repairs {
    jobs: mpsc::WeakSender<Job>,
    done: Arc<AtomicU64>,
}

impl Repairs {
    /// How many repairs were done, for [`Self::ask`].
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Acquire)
    }

    /// A repair is done.
    pub(super) fn count(&self) {
        self.done.fetch_add(1, Ordering::Release);
    }

    /// Has damage repaired that was seen when `seen` repairs had been done; returns when it is.
    pub(super) async fn ask(&self, seen: u64, error: StoreError) -> Result<(), StoreError> {
        let (job, answer) = Self::job(seen, error);
        let jobs = self.jobs.upgrade().ok_or_else(StoreError::stopped)?;
        jobs.send(job).await.map_err(|_| StoreError::stopped())?;
        drop(jobs);
        Submitted(answer).committed().await.map(drop)
    }

    /// Has damage repaired, and waits for nothing; for threads.
    pub(super) fn tell(&self, seen: u64, error: StoreError) {
        let (job, _answer) = Self::job(seen, error);
        if let Some(jobs) = self.jobs.upgrade() {
            // A writer that has stopped leaves it to the next start.
            let _stopped = jobs.blocking_send(job);
        }
    }

    fn job(seen: u64, error: StoreError) -> (Job, oneshot::Receiver<Result<Vec<Outcome>, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        (Job { work: Work::Repair(seen, error), reply }, answer)
    }
}

/// A thread that is waited for.
#[derive(Debug)]
struct Joined(Option<JoinHandle<()>>);

impl Drop for Joined {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer thread panicked; what was not answered may not be on disk");
        }
    }
}

struct Thread {
    connection: Connection,
    repairer: Repairer,
    lock: File,
    queue: mpsc::Receiver<Job>,
    here: BTreeSet<Domain>,
    max_events: u32,
    rejected: KeepRejected,
    wakes: BTreeMap<Domain, Arc<Notify>>,
    tokens: Tokens,
    metrics: Arc<Metrics>,
}

impl Thread {
    fn run(mut self) {
        let mut stops = Vec::new();
        while stops.is_empty()
            && let Some(first) = self.queue.blocking_recv()
        {
            let mut jobs = Vec::new();
            let mut next = Some(first);
            while let Some(job) = next {
                match &job.work {
                    Work::Stop => stops.push(job),
                    Work::Repair(seen, error) => {
                        let repaired = self.repair(*seen, &error.clone());
                        job.answer(repaired.map(|()| Vec::new()));
                    }
                    _ => jobs.push(job),
                }
                next = if jobs.len() < MOST_IN_ONE_COMMIT { self.queue.try_recv().ok() } else { None };
            }
            self.commit(jobs, true);
        }
        drop(self.repairer);
        let closed = close(self.connection);
        if let Err(error) = &closed {
            tracing::warn!(%error, "the store did not close cleanly; nothing is lost");
        }
        drop(self.lock);
        for job in stops {
            job.answer(closed.clone().map(|()| Vec::new()));
        }
    }

    /// Has damage repaired that was seen when `seen` repairs had been done.
    fn repair(&mut self, seen: u64, error: &StoreError) -> Result<(), StoreError> {
        let repaired = self.repairer.repair(&mut self.connection, seen, error);
        match Tokens::load(&self.connection) {
            Ok(tokens) => self.tokens = tokens,
            // Those that are known are better than none.
            Err(error) => tracing::warn!(%error, "the calls that were taken cannot be read"),
        }
        // Whoever delivers finds requests where there were none.
        self.wakes.values().for_each(|wake| wake.notify_one());
        repaired
    }

    /// Commits and answers; damage is repaired once, and everything tried again.
    fn commit(&mut self, mut jobs: Vec<Job>, repairs: bool) {
        let mut woken = BTreeSet::new();
        let seen = self.repairer.done();
                let begun = Instant::now();
        match self.transaction(&jobs, &mut woken, repairs) {
            Ok(results) => {
                self.metrics.committed(jobs.len(), begun.elapsed());
                self.tokens.keep_new();
                for wake in woken.iter().filter_map(|domain| self.wakes.get(domain)) {
                    wake.notify_one();
                }
                for (job, result) in jobs.into_iter().zip(results) {
                    job.answer(result);
                }
            }
            Err(mut error) => {
                self.tokens.forget_new();
                if error.kind == StoreErrorKind::Full && jobs.len() > 1 {
                    // Some of them may fit.
                    let rest = jobs.split_off(jobs.len() / 2);
                    self.commit(jobs, repairs);
                    self.commit(rest, repairs);
                    return;
                }
                if repairs && error.is_repairable() {
                    match self.repair(seen, &error) {
                        Ok(()) => return self.commit(jobs, false),
                        Err(failed) => error = failed,
                    }
                }
                tracing::error!(%error, requests = jobs.len(), "the store could not commit");
                for job in jobs {
                    job.answer(Err(error.clone()));
                }
            }
        }
    }

    /// One transaction; a result each, or the reason why nothing of it is kept.
    fn transaction(
        &mut self,
        jobs: &[Job],
        woken: &mut BTreeSet<Domain>,
        repairs: bool,
    ) -> Result<Vec<Result<Vec<Outcome>, StoreError>>, StoreError> {
        if let Some(error) = self.repairer.closed() {
            return Err(error.clone());
        }
        let mut transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut results = Vec::with_capacity(jobs.len());
        for job in jobs {
            let applied = transaction.savepoint().map_err(StoreError::from).and_then(|savepoint| {
                let mut apply =
                    Apply { connection: &savepoint, here: &self.here, max_events: self.max_events, woken };
                let (outcomes, token) = work(&mut apply, &self.tokens, self.rejected, &job.work)?;
                savepoint.commit()?;
                self.tokens.took(token);
                Ok(outcomes)
            });
            // SQLite ends a transaction by itself when the disk is full or fails: nothing of it is kept.
            // A savepoint after that would open, and commit, a transaction of its own.
            if transaction.is_autocommit() {
                return Err(applied.err().unwrap_or_else(lost));
            }
            // Nothing overtakes a request that is tried again: all are.
            if let Err(error) = &applied
                && repairs
                && error.is_repairable()
            {
                return Err(error.clone());
            }
            results.push(applied);
        }
        transaction.commit()?;
        Ok(results)
    }
}

/// Does one job. Gives its outcomes and the token that is taken with them.
fn work(
    apply: &mut Apply<'_>,
    tokens: &Tokens,
    rejected: KeepRejected,
    work: &Work,
) -> Result<(Vec<Outcome>, Option<Token>), StoreError> {
    let batch = match work {
        Work::Batch(batch) => batch,
        Work::Report(report) => {
            deliveries::report(apply.connection, report, rejected)?;
            return Ok((Vec::new(), None));
        }
        Work::Heal(domain, findings) => return Ok((healing::heal(apply, *domain, findings)?, None)),
        Work::Flush | Work::Stop | Work::Repair(..) => return Ok((Vec::new(), None)),
    };
    if tokens.knows(batch.token) {
        return Ok((apply.taken(batch)?, None));
    }
    let outcomes = apply.batch(batch)?;
    // A batch that changed nothing may come again and ask for more.
    let token = batch.token.filter(|_| outcomes.iter().any(|outcome| *outcome != Outcome::Unknown));
    tokens.write(apply.connection, token)?;
    Ok((outcomes, token))
}

fn lost() -> StoreError {
    StoreError::new(StoreErrorKind::Io, "store: the transaction was lost; check the disk, then try again")
}

fn close(connection: Connection) -> Result<(), StoreError> {
    let checkpointed = connection.pragma_update(None, "wal_checkpoint", "TRUNCATE");
    connection.close().map_err(|(_, error)| error)?;
    Ok(checkpointed?)
}
