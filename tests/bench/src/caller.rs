//! A caller in a process of its own: makes itself ready, waits for a line on its input, calls, reports.

use std::io::Write;
use std::path::PathBuf;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::{Deserialize, Serialize};

use crate::agent;
use crate::load::{Call, timed};

/// What to call.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    socket: PathBuf,
    #[arg(long)]
    call: Call,
    /// Names the alarms, together with the caller's number.
    #[arg(long)]
    label: String,
    #[arg(long)]
    caller: usize,
    /// How many calls.
    #[arg(long)]
    each: usize,
}

/// What became of the calls, as JSON on the caller's output.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Of each call, in nanoseconds.
    pub(crate) latencies: Vec<u64>,
    /// Processor time of the calls.
    pub(crate) cpu_ns: u64,
    /// How often the caller went to sleep.
    pub(crate) switches: u64,
}

/// Does what the arguments say.
pub(crate) fn call(arguments: &Arguments) -> anyhow::Result<()> {
    let client = agent::client(&arguments.socket);
    client.ping()?;
    let mut out = std::io::stdout();
    out.write_all(b"ready\n")?;
    out.flush()?;
    std::io::stdin().read_line(&mut String::new())?;
    let before = used()?;
    let latencies = timed(arguments.each, |number| {
        Ok(arguments.call.make(&client, &arguments.label, arguments.caller, number)?)
    })?;
    let after = used()?;
    let report = Report { latencies, cpu_ns: after.0 - before.0, switches: after.1 - before.1 };
    Ok(serde_json::to_writer(out, &report)?)
}

/// Processor time in nanoseconds, and voluntary switches.
fn used() -> anyhow::Result<(u64, u64)> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let time = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok((time.unsigned_abs() * 1000, usage.voluntary_context_switches().unsigned_abs()))
}
