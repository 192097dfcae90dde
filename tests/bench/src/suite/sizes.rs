//! Memory, start, files: an idle agent, one with a long queue, one with many connections.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::agent::{Agent, PROCESS};
use crate::controllers::{platform, refused};
use crate::load::{Call, alarm, alone};
use crate::programs::{self, output};
use crate::report::Budget;
use crate::rounds::{Contestant, in_turn};

use super::Suite;

const GROUP: &str = "Sizes";
/// One process makes all the connections.
const MANY: &str = "[limits]\nconnections_per_process = 100000\nconnections_per_user = 100000\n";

pub(super) fn measure(suite: &mut Suite) -> anyhow::Result<()> {
    let config = format!("{}{MANY}", platform(refused()?));
    let idle = Agent::start(&suite.programs.agent, &config)?;
    let process = idle.process()?;
    at_most(suite, "agent memory, idle", "≤ 20 MiB", "MiB", process.resident_mib()?, 20.0, "");
    suite.figure(GROUP, "descriptors, idle", "", vec![process.descriptors()? as f64]);
    suite.figure(GROUP, "threads, idle", "", vec![process.status("Threads")? as f64]);
    waiting(suite)?;
    connections(suite, &idle)?;
    artefacts(suite)
}

/// A bound that is a number.
fn at_most(suite: &mut Suite, what: &str, rule: &str, unit: &str, measured: f64, limit: f64, note: &str) {
    suite.budgets.push(Budget {
        what: what.to_owned(),
        rule: rule.to_owned(),
        measured,
        limit,
        unit: unit.to_owned(),
        allowed: 1.0,
        at_most: true,
        note: note.to_owned(),
    });
}

/// A number as it is read best: 1,000,000.
fn thousands(number: usize) -> String {
    match (number / 1000, number % 1000) {
        (0, rest) => rest.to_string(),
        (more, rest) => format!("{},{rest:03}", thousands(more)),
    }
}

fn waiting(suite: &mut Suite) -> anyhow::Result<()> {
    const LIST: usize = 1000;
    let size = suite.size;
    let requests = size.waiting;
    let mut full = Agent::start(&suite.programs.agent, &format!("{PROCESS}{}", platform(refused()?)))?;
    let client = full.client();
    let filled = alone(requests / LIST, |number| {
        let list = (0..LIST).map(|place| alarm(&format!("fill-{number:06}"), 0, place)).collect();
        Ok(client.set_list(list).map(drop)?)
    })?;
    let name = |text: &str| format!("{text} with {} requests waiting", thousands(requests));
    let rate = requests as f64 / filled.elapsed.as_secs_f64();
    suite.figure(
        GROUP,
        format!("filled with {} requests, lists of {LIST}", thousands(requests)),
        "alarms/s",
        vec![rate],
    );
    suite.figure(GROUP, name("agent memory after filling"), "MiB", vec![full.process()?.resident_mib()?]);
    full.kill()?;
    let after_a_crash = full.run()?;
    full.stop()?;
    let after_a_stop = full.run()?;
    full.wait_state("down")?;
    let of_full = full.client();
    let set = |client: &fm_common::client::Client, round: usize| {
        alone(size.calls, |number| Ok(Call::Set.make(client, &format!("waiting-{round}"), 0, number)?))
    };
    let mut quick = Agent::start(&suite.programs.agent, &format!("{PROCESS}{}", platform(refused()?)))?;
    let of_quick = quick.client();
    let [empty, long] = in_turn(
        size.rounds,
        [
            Contestant::new("empty queue", |round| set(&of_quick, round)),
            Contestant::new("long queue", |round| set(&of_full, round)),
        ],
    )?;
    quick.stop()?;
    suite.latency(GROUP, "process-durable set, empty queue", &empty);
    suite.latency(GROUP, name("process-durable set"), &long);
    let status = alone(3, |_| Ok(of_full.status().map(drop)?))?;
    suite.figure(GROUP, name("status"), "µs", vec![status.p50()]);
    at_most(
        suite,
        &name("agent memory"),
        "≤ 64 MiB",
        "MiB",
        full.process()?.resident_mib()?,
        64.0,
        "after a start and new sets",
    );
    let slower = after_a_crash.max(after_a_stop).as_secs_f64();
    at_most(
        suite,
        &format!("start to ready with {} waiting", thousands(requests)),
        "≤ 1 s",
        "s",
        slower,
        1.0,
        "the slower of after a crash and after a stop",
    );
    suite.figure(GROUP, name("start to ready after a crash"), "s", vec![after_a_crash.as_secs_f64()]);
    suite.figure(GROUP, name("start to ready after a stop"), "s", vec![after_a_stop.as_secs_f64()]);
    let bytes: u64 = fs::read_dir(full.database().parent().context("a database in no directory")?)?
        .map(|entry| Ok::<_, anyhow::Error>(entry?.metadata()?.len()))
        .sum::<Result<u64, _>>()?;
    suite.figure(GROUP, name("bytes on disk for each request,"), "B", vec![bytes as f64 / requests as f64]);
    Ok(())
}

fn connections(suite: &mut Suite, agent: &Agent) -> anyhow::Result<()> {
    let wanted = suite.size.connections;
    let (_, hard) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)?;
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, hard, hard)?;
    // Both ends have a descriptor each for a connection, in processes with the same limit.
    let wanted = wanted.min(usize::try_from(hard)?.saturating_sub(512));
    let before = agent.process()?.resident_mib()?;
    let clients = (0..wanted)
        .map(|_| {
            let client = agent.client();
            client.ping()?;
            Ok(client)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let process = agent.process()?;
    let name = |text: &str| format!("{text} with {wanted} connections");
    suite.figure(GROUP, name("agent memory"), "MiB", vec![process.resident_mib()?]);
    let each = (process.resident_mib()? - before) * 1024.0 / wanted as f64;
    suite.figure(GROUP, name("agent memory for each"), "KiB", vec![each]);
    suite.figure(GROUP, name("descriptors"), "", vec![process.descriptors()? as f64]);
    let last = clients.last().context("no client")?;
    let calls = suite.size.calls;
    let set =
        |round| alone(calls, |number| Ok(Call::Set.make(last, &format!("connected-{round}"), 0, number)?));
    let [among_many] = in_turn(suite.size.rounds, [Contestant::new("set among many", set)])?;
    suite.latency(GROUP, name("durable set"), &among_many);
    Ok(())
}

fn artefacts(suite: &mut Suite) -> anyhow::Result<()> {
    let library = suite.programs.c.join("lib/libfmcommon.so.1.0");
    let (bytes, needed) = (stripped(&library)?, needed(&library)?);
    at_most(
        suite,
        "`libfmcommon.so`, stripped",
        "≤ 1 MiB, links libc and libgcc_s only",
        "MiB",
        bytes / 1024.0 / 1024.0,
        1.0,
        &format!("links {needed}"),
    );
    let extension = suite.programs.python.join("fm_core.abi3.so");
    let files = [
        ("libfmcommon.so.1.0", library),
        ("fm-agent", suite.programs.agent.clone()),
        ("fmClientCli", suite.programs.command.clone()),
        ("fm_core.abi3.so", extension),
    ];
    for (name, file) in files {
        suite.figure(GROUP, format!("{name}, stripped"), "KiB", vec![stripped(&file)? / 1024.0]);
    }
    Ok(())
}

/// The bytes of a file without what only debuggers need.
fn stripped(file: &Path) -> anyhow::Result<f64> {
    let into = programs::directory()?.join("stripped");
    output(Command::new("strip").arg("-o").arg(&into).arg(file))?;
    Ok(fs::metadata(&into)?.len() as f64)
}

/// What a library needs, by the names in its file.
fn needed(library: &Path) -> anyhow::Result<String> {
    let entries = output(Command::new("readelf").args(["--dynamic", "--wide"]).arg(library))?;
    let names = entries.lines().filter(|line| line.contains("(NEEDED)")).filter_map(|line| {
        let (_, name) = line.split_once('[')?;
        name.strip_suffix(']')
    });
    Ok(names.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_thousands() {
        assert_eq!([7, 1000, 1_000_000, 12_034].map(thousands), ["7", "1,000", "1,000,000", "12,034"]);
    }
}
