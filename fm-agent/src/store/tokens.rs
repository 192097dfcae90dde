//! The newest tokens, so that a call that is repeated is taken once, also by the agent that follows one
//! that died.
//!
//! Invariant: what is known here is what the table holds and what the open transaction adds to it.

use std::collections::{HashSet, VecDeque};

use fm_common::protocol::Token;
use rusqlite::{Connection, params};

use super::error::StoreError;

/// Tokens remembered. A caller tries once more at once, so the newest few are enough.
pub(super) const REMEMBERED: usize = 8192;

/// Tokens that were taken.
pub(super) struct Tokens {
    known: HashSet<Token>,
    order: VecDeque<Token>,
    /// Of the open transaction.
    new: Vec<Token>,
    /// How many were ever taken and committed.
    taken: i64,
}

impl Tokens {
    /// What the table holds.
    pub(super) fn load(connection: &Connection) -> Result<Self, StoreError> {
        let (taken, order) = newest(connection)?;
        let known = order.iter().copied().collect();
        Ok(Self { known, order: order.into(), new: Vec::new(), taken })
    }

    /// Whether a call with this token was taken before.
    pub(super) fn knows(&self, token: Option<Token>) -> bool {
        token.is_some_and(|token| self.known.contains(&token))
    }

    /// Writes a token into the transaction. It counts once [`Self::took`] is called.
    pub(super) fn write(&self, connection: &Connection, token: Option<Token>) -> Result<(), StoreError> {
        let Some(token) = token else { return Ok(()) };
        let number = self.taken + count(self.new.len());
        put_token(connection, number % count(REMEMBERED), number, token)
    }

    /// The batch that wrote this token is part of the transaction.
    pub(super) fn took(&mut self, token: Option<Token>) {
        if let Some(token) = token {
            self.known.insert(token);
            self.new.push(token);
        }
    }

    /// The transaction is on disk.
    pub(super) fn keep_new(&mut self) {
        self.taken += count(self.new.len());
        self.order.extend(self.new.drain(..));
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }

    /// The transaction is lost.
    pub(super) fn forget_new(&mut self) {
        for token in self.new.drain(..) {
            self.known.remove(&token);
        }
    }
}

/// Remembers the token of a call in this slot.
fn put_token(connection: &Connection, slot: i64, number: i64, token: Token) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO token (slot, number, token) VALUES (?1, ?2, ?3)")?
        .execute(params![slot, number, token])?;
    Ok(())
}

/// How many calls were ever taken, and the tokens of the newest, oldest first.
fn newest(connection: &Connection) -> Result<(i64, Vec<Token>), StoreError> {
    let taken = connection.query_row("SELECT ifnull(max(number) + 1, 0) FROM token", [], |row| row.get(0))?;
    let mut statement = connection.prepare("SELECT token FROM token ORDER BY number")?;
    let tokens = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok((taken, tokens))
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
