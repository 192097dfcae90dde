//! Whether a controller can be used at present.
//!
//! Invariants:
//! - A controller that failed counts as down, at once and for everybody, until it has answered again.
//! - One that a write took down stays down until it has taken a write, for there are those that let reads through and
//!   refuse writes: an account that may only read, a proxy with rules. As soon as it answers questions, it is asked.
//! - While it is down only a probe goes to it, and after one that was answered a single write, if writes took it
//!   down; after a pause with full jitter between 250 ms and an upper bound that doubles with each failure, up to
//!   the domain's longest pause. There is no giving up.
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

/// What of a domain's queue may go to its controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// What may go by itself.
    Open,
    /// One request at a time, to see whether it is taken.
    Trial,
    /// Nothing; it is to be probed at this moment.
    Closed(Instant),
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
    /// Since a write took it down: why the last one was not taken.
    refusal: Option<String>,
    /// While writes keep it down: it answers questions.
    answers: bool,
    failures: u32,
    recoveries: u64,
    /// While it is down and no write is to be tried.
    probe_at: Option<Instant>,
    ask_from: Option<Instant>,
}

impl State {
    fn is_down(&self) -> bool {
        matches!(self.condition, Condition::Down { .. })
    }

    /// It is down for this reason; gives whether that is news.
    fn set_down(&mut self, reason: &str) -> bool {
        let (since, is_news) = match &self.condition {
            Condition::Down { since, reason: before } => (*since, before != reason),
            Condition::Unknown | Condition::Up => (Timestamp::now(), true),
        };
        self.condition = Condition::Down { since, reason: reason.to_owned() };
        is_news
    }
}

impl Health {
    /// A controller that nobody has asked yet: it counts as up. Pauses grow up to `longest_pause`.
    pub fn new(domain: Domain, longest_pause: Duration) -> Self {
        let state = State {
            condition: Condition::Unknown,
            refusal: None,
            answers: false,
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

    /// Why it cannot be asked anything at present, if so.
    pub fn unreachable(&self) -> Option<String> {
        let state = self.lock();
        match &state.condition {
            Condition::Down { reason, .. } if !state.answers => Some(reason.clone()),
            Condition::Down { .. } | Condition::Unknown | Condition::Up => None,
        }
    }

    /// What may be delivered at present.
    pub fn way(&self) -> Way {
        let state = self.lock();
        match state.probe_at {
            Some(at) => Way::Closed(at),
            None if state.is_down() => Way::Trial,
            None => Way::Open,
        }
    }

    /// Waits until it has failed or come back, whoever found out. For one who waits: the delivery of its
    /// domain, which then probes or goes on.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether a write may ask it a question.
    pub fn may_ask(&self) -> bool {
        let state = self.lock();
        (state.answers || !state.is_down()) && state.ask_from.is_none_or(|from| Instant::now() >= from)
    }

    /// A write's question was not answered in time: writes ask no more for a while.
    pub fn ask_timed_out(&self) {
        self.lock().ask_from = Some(Instant::now() + ASK_PAUSE);
    }

    /// It answered a question: it is up, unless writes took it down.
    pub fn succeeded(&self) {
        let mut state = self.lock();
        match state.refusal.clone() {
            None => self.note_up(state),
            Some(refusal) => {
                state.answers = true;
                state.set_down(&refusal);
            }
        }
    }

    /// It answered the probe that was due. If writes took it down, one may go now.
    pub fn probed(&self) {
        self.succeeded();
        let mut state = self.lock();
        // A question that failed since has its own pause.
        if state.answers {
            state.probe_at = None;
        }
    }

    /// It answered a write for good: it took it, or refused that one alone.
    pub fn took_write(&self) {
        self.note_up(self.lock());
    }

    /// It answered a write, and neither took it nor refused it for good.
    pub fn put_off_write(&self, reason: &str) {
        let mut state = self.lock();
        if let Some(refusal) = &mut state.refusal {
            reason.clone_into(refusal);
        }
        drop(state);
        self.succeeded();
    }

    /// A question was not answered: it cannot be used.
    pub fn failed(&self, reason: &str) {
        let mut state = self.lock();
        state.answers = false;
        self.note_down(state, reason);
    }

    /// A write was not taken, whatever the write: it cannot be used. Whether questions are answered all the same
    /// shows at the next probe, and this says nothing new about it when one has been answered before.
    pub fn refused_write(&self, reason: &str) {
        let mut state = self.lock();
        state.refusal = Some(reason.to_owned());
        self.note_down(state, reason);
    }

    fn note_up(&self, mut state: MutexGuard<'_, State>) {
        let before = std::mem::replace(&mut state.condition, Condition::Up);
        state.refusal = None;
        state.answers = false;
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

    fn note_down(&self, mut state: MutexGuard<'_, State>, reason: &str) {
        // Several requests fail at once when a controller goes: that is one failure.
        if state.probe_at.is_none_or(|at| at <= Instant::now()) {
            state.failures = state.failures.saturating_add(1);
            state.probe_at = Some(Instant::now() + self.pause(state.failures));
        }
        let is_news = state.set_down(reason);
        drop(state);
        self.changed.notify_one();
        if is_news {
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
        assert_eq!((health.unreachable(), health.way()), (None, Way::Open));
        health.failed("connection refused");
        assert_eq!(health.unreachable().as_deref(), Some("connection refused"));
        assert!(!health.may_ask());
        assert!(matches!(health.way(), Way::Closed(_)));
        health.succeeded();
        assert_eq!(health.condition(), Condition::Up);
        assert_eq!([health.take_recoveries(), health.take_recoveries()], [1, 0]);
        assert!(health.may_ask());
        assert_eq!(health.way(), Way::Open);
    }

    fn down_for(health: &Health) -> (Timestamp, String) {
        match health.condition() {
            Condition::Down { since, reason } => (since, reason),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_write_took_down_only_a_write_brings_back() {
        let health = Health::new(Domain::Platform, LONGEST);
        health.took_write();
        health.refused_write("403");
        let (since, _) = down_for(&health);
        assert!(health.unreachable().is_some() && !health.may_ask(), "until something is answered");
        for failures in 1..10 {
            assert_eq!(health.lock().failures, failures);
            health.succeeded();
            assert!(matches!(health.way(), Way::Closed(_)), "an answer to a caller ends no pause");
            health.probed();
            assert_eq!(health.way(), Way::Trial);
            assert!(health.unreachable().is_none() && health.may_ask());
            health.refused_write("403");
            assert!(matches!(health.way(), Way::Closed(_)));
            assert_eq!((health.unreachable(), down_for(&health)), (None, (since, "403".to_owned())));
        }
        // Gone altogether, and back.
        health.failed("connection refused");
        assert_eq!(health.unreachable().as_deref(), Some("connection refused"));
        health.probed();
        assert_eq!(down_for(&health), (since, "403".to_owned()));
        health.put_off_write("too many requests");
        assert_eq!((health.way(), down_for(&health).1), (Way::Trial, "too many requests".to_owned()));
        assert_eq!(health.take_recoveries(), 0);
        health.took_write();
        assert_eq!((health.way(), health.condition()), (Way::Open, Condition::Up));
        assert_eq!((health.take_recoveries(), health.lock().failures), (1, 0));
    }

    #[test]
    fn several_refusals_at_once_are_one_failure() {
        let health = Health::new(Domain::Platform, LONGEST);
        for _ in 0..4 {
            health.refused_write("502");
        }
        assert_eq!(health.lock().failures, 1);
        assert!(health.unreachable().is_some());
        health.put_off_write("was under way");
        assert!(matches!(health.way(), Way::Closed(_)));
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
        assert_eq!(health.unreachable(), None);
    }
}
