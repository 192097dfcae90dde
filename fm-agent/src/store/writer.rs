//! The writer thread: takes what is waiting, commits it as one transaction, then answers.
//!
//! Invariants:
//! - Only this thread writes. It never waits for company: it takes what is there and commits.
//! - Each request has a savepoint: one that fails takes no other with it.
//! - An answer is sent after the commit. When the commit fails, every request in it fails, and the
//!   tokens taken in it are forgotten.
//!
//! It must not call a controller, and nothing but the disk may hold it.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use fm_common::protocol::Token;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{Notify, mpsc, oneshot};

use super::apply::Apply;
use super::deliveries;
use super::error::{StoreError, StoreErrorKind};
use super::model::{Batch, Outcome, Report};
use super::tables;
use crate::config::Domain;

/// Requests that may wait for the writer; callers beyond that wait at their own deadline.
const QUEUE: usize = 4096;
/// Requests of one transaction at most: it bounds how long the first of them waits for the last.
const MOST_IN_ONE_COMMIT: usize = 1024;
/// Tokens remembered. A caller tries once more at once, so the newest few are enough.
const REMEMBERED_TOKENS: usize = 8192;

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

enum Job {
    Batch(Batch, Reply<Vec<Outcome>>),
    Report(Report, Reply<()>),
    Flush(Reply<()>),
    Stop(Reply<()>),
}

/// The way to change the store.
#[derive(Debug, Clone)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
}

/// A change that has its place in the order and waits for its commit.
#[derive(Debug)]
pub struct Submitted<T>(oneshot::Receiver<Result<T, StoreError>>);

impl<T> Submitted<T> {
    /// Waits for the commit.
    pub async fn committed(self) -> Result<T, StoreError> {
        self.0.await.unwrap_or_else(|_| Err(StoreError::stopped()))
    }
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        here: BTreeSet<Domain>,
        max_events: u32,
        wakes: BTreeMap<Domain, Arc<Notify>>,
    ) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let tokens = Tokens::load(&connection)?;
        let thread = Thread { connection, queue, here, max_events, wakes, tokens };
        thread::Builder::new()
            .name("fm-store-writer".to_owned())
            .spawn(move || thread.run())
            .map(|_: JoinHandle<()>| Self { jobs })
            .map_err(|error| {
                StoreError::new(
                    StoreErrorKind::Io,
                    format!("cannot start the store's writer thread: {error}"),
                )
            })
    }

    /// Puts a batch in its place in the order. Waits only while the queue is full.
    pub async fn submit(&self, batch: Batch) -> Result<Submitted<Vec<Outcome>>, StoreError> {
        self.send(|reply| Job::Batch(batch, reply)).await
    }

    /// Records what became of a delivery; returns after the commit.
    pub async fn report(&self, report: Report) -> Result<(), StoreError> {
        self.send(|reply| Job::Report(report, reply)).await?.committed().await
    }

    /// Returns when everything submitted before is on disk.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.send(Job::Flush).await?.committed().await
    }

    /// Commits what was submitted before, checkpoints and ends the thread. What comes later fails.
    pub async fn stop(&self) -> Result<(), StoreError> {
        self.send(Job::Stop).await?.committed().await
    }

    async fn send<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<Submitted<T>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(job(reply)).await.map_err(|_| StoreError::stopped())?;
        Ok(Submitted(answer))
    }
}

struct Thread {
    connection: Connection,
    queue: mpsc::Receiver<Job>,
    here: BTreeSet<Domain>,
    max_events: u32,
    wakes: BTreeMap<Domain, Arc<Notify>>,
    tokens: Tokens,
}

/// A job that was applied and waits for the commit.
enum Applied {
    Batch(Result<Vec<Outcome>, StoreError>, Reply<Vec<Outcome>>),
    Plain(Result<(), StoreError>, Reply<()>),
}

impl Applied {
    /// Answers; when the commit failed, with its failure. A caller that has gone is no error.
    fn answer(self, commit: &Result<(), StoreError>) {
        let failed = commit.as_ref().err().cloned();
        match self {
            Self::Batch(result, reply) => {
                let _gone = reply.send(failed.map_or(result, Err));
            }
            Self::Plain(result, reply) => {
                let _gone = reply.send(failed.map_or(result, Err));
            }
        }
    }
}

impl Thread {
    fn run(mut self) {
        while let Some(first) = self.queue.blocking_recv() {
            let mut jobs = vec![first];
            while jobs.len() < MOST_IN_ONE_COMMIT
                && let Ok(job) = self.queue.try_recv()
            {
                jobs.push(job);
            }
            if self.commit(jobs) {
                break;
            }
        }
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "the store did not close cleanly; nothing is lost");
        }
    }

    /// Applies and commits; true when the thread has to stop.
    fn commit(&mut self, jobs: Vec<Job>) -> bool {
        let mut woken = BTreeSet::new();
        let mut applied = Vec::with_capacity(jobs.len());
        let mut stop = None;
        let committed = self.transaction(jobs, &mut applied, &mut woken, &mut stop);
        if let Err(error) = &committed {
            tracing::error!(%error, requests = applied.len(), "the store could not commit");
            self.tokens.forget_new();
        } else {
            self.tokens.keep_new();
            for domain in woken {
                if let Some(wake) = self.wakes.get(&domain) {
                    wake.notify_one();
                }
            }
        }
        for job in applied {
            job.answer(&committed);
        }
        match stop {
            Some(reply) => {
                let checkpoint = self.connection.pragma_update(None, "wal_checkpoint", "TRUNCATE");
                let _gone = reply.send(committed.and(checkpoint.map_err(StoreError::from)));
                true
            }
            None => false,
        }
    }

    fn transaction(
        &mut self,
        jobs: Vec<Job>,
        applied: &mut Vec<Applied>,
        woken: &mut BTreeSet<Domain>,
        stop: &mut Option<Reply<()>>,
    ) -> Result<(), StoreError> {
        // Each job must be answered, so all of them are applied, or failed, before an error leaves.
        let opened = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let (mut transaction, failed) = match opened {
            Ok(transaction) => (Some(transaction), None),
            Err(error) => (None, Some(StoreError::from(error))),
        };
        for job in jobs {
            let savepoint = match (&mut transaction, &failed) {
                // Out of a transaction a savepoint would open, and later commit, one of its own.
                (Some(transaction), None) if transaction.is_autocommit() => Err(lost_transaction()),
                (Some(transaction), None) => transaction.savepoint().map_err(StoreError::from),
                (_, failed) => Err(failed.clone().unwrap_or_else(StoreError::stopped)),
            };
            let mut apply = |connection: &Connection, batch: &Batch| {
                let mut apply =
                    Apply { connection, here: &self.here, max_events: self.max_events, woken: &mut *woken };
                if self.tokens.taken(batch.token) { apply.taken(batch) } else { apply.batch(batch) }
            };
            match job {
                Job::Batch(batch, reply) => {
                    let result = savepoint.and_then(|savepoint| {
                        let outcomes = apply(&savepoint, &batch)?;
                        savepoint.commit()?;
                        Ok(outcomes)
                    });
                    let changed = |outcomes: &Vec<Outcome>| outcomes.iter().any(|it| *it != Outcome::Unknown);
                    if result.as_ref().is_ok_and(changed) {
                        self.tokens.take(batch.token);
                    }
                    applied.push(Applied::Batch(result, reply));
                }
                Job::Report(report, reply) => {
                    let result = savepoint.and_then(|savepoint| {
                        deliveries::report(&savepoint, &report)?;
                        Ok(savepoint.commit()?)
                    });
                    applied.push(Applied::Plain(result, reply));
                }
                Job::Flush(reply) => applied.push(Applied::Plain(savepoint.map(drop), reply)),
                Job::Stop(reply) => *stop = Some(reply),
            }
        }
        match (transaction, failed) {
            (Some(transaction), None) if transaction.is_autocommit() => Err(lost_transaction()),
            (Some(transaction), None) => Ok(transaction.commit()?),
            (_, failed) => Err(failed.unwrap_or_else(StoreError::stopped)),
        }
    }
}

/// SQLite ends a transaction by itself when the disk is full or fails: nothing of it is kept.
fn lost_transaction() -> StoreError {
    let reason = "store: the disk is full or failed, and took the whole commit with it";
    StoreError::new(StoreErrorKind::Full, reason)
}

/// The newest tokens, so that a call that is repeated is taken once.
struct Tokens {
    known: HashSet<Token>,
    order: VecDeque<Token>,
    new: Vec<Token>,
}

impl Tokens {
    /// Tokens of what still waits: a call may be repeated to the agent that follows one that died.
    fn load(connection: &Connection) -> Result<Self, StoreError> {
        let order: VecDeque<Token> = tables::recent_tokens(connection, REMEMBERED_TOKENS)?.into();
        Ok(Self { known: order.iter().copied().collect(), order, new: Vec::new() })
    }

    fn taken(&self, token: Option<Token>) -> bool {
        token.is_some_and(|token| self.known.contains(&token))
    }

    fn take(&mut self, token: Option<Token>) {
        if let Some(token) = token
            && self.known.insert(token)
        {
            self.new.push(token);
        }
    }

    fn keep_new(&mut self) {
        self.order.extend(self.new.drain(..));
        while self.order.len() > REMEMBERED_TOKENS {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }

    fn forget_new(&mut self) {
        for token in self.new.drain(..) {
            self.known.remove(&token);
        }
    }
}
