//! The same calls from C, Rust and Python, each in a process of its own.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use crate::agent::Agent;
use crate::controllers::{platform, refused};
use crate::load::{Call, processes};
use crate::programs::{Programs, output, root};
use crate::rounds::{Contestant, in_turn};
use crate::stats::Run;

use super::Suite;

const GROUP: &str = "Languages";

pub(super) fn measure(suite: &mut Suite) -> anyhow::Result<()> {
    let agent = Agent::start(&suite.programs.agent, &platform(refused()?))?;
    let (socket, calls, rounds) = (agent.socket(), suite.size.calls / 2, suite.size.rounds);
    // An alarm has to stand before it is looked at or cleared.
    for call in [Call::Set, Call::Get, Call::Clear] {
        let programs = &suite.programs;
        let [c, rust, python] = in_turn(
            rounds,
            [
                Contestant::new("C", |round| {
                    foreign(c(programs), call, &socket, &format!("c-{round}"), calls)
                }),
                Contestant::new("Rust", |round| {
                    Ok(processes(&socket, call, &format!("rust-{round}"), 1, calls)?.0)
                }),
                Contestant::new("Python", |round| {
                    foreign(python(programs)?, call, &socket, &format!("python-{round}"), calls)
                }),
            ],
        )?;
        for (language, measured) in [("C", &c), ("Rust", &rust), ("Python", &python)] {
            suite.latency(GROUP, format!("{}, {language}", call.name()), measured);
        }
    }
    Ok(())
}

fn c(programs: &Programs) -> Command {
    Command::new(&programs.c_caller)
}

fn python(programs: &Programs) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into()));
    command.arg(root()?.join("tests/bench/programs/caller.py")).env("PYTHONPATH", &programs.python);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}

/// Runs a program that makes the calls and prints the nanoseconds of each in a line.
fn foreign(
    mut command: Command,
    call: Call,
    socket: &Path,
    label: &str,
    calls: usize,
) -> anyhow::Result<Run> {
    command.args([call.name(), label, &calls.to_string()]).env("FM_AGENT_SOCKET", socket);
    let printed = output(&mut command)?;
    let latencies: Vec<u64> = printed
        .lines()
        .map(|line| line.parse().with_context(|| format!("a caller printed '{line}'")))
        .collect::<Result<_, _>>()?;
    let elapsed = Duration::from_nanos(latencies.iter().sum());
    Ok(Run { latencies, elapsed })
}
