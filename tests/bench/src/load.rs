//! Crowds of callers: what they call, and how they are started together.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use fm_common::client::{Client, ClientError};
use fm_common::{Alarm, AlarmKey, AlarmType, ErrorCode, ProbableCause, Severity};

use crate::agent;
use crate::caller::Report;
use crate::process::Used;
use crate::stats::Run;

/// A platform alarm of the catalogue.
pub(crate) const ALARM_ID: &str = "100.103";

/// One kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Call {
    /// Raise an alarm that does not stand.
    Set,
    /// The same, unless the controller has it.
    Keep,
    /// Raise without waiting for the answer.
    Async,
    /// Clear an alarm that a `set` raised.
    Clear,
    /// Clear an alarm that nobody raised.
    ClearUnknown,
    /// Look at an alarm that a `set` raised.
    Get,
}

impl Call {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Keep => "set, keep_existing_alarm",
            Self::Async => "async set",
            Self::Clear => "clear",
            Self::ClearUnknown => "clear of an unknown alarm",
            Self::Get => "get",
        }
    }

    /// Makes one call; `label`, `caller` and `number` name the alarm.
    pub(crate) fn make(
        self,
        client: &Client,
        label: &str,
        caller: usize,
        number: usize,
    ) -> Result<(), ClientError> {
        let key = || AlarmKey::new(ALARM_ID, &entity(label, caller, number));
        match self {
            Self::Set => client.set(alarm(label, caller, number)).map(drop),
            Self::Keep => {
                let alarm = Alarm { keep_existing_alarm: true, ..alarm(label, caller, number) };
                client.set(alarm).map(drop)
            }
            Self::Async => client.set_detached(alarm(label, caller, number)).map(drop),
            Self::Clear => client.clear(key()),
            Self::ClearUnknown => match client.clear(key()) {
                Err(error) if error.code() == ErrorCode::EntityNotFound => Ok(()),
                other => other,
            },
            Self::Get => client.get(key()).map(drop),
        }
    }
}

/// The entity of an alarm. All callers' names grow together, so that a crowd writes where one caller would.
pub(crate) fn entity(label: &str, caller: usize, number: usize) -> String {
    format!("host=compute-1.run={label}.process={number:06}-{caller:03}")
}

/// An alarm as daemons raise them.
pub(crate) fn alarm(label: &str, caller: usize, number: usize) -> Alarm {
    Alarm {
        reason_text: "Memory threshold exceeded; threshold 80.00%, actual 86.42%".to_owned(),
        proposed_repair_action: "Monitor and if condition persists, contact next level of support."
            .to_owned(),
        suppression: true,
        ..Alarm::new(
            ALARM_ID,
            "host.process",
            &entity(label, caller, number),
            Severity::Major,
            AlarmType::Operational,
            ProbableCause::ThresholdCrossed,
        )
    }
}

/// Lets so many threads, each with a connection of its own, make so many calls each.
pub(crate) fn threads(
    socket: &Path,
    call: Call,
    label: &str,
    callers: usize,
    each: usize,
) -> anyhow::Result<Run> {
    crowd(callers, each, |caller| {
        let client = agent::client(socket);
        client.ping()?;
        Ok(move |number| Ok(call.make(&client, label, caller, number)?))
    })
}

/// A crowd of threads: `caller` makes each ready, what it gives is then called `each` times.
pub(crate) fn crowd<C>(
    callers: usize,
    each: usize,
    ready: impl Fn(usize) -> anyhow::Result<C> + Sync,
) -> anyhow::Result<Run>
where
    C: FnMut(usize) -> anyhow::Result<()>,
{
    let gate = Barrier::new(callers + 1);
    std::thread::scope(|scope| {
        let start = |caller| {
            let (gate, ready) = (&gate, &ready);
            scope.spawn(move || -> anyhow::Result<Vec<u64>> {
                let call = ready(caller);
                gate.wait();
                timed(each, call?)
            })
        };
        let threads: Vec<_> = (0..callers).map(start).collect();
        gate.wait();
        let started = Instant::now();
        let mut latencies = Vec::with_capacity(callers * each);
        for thread in threads {
            let joined = thread.join().map_err(|_| anyhow::anyhow!("a caller's thread panicked"))?;
            latencies.extend(joined?);
        }
        Ok(Run { latencies, elapsed: started.elapsed() })
    })
}

/// Makes so many calls, one after the other.
pub(crate) fn timed(
    each: usize,
    mut call: impl FnMut(usize) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<u64>> {
    let mut latencies = Vec::with_capacity(each);
    for number in 0..each {
        let started = Instant::now();
        call(number)?;
        latencies.push(nanos(started.elapsed()));
    }
    Ok(latencies)
}

/// As [`timed`], as a round of one caller.
pub(crate) fn alone(each: usize, call: impl FnMut(usize) -> anyhow::Result<()>) -> anyhow::Result<Run> {
    let started = Instant::now();
    let latencies = timed(each, call)?;
    Ok(Run { latencies, elapsed: started.elapsed() })
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// As [`threads`], each caller a process. Gives what the callers have used, too.
pub(crate) fn processes(
    socket: &Path,
    call: Call,
    label: &str,
    callers: usize,
    each: usize,
) -> anyhow::Result<(Run, Used)> {
    let crowd: Vec<Waiting> = (0..callers)
        .map(|caller| Waiting::start(socket, call, label, caller, each))
        .collect::<Result<_, _>>()?;
    let mut crowd: Vec<Waiting> = crowd.into_iter().map(Waiting::ready).collect::<Result<_, _>>()?;
    let started = Instant::now();
    for caller in &mut crowd {
        caller.go()?;
    }
    let mut run = Run::default();
    let mut used = Used::default();
    for caller in crowd {
        let report = caller.report()?;
        run.latencies.extend(report.latencies);
        used.cpu_ns += report.cpu_ns;
        used.switches += report.switches;
    }
    run.elapsed = started.elapsed();
    Ok((run, used))
}

/// A caller's process that waits to be let go.
struct Waiting {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Waiting {
    fn start(socket: &Path, call: Call, label: &str, caller: usize, each: usize) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let call = call.to_possible_value().context("a call without a name")?;
        command.args(["call", "--call", call.get_name(), "--label", label, "--socket"]).arg(socket);
        command.args(["--caller", &caller.to_string(), "--each", &each.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("a caller without output")?;
        Ok(Self { child, output: BufReader::new(output) })
    }

    fn ready(mut self) -> anyhow::Result<Self> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(line == "ready\n", "a caller said '{line}' and not that it is ready");
        Ok(self)
    }

    fn go(&mut self) -> anyhow::Result<()> {
        let mut input = self.child.stdin.take().context("a caller without input")?;
        Ok(input.write_all(b"go\n")?)
    }

    fn report(mut self) -> anyhow::Result<Report> {
        let mut text = String::new();
        self.output.read_to_string(&mut text)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "a caller ended with {status}");
        Ok(serde_json::from_str(&text)?)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Most have ended.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
