//! Who did what: one line for each set, clear, log, administrators' action and refused access.
//!
//! Invariants:
//! - Each line is one line: texts are quoted, and what could end a line or hide a part of it is escaped.
//! - Writing a line never fails and never holds up a request: what cannot be written is counted, told in the
//!   agent's log, and noted in the file as soon as that can be written again.
//! - A file that cannot be opened is known, and told, before there is a line for it.
//!
//! A line: the action; `uid`, `gid`, `pid`, `program`, `executable` of the caller; what it was about; `result`
//! (`ok`, or the error code's name) and, when it failed, `reason`.

mod file;

use std::fmt::{self, Write as _};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::caller::Origin;
use crate::config::{AuditConfig, AuditTo};

use file::AuditFile;

/// The target of audit lines in the agent's log.
pub const TARGET: &str = "audit";

/// How long a stop waits for the last lines.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);
/// The longest text shown of what a caller wrote, in characters.
const LONGEST_TEXT: usize = 512;

/// What became of the lines.
#[derive(Debug, Default)]
pub struct AuditCounters {
    /// Lines written.
    pub written: AtomicU64,
    /// Lines lost: the file could not be written, or the disk was too slow for them.
    pub lost: AtomicU64,
    /// Why the file could not be opened or written, when that was tried last.
    trouble: Mutex<Option<String>>,
}

impl AuditCounters {
    /// The file was opened or written, or could not be; gives what there was before.
    fn tried(&self, trouble: Option<String>) -> Option<String> {
        std::mem::replace(&mut *self.trouble.lock().unwrap_or_else(PoisonError::into_inner), trouble)
    }
}

/// Where the lines go.
#[derive(Debug)]
pub struct Audit {
    to: To,
    place: String,
    counters: Arc<AuditCounters>,
}

#[derive(Debug)]
enum To {
    Nowhere,
    Log,
    File(AuditFile),
}

impl Audit {
    /// The audit log as configured.
    ///
    /// # Errors
    /// No thread for the file. A file that cannot be opened is none: the log says so, and it is tried again at each
    /// line.
    pub fn new(config: &AuditConfig) -> std::io::Result<Self> {
        let counters = Arc::new(AuditCounters::default());
        let to = match &config.to {
            AuditTo::Off => To::Nowhere,
            AuditTo::Log => To::Log,
            AuditTo::File(path) => To::File(AuditFile::start(path.clone(), Arc::clone(&counters))?),
        };
        let place = match &config.to {
            AuditTo::Off => "off".to_owned(),
            AuditTo::Log => "log".to_owned(),
            AuditTo::File(path) => path.display().to_string(),
        };
        Ok(Self { to, place, counters })
    }

    /// Where the lines go: `off`, `log` or the file's path.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Why the file could not be opened or written, if that failed when it was tried last.
    pub fn trouble(&self) -> Option<String> {
        self.counters.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether lines are written at all.
    pub fn is_on(&self) -> bool {
        !matches!(self.to, To::Nowhere)
    }

    /// What became of the lines so far.
    pub fn counters(&self) -> &AuditCounters {
        &self.counters
    }

    /// Writes a line.
    pub fn write(&self, line: &Line) {
        match &self.to {
            To::Nowhere => {}
            To::Log => {
                self.counters.written.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                tracing::info!(target: TARGET, "{}", line.0);
            }
            To::File(file) => file.write(&line.0),
        }
    }

    /// Opens the file anew, if there is one.
    pub fn reopen(&self) {
        if let To::File(file) = &self.to {
            file.reopen();
        }
    }

    /// Waits until what was written is in the file, for a second at most. Blocks.
    pub fn flush(&self) {
        if let To::File(file) = &self.to {
            file.flush(CLOSE_LIMIT);
        }
    }
}

/// A line, made piece by piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line(String);

impl Line {
    /// The line of an action by a caller.
    pub fn new(action: &str, origin: &Origin) -> Self {
        let Origin { uid, gid, pid, program, executable } = origin;
        Self(format!("{action} uid={uid} gid={gid} pid={pid}"))
            .text("program", program)
            .text("executable", executable.as_deref().unwrap_or_default())
    }

    /// With a text of the caller's, quoted.
    #[must_use]
    pub fn text(mut self, key: &str, text: &str) -> Self {
        let end = text.char_indices().nth(LONGEST_TEXT).map_or(text.len(), |(index, _)| index);
        // Writing into a text does not fail.
        let _written = write!(self.0, " {key}={:?}", &text[..end]);
        self
    }

    /// With a word or number of the agent's own.
    #[must_use]
    pub fn word(mut self, key: &str, word: impl fmt::Display) -> Self {
        let _written = write!(self.0, " {key}={word}");
        self
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
