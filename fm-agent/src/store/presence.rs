//! Whether the store's files are still where they were. An open database goes on in files that were deleted or
//! replaced, and what is in them is gone with the process.
//!
//! Invariants:
//! - A file is known by its device and inode. What cannot be looked at counts as there: nobody has said otherwise.
//! - It changes nothing: the writer is told, looks once more, and writes the files anew ([`super::repair`]).

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::error::{StoreError, StoreErrorKind};
use super::jobs::Repairs;
use super::recover::wal_of;
use super::{DATABASE, LOCK};

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);

/// Device and inode.
type Identity = (u64, u64);

/// The files of an open store.
#[derive(Debug)]
pub(super) struct Presence {
    /// The lock, the database, its log.
    paths: [PathBuf; 3],
    known: Mutex<[Option<Identity>; 3]>,
}

impl Presence {
    /// The files that are open in this state directory now.
    pub(super) fn of(directory: &Path) -> Self {
        let database = directory.join(DATABASE);
        let paths = [directory.join(LOCK), wal_of(&database), database];
        let presence = Self { paths, known: Mutex::default() };
        presence.renew();
        presence
    }

    /// The files that are there now are those that are open.
    pub(super) fn renew(&self) {
        let now = self.paths.each_ref().map(|path| identity(path).ok().flatten());
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// The lock that is there now is the one that is held; the other files are not where they were, perhaps.
    pub(super) fn renew_lock(&self) {
        let now = identity(&self.paths[0]).ok().flatten();
        self.known.lock().unwrap_or_else(PoisonError::into_inner)[0] = now;
    }

    /// Which files are not where they were, in words.
    pub(super) fn gone(&self) -> Option<String> {
        let gone: Vec<String> = (0..self.paths.len()).filter_map(|file| self.what_became_of(file)).collect();
        (!gone.is_empty()).then(|| gone.join(", "))
    }

    /// Whether the lock is not where it was.
    pub(super) fn lock_is_gone(&self) -> bool {
        self.what_became_of(0).is_some()
    }

    /// Whether the database or its log is not where it was.
    pub(super) fn database_is_gone(&self) -> bool {
        (1..self.paths.len()).any(|file| self.what_became_of(file).is_some())
    }

    fn what_became_of(&self, file: usize) -> Option<String> {
        let path = &self.paths[file];
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner)[file]?;
        match identity(path) {
            Ok(None) => Some(format!("{} was deleted", path.display())),
            Ok(Some(now)) if now != known => Some(format!("{} was replaced", path.display())),
            _ => None,
        }
    }
}

fn identity(path: &Path) -> std::io::Result<Option<Identity>> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some((found.dev(), found.ino()))),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Looks again and again. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    _ends: mpsc::Sender<()>,
}

impl Watch {
    /// Has the writer repair what is gone.
    pub(super) fn start(presence: Arc<Presence>, repairs: Repairs) -> Result<Self, StoreError> {
        let (ends, ended) = mpsc::channel();
        let watch = move || {
            while ended.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                if let Some(gone) = presence.gone() {
                    repairs.tell(repairs.done(), StoreError::new(StoreErrorKind::Gone, gone));
                }
            }
        };
        thread::Builder::new().name("fm-store-watch".to_owned()).spawn(watch).map_err(|error| {
            let reason = format!("cannot start the thread that looks after the store's files: {error}");
            StoreError::new(StoreErrorKind::Io, reason)
        })?;
        Ok(Self { _ends: ends })
    }
}
