//! Which request may go next.
//!
//! Pure: requests and outcomes in, the next request out. It holds the beginning of a domain's queue; a
//! request belongs to the lane of its alarm, a clear-all is a barrier over the entities it covers.
//!
//! Invariants:
//! - A request goes only when no earlier one that it conflicts with is left, and none of the same alarm
//!   is under way.
//! - Of those that may go, the one taken first goes first. A request that pauses after a failure holds
//!   back what conflicts with it and nothing else.
//! - What is stuck leaves room for the others. No lane holds more than [`LANE`], and what failed requests hold back
//!   does not stay here when it takes half of the room. What is left in the store so, and what conflicts with that,
//!   is passed over, and taken again when the lane has emptied or the failed request is done
//!   ([`Lanes::read_again_from`]).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::time::Instant;

use fm_common::AlarmKey;
use fm_common::entity::EntityMatch;

use crate::store::{Request, RequestKind};

/// When no more is read from the store. Texts have up to 64 KiB, an alarm has five, and the memory
/// that the agent takes must not depend on what callers write.
const WINDOW: Amount = Amount { requests: 4096, bytes: 16 << 20 };
/// When a lane is full.
const LANE: Amount = Amount { requests: 512, bytes: 2 << 20 };

/// So much of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Amount {
    requests: usize,
    /// About the memory they take.
    bytes: usize,
}

impl Amount {
    const NONE: Self = Self { requests: 0, bytes: 0 };

    fn of(request: &Request, target: &Target) -> Self {
        // The key is copied for its lane.
        Self { requests: 1, bytes: request.bytes() + 2 * target.bytes() }
    }

    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.bytes += other.bytes;
    }

    fn subtract(&mut self, other: Self) {
        self.requests -= other.requests;
        self.bytes -= other.bytes;
    }

    fn half(self) -> Self {
        Self { requests: self.requests / 2, bytes: self.bytes / 2 }
    }

    fn reaches(self, limit: Self) -> bool {
        self.requests >= limit.requests || self.bytes >= limit.bytes
    }

    fn is_within(self, limit: Self) -> bool {
        self.requests <= limit.requests && self.bytes <= limit.bytes
    }
}

/// The beginning of a domain's queue.
#[derive(Debug)]
pub(super) struct Lanes {
    entries: BTreeMap<i64, Entry>,
    /// What they come to.
    total: Amount,
    /// What they may come to.
    window: Amount,
    /// What each lane holds.
    held: HashMap<Target, Amount>,
    /// What it may hold.
    room: Amount,
    passed_over: PassedOver,
    /// More may be held back by failed requests than when that was looked at last.
    may_be_stuck: bool,
    running: usize,
    /// What was taken up to here may have been sent by an earlier run of the agent.
    doubtful_up_to: i64,
}

#[derive(Debug)]
struct Entry {
    request: Request,
    target: Target,
    amount: Amount,
    state: State,
    attempts: u32,
    in_doubt: bool,
}

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Target {
    Alarm(AlarmKey),
    Entity { filter: String, rule: EntityMatch },
}

impl Target {
    fn of(request: &Request) -> Self {
        match &request.kind {
            RequestKind::Raise { alarm, .. } | RequestKind::Log { alarm, .. } => Self::Alarm(alarm.key()),
            RequestKind::Clear { key } | RequestKind::Remove { key, .. } => Self::Alarm(key.clone()),
            RequestKind::ClearAll { entity_instance_id, rule } => {
                Self::Entity { filter: entity_instance_id.clone(), rule: *rule }
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Alarm(key) => key.alarm_id.len() + key.entity_instance_id.len(),
            Self::Entity { filter, .. } => filter.len(),
        }
    }

    /// Whether the two must not go at the same time, nor overtake each other.
    fn conflicts(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Alarm(one), Self::Alarm(other)) => one == other,
            (Self::Alarm(key), Self::Entity { filter, rule })
            | (Self::Entity { filter, rule }, Self::Alarm(key)) => {
                rule.covers(filter, &key.entity_instance_id)
            }
            // When one lies under the other, what one clears may be what the other waits for.
            (Self::Entity { filter: one, rule }, Self::Entity { filter: other, rule: others_rule }) => {
                rule.covers(one, other) || others_rule.covers(other, one)
            }
        }
    }
}

/// What was left in the store although it was read.
#[derive(Debug, Default)]
struct PassedOver {
    /// The first of them.
    from: Option<i64>,
    /// Lanes that were full, and those of failed requests; with what such a lane holds when it is time to read again.
    lanes: HashMap<Target, Amount>,
    /// Clear-alls, failed or passed over, which hold back what they conflict with.
    barriers: HashSet<Target>,
}

impl PassedOver {
    /// Whether something that was passed over must go before this. An alarm that is passed over behind a
    /// clear-all need not be known: what conflicts with the one conflicts with the other.
    fn conflicts(&self, target: &Target) -> bool {
        let lanes = match target {
            Target::Alarm(_) => self.lanes.contains_key(target),
            Target::Entity { .. } => self.lanes.keys().any(|lane| lane.conflicts(target)),
        };
        lanes || self.barriers.iter().any(|barrier| barrier.conflicts(target))
    }

    /// This request stays in the store, and holds back what conflicts with it.
    fn add(&mut self, seq: i64, target: &Target) {
        self.from = Some(self.from.map_or(seq, |from| from.min(seq)));
        self.hold_back(target);
    }

    fn hold_back(&mut self, target: &Target) {
        if matches!(target, Target::Entity { .. }) {
            self.barriers.insert(target.clone());
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    Paused(Instant),
    /// Under way at the controller.
    Running,
    /// Answered by the controller; that is not on disk yet.
    Answered,
}

/// A request that may go now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) request: Request,
    /// An earlier attempt may have been taken.
    pub(super) in_doubt: bool,
}

impl Lanes {
    pub(super) fn new(doubtful_up_to: i64) -> Self {
        Self {
            entries: BTreeMap::new(),
            total: Amount::NONE,
            window: WINDOW,
            held: HashMap::new(),
            room: LANE,
            passed_over: PassedOver::default(),
            may_be_stuck: false,
            running: 0,
            doubtful_up_to,
        }
    }

    /// Appends requests that come after all that were appended before; those that are here already are
    /// passed over.
    pub(super) fn append(&mut self, requests: Vec<Request>) {
        for request in requests {
            let target = Target::of(&request);
            if self.entries.contains_key(&request.seq) || !self.finds_room(request.seq, &target) {
                continue;
            }
            let in_doubt = request.seq <= self.doubtful_up_to;
            let amount = Amount::of(&request, &target);
            self.total.add(amount);
            self.held.entry(target.clone()).or_default().add(amount);
            let entry = Entry { request, target, amount, state: State::Ready, attempts: 0, in_doubt };
            self.entries.insert(entry.request.seq, entry);
            self.may_be_stuck = true;
        }
    }

    /// Whether a request may be held; if not, notes what it holds back from now on.
    fn finds_room(&mut self, seq: i64, target: &Target) -> bool {
        let passed_over = &mut self.passed_over;
        let is_full = self.held.get(target).is_some_and(|held| held.reaches(self.room));
        if !is_full && !passed_over.conflicts(target) {
            return true;
        }
        if is_full {
            passed_over.lanes.entry(target.clone()).or_insert(self.room.half());
        }
        passed_over.add(seq, target);
        false
    }

    /// Where to read the store again, once a lane that was full has emptied by half, or a failed request that held
    /// back others is done. Asking once more gives nothing until then.
    pub(super) fn read_again_from(&mut self) -> Option<i64> {
        let is_over =
            |(lane, left): (&Target, &Amount)| self.held.get(lane).is_none_or(|held| held.is_within(*left));
        if !self.passed_over.lanes.iter().any(is_over) {
            return None;
        }
        std::mem::take(&mut self.passed_over).from
    }

    /// Whether to read on.
    pub(super) fn has_room(&mut self) -> bool {
        if self.total.reaches(self.window) && std::mem::take(&mut self.may_be_stuck) {
            self.pass_over_stuck();
        }
        !self.total.reaches(self.window)
    }

    /// Leaves in the store what failed requests hold back, if that is half of what there is room for. Nothing of it
    /// was ever begun.
    fn pass_over_stuck(&mut self) {
        let mut behind = PassedOver::default();
        let (mut stuck, mut amount) = (Vec::new(), Amount::NONE);
        for (seq, entry) in &self.entries {
            if behind.conflicts(&entry.target) {
                behind.add(*seq, &entry.target);
                stuck.push(*seq);
                amount.add(entry.amount);
            } else if entry.attempts > 0 {
                behind.lanes.insert(entry.target.clone(), Amount::NONE);
                behind.hold_back(&entry.target);
            }
        }
        if !amount.reaches(self.window.half()) {
            return;
        }
        for seq in stuck {
            if let Some(entry) = self.remove(seq) {
                // If its lane was full: what was passed over then waits for the failed request now, as this does.
                self.passed_over.lanes.remove(&entry.target);
            }
        }
        let passed_over = &mut self.passed_over;
        passed_over.from = passed_over.from.into_iter().chain(behind.from).min();
        passed_over.lanes.extend(behind.lanes);
        passed_over.barriers.extend(behind.barriers);
    }

    /// Requests under way at the controller.
    pub(super) fn running(&self) -> usize {
        self.running
    }

    /// The alarms that are to be raised next, so many at most, first one first: those with no request before
    /// that raise, their own or a clear-all, and no doubt about it.
    pub(super) fn raises_ahead(&self, most: usize) -> Vec<AlarmKey> {
        let mut seen: HashSet<&AlarmKey> = HashSet::new();
        let mut barriers: Vec<&Target> = Vec::new();
        let mut ahead = Vec::new();
        for entry in self.entries.values() {
            let Target::Alarm(key) = &entry.target else {
                barriers.push(&entry.target);
                continue;
            };
            let is_raise = matches!(entry.request.kind, RequestKind::Raise { .. });
            let is_next =
                seen.insert(key) && !barriers.iter().any(|barrier| barrier.conflicts(&entry.target));
            if is_next && is_raise && entry.state == State::Ready && !entry.in_doubt {
                ahead.push(key.clone());
                if ahead.len() == most {
                    break;
                }
            }
        }
        ahead
    }

    /// Takes the next request that may go now.
    pub(super) fn next(&mut self, now: Instant) -> Option<Next> {
        let mut first = None;
        self.visit_free(now, |entry| {
            first = Some(entry.request.seq);
            ControlFlow::Break(())
        });
        self.begin(first?)
    }

    /// Takes the one with the fewest failures of those that may go now: one that is refused whatever the
    /// controller thinks of others is no trial of it.
    pub(super) fn next_trial(&mut self, now: Instant) -> Option<Next> {
        let mut best: Option<(u32, i64)> = None;
        self.visit_free(now, |entry| {
            let this = (entry.attempts, entry.request.seq);
            best = Some(best.map_or(this, |best| best.min(this)));
            if entry.attempts == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        self.begin(best?.1)
    }

    fn begin(&mut self, seq: i64) -> Option<Next> {
        let entry = self.entries.get_mut(&seq)?;
        entry.state = State::Running;
        self.running += 1;
        Some(Next { request: entry.request.clone(), in_doubt: entry.in_doubt })
    }

    /// Visits those that may go now, in order.
    fn visit_free(&self, now: Instant, mut visit: impl FnMut(&Entry) -> ControlFlow<()>) {
        // What is passed over holds back what conflicts with it: alarms by look-up, for there are many.
        let mut alarms: HashSet<&AlarmKey> = HashSet::new();
        let mut barriers: Vec<&Target> = Vec::new();
        for entry in self.entries.values() {
            let due = match entry.state {
                State::Ready => true,
                State::Paused(until) => until <= now,
                State::Running | State::Answered => false,
            };
            let behind_a_barrier = || barriers.iter().any(|barrier| barrier.conflicts(&entry.target));
            let blocked = match &entry.target {
                Target::Alarm(key) => alarms.contains(key) || behind_a_barrier(),
                Target::Entity { filter, rule } => {
                    behind_a_barrier()
                        || alarms.iter().any(|key| rule.covers(filter, &key.entity_instance_id))
                }
            };
            if due && !blocked && visit(entry).is_break() {
                return;
            }
            match &entry.target {
                Target::Alarm(key) => {
                    alarms.insert(key);
                }
                barrier @ Target::Entity { .. } => barriers.push(barrier),
            }
        }
    }

    /// When the next pause ends. One that has ended counts no more: what holds that request back now is
    /// another that is under way.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        self.entries
            .values()
            .filter_map(|entry| match entry.state {
                State::Paused(until) if until > now => Some(until),
                State::Paused(_) | State::Ready | State::Running | State::Answered => None,
            })
            .min()
    }

    /// The controller has answered: another request may go there, but none of the same alarm until it is on
    /// disk what became of this one.
    pub(super) fn answered(&mut self, seq: i64) {
        if let Some(entry) = self.entries.get_mut(&seq)
            && entry.state == State::Running
        {
            entry.state = State::Answered;
            self.running -= 1;
        }
    }

    /// The request has left the store.
    pub(super) fn done(&mut self, seq: i64) {
        if self.remove(seq).is_some_and(|entry| entry.state == State::Running) {
            self.running -= 1;
        }
    }

    fn remove(&mut self, seq: i64) -> Option<Entry> {
        let entry = self.entries.remove(&seq)?;
        self.total.subtract(entry.amount);
        if let Some(held) = self.held.get_mut(&entry.target) {
            held.subtract(entry.amount);
            if *held == Amount::NONE {
                self.held.remove(&entry.target);
            }
        }
        Some(entry)
    }

    /// The request failed and goes again after a pause, which grows with its failures in a row.
    pub(super) fn failed(&mut self, seq: i64, in_doubt: bool, pause: impl FnOnce(u32) -> Instant) {
        let Some(entry) = self.entries.get_mut(&seq) else { return };
        if entry.state == State::Running {
            self.running -= 1;
        }
        entry.attempts = entry.attempts.saturating_add(1);
        // Only an answer ends a doubt.
        entry.in_doubt |= in_doubt;
        entry.state = State::Paused(pause(entry.attempts));
        self.may_be_stuck = true;
    }
}

#[cfg(test)]
#[path = "lanes_tests.rs"]
mod tests;
