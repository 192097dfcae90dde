//! What one job does within the writer's transaction: room is made for it, it is done, and held to the limits.
//!
//! Invariants:
//! - A job that fails leaves nothing of itself behind, or the transaction it is in is not kept.
//! - It begins no transaction and ends none.

use std::collections::BTreeSet;

use fm_common::protocol::Token;
use rusqlite::Connection;

use super::apply::Apply;
use super::bounds::Bounds;
use super::error::StoreError;
use super::jobs::Work;
use super::model::{KeepRejected, Outcome};
use super::tokens::Tokens;
use super::transaction::Transaction;
use super::{deliveries, healing};
use crate::config::Domain;

/// What a job that fails takes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Apart {
    /// The whole transaction.
    Together,
    /// Itself.
    Each,
}

/// What jobs change, within a transaction.
pub(super) struct Changes<'a> {
    pub(super) bounds: &'a mut Bounds,
    pub(super) tokens: &'a mut Tokens,
    pub(super) here: &'a BTreeSet<Domain>,
    pub(super) max_events: u32,
    pub(super) rejected: KeepRejected,
    pub(super) woken: &'a mut BTreeSet<Domain>,
    pub(super) apart: Apart,
}

impl Changes<'_> {
    /// Does one job, or nothing of it.
    pub(super) fn make(
        &mut self,
        transaction: &mut Transaction<'_>,
        work: &Work,
    ) -> Result<Vec<Outcome>, StoreError> {
        let coming = work.changes();
        if coming > 0 && self.bounds.is_high(transaction, coming)? {
            // On its own, so that what is given up for a job that fails makes room for the next.
            self.guarded(transaction, |this, connection| this.bounds.relieve(connection, coming))?;
        }
        self.bounds.expect(work);
        self.guarded(transaction, |this, connection| this.held_to_limits(connection, work))
    }

    /// Does something; when it fails, everything is as it was before, or the transaction is not kept.
    fn guarded<T>(
        &mut self,
        transaction: &mut Transaction<'_>,
        what: impl FnOnce(&mut Self, &Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.apart == Apart::Together {
            return what(self, transaction);
        }
        let before = self.bounds.counts;
        let savepoint = transaction.savepoint()?;
        let done = what(self, &savepoint).and_then(|done| {
            savepoint.commit()?;
            Ok(done)
        });
        if done.is_err() {
            self.bounds.take_back(before);
        }
        done
    }

    fn held_to_limits(&mut self, connection: &Connection, job: &Work) -> Result<Vec<Outcome>, StoreError> {
        let changes = job.changes();
        let before = match job.held() {
            Some(held) => self.bounds.level(connection, changes, held)?.map(|before| (held, before)),
            None => None,
        };
        let mut apply = Apply {
            connection,
            here: self.here,
            max_events: self.max_events,
            woken: self.woken,
            counts: &mut self.bounds.counts,
            origin: None,
        };
        let (outcomes, token) = work(&mut apply, self.tokens, self.rejected, job)?;
        if let Some((held, before)) = before {
            self.bounds.hold(connection, before, changes, held)?;
        }
        self.tokens.took(token);
        Ok(outcomes)
    }
}

/// Does one job. Gives its outcomes and the token that is taken with them.
fn work(
    apply: &mut Apply<'_>,
    tokens: &Tokens,
    rejected: KeepRejected,
    work: &Work,
) -> Result<(Vec<Outcome>, Option<Token>), StoreError> {
    let batch = match work {
        Work::Batch(batch) => batch,
        Work::Report(report) => {
            if let Some(domain) = deliveries::report(apply.connection, report, rejected)? {
                apply.counts.left(domain);
            }
            return Ok((Vec::new(), None));
        }
        Work::Heal(domain, findings) => return Ok((healing::heal(apply, *domain, findings)?, None)),
        Work::Flush | Work::Stop | Work::Repair(..) => return Ok((Vec::new(), None)),
    };
    if tokens.knows(batch.token) {
        return Ok((apply.taken(batch)?, None));
    }
    let outcomes = apply.batch(batch)?;
    // A batch that changed nothing may come again and ask for more.
    let token = batch.token.filter(|_| outcomes.iter().any(|outcome| *outcome != Outcome::Unknown));
    tokens.write(apply.connection, token)?;
    Ok((outcomes, token))
}
