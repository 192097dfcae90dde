//! Which waiting requests can be given up, and giving them up: superseded requests, then logs. Runs inside
//! the writer's transaction.
//!
//! A request is superseded when a later one that waits leaves the alarm as it would be without it: a
//! raise by a later raise, clear or clear-all of its alarm, a clear by a later clear or clear-all, a
//! clear-all by a later one that is the same. So of an alarm's requests the last clear and the last raise
//! behind it stay: a raise alone would leave the alarm with the time at which it stood before. A clear
//! stays although the raise before it was never sent, for the controller may hold the alarm from before.
//!
//! Invariants:
//! - The latest request about an alarm is never given up, nor one that may have been sent: one up to the
//!   place that was begun which is the first of its alarm. (A later one of the alarm is not sent before
//!   the first has left.)
//! - Giving up takes requests out and changes the order of none.
//! - Every step costs a few look-ups by key, whatever waits.

use rusqlite::{Connection, OptionalExtension, params};

use super::error::StoreError;
use super::meter::Rank;
use super::tables;
use crate::config::Domain;
use fm_common::entity::EntityMatch;

/// Notes that a raise follows the request `earlier`, the latest so far about its alarm in its domain.
pub(super) fn raised_after(connection: &Connection, earlier: i64, raise: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO superseded (seq, next)
             SELECT seq, ?2 FROM request WHERE seq = ?1 AND kind = 'raise'",
        )?
        .execute([earlier, raise])?;
    Ok(())
}

/// Notes that a clear or a clear-all follows the request `earlier`, the latest so far about an alarm that it
/// clears. The clear before a raise is superseded with it.
pub(super) fn cleared_after(connection: &Connection, earlier: i64, clear: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO superseded (seq, next)
             SELECT before.seq, last.seq FROM request AS last JOIN request AS before ON before.seq = last.previous
             WHERE last.seq = ?1 AND last.kind = 'raise' AND before.kind = 'clear'",
        )?
        .execute([earlier])?;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO superseded (seq, next)
             SELECT seq, ?2 FROM request WHERE seq = ?1 AND kind IN ('raise', 'clear')",
        )?
        .execute([earlier, clear])?;
    Ok(())
}

/// The latest clear-all that waits and is the same.
pub(super) fn same_clear_all(
    connection: &Connection,
    domain: Domain,
    entity: &str,
    rule: EntityMatch,
) -> Result<Option<i64>, StoreError> {
    let found = connection
        .prepare_cached(
            "SELECT max(seq) FROM request
             WHERE kind = 'clear_all' AND domain = ?1 AND entity = ?2 AND rule = ?3",
        )?
        .query_row([domain.name(), entity, tables::rule_name(rule)], |row| row.get(0))?;
    Ok(found)
}

/// Notes that a clear-all follows the same one, which is superseded by it.
pub(super) fn clear_all_again(connection: &Connection, earlier: i64, again: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO superseded (seq, next) VALUES (?1, ?2)")?
        .execute([earlier, again])?;
    Ok(())
}

/// What became of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A request of this domain is gone.
    Folded(Domain),
    /// One was looked at that has to stay; it is not looked at again.
    Stays,
    /// There is nothing more to look at.
    Nothing,
}

/// Looks at the oldest superseded request and takes it out if that is possible.
pub(super) fn fold_oldest(connection: &Connection) -> Result<Step, StoreError> {
    let found = connection
        .prepare_cached(
            "SELECT s.seq, s.next, r.domain, r.previous,
                 r.seq IS NOT NULL
                     AND EXISTS (SELECT 1 FROM request WHERE seq = s.next)
                     AND (s.seq > ifnull((SELECT up_to FROM begun WHERE domain = r.domain), 0)
                         OR EXISTS (SELECT 1 FROM request WHERE seq = r.previous))
             FROM superseded AS s LEFT JOIN request AS r ON r.seq = s.seq
             ORDER BY s.seq LIMIT 1",
        )?
        .query_row([], |row| {
            let domain: Option<String> = row.get(2)?;
            Ok((row.get(0)?, row.get(1)?, domain, row.get(3)?, row.get(4)?))
        })
        .optional()?;
    let Some((seq, next, domain, previous, may_go)): Option<(i64, i64, _, Option<i64>, bool)> = found else {
        return Ok(Step::Nothing);
    };
    let (Some(domain), true) = (domain, may_go) else {
        connection.prepare_cached("DELETE FROM superseded WHERE seq = ?1")?.execute([seq])?;
        return Ok(Step::Stays);
    };
    tables::delete_request(connection, seq)?;
    // Its neighbours are neighbours now.
    connection
        .prepare_cached("UPDATE request SET previous = ?2 WHERE seq = ?1")?
        .execute(params![next, previous])?;
    connection
        .prepare_cached("UPDATE superseded SET next = ?2 WHERE seq = ?1")?
        .execute(params![previous, next])?;
    Ok(Step::Folded(tables::domain(&domain)?))
}

/// Takes out the least severe log from this rank on, the oldest of them first, up to a place in the order;
/// gives its domain and rank.
pub(super) fn shed_least(
    connection: &Connection,
    from: Rank,
    up_to: i64,
) -> Result<Option<(Domain, Rank)>, StoreError> {
    let mut oldest = connection.prepare_cached(
        "SELECT seq FROM request
         WHERE kind = 'log' AND rank = ?1 AND domain = ?2
             AND seq > ifnull((SELECT up_to FROM begun WHERE domain = ?2), 0) AND seq <= ?3
         ORDER BY seq LIMIT 1",
    )?;
    for rank in Rank::ALL.into_iter().filter(|rank| *rank >= from) {
        let mut first: Option<(i64, Domain)> = None;
        for domain in Domain::ALL {
            let found = oldest
                .query_row(params![rank.number(), domain.name(), up_to], |row| row.get(0))
                .optional()?;
            first = first.into_iter().chain(found.map(|seq| (seq, domain))).min();
        }
        if let Some((seq, domain)) = first {
            tables::delete_request(connection, seq)?;
            return Ok(Some((domain, rank)));
        }
    }
    Ok(None)
}
