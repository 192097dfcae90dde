//! What commits: a transaction of jobs, with room made for it, damage repaired, and a disk that is full dealt with.
//!
//! Invariants:
//! - A request that fails takes no other with it: the transaction is done again with a savepoint for each. When
//!   the disk is full, what fits is taken all the same.
//! - An answer is sent after the commit. When the commit fails, every request in it fails, and the
//!   tokens taken in it are forgotten.
//!
//! It is used by one thread at a time and decides nothing about which jobs come together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::Notify;

use super::bounds::Bounds;
use super::changes::{Apart, Changes};
use super::error::{StoreError, StoreErrorKind};
use super::jobs::{Done, Job, Work};
use super::limits::Limits;
use super::meter::{Meter, Teller};
use super::model::{KeepRejected, Outcome};
use super::repair::Repairer;
use super::space::{Reserve, Tidied, Tidy};
use super::tokens::Tokens;
use super::transaction::Transaction;
use super::{StoreOptions, schema};
use crate::config::Domain;
use crate::failpoint::{self, Moment};
use crate::metrics::Metrics;

/// The writing connection, and what is known of the database.
pub(super) struct Committer {
    connection: Connection,
    repairer: Repairer,
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

impl Committer {
    /// Looks at what the database holds.
    pub(super) fn new(
        connection: Connection,
        repairer: Repairer,
        options: &StoreOptions,
        wakes: BTreeMap<Domain, Arc<Notify>>,
        meter: Arc<Meter>,
    ) -> Result<Self, StoreError> {
        let here = options.domains.iter().filter(|(_, here)| **here).map(|(domain, _)| *domain).collect();
        let bounds = Bounds::load(&connection, &options.limits)?;
        let reserve = Reserve::new(&options.state_dir)?;
        meter.publish(&bounds.counts);
        meter.set_disk_full(!reserve.is_held());
        let committer = Self {
            tokens: Tokens::load(&connection)?,
            reserve,
            connection,
            repairer,
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
        committer.configure()?;
        Ok(committer)
    }

    /// Lets the WAL grow no further than the reserve has room for.
    fn configure(&self) -> Result<(), StoreError> {
        let wal_pages = self.reserve.wal_pages(self.bounds.page_size());
        schema::set(&self.connection, "wal_autocheckpoint", i64::try_from(wal_pages).unwrap_or(i64::MAX))
    }

    /// Gives space back, a step, and after a quiet time whatever there is to give.
    pub(super) fn tidy(&mut self, is_quiet: bool) -> Tidied {
        self.tidy.step(&self.connection, is_quiet).unwrap_or_else(|error| {
            tracing::debug!(%error, "the store cannot give space back now; it is tried again");
            Tidied::NotYet
        })
    }

    /// Checkpoints and closes the database.
    pub(super) fn close(mut self) -> Result<(), StoreError> {
        self.repairer.end(&mut self.connection);
        let closed = close(self.connection);
        // It may hold the lock.
        drop(self.repairer);
        closed
    }

    /// Commits one piece of work by itself. `None` when that needs more than a commit, such as room or a repair:
    /// then nothing was changed, and it is for [`Self::commit`].
    pub(super) fn commit_at_once(&mut self, work: &Work) -> Option<Vec<Outcome>> {
        if !self.reserve.is_held() || self.tidy.is_due() || self.repairer.closed().is_some() {
            return None;
        }
        let mut woken = BTreeSet::new();
        let counts = self.bounds.counts;
        let begun = Instant::now();
        if let Ok(Some(mut results)) = self.attempt(&[work], &mut woken, true, Apart::Together) {
            self.kept(1, begun, &woken);
            return results.pop()?.ok();
        }
        // Whatever is in its way, it is met again, and told then.
        self.tokens.forget_new();
        self.bounds.take_back(counts);
        None
    }

    /// Commits and answers.
    pub(super) fn commit(&mut self, jobs: Vec<Job>) {
        let failed = if jobs.is_empty() { None } else { self.commit_jobs(jobs) };
        self.teller.tell(&self.meter, failed.as_ref(), Instant::now());
    }

    /// As [`Self::commit`]; gives the last failure.
    fn commit_jobs(&mut self, jobs: Vec<Job>) -> Option<StoreError> {
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
    pub(super) fn repair(&mut self, seen: u64, error: &StoreError) -> Result<(), StoreError> {
        let (done, was_open) = (self.repairer.done(), self.repairer.closed().is_none());
        self.repairer.repair(&mut self.connection, seen, error)?;
        if was_open && self.repairer.done() == done {
            // There was nothing to repair any more.
            return Ok(());
        }
        // What is known of the database that was there before must not be taken for this one's.
        self.look_again().inspect_err(|error| self.repairer.close(error.clone()))?;
        // Whoever delivers finds requests where there were none.
        self.wakes.values().for_each(|wake| wake.notify_one());
        Ok(())
    }

    /// Looks at what the database holds that has taken another's place.
    fn look_again(&mut self) -> Result<(), StoreError> {
        let has_reserve = self.reserve.look_again();
        self.meter.set_disk_full(!has_reserve);
        self.tokens = Tokens::load(&self.connection)?;
        self.bounds = Bounds::load(&self.connection, &self.limits)?;
        self.meter.publish(&self.bounds.counts);
        self.configure()
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
        let works: Vec<&Work> = jobs.iter().map(|job| &job.work).collect();
        let error = match self.transaction(&works, &mut woken, repairs) {
            Ok(results) => {
                self.kept(jobs.len(), begun, &woken);
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
        self.bounds.take_back(counts);
        if repairs && (error.is_repairable() || self.repairer.closed().is_some()) {
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

    /// A transaction of so many jobs is on disk.
    fn kept(&mut self, jobs: usize, begun: Instant, woken: &BTreeSet<Domain>) {
        self.metrics.committed(jobs, begun.elapsed());
        self.tidy.done(jobs);
        self.tokens.keep_new();
        self.meter.publish(&self.bounds.counts);
        for wake in woken.iter().filter_map(|domain| self.wakes.get(domain)) {
            wake.notify_one();
        }
    }

    /// One transaction; a result each, or the reason why nothing of it is kept.
    fn transaction(
        &mut self,
        works: &[&Work],
        woken: &mut BTreeSet<Domain>,
        repairs: bool,
    ) -> Result<Vec<Done>, StoreError> {
        if let Some(error) = self.repairer.closed() {
            return Err(error.clone());
        }
        let counts = self.bounds.counts;
        // Jobs seldom fail, and savepoints cost as much as a change.
        if let Some(results) = self.attempt(works, woken, repairs, Apart::Together)? {
            return Ok(results);
        }
        self.tokens.forget_new();
        self.bounds.take_back(counts);
        Ok(self.attempt(works, woken, repairs, Apart::Each)?.unwrap_or_default())
    }

    /// Tries it; `None` when a job has failed and nothing keeps it apart from the others.
    fn attempt(
        &mut self,
        works: &[&Work],
        woken: &mut BTreeSet<Domain>,
        repairs: bool,
        apart: Apart,
    ) -> Result<Option<Vec<Done>>, StoreError> {
        let Self { connection, bounds, tokens, here, max_events, rejected, .. } = self;
        let mut transaction = Transaction::begin(connection)?;
        let mut changes =
            Changes { bounds, tokens, here, max_events: *max_events, rejected: *rejected, woken, apart };
        let mut results = Vec::with_capacity(works.len());
        for work in works {
            let applied = changes.make(&mut transaction, work);
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
