//! The writer: gives changes their place in the order and commits them, as many as wait in one transaction.
//!
//! Invariants:
//! - One thread at a time commits: the writer's own, or, for a caller that is alone, the thread that serves it
//!   ([`Writer::submit_at_once`]). That one does so only when everything submitted before is answered, so
//!   nothing is overtaken.
//! - The writer's thread never waits for company: it takes what is there and commits.
//! - The state directory is held as long as that thread runs.
//!
//! A commit that panics ends the writer at the next job. It must not call a controller, and nothing but the disk
//! may hold it.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use super::awake::Awake;
use super::committer::Committer;
use super::error::{StoreError, StoreErrorKind};
use super::jobs::{Job, Repairs, Submitted, Unanswered, Work};
use super::meter::Meter;
use super::model::{Batch, Finding, Outcome, Report};
use super::queue::{Next, Queue};
use super::reader::Reader;
use super::recover::Opened;
use super::repair::Repairer;
use super::space::Tidied;
use super::{Condition, DATABASE, StoreOptions};
use crate::config::Domain;

/// Requests that may wait for the writer; callers beyond that wait at their own deadline.
const QUEUE: usize = 4096;
/// Requests of one transaction at most: it bounds how long the first of them waits for the last.
const MOST_IN_ONE_COMMIT: usize = 1024;
/// How long nothing is asked before space is given back that few changes have freed.
const QUIET: Duration = Duration::from_secs(1);

/// What commits; none when the store is closed. Poisoned by a panic in a commit, which ends the writer.
type Shared = Arc<Mutex<Option<Committer>>>;

/// The way to change the store. Dropping the last one commits what was submitted and waits for that.
#[derive(Clone)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
    unanswered: Unanswered,
    committer: Shared,
    awake: Arc<Awake>,
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
        let (unanswered, meter) = (Unanswered::default(), Arc::new(Meter::default()));
        let repairs = Repairs::of(&jobs, &unanswered);
        let repairer = Repairer::new(options, condition, repairs.clone(), opened.checked)?;
        let path = options.state_dir.join(DATABASE);
        let reader = Reader::new(repairer.slot(), repairs, &path, Arc::clone(&meter), options.limits);
        let committer = Committer::new(opened.connection, repairer, options, wakes, meter)?;
        let committer = Arc::new(Mutex::new(Some(committer)));
        let thread = Thread { committer: Arc::clone(&committer), lock, queue: Queue::new(queue) };
        let failed = |error| {
            let reason = format!("cannot start the store's writer thread: {error}");
            StoreError::new(StoreErrorKind::Io, reason)
        };
        let thread = thread::Builder::new()
            .name("fm-store-writer".to_owned())
            .spawn(move || thread.run())
            .map_err(failed)?;
        let (awake, thread) = (Arc::new(Awake::start()?), Arc::new(Joined(Some(thread))));
        Ok((Self { jobs, unanswered, committer, awake, _thread: thread }, reader))
    }

    /// Puts a batch in its place in the order. Waits only while the queue is full.
    pub async fn submit(&self, batch: Batch) -> Result<Submitted, StoreError> {
        self.send(Work::Batch(batch)).await
    }

    /// As [`Self::submit`]; when nothing else waits, the batch is committed here and now, by the thread that
    /// asks; others take over its work meanwhile. For a few changes of a caller that is alone: it spares the way
    /// to the writer's thread and back.
    pub async fn submit_at_once(&self, batch: Batch) -> Result<Submitted, StoreError> {
        let work = Work::Batch(batch);
        match self.commit_at_once(&work) {
            Some(outcomes) => Ok(Submitted::committed_already(outcomes)),
            None => self.send(work).await,
        }
    }

    fn commit_at_once(&self, work: &Work) -> Option<Vec<Outcome>> {
        if !self.unanswered.is_none() {
            return None;
        }
        let mut committer = self.committer.try_lock().ok()?;
        let committer = committer.as_mut()?;
        self.awake.during(|| committer.commit_at_once(work))
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
        let (job, submitted) = Job::new(work, &self.unanswered);
        self.jobs.send(job).await.map_err(|_| StoreError::stopped())?;
        Ok(submitted)
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
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
    committer: Shared,
    lock: File,
    queue: Queue,
}

impl Thread {
    fn run(mut self) {
        let mut stops = Vec::new();
        while stops.is_empty()
            && let Some(first) = self.next()
        {
            if self.round(first, &mut stops).is_none() {
                break;
            }
        }
        // What is poisoned may be in the middle of a change: SQLite takes that back when it is opened again.
        let closed = match self.committer.lock().ok().and_then(|mut committer| committer.take()) {
            Some(committer) => committer.close(),
            None => Err(StoreError::stopped()),
        };
        if let Err(error) = &closed {
            tracing::warn!(%error, "the store did not close cleanly; nothing is lost");
        }
        // Whoever knows that it has stopped finds the directory free, and nothing that takes what comes later.
        drop((self.lock, self.queue));
        for job in stops {
            job.answer(closed.clone().map(|()| Vec::new()));
        }
    }

    /// Commits what waits; `None` when there is nothing left to commit it with.
    fn round(&mut self, first: Job, stops: &mut Vec<Job>) -> Option<()> {
        let mut committer = self.committer.lock().ok()?;
        let committer = committer.as_mut()?;
        let mut jobs = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            match &job.work {
                Work::Stop => stops.push(job),
                Work::Repair(seen, error) => {
                    let repaired = committer.repair(*seen, &error.clone());
                    job.answer(repaired.map(|()| Vec::new()));
                }
                _ => jobs.push(job),
            }
            let has_room = jobs.len() < MOST_IN_ONE_COMMIT;
            next = if has_room && let Next::Job(job) = self.queue.take() { Some(job) } else { None };
        }
        committer.commit(jobs);
        Some(())
    }

    /// Waits for the next job; meanwhile gives space back.
    fn next(&mut self) -> Option<Job> {
        let mut is_quiet = false;
        loop {
            match self.queue.take() {
                Next::Job(job) => return Some(job),
                Next::Closed => return None,
                Next::Nothing => {}
            }
            let tidied = self.committer.lock().ok()?.as_mut()?.tidy(is_quiet);
            let next = match tidied {
                Tidied::HasMore => continue,
                Tidied::All => return self.queue.wait(),
                Tidied::NotYet => self.queue.wait_at_most(QUIET),
            };
            match next {
                Next::Job(job) => return Some(job),
                Next::Closed => return None,
                Next::Nothing => is_quiet = true,
            }
        }
    }
}
