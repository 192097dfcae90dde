//! Which request may go next.
//!
//! Pure: requests and outcomes in, the next request out. It holds the beginning of a domain's queue; a
//! request belongs to the lane of its alarm, a clear-all is a barrier over the entities it covers.
//!
//! Invariants:
//! - A request goes only when no earlier one that it conflicts with is left, and none of the same alarm
//!   is under way.
//! - Of those that may go, the one taken first goes first. A request that pauses after a failure holds
//!   back its own lane and nothing else.
//! - No lane holds more than [`LANE`] requests, so one that is stuck leaves room for the others. What a full
//!   lane passes over, and what conflicts with that, is taken again from the store when the lane has
//!   emptied ([`Lanes::read_again_from`]).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use fm_common::AlarmKey;
use fm_common::entity::EntityMatch;

use crate::store::{Request, RequestKind};

/// Requests of one lane that are held at most.
const LANE: usize = 512;

/// The beginning of a domain's queue.
#[derive(Debug)]
pub(super) struct Lanes {
    entries: BTreeMap<i64, Entry>,
    /// How many requests each lane holds.
    held: HashMap<Target, usize>,
    /// How many it may hold.
    room: usize,
    passed_over: PassedOver,
    running: usize,
    /// What was taken up to here may have been sent by an earlier run of the agent.
    doubtful_up_to: i64,
}

#[derive(Debug)]
struct Entry {
    request: Request,
    target: Target,
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
    /// Lanes that were full.
    full: HashSet<Target>,
    /// Clear-alls, which hold back what they conflict with.
    barriers: HashSet<Target>,
}

impl PassedOver {
    /// Whether something that was passed over must go before this. An alarm that is passed over behind a
    /// clear-all need not be known: what conflicts with the one conflicts with the other.
    fn conflicts(&self, target: &Target) -> bool {
        let lanes = match target {
            Target::Alarm(_) => self.full.contains(target),
            Target::Entity { .. } => self.full.iter().any(|full| full.conflicts(target)),
        };
        lanes || self.barriers.iter().any(|barrier| barrier.conflicts(target))
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
            held: HashMap::new(),
            room: LANE,
            passed_over: PassedOver::default(),
            running: 0,
            doubtful_up_to,
        }
    }

    /// Appends requests that come after all that were appended before; those that are here already are
    /// passed over.
    pub(super) fn append(&mut self, requests: Vec<Request>) {
        for request in requests {
            let target = match &request.kind {
                RequestKind::Raise { alarm, .. } | RequestKind::Log { alarm, .. } => {
                    Target::Alarm(alarm.key())
                }
                RequestKind::Clear { key } | RequestKind::Remove { key, .. } => Target::Alarm(key.clone()),
                RequestKind::ClearAll { entity_instance_id, rule } => {
                    Target::Entity { filter: entity_instance_id.clone(), rule: *rule }
                }
            };
            if self.entries.contains_key(&request.seq) || !self.finds_room(request.seq, &target) {
                continue;
            }
            let in_doubt = request.seq <= self.doubtful_up_to;
            *self.held.entry(target.clone()).or_default() += 1;
            let entry = Entry { request, target, state: State::Ready, attempts: 0, in_doubt };
            self.entries.insert(entry.request.seq, entry);
        }
    }

    /// Whether a request may be held; if not, notes what it holds back from now on.
    fn finds_room(&mut self, seq: i64, target: &Target) -> bool {
        let passed_over = &mut self.passed_over;
        let is_full = self.held.get(target).is_some_and(|held| *held >= self.room);
        if !is_full && !passed_over.conflicts(target) {
            return true;
        }
        if is_full {
            passed_over.full.insert(target.clone());
        }
        if matches!(target, Target::Entity { .. }) {
            passed_over.barriers.insert(target.clone());
        }
        passed_over.from.get_or_insert(seq);
        false
    }

    /// Where to read the store again, once a lane that was full has emptied by half. Asking once more gives
    /// nothing until then.
    pub(super) fn read_again_from(&mut self) -> Option<i64> {
        let has_room = |lane| self.held.get(lane).is_none_or(|held| *held <= self.room / 2);
        if !self.passed_over.full.iter().any(has_room) {
            return None;
        }
        std::mem::take(&mut self.passed_over).from
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
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
        let seq = self.first_free(now)?;
        let entry = self.entries.get_mut(&seq)?;
        entry.state = State::Running;
        self.running += 1;
        Some(Next { request: entry.request.clone(), in_doubt: entry.in_doubt })
    }

    fn first_free(&self, now: Instant) -> Option<i64> {
        // What is passed over holds back what conflicts with it: alarms by look-up, for there are many.
        let mut alarms: HashSet<&AlarmKey> = HashSet::new();
        let mut barriers: Vec<&Target> = Vec::new();
        for (seq, entry) in &self.entries {
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
            if due && !blocked {
                return Some(*seq);
            }
            match &entry.target {
                Target::Alarm(key) => {
                    alarms.insert(key);
                }
                barrier @ Target::Entity { .. } => barriers.push(barrier),
            }
        }
        None
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
        let Some(entry) = self.entries.remove(&seq) else { return };
        if entry.state == State::Running {
            self.running -= 1;
        }
        if let Some(held) = self.held.get_mut(&entry.target) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&entry.target);
            }
        }
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
    }
}

#[cfg(test)]
#[path = "lanes_tests.rs"]
mod tests;
