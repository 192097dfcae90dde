//! How the store can fail, told apart by what follows from it.

use std::fmt;
use std::path::Path;

use nix::errno::Errno;
use rusqlite::{ErrorCode, ffi};

/// What to do about a file or directory that may not be written.
const MAKE_WRITABLE: &str = "; make the state directory and its files writable for the user that runs the agent, or set agent.state_dir";

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// No room on the disk: callers may try again later.
    Full,
    /// The store holds as much as it may: callers may try again later.
    Limit,
    /// The database is damaged or is none.
    Damaged,
    /// Its files were deleted or replaced under the agent, and are not written anew yet.
    Gone,
    /// A row holds what this program cannot make sense of; the rest can be read.
    Unreadable,
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
            std::io::ErrorKind::StorageFull
            | std::io::ErrorKind::QuotaExceeded
            | std::io::ErrorKind::FileTooLarge => StoreErrorKind::Full,
            _ => StoreErrorKind::Io,
        };
        let advice = match error.kind() {
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => MAKE_WRITABLE,
            _ => "",
        };
        Self::new(kind, format!("{what} {}: {error}{advice}", path.display()))
    }

    /// The same with the path in it, if it is not there yet.
    pub(super) fn at(self, path: &Path) -> Self {
        let named = path.parent().is_some_and(|parent| self.reason.contains(&*parent.to_string_lossy()));
        if named { self } else { Self { reason: format!("{}: {}", path.display(), self.reason), ..self } }
    }

    /// What follows from a failure of SQLite.
    pub(super) fn from_sqlite(error: &rusqlite::Error) -> StoreErrorKind {
        use rusqlite::Error::{
            FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
        };
        if matches!(
            error,
            FromSqlConversionFailure(..)
                | IntegralValueOutOfRange(..)
                | InvalidColumnType(..)
                | Utf8Error(..)
        ) {
            return StoreErrorKind::Unreadable;
        }
        match (error.sqlite_error_code(), error.sqlite_extended_error_code()) {
            // The index of the log has no room either.
            (Some(ErrorCode::DiskFull), _) | (_, Some(ffi::SQLITE_IOERR_SHMSIZE)) => StoreErrorKind::Full,
            (_, Some(ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_TRUNCATE))
                if no_room().is_some() =>
            {
                StoreErrorKind::Full
            }
            (Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase), _)
            // A disk that cannot give a page back is to the database what a page of garbage is.
            | (_, Some(ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ | ffi::SQLITE_IOERR_CORRUPTFS)) => {
                StoreErrorKind::Damaged
            }
            _ => StoreErrorKind::Io,
        }
    }

    /// The database could not be repaired.
    pub(super) fn closed() -> Self {
        Self::new(StoreErrorKind::Damaged, "the store is damaged and could not be salvaged; the log says why")
    }

    /// Whether the writer can do something about it.
    pub(super) fn is_repairable(&self) -> bool {
        matches!(self.kind, StoreErrorKind::Damaged | StoreErrorKind::Unreadable | StoreErrorKind::Gone)
    }

    pub(super) fn stopped() -> Self {
        Self::new(StoreErrorKind::Stopped, "the agent is stopping: try again")
    }
}

/// The system's word for it that there was no room, if that was the last thing it failed with. SQLite calls a full
/// disk full, but a quota and a limit on a file's size a failed write, as it does a broken disk; nothing that it does
/// between the write and its answer fails, so the word still stands.
fn no_room() -> Option<Errno> {
    Some(Errno::last()).filter(|error| matches!(error, Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG))
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for StoreError {}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let (kind, system) = (Self::from_sqlite(&error), no_room());
        let advice = match error.sqlite_error_code() {
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => MAKE_WRITABLE,
            _ if kind == StoreErrorKind::Full => match system {
                Some(Errno::EDQUOT) => {
                    " (disk quota exceeded); make room in the state directory, or raise the quota of the user that \
                     runs the agent"
                }
                Some(Errno::EFBIG) => {
                    " (file size limit reached); raise the agent's RLIMIT_FSIZE (LimitFSIZE=)"
                }
                _ => "; make room on the disk of the state directory",
            },
            _ => "",
        };
        Self::new(kind, format!("store: {error}{advice}"))
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::new(StoreErrorKind::Unreadable, format!("store: an alarm in it cannot be read: {error}"))
    }
}
