//! The writer thread: takes what is waiting, commits it as one transaction, then answers.
//!
//! Invariants:
//! - Only this thread writes. It never waits for company: it takes what is there and commits.
//! - A request that fails takes no other with it: the transaction is done again with a savepoint for each. When
//!   the disk is full, what fits is taken all the same.
//! - An answer is sent after the commit. When the commit fails, every request in it fails, and the
//!   tokens taken in it are forgotten.
//! - The state directory is held as long as the thread runs.
//!
//! It must not call a controller, and nothing but the disk may hold it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{Notify, mpsc, oneshot};

use super::bounds::Bounds;
use super::changes::{Apart, Changes};
use super::error::{StoreError, StoreErrorKind};
use super::jobs::{Job, Repairs, Submitted, Work};
use super::limits::Limits;
use super::meter::{Meter, Teller};
use super::model::{Batch, Finding, KeepRejected, Outcome, Report};
use super::reader::Reader;
use super::recover::Opened;
use super::repair::Repairer;
use super::space::{Reserve, Tidy};
use super::tokens::Tokens;
use super::transaction::Transaction;
use super::{Condition, DATABASE, StoreOptions, schema};
use crate::config::Domain;
use crate::failpoint::{self, Moment};
use crate::metrics::Metrics;

/// Requests that may wait for the writer; callers beyond that wait at their own deadline.
const QUEUE: usize = 4096;
/// Requests of one transaction at most: it bounds how long the first of them waits for the last.
const MOST_IN_ONE_COMMIT: usize = 1024;

/// The way to change the store. Dropping the last one commits what was submitted and waits for that.
#[derive(Debug, Clone)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
    // Below `jobs`, so that it is dropped after it: without senders the thread ends.
    _thread: Arc<Joined>,
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
        let (connection, meter) = (opened.connection, Arc::new(Meter::default()));
        let bounds = Bounds::load(&connection, &options.limits)?;
        let reserve = Reserve::new(&options.state_dir)?;
        meter.publish(&bounds.counts);
        meter.set_disk_full(!reserve.is_held());
        let repairs = Repairs::of(&jobs);
        let repairer = Repairer::new(options, condition, repairs.clone(), opened.checked)?;
        let path = options.state_dir.join(DATABASE);
        let reader = Reader::new(repairer.slot(), repairs, &path, Arc::clone(&meter), options.limits);
        let thread = Thread {
            tokens: Tokens::load(&connection)?,
            reserve,
            connection,
            repairer,
            lock,
            queue,
            here,
            max_events: options.max_events,
            rejected: options.rejected,
            limits: options.limits,
            wakes,
            bounds,
            meter,
            teller: Teller::default(),
            tidy: Tidy::default(),
            metrics: Arc::clone(&options.metrics),
        };
        thread.configure()?;
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
    limits: Limits,
    wakes: BTreeMap<Domain, Arc<Notify>>,
    tokens: Tokens,
    bounds: Bounds,
    meter: Arc<Meter>,
    teller: Teller,
    tidy: Tidy,
    reserve: Reserve,
    metrics: Arc<Metrics>,
}

impl Thread {
    /// Lets the WAL grow no further than the reserve has room for.
    fn configure(&self) -> Result<(), StoreError> {
        let wal_pages = self.reserve.wal_pages(self.bounds.page_size());
        schema::set(&self.connection, "wal_autocheckpoint", i64::try_from(wal_pages).unwrap_or(i64::MAX))
    }

    fn run(mut self) {
        let mut stops = Vec::new();
        while stops.is_empty()
            && let Some(first) = self.next()
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
            let failed = self.commit(jobs);
            self.teller.tell(&self.meter, failed.as_ref(), Instant::now());
        }
        self.repairer.end(&mut self.connection);
        let closed = close(self.connection);
        if let Err(error) = &closed {
            tracing::warn!(%error, "the store did not close cleanly; nothing is lost");
        }
        drop(self.lock);
        for job in stops {
            job.answer(closed.clone().map(|()| Vec::new()));
        }
    }

    /// Waits for the next job; meanwhile gives space back.
    fn next(&mut self) -> Option<Job> {
        loop {
            match self.queue.try_recv() {
                Ok(job) => return Some(job),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {}
            }
            match self.tidy.step(&self.connection) {
                Ok(true) => {}
                Ok(false) => return self.queue.blocking_recv(),
                Err(error) => {
                    tracing::debug!(%error, "the store cannot give space back now; it is tried again");
                    return self.queue.blocking_recv();
                }
            }
        }
    }

    /// Commits and answers; gives the last failure.
    fn commit(&mut self, jobs: Vec<Job>) -> Option<StoreError> {
        if jobs.is_empty() {
            return None;
        }
        if !self.reserve.is_held() {
            if self.reserve.take_again() {
                self.meter.set_disk_full(false);
            } else {
                return self.commit_essential(jobs);
            }
        }
        self.commit_all(jobs)
    }

    /// Refuses what the rest of the room on the disk is not for, and commits the others.
    fn commit_essential(&mut self, jobs: Vec<Job>) -> Option<StoreError> {
        let (essential, refused): (Vec<Job>, Vec<Job>) =
            jobs.into_iter().partition(|job| job.work.is_essential());
        let error = StoreError::new(
            StoreErrorKind::Full,
            "the disk of the state directory is full: make room, then try again",
        );
        let failed = (!refused.is_empty()).then(|| error.clone());
        self.refuse(refused, &error);
        if essential.is_empty() { failed } else { self.commit_all(essential).or(failed) }
    }

    fn refuse(&self, jobs: Vec<Job>, error: &StoreError) {
        if error.kind == StoreErrorKind::Full {
            self.meter.count_refused_disk_full(jobs.len());
        } else {
            self.meter.count_failed(jobs.len());
        }
        for job in jobs {
            job.answer(Err(error.clone()));
        }
    }

    /// Commits; damage is repaired first, once, and everything tried again.
    fn commit_all(&mut self, jobs: Vec<Job>) -> Option<StoreError> {
        let seen = self.repairer.done();
        let (jobs, error) = match self.try_commit(jobs, true) {
            Ok(failed) => return failed,
            Err(damaged) => damaged,
        };
        if let Err(failed) = self.repair(seen, &error) {
            self.refuse(jobs, &failed);
            return Some(failed);
        }
        match self.try_commit(jobs, false) {
            Ok(failed) => failed,
            Err((jobs, error)) => {
                self.refuse(jobs, &error);
                Some(error)
            }
        }
    }

    /// Has damage repaired that was seen when `seen` repairs had been done.
    fn repair(&mut self, seen: u64, error: &StoreError) -> Result<(), StoreError> {
        self.repairer.repair(&mut self.connection, seen, error)?;
        self.tokens = Tokens::load(&self.connection)?;
        self.bounds = Bounds::load(&self.connection, &self.limits)?;
        self.meter.publish(&self.bounds.counts);
        self.configure()?;
        // Whoever delivers finds requests where there were none.
        self.wakes.values().for_each(|wake| wake.notify_one());
        Ok(())
    }

    /// Commits and answers; gives the last failure, or what damage was met, and the jobs that wait for its repair.
    fn try_commit(
        &mut self,
        mut jobs: Vec<Job>,
        repairs: bool,
    ) -> Result<Option<StoreError>, (Vec<Job>, StoreError)> {
        let mut woken = BTreeSet::new();
        let counts = self.bounds.counts;
        let begun = Instant::now();
        let error = match self.transaction(&jobs, &mut woken, repairs) {
            Ok(results) => {
                self.metrics.committed(jobs.len(), begun.elapsed());
                self.tidy.done(jobs.len());
                self.tokens.keep_new();
                self.meter.publish(&self.bounds.counts);
                for wake in woken.iter().filter_map(|domain| self.wakes.get(domain)) {
                    wake.notify_one();
                }
                for (job, result) in jobs.into_iter().zip(results) {
                    if result.as_ref().is_err_and(|error| error.kind == StoreErrorKind::Limit) {
                        self.meter.count_refused_at_limit();
                    }
                    job.answer(result);
                }
                return Ok(None);
            }
            Err(error) => error,
        };
        self.tokens.forget_new();
        self.bounds.counts = counts;
        if repairs && error.is_repairable() {
            return Err((jobs, error));
        }
        if error.kind == StoreErrorKind::Full {
            if jobs.iter().any(|job| job.work.is_essential()) && self.reserve.let_go() {
                self.meter.set_disk_full(true);
                return Ok(self.commit_essential(jobs));
            }
            if jobs.len() > 1 {
                // Some of them may fit.
                let rest = jobs.split_off(jobs.len() / 2);
                let failed = self.commit_all(jobs);
                return Ok(self.commit_all(rest).or(failed));
            }
        }
        self.refuse(jobs, &error);
        Ok(Some(error))
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
        let counts = self.bounds.counts;
        // Jobs seldom fail, and savepoints cost as much as a change.
        if let Some(results) = self.attempt(jobs, woken, repairs, Apart::Together)? {
            return Ok(results);
        }
        self.tokens.forget_new();
        self.bounds.counts = counts;
        Ok(self.attempt(jobs, woken, repairs, Apart::Each)?.unwrap_or_default())
    }

    /// Tries it; `None` when a job has failed and nothing keeps it apart from the others.
    fn attempt(
        &mut self,
        jobs: &[Job],
        woken: &mut BTreeSet<Domain>,
        repairs: bool,
        apart: Apart,
    ) -> Result<Option<Vec<Result<Vec<Outcome>, StoreError>>>, StoreError> {
        let Self { connection, bounds, tokens, here, max_events, rejected, .. } = self;
        let mut transaction = Transaction::begin(connection)?;
        let mut changes =
            Changes { bounds, tokens, here, max_events: *max_events, rejected: *rejected, woken, apart };
        let mut results = Vec::with_capacity(jobs.len());
        for job in jobs {
            let applied = changes.make(&mut transaction, &job.work);
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
            if applied.is_err() && apart == Apart::Together {
                return Ok(None);
            }
            results.push(applied);
        }
        failpoint::pass(Moment::BeforeCommit);
        if failpoint::lies_about_commit() {
            return Ok(Some(results));
        }
        transaction.commit()?;
        failpoint::pass(Moment::AfterCommit);
        Ok(Some(results))
    }
}

fn lost() -> StoreError {
    StoreError::new(StoreErrorKind::Io, "store: the transaction was lost; check the disk, then try again")
}

fn close(connection: Connection) -> Result<(), StoreError> {
    let checkpointed = connection.pragma_update(None, "wal_checkpoint", "TRUNCATE");
    connection.close().map_err(|(_, error)| error)?;
    Ok(checkpointed?)
}
