//! The writer's transaction, its beginning and its end compiled once for all.
//!
//! Invariant: what is not committed is rolled back, unless SQLite has done that already.

use std::ops::Deref;

use rusqlite::{Connection, Savepoint};

use super::error::StoreError;

/// An open transaction.
pub(super) struct Transaction<'a>(&'a mut Connection);

impl<'a> Transaction<'a> {
    /// Begins one that may write.
    pub(super) fn begin(connection: &'a mut Connection) -> Result<Self, StoreError> {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(Self(connection))
    }

    /// Begins a part that can be taken back by itself.
    pub(super) fn savepoint(&mut self) -> Result<Savepoint<'_>, StoreError> {
        Ok(self.0.savepoint()?)
    }

    /// Makes it last.
    pub(super) fn commit(self) -> Result<(), StoreError> {
        self.0.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.0
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.0.is_autocommit() {
            return;
        }
        if let Err(error) = self.0.execute_batch("ROLLBACK") {
            tracing::warn!(%error, "the store's transaction could not be taken back; the next one fails");
        }
    }
}
