//! Whether a database is sound: SQLite's own check of every page, every row and every index entry.
//!
//! It reads everything, so it takes as long as the database is large. At a start it gets so long as a start can
//! spare; what it does not finish goes on beside the agent.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, InterruptHandle};

use super::super::error::{StoreError, StoreErrorKind};

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Verdict {
    /// Nothing is wrong.
    Sound,
    /// This is wrong, among other things perhaps.
    Damaged(String),
    /// It was cut short; nothing is known.
    Unfinished,
}

/// Checks everything, however long it takes.
pub(in super::super) fn check(connection: &Connection) -> Result<Verdict, StoreError> {
    let found = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0));
    match found {
        Ok(found) if found == "ok" => Ok(Verdict::Sound),
        Ok(found) => Ok(Verdict::Damaged(found.replace('\n', " "))),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            Ok(Verdict::Unfinished)
        }
        Err(error) => {
            let error = StoreError::from(error);
            if error.kind == StoreErrorKind::Damaged {
                Ok(Verdict::Damaged(error.to_string()))
            } else {
                Err(error)
            }
        }
    }
}

/// Checks for so long at most.
pub(in super::super) fn check_within(
    connection: &Connection,
    limit: Duration,
) -> Result<Verdict, StoreError> {
    let handle = connection.get_interrupt_handle();
    let (done, waiting) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if waiting.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                handle.interrupt();
            }
        });
        let verdict = check(connection);
        drop(done);
        verdict
    })
}

/// A check beside the agent. It ends when it is dropped, finished or not.
pub(in super::super) struct Checker {
    interrupt: InterruptHandle,
    /// Ends with the check's connection.
    checking: Receiver<()>,
}

impl Checker {
    /// Checks over a connection of its own and tells what it came to, if it came to an end.
    pub(in super::super) fn start(
        connection: Connection,
        tell: impl FnOnce(Result<Verdict, StoreError>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let interrupt = connection.get_interrupt_handle();
        let (ended, checking) = mpsc::channel();
        thread::Builder::new().name("fm-store-check".to_owned()).spawn(move || {
            let verdict = check(&connection);
            drop(connection);
            drop(ended);
            tell(verdict);
        })?;
        Ok(Self { interrupt, checking })
    }
}

impl Drop for Checker {
    /// Waits for the connection to be closed, and not for who is told: that may be the one who waits here.
    fn drop(&mut self) {
        while self.checking.recv_timeout(Duration::from_millis(1)) == Err(RecvTimeoutError::Timeout) {
            // Again and again: an interrupt before the check's first step is lost.
            self.interrupt.interrupt();
        }
    }
}
