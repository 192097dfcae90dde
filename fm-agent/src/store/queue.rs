//! What waits for the writer's thread, in order.
//!
//! It is for one thread, which is none of the runtime's: it knows no runtime and needs none.

use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use super::jobs::Job;

/// The end of the queue from which jobs are taken.
pub(super) struct Queue(mpsc::Receiver<Job>);

/// What there is to take.
pub(super) enum Next {
    Job(Job),
    /// Nothing yet.
    Nothing,
    /// Nothing ever again.
    Closed,
}

impl Queue {
    /// The other end of what these jobs are sent to.
    pub(super) fn new(jobs: mpsc::Receiver<Job>) -> Self {
        Self(jobs)
    }

    /// The next job that is there.
    pub(super) fn take(&mut self) -> Next {
        match self.0.try_recv() {
            Ok(job) => Next::Job(job),
            Err(TryRecvError::Empty) => Next::Nothing,
            Err(TryRecvError::Disconnected) => Next::Closed,
        }
    }

    /// Waits for the next job.
    pub(super) fn wait(&mut self) -> Option<Job> {
        self.0.blocking_recv()
    }

    /// Waits so long at most.
    pub(super) fn wait_at_most(&mut self, pause: Duration) -> Next {
        let started = Instant::now();
        let waker = Arc::new(Unpark(thread::current())).into();
        loop {
            if let Poll::Ready(next) = self.0.poll_recv(&mut Context::from_waker(&waker)) {
                return next.map_or(Next::Closed, Next::Job);
            }
            let left = pause.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Next::Nothing;
            }
            thread::park_timeout(left);
        }
    }
}

/// Wakes a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
