//! The command `fmClientCli`, as scripts call it: one call to the agent, in the text form.
//!
//! Invariant: standard output has `Ok` and then the uuid or the alarms, one a line, or else the error's
//! name; the reason in words goes to standard error. The exit status is 0, or 255 for any failure.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use fm_common::client::{Client, ClientError};
use fm_common::text::{self, Unreadable};
use fm_common::{Alarm, ErrorCode};

/// What the command has always ended with when something failed.
const FAILED: u8 = 255;

/// Raises, clears and looks up alarms through the fault management agent of this node.
///
/// TEXT is the 15 fields of an alarm with '###' before each and after the last: uuid, alarm id, state,
/// entity type, entity, time, severity, reason, alarm type, probable cause, repair action, service
/// affecting, suppression, inhibit alarms, keep existing alarm. The last may be left away. FILTER is the
/// fields alarm id and entity, in the same way. A field without value is one space.
#[derive(Debug, Parser)]
#[command(name = "fmClientCli", version)]
#[group(required = true, multiple = false)]
struct Arguments {
    /// Set an alarm, clear it or record a log, as its state says; prints the uuid
    #[arg(short = 'c', value_name = "TEXT", allow_hyphen_values = true)]
    set: Option<String>,
    /// Clear the alarm with this id and entity
    #[arg(short = 'd', value_name = "FILTER", allow_hyphen_values = true)]
    clear: Option<String>,
    /// Clear all alarms of an entity and of what lies under it
    #[arg(short = 'D', value_name = "ENTITY", allow_hyphen_values = true)]
    clear_all: Option<String>,
    /// Print the alarm with this id and entity
    #[arg(short = 'g', value_name = "FILTER", allow_hyphen_values = true)]
    get: Option<String>,
    /// Print the alarms of an entity and of what lies under it
    #[arg(short = 'G', value_name = "ENTITY", allow_hyphen_values = true)]
    by_entity: Option<String>,
    /// Print the alarms with this id
    #[arg(short = 'A', value_name = "ALARM_ID", allow_hyphen_values = true)]
    by_id: Option<String>,
}

/// Why the call was not done.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Text(#[from] Unreadable),
    #[error("{0}")]
    Client(#[from] ClientError),
}

impl Failure {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Text(_) => ErrorCode::InvalidParameter,
            Self::Client(error) => error.code(),
        }
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // Nothing is left to be done when even the terminal is gone.
            let _gone = error.print();
            return if asked_for { ExitCode::SUCCESS } else { ExitCode::from(FAILED) };
        }
    };
    let told = match call(&Client::from_env(), arguments) {
        Ok(lines) => {
            print(io::stdout(), ["Ok".to_owned()].into_iter().chain(lines)).map(|()| ExitCode::SUCCESS)
        }
        Err(failure) => {
            let _gone = print(io::stderr(), [format!("fmClientCli: {failure}")]);
            print(io::stdout(), [failure.code().name().to_owned()]).map(|()| ExitCode::from(FAILED))
        }
    };
    // What was not printed was not told.
    told.unwrap_or(ExitCode::from(FAILED))
}

/// Makes the one call that was asked for and returns the lines to print.
fn call(client: &Client, arguments: Arguments) -> Result<Vec<String>, Failure> {
    let Arguments { set, clear, clear_all, get, by_entity, by_id } = arguments;
    let mut lines = Vec::new();
    if let Some(given) = set {
        let uuid = client.set(text::alarm_with_14_or_15_fields(&given)?)?;
        lines.extend(Some(uuid).filter(|uuid| !uuid.is_empty()));
    }
    if let Some(filter) = clear {
        client.clear(text::filter(&filter)?)?;
    }
    if let Some(entity) = clear_all {
        client.clear_all(&entity)?;
    }
    if let Some(filter) = get {
        lines.push(one_line(&client.get(text::filter(&filter)?)?));
    }
    if let Some(entity) = by_entity {
        lines.extend(client.list_by_entity(&entity)?.iter().map(one_line));
    }
    if let Some(id) = by_id {
        lines.extend(client.list_by_id(&id)?.iter().map(one_line));
    }
    Ok(lines)
}

/// An alarm on one line: a line break in a text becomes a space, so that lines can be counted.
fn one_line(alarm: &Alarm) -> String {
    text::line(alarm).replace(['\n', '\r'], " ")
}

fn print(mut to: impl Write, lines: impl IntoIterator<Item = String>) -> io::Result<()> {
    for line in lines {
        writeln!(to, "{line}")?;
    }
    to.flush()
}
