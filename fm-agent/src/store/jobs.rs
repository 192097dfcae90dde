//! What the writer is asked to do, and how its answers come back.
//!
//! It knows no SQL and starts nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{mpsc, oneshot};

use super::bounds::Held;
use super::error::StoreError;
use super::model::{Batch, Finding, Outcome, Report};
use crate::config::Domain;

/// What became of a job.
pub(super) type Done = Result<Vec<Outcome>, StoreError>;

type Reply = oneshot::Sender<Done>;

/// Something to do, and who waits for it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) work: Work,
    reply: Reply,
    // Below the reply, so that it is counted until that is sent.
    _counted: Counted,
}

/// How many jobs were made and are not answered yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Unanswered(Arc<AtomicUsize>);

impl Unanswered {
    /// Whether there are none.
    pub(super) fn is_none(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

/// One of [`Unanswered`], for as long as it lives.
#[derive(Debug)]
struct Counted(Unanswered);

impl Counted {
    fn new(unanswered: &Unanswered) -> Self {
        unanswered.0.fetch_add(1, Ordering::AcqRel);
        Self(unanswered.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Work {
    Batch(Batch),
    Report(Report),
    Heal(Domain, Vec<Finding>),
    /// Damage was seen when so many repairs had been done.
    Repair(u64, StoreError),
    Flush,
    Stop,
}

impl Work {
    /// What it is held to; reports are held to nothing, for they make room.
    pub(super) fn held(&self) -> Option<Held> {
        match self {
            Self::Batch(batch) if batch.ops.iter().all(|op| !op.raises_or_logs()) => Some(Held::ToClears),
            Self::Batch(_) => Some(Held::ToSets),
            Self::Heal(..) => Some(Held::ToClears),
            Self::Report(_) | Self::Repair(..) | Self::Flush | Self::Stop => None,
        }
    }

    /// How many requests it may add.
    pub(super) fn changes(&self) -> u64 {
        match self {
            Self::Batch(batch) => batch.ops.len() as u64,
            Self::Heal(_, findings) => findings.len() as u64,
            Self::Report(_) | Self::Repair(..) | Self::Flush | Self::Stop => 0,
        }
    }

    /// Whether the last room on the disk is for it.
    pub(super) fn is_essential(&self) -> bool {
        self.held() != Some(Held::ToSets)
    }
}

impl Job {
    /// A job, and where its answer arrives.
    pub(super) fn new(work: Work, unanswered: &Unanswered) -> (Self, Submitted) {
        let (reply, answer) = oneshot::channel();
        (Self { work, reply, _counted: Counted::new(unanswered) }, Submitted(Answer::Comes(answer)))
    }

    /// A caller that has gone is no error: what it asked for is done, or is not.
    pub(super) fn answer(self, result: Done) {
        let _gone = self.reply.send(result);
    }
}

/// A change that has its place in the order and waits for its commit.
#[derive(Debug)]
pub struct Submitted(Answer);

#[derive(Debug)]
enum Answer {
    Comes(oneshot::Receiver<Done>),
    IsThere(Vec<Outcome>),
}

impl Submitted {
    /// One whose commit is done.
    pub(super) fn committed_already(outcomes: Vec<Outcome>) -> Self {
        Self(Answer::IsThere(outcomes))
    }

    /// Whether nothing has to be waited for.
    #[cfg(test)]
    pub(super) fn is_committed_already(&self) -> bool {
        matches!(self.0, Answer::IsThere(_))
    }

    /// Waits for the commit.
    pub async fn committed(self) -> Done {
        match self.0 {
            Answer::Comes(answer) => answer.await.unwrap_or_else(|_| Err(StoreError::stopped())),
            Answer::IsThere(outcomes) => Ok(outcomes),
        }
    }
}

/// The way to have damage repaired, for those who find it. It does not keep the writer going.
#[derive(Debug, Clone)]
pub(super) struct Repairs {
    jobs: mpsc::WeakSender<Job>,
    unanswered: Unanswered,
    done: Arc<AtomicU64>,
}

impl Repairs {
    /// Asks the writer that takes these jobs.
    pub(super) fn of(jobs: &mpsc::Sender<Job>, unanswered: &Unanswered) -> Self {
        Self { jobs: jobs.downgrade(), unanswered: unanswered.clone(), done: Arc::default() }
    }

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
        let (job, submitted) = Job::new(Work::Repair(seen, error), &self.unanswered);
        let jobs = self.jobs.upgrade().ok_or_else(StoreError::stopped)?;
        jobs.send(job).await.map_err(|_| StoreError::stopped())?;
        drop(jobs);
        submitted.committed().await.map(drop)
    }

    /// Has damage repaired, and waits for nothing; for threads.
    pub(super) fn tell(&self, seen: u64, error: StoreError) {
        let (job, _submitted) = Job::new(Work::Repair(seen, error), &self.unanswered);
        if let Some(jobs) = self.jobs.upgrade() {
            // A writer that has stopped leaves it to the next start.
            let _stopped = jobs.blocking_send(job);
        }
    }
}
