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

use rusqlite::Connection;

use super::error::{StoreError, StoreErrorKind};
use super::fold::{self, Step};
use super::limits::{Limits, Stages};
use super::meter::{Counts, Rank, Waiting};
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
        Ok(Self { requests, pages, page_size, counts: Counts::new(waiting) })
    }

    /// Bytes of a page.
    pub(super) fn page_size(&self) -> u64 {
        self.page_size
    }

    /// Gives things up while the store is above high water with so many changes more.
    pub(super) fn relieve(&mut self, connection: &Connection, coming: u64) -> Result<(), StoreError> {
        self.give_up(connection, coming, i64::MAX, |this| Ok(!this.is_high(connection, coming)?))
    }

    /// Gives up superseded requests, then logs up to this place in the order, until it is enough, there are
    /// none, or so many were looked at as so many changes are worth.
    fn give_up(
        &mut self,
        connection: &Connection,
        changes: u64,
        logs_up_to: i64,
        is_enough: impl Fn(&Self) -> Result<bool, StoreError>,
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

    fn is_high(&self, connection: &Connection, coming: u64) -> Result<bool, StoreError> {
        Ok(self.counts.requests() + coming > self.requests.high
            || space::used_pages(connection)? > self.pages.high)
    }

    /// What is held now.
    pub(super) fn level(&self, connection: &Connection) -> Result<Level, StoreError> {
        Ok(Level {
            requests: self.counts.requests(),
            pages: space::used_pages(connection)?,
            last: tables::last_request(connection)?,
        })
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
        let limit = |stages: Stages| match held {
            Held::ToSets => stages.sets,
            Held::ToClears => stages.clears,
        };
        let requests = self.counts.requests();
        if requests > before.requests && requests > limit(self.requests) {
            let waiting = before.requests;
            return Ok(Some(format!(
                "the store is full: {waiting} requests wait to be delivered (agent.max_requests); try again later"
            )));
        }
        let pages = space::used_pages(connection)?;
        if pages > before.pages && pages > limit(self.pages) {
            let bytes = before.pages * self.page_size;
            return Ok(Some(format!(
                "the store is full: it takes {bytes} bytes (agent.max_bytes); try again later"
            )));
        }
        Ok(None)
    }
}
