//! Where log lines go: the journal when it is there, else standard error.
//!
//! Invariants:
//! - One event is one line, or one entry with its fields under `FM_…` in the journal.
//! - A reader that has gone is no reason to fail, and nothing is told about it in the same place.

use std::env;
use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;

use anyhow::Context;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogTo;

/// Starts the log of this process.
///
/// # Errors
/// No journal where one was asked for, or a log that was started before.
pub fn start(filter: EnvFilter, to: LogTo) -> anyhow::Result<()> {
    let journal = match to {
        LogTo::Journald => Some(tracing_journald::layer().context("agent.log_to: there is no journal")?),
        LogTo::Auto if is_journal(env::var("JOURNAL_STREAM").ok().as_deref(), standard_error()) => {
            tracing_journald::layer().ok()
        }
        LogTo::Auto | LogTo::Stderr => None,
    };
    let registry = tracing_subscriber::registry().with(filter);
    let started = match journal {
        Some(journal) => registry
            .with(
                journal
                    .with_field_prefix(Some("FM".to_owned()))
                    .with_syslog_identifier("fm-agent".to_owned()),
            )
            .try_init(),
        None => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .with_writer(io::stderr)
                    .with_ansi(io::stderr().is_terminal())
                    // When nobody reads the log any more, saying so in the same place would panic.
                    .log_internal_errors(false),
            )
            .try_init(),
    };
    started.context("the log cannot be started")
}

/// Device and inode of standard error.
fn standard_error() -> Option<(u64, u64)> {
    let metadata = fs::metadata("/proc/self/fd/2").ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Whether what the service manager says of the journal's stream is about this file.
fn is_journal(stream: Option<&str>, file: Option<(u64, u64)>) -> bool {
    let named = stream.and_then(|stream| {
        let (device, inode) = stream.split_once(':')?;
        Some((device.parse().ok()?, inode.parse().ok()?))
    });
    named.is_some() && named == file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_where_the_service_manager_says() {
        assert!(is_journal(Some("9:41"), Some((9, 41))));
        // Standard error was led elsewhere since.
        assert!(!is_journal(Some("9:41"), Some((9, 42))));
        assert!(!is_journal(None, Some((9, 41))));
        assert!(!is_journal(None, None));
        assert!(!is_journal(Some("nine"), None));
    }
}
