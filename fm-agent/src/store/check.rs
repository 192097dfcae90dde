//! A look at a database that may be in use, without changing it.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::error::{StoreError, StoreErrorKind};
use super::{DATABASE, schema};

/// What a quick check of the database has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The schema's version.
    pub version: i64,
    /// The newest version that this program knows.
    pub known: i64,
    /// What is damaged, in `SQLite`'s words; empty when nothing is.
    pub damage: Vec<String>,
}

/// Checks the database of this state directory, if there is one. Blocks for a time in proportion to its size.
///
/// # Errors
/// It cannot be opened or read at all: damaged, or not for this user.
pub fn check(state_dir: &Path) -> Result<Option<Checked>, StoreError> {
    let path = state_dir.join(DATABASE);
    match std::fs::metadata(&path) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::path("cannot look at the database", &path, &error)),
    }
    look(&path).map(Some).map_err(|error| StoreError::new(error.kind, format!("{}: {error}", path.display())))
}

fn look(path: &Path) -> Result<Checked, StoreError> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.pragma_update(None, "busy_timeout", 2000)?;
    let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let mut statement = connection.prepare("PRAGMA quick_check(5)")?;
    let mut rows = statement.query([])?;
    let mut damage = Vec::new();
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            damage.push(line);
        }
    }
    Ok(Checked { version, known: schema::known(), damage })
}

impl StoreError {
    /// Whether the database is damaged or is none.
    pub fn is_damage(&self) -> bool {
        self.kind == StoreErrorKind::Damaged
    }
}
