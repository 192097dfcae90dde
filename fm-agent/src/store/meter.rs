//! What the store holds and what it had to give up, in numbers; and the one log line that tells it.
//!
//! Invariants:
//! - The numbers are those of committed transactions, set by who commits and read by anybody.
//! - However much is given up or refused, it is told once a minute at most; what is not told yet is
//!   told with a later line.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use fm_common::Severity;

use super::error::StoreError;
use crate::config::Domain;

/// The pause between two log lines.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// How severe a log is, least first: what is least goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank(u8);

impl Rank {
    /// Every rank, least first.
    pub const ALL: [Self; 5] = [Self(0), Self(1), Self(2), Self(3), Self(4)];

    /// The rank of a severity; what is none of the four has the least.
    pub fn of(severity: &Severity) -> Self {
        Self(match severity {
            Severity::Critical => 4,
            Severity::Major => 3,
            Severity::Minor => 2,
            Severity::Warning => 1,
            Severity::Clear | Severity::NotApplicable | Severity::Unranked | Severity::Other(_) => 0,
        })
    }

    /// Its name, such as `critical`.
    pub const fn name(self) -> &'static str {
        match self.0 {
            4 => "critical",
            3 => "major",
            2 => "minor",
            1 => "warning",
            _ => "other",
        }
    }

    /// As a number, from 0.
    pub(super) const fn number(self) -> u8 {
        self.0
    }
}

/// A number for each domain and each rank.
pub(super) type Waiting = [u64; Domain::ALL.len()];
pub(super) type Shed = [u64; Rank::ALL.len()];

/// What is counted in a transaction; taken back when it is lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    waiting: Waiting,
    pub(super) folded: u64,
    shed: Shed,
}

impl Counts {
    pub(super) fn new(waiting: Waiting) -> Self {
        Self { waiting, ..Self::default() }
    }

    /// Requests that wait, of all domains.
    pub(super) fn requests(&self) -> u64 {
        self.waiting.iter().sum()
    }

    pub(super) fn came(&mut self, domain: Domain) {
        self.waiting[domain as usize] += 1;
    }

    pub(super) fn left(&mut self, domain: Domain) {
        let waiting = &mut self.waiting[domain as usize];
        *waiting = waiting.saturating_sub(1);
    }

    pub(super) fn shed(&mut self, domain: Domain, rank: Rank) {
        self.left(domain);
        self.shed[usize::from(rank.0)] += 1;
    }
}

/// A count that goes on growing when the one it is taken from begins anew, as it does after a repair.
#[derive(Debug, Default)]
struct Growing {
    sum: AtomicU64,
    last: AtomicU64,
}

impl Growing {
    fn load(&self) -> u64 {
        self.sum.load(Relaxed)
    }

    /// Only who commits calls it.
    fn follow(&self, now: u64) {
        let last = self.last.swap(now, Relaxed);
        self.sum.fetch_add(now.checked_sub(last).unwrap_or(now), Relaxed);
    }
}

/// The store's numbers: what waits now, and counts since the store was opened.
#[derive(Debug, Default)]
pub struct Meter {
    waiting: [AtomicU64; Domain::ALL.len()],
    folded: Growing,
    shed: [Growing; Rank::ALL.len()],
    refused_at_limit: AtomicU64,
    refused_disk_full: AtomicU64,
    failed: AtomicU64,
    disk_full: AtomicBool,
}

impl Meter {
    /// Requests that wait for this domain.
    pub fn waiting(&self, domain: Domain) -> u64 {
        self.waiting[domain as usize].load(Relaxed)
    }

    /// Requests that were folded: a later one about the same alarm says what they would have said.
    pub fn folded(&self) -> u64 {
        self.folded.load()
    }

    /// Logs of this rank that were given up unsent.
    pub fn shed_logs(&self, rank: Rank) -> u64 {
        self.shed[usize::from(rank.0)].load()
    }

    /// Calls that were refused because the store was at a limit.
    pub fn refused_at_limit(&self) -> u64 {
        self.refused_at_limit.load(Relaxed)
    }

    /// Calls that were refused because the disk was full.
    pub fn refused_disk_full(&self) -> u64 {
        self.refused_disk_full.load(Relaxed)
    }

    /// Calls and reports that failed because a commit failed for another reason.
    pub fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    /// Whether the disk is full: the space kept in reserve is in use.
    pub fn disk_full(&self) -> bool {
        self.disk_full.load(Relaxed)
    }

    pub(super) fn publish(&self, counts: &Counts) {
        self.waiting.iter().zip(counts.waiting).for_each(|(to, from)| to.store(from, Relaxed));
        self.shed.iter().zip(counts.shed).for_each(|(to, from)| to.follow(from));
        self.folded.follow(counts.folded);
    }

    pub(super) fn count_refused_at_limit(&self) {
        self.refused_at_limit.fetch_add(1, Relaxed);
    }

    pub(super) fn count_refused_disk_full(&self, calls: usize) {
        self.refused_disk_full.fetch_add(calls as u64, Relaxed);
    }

    pub(super) fn count_failed(&self, calls: usize) {
        self.failed.fetch_add(calls as u64, Relaxed);
    }

    pub(super) fn set_disk_full(&self, is_full: bool) {
        self.disk_full.store(is_full, Relaxed);
    }

    /// What there is to tell.
    fn losses(&self) -> Losses {
        Losses {
            folded: self.folded(),
            shed: Rank::ALL.map(|rank| self.shed_logs(rank)),
            refused_at_limit: self.refused_at_limit(),
            refused_disk_full: self.refused_disk_full(),
            failed: self.failed(),
        }
    }
}

/// What was given up or refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Losses {
    folded: u64,
    shed: Shed,
    refused_at_limit: u64,
    refused_disk_full: u64,
    failed: u64,
}

impl Losses {
    fn since(self, earlier: &Self) -> Self {
        let mut shed = self.shed;
        shed.iter_mut().zip(&earlier.shed).for_each(|(now, before)| *now -= before);
        Self {
            folded: self.folded - earlier.folded,
            shed,
            refused_at_limit: self.refused_at_limit - earlier.refused_at_limit,
            refused_disk_full: self.refused_disk_full - earlier.refused_disk_full,
            failed: self.failed - earlier.failed,
        }
    }
}

/// Tells what was given up or refused, once a minute at most.
#[derive(Debug, Default)]
pub(super) struct Teller {
    told: Losses,
    told_at: Option<Instant>,
}

impl Teller {
    /// What to tell now, if it is time and there is something.
    pub(super) fn due(&mut self, meter: &Meter, now: Instant) -> Option<Losses> {
        if self.told_at.is_some_and(|told_at| now.duration_since(told_at) < TELL_EVERY) {
            return None;
        }
        let losses = meter.losses();
        let new = losses.since(&self.told);
        if new == Losses::default() {
            return None;
        }
        self.told = losses;
        self.told_at = Some(now);
        Some(new)
    }

    /// Writes the log line, if it is time and there is something to tell; `reason` is why the last commit
    /// failed, if one did.
    pub(super) fn tell(&mut self, meter: &Meter, reason: Option<&StoreError>, now: Instant) {
        let Some(losses) = self.due(meter, now) else { return };
        let Losses { folded, shed, refused_at_limit, refused_disk_full, failed } = losses;
        let logs_shed: u64 = shed.iter().sum();
        let shed = Rank::ALL
            .iter()
            .zip(shed)
            .filter(|(_, number)| *number > 0)
            .map(|(rank, number)| format!("{number} {}", rank.name()))
            .collect::<Vec<_>>()
            .join(", ");
        let reason = reason.map(ToString::to_string).unwrap_or_default();
        let disk_full = meter.disk_full();
        if refused_at_limit + refused_disk_full + failed > 0 {
            tracing::error!(
                refused_at_limit,
                refused_disk_full,
                failed,
                disk_full,
                reason,
                folded,
                logs_shed,
                shed,
                "the store refused calls: see 'When the store is full' in the operator's guide"
            );
        } else {
            tracing::warn!(
                folded,
                logs_shed,
                shed,
                "the store is above high water: superseded requests were folded, and logs given up where that was not enough"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_once_a_minute_and_none_is_left_out() {
        let (meter, mut teller) = (Meter::default(), Teller::default());
        let start = Instant::now();
        assert_eq!(teller.due(&meter, start), None, "nothing has happened");
        meter.count_refused_at_limit();
        let first = teller.due(&meter, start).unwrap();
        assert_eq!(first.refused_at_limit, 1);
        let mut counts = Counts::new([3, 4]);
        for second in 0..59 {
            meter.count_refused_disk_full(2);
            counts.folded += 1;
            counts.shed(Domain::Openstack, Rank::of(&Severity::Warning));
            meter.publish(&counts);
            assert_eq!(teller.due(&meter, start + Duration::from_secs(second)), None);
        }
        let told = teller.due(&meter, start + Duration::from_mins(1)).unwrap();
        let wanted =
            Losses { folded: 59, shed: [0, 59, 0, 0, 0], refused_disk_full: 118, ..Losses::default() };
        assert_eq!(told, wanted);
        assert_eq!(teller.due(&meter, start + Duration::from_mins(5)), None, "told already");
    }

    #[test]
    fn what_a_repair_counts_anew_is_added_to_what_was_counted_before() {
        let (meter, mut teller) = (Meter::default(), Teller::default());
        let mut counts = Counts::new([1, 0]);
        counts.folded = 5;
        meter.publish(&counts);
        assert_eq!(teller.due(&meter, Instant::now()).unwrap().folded, 5);
        counts = Counts::new([1, 0]);
        meter.publish(&counts);
        assert_eq!(teller.due(&meter, Instant::now() + TELL_EVERY), None);
        counts.folded = 2;
        meter.publish(&counts);
        assert_eq!(meter.folded(), 7);
    }

    #[test]
    fn ranks_are_in_the_order_of_severity() {
        let severities =
            ["none", "warning", "minor", "major", "critical"].map(|text| Rank::of(&Severity::from(text)));
        assert_eq!(severities, Rank::ALL);
        assert_eq!(Rank::of(&Severity::NotApplicable), Rank::ALL[0]);
    }
}
