//! Keeps the store within its limits. Runs inside the writer's transaction.
//!
//! What happens to a change, by how much the store holds with it:
//! - up to high water nothing;
//! - from there on superseded requests are folded, and when there are none, logs are given up, the least
//!   severe first, of these the oldest, until the store is below high water again;
//! - above the limit for sets it is refused if it raises or logs anything, all of it;
//! - above the limit for clears everything is refused but reports of deliveries.
//!
//! Invariants:
//! - The work for one change is bounded by its size, whatever waits.
//! - A change that takes no more room than there was before is never refused.
//! - The latest state of an alarm is never given up ([`fold`]).
//! - Far from the limits a change costs no look at the database: what it can take at most is added up, and the
//!   pages in use are counted only when that sum reaches a limit.

use rusqlite::Connection;

use super::error::{StoreError, StoreErrorKind};
use super::fold::{self, Step};
use super::jobs::Work;
use super::limits::{Limits, Stages};
use super::meter::{Counts, Rank, Waiting};
use super::model::{Batch, Op, text_bytes};
use super::{space, tables};
use crate::config::Domain;

/// Requests looked at for each change of a batch, so that giving up outruns what comes.
const STEPS_PER_CHANGE: u64 = 4;
/// And for each batch.
const STEPS_PER_BATCH: u64 = 16;

/// What limit a change is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// It raises or logs something.
    ToSets,
    /// It clears, and nothing else.
    ToClears,
}

impl Held {
    /// The limit among the stages of a quantity.
    const fn of(self, stages: Stages) -> u64 {
        match self {
            Self::ToSets => stages.sets,
            Self::ToClears => stages.clears,
        }
    }
}

/// What the store held before a change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    requests: u64,
    pages: u64,
    /// The place of the last request.
    last: i64,
}

/// The limits, and what is held.
#[derive(Debug)]
pub(super) struct Bounds {
    requests: Stages,
    pages: Stages,
    page_size: u64,
    /// No more pages than these are in use, with the open transaction; [`u64::MAX`] when nobody knows.
    pages_at_most: u64,
    /// What is held with the open transaction.
    pub(super) counts: Counts,
}

impl Bounds {
    /// Counts what waits.
    pub(super) fn load(connection: &Connection, limits: &Limits) -> Result<Self, StoreError> {
        let mut waiting = Waiting::default();
        for domain in Domain::ALL {
            waiting[domain as usize] = tables::count_requests(connection, domain)?;
        }
        let page_size = space::page_size(connection)?;
        let (requests, pages) = (limits.requests(), limits.pages(page_size));
        Ok(Self { requests, pages, page_size, pages_at_most: u64::MAX, counts: Counts::new(waiting) })
    }

    /// Bytes of a page.
    pub(super) fn page_size(&self) -> u64 {
        self.page_size
    }

    /// Part of the transaction is taken back: this is what was held before it.
    pub(super) fn take_back(&mut self, counts: Counts) {
        self.counts = counts;
        // What it had deleted is there again.
        self.pages_at_most = u64::MAX;
    }

    /// Adds what a job can take to what may be in use. Comes before the job is done.
    pub(super) fn expect(&mut self, job: &Work) {
        let growth = pages_at_most(job, self.page_size).unwrap_or(u64::MAX);
        self.pages_at_most = self.pages_at_most.saturating_add(growth);
    }

    /// Gives things up while the store is above high water with so many changes more.
    pub(super) fn relieve(&mut self, connection: &Connection, coming: u64) -> Result<(), StoreError> {
        self.give_up(connection, coming, i64::MAX, |this| {
            // Counted anew, for giving up makes them fewer.
            this.pages_at_most = u64::MAX;
            Ok(!this.is_high(connection, coming)?)
        })
    }

    /// Gives up superseded requests, then logs up to this place in the order, until it is enough, there are
    /// none, or so many were looked at as so many changes are worth.
    fn give_up(
        &mut self,
        connection: &Connection,
        changes: u64,
        logs_up_to: i64,
        is_enough: impl Fn(&mut Self) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mut least = Rank::ALL[0];
        for _ in 0..changes * STEPS_PER_CHANGE + STEPS_PER_BATCH {
            if is_enough(self)? {
                break;
            }
            match fold::fold_oldest(connection)? {
                Step::Folded(domain) => {
                    self.counts.left(domain);
                    self.counts.folded += 1;
                }
                Step::Stays => {}
                Step::Nothing => match fold::shed_least(connection, least, logs_up_to)? {
                    Some((domain, rank)) => {
                        self.counts.shed(domain, rank);
                        least = rank;
                    }
                    None => break,
                },
            }
        }
        Ok(())
    }

    /// Whether the store is above high water with so many changes more.
    pub(super) fn is_high(&mut self, connection: &Connection, coming: u64) -> Result<bool, StoreError> {
        if self.counts.requests() + coming > self.requests.high {
            return Ok(true);
        }
        if self.pages_at_most > self.pages.high {
            self.pages_at_most = space::used_pages(connection)?;
        }
        Ok(self.pages_at_most > self.pages.high)
    }

    /// What is held before a job of so many changes that is expected; `None` when it cannot reach its limit.
    pub(super) fn level(
        &self,
        connection: &Connection,
        changes: u64,
        held: Held,
    ) -> Result<Option<Level>, StoreError> {
        // A change can bring a request to each domain: an alarm that moves, a clear-all.
        let requests = self.counts.requests() + changes * Domain::ALL.len() as u64;
        if requests <= held.of(self.requests) && self.pages_at_most <= held.of(self.pages) {
            return Ok(None);
        }
        Ok(Some(Level {
            requests: self.counts.requests(),
            pages: space::used_pages(connection)?,
            last: tables::last_request(connection)?,
        }))
    }

    /// Makes room for what was done since `before`, which is so many changes; refuses it if there is none.
    pub(super) fn hold(
        &mut self,
        connection: &Connection,
        before: Level,
        changes: u64,
        held: Held,
    ) -> Result<(), StoreError> {
        self.give_up(connection, changes, before.last, |this| {
            Ok(this.exceeds(connection, before, held)?.is_none())
        })?;
        match self.exceeds(connection, before, held)? {
            Some(reason) => Err(StoreError::new(StoreErrorKind::Limit, reason)),
            None => Ok(()),
        }
    }

    /// Which limit is exceeded by what takes more room than there was before.
    fn exceeds(
        &self,
        connection: &Connection,
        before: Level,
        held: Held,
    ) -> Result<Option<String>, StoreError> {
        let requests = self.counts.requests();
        if requests > before.requests && requests > held.of(self.requests) {
            let waiting = before.requests;
            return Ok(Some(format!(
                "the store is full: {waiting} requests wait to be delivered (agent.max_requests); try again later"
            )));
        }
        let pages = space::used_pages(connection)?;
        if pages > before.pages && pages > held.of(self.pages) {
            let bytes = before.pages * self.page_size;
            return Ok(Some(format!(
                "the store is full: it takes {bytes} bytes (agent.max_bytes); try again later"
            )));
        }
        Ok(None)
    }
}

/// Pages that a job can add at most; `None` when that depends on what the store holds. Far too many rather than
/// one too few: it only decides when they are counted.
fn pages_at_most(job: &Work, page_size: u64) -> Option<u64> {
    // Of a change: its places in the tables and their indices, each of which may split.
    const SPLITS: u64 = 32;
    // Copies of an alarm: the request's, the alarm's own, the one it had at the controller, the event's.
    const COPIES: u64 = 4;
    // Besides its texts: names of fields, numbers, who asked.
    const AROUND: u64 = 4096;
    // A control character is written with six.
    const ESCAPED: u64 = 6;
    let of_text = |bytes: usize| SPLITS + COPIES * (AROUND + ESCAPED * bytes as u64) / page_size.max(1);
    match job {
        Work::Batch(Batch { ops, .. }) => ops
            .iter()
            .map(|op| match op {
                Op::Raise { alarm, .. } | Op::Log { alarm, .. } => Some(of_text(text_bytes(alarm))),
                Op::Clear { key, .. } => Some(of_text(key.alarm_id.len() + key.entity_instance_id.len())),
                Op::ClearAll { .. } | Op::Replay { .. } | Op::Drop { .. } => None,
            })
            .sum(),
        Work::Heal(..) | Work::Report(_) => None,
        Work::Repair(..) | Work::Flush | Work::Stop => Some(0),
    }
}
