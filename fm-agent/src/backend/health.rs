//! Whether a controller can be used at present.
//!
//! Invariants:
//! - A controller that failed counts as down, at once and for everybody, until it has answered again.
//! - While it is down only a probe goes to it, after a pause with full jitter between 250 ms and an
//!   upper bound that doubles with each failure, up to the domain's longest pause. There is no giving up.
//! - Changes are logged once, with the reason.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fm_common::Timestamp;
use tokio::sync::Notify;

use super::resync::Resync;
use crate::config::Domain;

/// The shortest pause between two attempts.
pub const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
/// How long writes ask no more after a question that was not answered in time.
const ASK_PAUSE: Duration = Duration::from_secs(5);

/// A pause before the next attempt after this many failures in a row (from 1), of this length at most.
fn pause(failures: u32, longest: Duration) -> Duration {
    let doubled = SHORTEST_PAUSE.saturating_mul(2u32.saturating_pow(failures.min(16)));
    let longest = doubled.min(longest).max(SHORTEST_PAUSE);
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(fastrand::u64(millis(SHORTEST_PAUSE)..=millis(longest)))
}

/// How a controller is, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It has not been asked yet.
    Unknown,
    /// It answered lately.
    Up,
    /// It cannot be used.
    Down {
        /// Since when.
        since: Timestamp,
        /// What happened last.
        reason: String,
    },
}

/// The health of one domain's controller, shared by all that use it.
#[derive(Debug)]
pub struct Health {
    domain: Domain,
    longest_pause: Duration,
    state: Mutex<State>,
    changed: Notify,
    resync: Resync,
}

#[derive(Debug)]
struct State {
    condition: Condition,
    failures: u32,
    recoveries: u64,
    probe_at: Option<Instant>,
    ask_from: Option<Instant>,
}

impl Health {
    /// A controller that nobody has asked yet: it counts as up. Pauses grow up to `longest_pause`.
    pub fn new(domain: Domain, longest_pause: Duration) -> Self {
        let state = State {
            condition: Condition::Unknown,
            failures: 0,
            recoveries: 0,
            probe_at: None,
            ask_from: None,
        };
        let (state, resync) = (Mutex::new(state), Resync::new());
        Self { domain, longest_pause, state, changed: Notify::new(), resync }
    }

    /// Whether it has to be compared with what this node raised: once at first, and once after each time
    /// it was down.
    pub fn resync(&self) -> &Resync {
        &self.resync
    }

    /// A pause before the next attempt after this many failures in a row (from 1).
    pub fn pause(&self, failures: u32) -> Duration {
        pause(failures, self.longest_pause)
    }

    /// How it is.
    pub fn condition(&self) -> Condition {
        self.lock().condition.clone()
    }

    /// How often it has come back since this was asked last.
    pub fn take_recoveries(&self) -> u64 {
        std::mem::take(&mut self.lock().recoveries)
    }

    /// Why it counts as down, if it does.
    pub fn down(&self) -> Option<String> {
        match &self.lock().condition {
            Condition::Down { reason, .. } => Some(reason.clone()),
            Condition::Unknown | Condition::Up => None,
        }
    }

    /// When a controller that is down is to be probed next.
    pub fn probe_at(&self) -> Option<Instant> {
        self.lock().probe_at
    }

    /// Waits until it has failed or come back, whoever found out. For one who waits: the delivery of its
    /// domain, which then probes or goes on.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether a write may ask it a question.
    pub fn may_ask(&self) -> bool {
        let state = self.lock();
        !matches!(state.condition, Condition::Down { .. })
            && state.ask_from.is_none_or(|from| Instant::now() >= from)
    }

    /// A write's question was not answered in time: writes ask no more for a while.
    pub fn ask_timed_out(&self) {
        self.lock().ask_from = Some(Instant::now() + ASK_PAUSE);
    }

    /// It answered.
    pub fn succeeded(&self) {
        let mut state = self.lock();
        let before = std::mem::replace(&mut state.condition, Condition::Up);
        state.failures = 0;
        state.probe_at = None;
        state.recoveries += u64::from(matches!(before, Condition::Down { .. }));
        drop(state);
        match before {
            Condition::Down { since, .. } => {
                self.changed.notify_one();
                tracing::info!(domain = %self.domain, down_since = %since, "controller is up again");
                self.resync.want();
            }
            Condition::Unknown => tracing::info!(domain = %self.domain, "controller is up"),
            Condition::Up => {}
        }
    }

    /// It cannot be used.
    pub fn failed(&self, reason: &str) {
        let mut state = self.lock();
        // Several requests fail at once when a controller goes: that is one failure.
        if state.probe_at.is_none_or(|at| at <= Instant::now()) {
            state.failures = state.failures.saturating_add(1);
            state.probe_at = Some(Instant::now() + self.pause(state.failures));
        }
        let (since, changed) = match &state.condition {
            Condition::Down { since, reason: before } => (*since, before != reason),
            Condition::Unknown | Condition::Up => (Timestamp::now(), true),
        };
        state.condition = Condition::Down { since, reason: reason.to_owned() };
        drop(state);
        self.changed.notify_one();
        if changed {
            tracing::warn!(domain = %self.domain, reason, "controller is down; requests wait on disk");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change leaves the state whole, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const LONGEST: Duration = Duration::from_secs(30);

    #[test]
    fn pauses_grow_and_stay_within_bounds() {
        for failures in 1..200 {
            let pause = pause(failures, LONGEST);
            assert!((SHORTEST_PAUSE..=LONGEST).contains(&pause), "{failures}: {pause:?}");
        }
        let longest = |failures| (0..500).map(|_| pause(failures, LONGEST)).max().unwrap();
        assert!(longest(1) <= SHORTEST_PAUSE * 2);
        assert!(longest(20) > longest(1) * 10);
    }

    #[test]
    fn down_until_it_answers() {
        let health = Health::new(Domain::Platform, LONGEST);
        assert!(health.may_ask());
        assert_eq!(health.down(), None);
        health.failed("connection refused");
        assert_eq!(health.down().as_deref(), Some("connection refused"));
        assert!(!health.may_ask());
        assert!(health.probe_at().is_some());
        health.succeeded();
        assert_eq!(health.condition(), Condition::Up);
        assert_eq!([health.take_recoveries(), health.take_recoveries()], [1, 0]);
        assert!(health.may_ask());
        assert_eq!(health.probe_at(), None);
    }

    #[tokio::test]
    async fn whoever_delivers_is_told_of_both_ways() {
        let health = Health::new(Domain::Platform, LONGEST);
        health.failed("connection refused");
        assert!(health.changed().now_or_never().is_some());
        assert!(health.changed().now_or_never().is_none(), "once");
        // A question that was under way all the while comes back with an answer.
        health.succeeded();
        assert!(health.changed().now_or_never().is_some());
        health.succeeded();
        assert!(health.changed().now_or_never().is_none(), "nothing new");
    }

    #[test]
    fn a_late_answer_stops_questions_only() {
        let health = Health::new(Domain::Platform, LONGEST);
        health.succeeded();
        health.ask_timed_out();
        assert!(!health.may_ask());
        assert_eq!(health.down(), None);
    }
}
