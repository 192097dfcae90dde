//! How the store can fail, told apart by what follows from it.

use std::fmt;
use std::path::Path;

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// No room on the disk: callers may try again later.
    Full,
    /// The store holds as much as it may: callers may try again later.
    Limit,
    /// The database is damaged or is none.
    Damaged,
    /// The schema is newer than this program.
    Newer,
    /// Another agent holds the state directory.
    InUse,
    /// The writer has stopped.
    Stopped,
    /// The disk or the system failed otherwise.
    Io,
}

/// Why the store did not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreError {
    /// What follows from it.
    pub kind: StoreErrorKind,
    reason: String,
}

impl StoreError {
    pub(super) fn new(kind: StoreErrorKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into() }
    }

    pub(super) fn path(what: &str, path: &Path, error: &std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreErrorKind::Full,
            _ => StoreErrorKind::Io,
        };
        Self::new(kind, format!("{what} {}: {error}", path.display()))
    }

    pub(super) fn stopped() -> Self {
        Self::new(StoreErrorKind::Stopped, "the agent is stopping: try again")
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for StoreError {}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, DiskFull, NotADatabase};
        let kind = match error.sqlite_error_code() {
            Some(DiskFull) => StoreErrorKind::Full,
            Some(DatabaseCorrupt | NotADatabase) => StoreErrorKind::Damaged,
            _ => StoreErrorKind::Io,
        };
        Self::new(kind, format!("store: {error}"))
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::new(StoreErrorKind::Damaged, format!("store: an alarm in it cannot be read: {error}"))
    }
}
