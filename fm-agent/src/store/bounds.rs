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

    /// Gives things up while the store is above high water with so many changes more; `always`: also below
    /// it, for a change that did not fit. Gives how many requests went.
    pub(super) fn relieve(
        &mut self,
        connection: &Connection,
        coming: u64,
        always: bool,
    ) -> Result<u64, StoreError> {
        let before = self.counts.requests();
        let mut least = Rank::ALL[0];
        for _ in 0..coming * STEPS_PER_CHANGE + STEPS_PER_BATCH {
            if !always && !self.is_high(connection, coming)? {
                break;
            }
            match fold::fold_oldest(connection)? {
                Step::Folded(domain) => {
                    self.counts.left(domain);
                    self.counts.folded += 1;
                }
                Step::Stays => {}
                Step::Nothing => match fold::shed_least(connection, least)? {
                    Some((domain, rank)) => {
                        self.counts.shed(domain, rank);
                        least = rank;
                    }
                    None => break,
                },
            }
        }
        Ok(before - self.counts.requests())
    }

    fn is_high(&self, connection: &Connection, coming: u64) -> Result<bool, StoreError> {
        Ok(self.counts.requests() + coming > self.requests.high
            || space::used_pages(connection)? > self.pages.high)
    }

    /// What is held now: requests, pages.
    pub(super) fn level(&self, connection: &Connection) -> Result<(u64, u64), StoreError> {
        Ok((self.counts.requests(), space::used_pages(connection)?))
    }

    /// Refuses what was done since `before` if it takes room that there is not.
    pub(super) fn check(
        &self,
        connection: &Connection,
        before: (u64, u64),
        held: Held,
    ) -> Result<(), StoreError> {
        let (requests, pages) = self.level(connection)?;
        let limit = |stages: Stages| match held {
            Held::ToSets => stages.sets,
            Held::ToClears => stages.clears,
        };
        let reason = if requests > before.0 && requests > limit(self.requests) {
            format!(
                "the store is full: {} requests wait to be delivered (agent.max_requests); try again later",
                before.0
            )
        } else if pages > before.1 && pages > limit(self.pages) {
            format!(
                "the store is full: it takes {} bytes (agent.max_bytes); try again later",
                before.1 * self.page_size
            )
        } else {
            return Ok(());
        };
        Err(StoreError::new(StoreErrorKind::Limit, reason))
    }
}
