//! The library's log: the caller's own syslog, under the program's name.
//!
//! Invariants:
//! - At most one line in [`PAUSE_SECONDS`]; the next one says how many were left out.
//! - A failure that callers live with (no such alarm) is told only at level info.
//! - Nothing is ever written to standard output or error.

use std::ffi::CString;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use fm_common::ErrorCode;

use crate::failure::Failure;

/// Environment variable with the least severity that is logged: `off`, `error`, `warning` or `info`.
const LEVEL_VARIABLE: &str = "FM_API_LOG";

/// Seconds between two lines of a process.
const PAUSE_SECONDS: u64 = 10;

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Off,
    Error,
    Warning,
    Info,
}

impl Level {
    /// What the environment says; warnings when it says nothing that is known.
    pub(crate) fn from_env() -> Self {
        match std::env::var(LEVEL_VARIABLE).as_deref() {
            Ok("off") => Self::Off,
            Ok("error") => Self::Error,
            Ok("info") => Self::Info,
            _ => Self::Warning,
        }
    }
}

/// When the last line was written, in seconds, and how many were left out since.
static LAST: AtomicU64 = AtomicU64::new(0);
static LEFT_OUT: AtomicU32 = AtomicU32::new(0);

/// Tells that a call failed.
pub(crate) fn report(level: Level, call: &str, failure: &Failure) {
    let (needed, priority) = match failure.code {
        ErrorCode::EntityNotFound | ErrorCode::AlarmExists => (Level::Info, libc::LOG_INFO),
        _ => (Level::Warning, libc::LOG_WARNING),
    };
    if level < needed {
        return;
    }
    if let Some(left_out) = turn(&LAST, &LEFT_OUT, now()) {
        write(priority, &line(call, failure, left_out));
    }
}

/// Tells of a defect of the library itself.
pub(crate) fn defect(what: &str) {
    write(libc::LOG_ERR, &format!("libfmcommon: a defect, please report it: {what}"));
}

fn line(call: &str, failure: &Failure, left_out: u32) -> String {
    let line = format!("libfmcommon: {call}: {}: {}", failure.code, failure.message);
    if left_out == 0 { line } else { format!("{line} ({left_out} more failures were not logged)") }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Whether a line may be written now: then how many were left out before it. A clock that was set back
/// opens the way at once.
fn turn(last: &AtomicU64, left_out: &AtomicU32, now: u64) -> Option<u32> {
    let before = last.load(Ordering::Relaxed);
    let due = before.abs_diff(now) >= PAUSE_SECONDS;
    if due && last.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
        return Some(left_out.swap(0, Ordering::Relaxed));
    }
    left_out.fetch_add(1, Ordering::Relaxed);
    None
}

fn write(priority: i32, line: &str) {
    let line: Vec<u8> = line.bytes().map(|byte| if byte < b' ' { b' ' } else { byte }).collect();
    let Ok(line) = CString::new(line) else { return };
    // SAFETY: both are NUL-terminated, and the format takes one text.
    unsafe { libc::syslog(priority, c"%s".as_ptr(), line.as_ptr()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_a_while_and_the_rest_is_counted() {
        let (last, left_out) = (AtomicU64::new(0), AtomicU32::new(0));
        assert_eq!(turn(&last, &left_out, 1000), Some(0));
        assert_eq!(turn(&last, &left_out, 1001), None);
        assert_eq!(turn(&last, &left_out, 1009), None);
        assert_eq!(turn(&last, &left_out, 1010), Some(2));
        assert_eq!(turn(&last, &left_out, 500), Some(0), "the clock was set back");
    }

    #[test]
    fn a_line_names_call_code_and_reason() {
        let failure = Failure::new(ErrorCode::NoConnect, "no agent");
        assert_eq!(
            line("fm_set_fault", &failure, 0),
            "libfmcommon: fm_set_fault: FM_ERR_NOCONNECT: no agent"
        );
        assert!(line("fm_set_fault", &failure, 2).ends_with("(2 more failures were not logged)"));
    }
}
