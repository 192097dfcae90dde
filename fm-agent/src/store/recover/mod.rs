//! Opening a database that may be damaged, and what is done about it.
//!
//! Invariants:
//! - What is damaged is moved aside, with the time in its name; it is never written and never deleted to make a
//!   start possible, except the oldest of several.
//! - What can be read of it is in the new database, requests at their places in the order.
//! - Killed at any moment, the next start finds the damaged database or the salvaged one, never neither.
//! - When there is no room to salvage, the damaged database stays as it is, and the error says so.
//! - A database of a newer schema is not touched, damaged or not.
//!
//! One line in the log says what was salvaged, what could not be read, and where the damaged file is.

mod check;
mod look;
mod quarantine;
mod restore;
mod salvage;
mod wal;

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, ValueRef};

use self::check::check;
pub(super) use self::check::{Checker, Verdict, check_within};
use self::look::{Look, What, look};
use self::quarantine::{Files, KEPT};
pub(super) use self::restore::{Place, restore};
use super::condition::Condition;
use super::error::{StoreError, StoreErrorKind};
use super::schema;
use crate::config::Durability;

/// How long the check of a database may hold up a start. What it does not finish is checked beside the agent.
const CHECK_LIMIT: Duration = Duration::from_millis(250);

/// An open database.
pub(super) struct Opened {
    pub(super) connection: Connection,
    /// It was checked as a whole.
    pub(super) checked: bool,
}

/// Refuses a database that a newer program has written, before anything is touched.
pub(super) fn refuse_newer(path: &Path) -> Result<(), StoreError> {
    match look(path)?.what {
        What::Ours { version } => schema::refuse_newer(path, i64::from(version)),
        _ => Ok(()),
    }
}

/// Opens the database for writing; one that is damaged is salvaged first.
pub(super) fn open(path: &Path, durability: Durability, condition: &Condition) -> Result<Opened, StoreError> {
    let files = Files::of(path);
    if let Some(damaged) = files.resume()? {
        condition.quarantined();
        tracing::error!(
            damaged = %damaged.display(),
            "the database was damaged and salvaged before this start; the damaged one is kept"
        );
    }
    files.clean()?;
    let looked = look(path)?;
    if let What::Ours { version } = looked.what {
        schema::refuse_newer(path, i64::from(version))?;
    }
    let is_new = looked.what == What::Nothing;
    let mut thorough = prepare(&files, &looked, condition)?;
    if looked.wal.commits > 0 && is_of_another(&files)? {
        part_from_log(&files, "the two databases have different numbers", condition)?;
        thorough = true;
    }
    let wrong = match open_checked(path, durability, thorough, is_new) {
        Ok((connection, Verdict::Sound)) => return Ok(Opened { connection, checked: true }),
        Ok((connection, Verdict::Unfinished)) => return Ok(Opened { connection, checked: false }),
        Ok((connection, Verdict::Damaged(wrong))) => {
            schema::close_untouched(connection)?;
            wrong
        }
        Err(error) if error.kind == StoreErrorKind::Damaged => error.to_string(),
        Err(error) => return Err(error),
    };
    if looked.wal.commits > 0 && is_sound_without_log(&files)? {
        // Each frame that SQLite takes is as it was written, so what is wrong is that it was written for
        // another database.
        part_from_log(&files, &wrong, condition)?;
    } else {
        replace(&files, &wrong, condition)?;
    }
    let connection = schema::open(path, durability)?;
    Ok(Opened { connection, checked: true })
}

/// The log of a database.
pub(super) fn wal_of(path: &Path) -> PathBuf {
    Files::of(path).wal
}

/// Writes what an open database holds to where the next start finds it, though its own files may be gone. After
/// that nothing may be written to it any more: [`take_copied`] puts the copy at its place.
pub(super) fn copy_open(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let files = Files::of(path);
    files.clean()?;
    create(&files.growing).map_err(|error| StoreError::path("cannot make", &files.growing, &error))?;
    // Its pages, in order, and nothing of its log: what it holds is in the copy.
    let growing = ValueRef::Text(files.growing.as_os_str().as_encoded_bytes());
    let copied = connection.execute("VACUUM INTO ?1", [ToSqlOutput::Borrowed(growing)]);
    copied.map_err(StoreError::from).and_then(|_| files.complete()).inspect_err(|_| {
        if let Err(error) = files.abandon() {
            tracing::error!(%error, "what was copied in part could not be removed");
        }
    })
}

/// Whether a database waits to be put at its place: nothing that is there now may be opened.
pub(super) fn copy_waits(path: &Path) -> bool {
    Files::of(path).waits()
}

/// Removes a copy that waits, for an open database that goes on in its own files.
pub(super) fn abandon_copy(path: &Path) -> Result<(), StoreError> {
    Files::of(path).abandon()
}

/// Puts the copy at the place of whatever is there now, which is moved aside. Nothing may have it open.
pub(super) fn take_copied(path: &Path) -> Result<(), StoreError> {
    let files = Files::of(path);
    if let Some(aside) = files.resume()? {
        // The store is there again, whatever becomes of old files.
        if let Err(error) = files.prune(KEPT, Some(&aside)) {
            tracing::warn!(%error, "the oldest files that were moved aside could not be deleted");
        }
    }
    Ok(())
}

/// Replaces a database that was found to be damaged while it was in use. Nothing may have it open.
pub(super) fn replace_damaged(path: &Path, wrong: &str, condition: &Condition) -> Result<(), StoreError> {
    let files = Files::of(path);
    if files.resume()?.is_some() {
        // What could not be put at its place before is there now.
        return Ok(());
    }
    files.clean()?;
    replace(&files, wrong, condition)
}

/// Does what has to be done before SQLite sees the files. Gives whether they have to be checked as a whole.
fn prepare(files: &Files, looked: &Look, condition: &Condition) -> Result<bool, StoreError> {
    let database = &files.database;
    match &looked.what {
        What::Nothing => {
            create(database)
                .map_err(|error| StoreError::path("cannot make the database", database, &error))?;
            return Ok(false);
        }
        What::NoDatabase => {
            replace(files, "it is no SQLite database", condition)?;
            return Ok(false);
        }
        What::Foreign(application) => {
            let wrong = format!("it belongs to another application (application_id {application})");
            replace(files, &wrong, condition)?;
            return Ok(false);
        }
        What::ForeignLog => {
            part_from_log(files, "it is of another application", condition)?;
            return Ok(true);
        }
        What::Emptied => {
            // SQLite throws away the log of an empty database.
            std::fs::OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(false)
                .mode(0o600)
                .open(database)
                .and_then(|file| file.set_len(looked.page_size as u64))
                .map_err(|error| StoreError::path("cannot extend", database, &error))?;
            tracing::error!(
                database = %database.display(),
                "the database is empty, its log is not: what the log holds is taken"
            );
        }
        What::Ours { .. } => {}
    }
    if looked.wal.is_damaged() {
        let mended = files.mended_wal();
        let left_out = wal::mend(&files.wal, looked.page_size, &mended)
            .map_err(|error| StoreError::path("cannot mend the log as", &mended, &error))?;
        let aside = files.replace_wal()?;
        condition.quarantined();
        tracing::error!(
            log = %aside.display(), left_out, commits = looked.wal.passed_over,
            "the database's log is damaged: the pages that are damaged are left out, what follows is kept"
        );
        files.prune(KEPT, Some(&aside))?;
        return Ok(true);
    }
    Ok(looked.what == What::Emptied)
}

fn open_checked(
    path: &Path,
    durability: Durability,
    thorough: bool,
    is_new: bool,
) -> Result<(Connection, Verdict), StoreError> {
    let connection = schema::open(path, durability)?;
    let verdict = match (is_new, thorough) {
        (true, _) => Verdict::Sound,
        (false, true) => check(&connection)?,
        (false, false) => check_within(&connection, CHECK_LIMIT)?,
    };
    Ok((connection, verdict))
}

/// Whether the log says that it belongs to another database than the one it is beside.
fn is_of_another(files: &Files) -> Result<bool, StoreError> {
    let identity = |opened: Result<Connection, StoreError>| match opened.and_then(|it| schema::identity(&it))
    {
        Ok(found) => Ok(found),
        // Damage is found by the check.
        Err(error) if matches!(error.kind, StoreErrorKind::Damaged | StoreErrorKind::Io) => Ok(None),
        Err(error) => Err(error),
    };
    let (alone, with_log) =
        (identity(schema::open_alone(&files.database))?, identity(schema::open_reader(&files.database))?);
    Ok(alone.zip(with_log).is_some_and(|(alone, with_log)| alone != with_log))
}

fn part_from_log(files: &Files, wrong: &str, condition: &Condition) -> Result<(), StoreError> {
    let aside = files.part_from_wal()?;
    condition.quarantined();
    tracing::error!(
        log = %aside.display(),
        wrong,
        "the database's log belongs to another database: it is moved aside, the agent goes on without it"
    );
    Ok(())
}

/// Whether the database itself, without its log, is sound and this application's.
fn is_sound_without_log(files: &Files) -> Result<bool, StoreError> {
    match schema::open_alone(&files.database) {
        Ok(connection) => Ok(check(&connection)? == Verdict::Sound),
        Err(error) if error.kind == StoreErrorKind::Damaged => Ok(false),
        Err(error) => Err(error),
    }
}

/// Salvages what can be read and puts it in the place of what is damaged.
fn replace(files: &Files, wrong: &str, condition: &Condition) -> Result<(), StoreError> {
    let salvaged = loop {
        match salvage::salvage(files) {
            Ok(salvaged) => break salvaged,
            Err(error) => {
                files.clean()?;
                // Room is made by what is worth least.
                if error.kind == StoreErrorKind::Full
                    && files.prune(files.kept()?.len().saturating_sub(1), None)? > 0
                {
                    continue;
                }
                let reason = format!(
                    "{} is damaged ({wrong}) and could not be salvaged: {error}. It was left as it is; its \
                     contents need up to {} bytes beside it",
                    files.database.display(),
                    files.bytes()
                );
                return Err(StoreError::new(error.kind, reason));
            }
        }
    };
    let damaged = files.replace()?;
    condition.quarantined();
    condition.set_aside(salvaged.set_aside);
    tracing::error!(
        damaged = %damaged.display(),
        wrong,
        requests = salvaged.rows("request"),
        alarms = salvaged.rows("alarm"),
        rejected = salvaged.rows("rejected"),
        rebuilt = salvaged.rebuilt,
        set_aside = salvaged.set_aside,
        not_readable = salvaged.not_readable(),
        "the database was damaged: it is moved aside, what could be read is salvaged, the agent goes on"
    );
    files.prune(KEPT, Some(&damaged)).map(drop)
}

/// Makes a file for this user only, over what was there.
fn create(path: &Path) -> io::Result<File> {
    std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)
}
