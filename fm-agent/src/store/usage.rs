//! How much of the disk the store has, and how much there is.

use std::fs;
use std::io;
use std::path::Path;

use nix::sys::statvfs::statvfs;

use super::error::StoreError;
use super::{DATABASE, Store};

/// What the store occupies, and what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of the database and of the log beside it.
    pub bytes: u64,
    /// Bytes free on their file system, for this process.
    pub free_bytes: u64,
}

impl Store {
    /// The state directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What the store occupies now.
    ///
    /// # Errors
    /// The file system cannot be asked.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        let database = self.directory.join(DATABASE);
        let failed = |error: io::Error| StoreError::path("cannot look at", &self.directory, &error);
        let wal = self.directory.join(format!("{DATABASE}-wal"));
        let log = match fs::metadata(wal) {
            Ok(data) => data.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(failed(error)),
        };
        let bytes = fs::metadata(database).map_err(failed)?.len() + log;
        let stat = statvfs(&self.directory).map_err(|errno| failed(errno.into()))?;
        Ok(Usage { bytes, free_bytes: stat.blocks_available().saturating_mul(stat.fragment_size()) })
    }
}
