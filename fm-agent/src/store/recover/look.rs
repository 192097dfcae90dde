//! What a database is, by its first bytes and those of its log, before SQLite opens it: SQLite would make files
//! beside it, empty a log that it takes for another's, and apply one that does not belong to it.
//!
//! Invariant: nothing is written.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::super::error::StoreError;
use super::super::schema::{self, APPLICATION_ID};
use super::quarantine::beside;
use super::wal::{self, Contents, PAGE_HEADER};

/// What SQLite takes for a page size when nothing else is said.
const USUAL_PAGE_SIZE: usize = 4096;

/// What is at the database's path.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) what: What,
    pub(super) wal: Contents,
    pub(super) page_size: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Nothing: no file, or an empty one, and no log that says more.
    Nothing,
    /// An empty file whose log holds what was in it.
    Emptied,
    /// No SQLite database.
    NoDatabase,
    /// The database of another application, with its number.
    Foreign(u32),
    /// A database of this application, as far as its head says.
    Ours {
        /// The version of its schema.
        version: u32,
    },
    /// The database is this application's, the log is of another one.
    ForeignLog,
}

pub(super) fn look(path: &Path) -> Result<Look, StoreError> {
    let failed = |error| StoreError::path("cannot read", path, &error);
    let mut head = Vec::with_capacity(PAGE_HEADER);
    match File::open(path) {
        Ok(file) => {
            file.take(PAGE_HEADER as u64).read_to_end(&mut head).map_err(failed)?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let head: Option<[u8; PAGE_HEADER]> = head.try_into().ok();
    let page_size = head.as_ref().map_or(USUAL_PAGE_SIZE, page_size);
    let log = beside(path, "-wal");
    let wal = wal::read(&log, page_size).map_err(|error| StoreError::path("cannot read", &log, &error))?;
    let length = path.metadata().map_or(0, |found| found.len());
    let what = match (length, &head, &wal.first_page) {
        (0, _, None) if wal.commits + wal.passed_over == 0 => What::Nothing,
        (0, _, first) => match first.as_ref().map(whose) {
            None | Some(What::Ours { .. }) => What::Emptied,
            Some(other) => other,
        },
        (_, None, _) => What::NoDatabase,
        (_, Some(head), None) => whose(head),
        (_, Some(head), Some(first)) => match (whose(head), whose(first)) {
            (What::Ours { .. }, What::Foreign(_) | What::NoDatabase) => What::ForeignLog,
            // A damaged first page that the log has a sound copy of is no damage.
            (_, newer) => newer,
        },
    };
    Ok(Look { what, wal, page_size })
}

fn page_size(head: &[u8; PAGE_HEADER]) -> usize {
    match usize::from(u16::from_be_bytes([head[16], head[17]])) {
        1 => 65_536,
        size => size,
    }
}

fn whose(head: &[u8; PAGE_HEADER]) -> What {
    let word =
        |place: usize| u32::from_be_bytes([head[place], head[place + 1], head[place + 2], head[place + 3]]);
    if !head.starts_with(b"SQLite format 3\0") {
        return What::NoDatabase;
    }
    let (version, application) = (word(60), word(68));
    match application {
        APPLICATION_ID => What::Ours { version },
        // The first schemas were written without the application's number; whose tables they are is looked at later.
        0 if schema::knows(i64::from(version)) => What::Ours { version },
        other => What::Foreign(other),
    }
}
