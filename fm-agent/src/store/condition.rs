//! What went wrong with what is on the disk, counted since the agent started.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters, all of them since the start of the agent.
#[derive(Debug, Default)]
pub struct Condition {
    quarantines: AtomicU64,
    unreadable: AtomicU64,
    put_back: AtomicU64,
}

impl Condition {
    /// Databases or logs that were damaged and were moved aside.
    pub fn quarantines(&self) -> u64 {
        self.quarantines.load(Ordering::Relaxed)
    }

    /// Rows that could not be read and were set aside, in a database that was sound otherwise or in a salvaged one.
    pub fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    /// Databases that were deleted or replaced under the agent and were written anew from what it had open.
    pub fn put_back(&self) -> u64 {
        self.put_back.load(Ordering::Relaxed)
    }

    pub(super) fn was_put_back(&self) {
        self.put_back.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn quarantined(&self) {
        self.quarantines.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set_aside(&self, rows: u64) {
        self.unreadable.fetch_add(rows, Ordering::Relaxed);
    }
}
