//! Sets, clears and lists, durable and not, by one caller and by crowds.

use std::cell::Cell;

use crate::agent::{Agent, METRICS, POWER, PROCESS};
use crate::controllers::{platform, refused};
use crate::disk::{Plain, Rows, flushes};
use crate::echo::Echo;
use crate::load::{Call, alarm, alone, processes, threads};
use crate::report::Budget;
use crate::rounds::{Contestant, Measured, in_turn};
use crate::stats::median;

use super::{Suite, label};

const GROUP: &str = "Writes, controller down";
const COSTS: &str = "Cost of a durable set, one caller";
/// Callers of the budget for crowds.
const CROWD: usize = 64;

pub(super) fn measure(suite: &mut Suite) -> anyhow::Result<()> {
    let down = platform(refused()?);
    let start =
        |durability: &str| Agent::start(&suite.programs.agent, &format!("{durability}{METRICS}{down}"));
    let (power, process) = (start(POWER)?, start(PROCESS)?);
    let rows = rows_of_sets(suite, &down)?;
    one_caller(suite, &power, &process, &rows)?;
    crowd(suite, &power, &rows)?;
    drop(rows);
    lists(suite, &power, &down)?;
    crowds(suite, &power, &process)?;
    others(suite, &power)?;
    costs(suite, &power)
}

/// What an agent writes for sets of one alarm each.
fn rows_of_sets(suite: &Suite, down: &str) -> anyhow::Result<Rows> {
    const CALLERS: usize = 16;
    let mut agent = Agent::start(&suite.programs.agent, &format!("{PROCESS}{down}"))?;
    let size = suite.size;
    let each = (size.rounds + 1) * size.crowd.max(size.calls) / CALLERS + CALLERS;
    threads(&agent.socket(), Call::Set, "rows", CALLERS, each)?;
    agent.stop()?;
    Rows::of(&agent.database(), CALLERS * each)
}

fn one_caller(suite: &mut Suite, power: &Agent, process: &Agent, rows: &Rows) -> anyhow::Result<()> {
    let calls = suite.size.calls;
    let (power_client, process_client) = (power.client(), process.client());
    let set = |client: &fm_common::client::Client, round: usize| {
        let label = label(Call::Set, "one", round);
        alone(calls, |number| Ok(Call::Set.make(client, &label, 0, number)?))
    };
    let echo = Echo::of_a_set()?;
    let (mut full, mut normal) = (Plain::open(rows, "FULL")?, Plain::open(rows, "NORMAL")?);
    let wal_bytes = Plain::open(rows, "FULL")?.wal_bytes()?;
    let contestants = [
        Contestant::new("socket", |_| echo.ping(1, calls)),
        Contestant::new("WAL-FULL", |_| full.commits(calls, 1)),
        Contestant::new("durable set", |round| set(&power_client, round)),
        Contestant::new("WAL-NORMAL", |_| normal.commits(calls, 1)),
        Contestant::new("process-durable set", |round| set(&process_client, round)),
        Contestant::new("flush", |_| flushes(calls / 2, wal_bytes)),
    ];
    let [socket, full, durable, normal, process, flush] = in_turn(suite.size.rounds, contestants)?;
    suite.budgets.push(Budget {
        what: "durable set, one caller, p50".to_owned(),
        rule: "≤ 1.3 × (Unix-socket round trip + one WAL-FULL commit of the same row)".to_owned(),
        measured: durable.p50(),
        limit: socket.p50() + full.p50(),
        unit: "µs".to_owned(),
        allowed: 1.3,
        at_most: true,
        note: String::new(),
    });
    suite.budgets.push(Budget {
        what: "`durability = \"process\"` set, p50".to_owned(),
        rule: "≤ 2 × (Unix-socket round trip + one WAL-NORMAL commit of the same row)".to_owned(),
        measured: process.p50(),
        limit: socket.p50() + normal.p50(),
        unit: "µs".to_owned(),
        allowed: 2.0,
        at_most: true,
        note: String::new(),
    });
    suite.latency("Limits", "Unix-socket round trip of a set's bytes, 1 client", &socket);
    let rows = rows.rows_of_a_call();
    suite.latency("Limits", format!("plain SQLite, WAL-FULL, the {rows} rows of a set a commit"), &full);
    suite.latency("Limits", format!("plain SQLite, WAL-NORMAL, the {rows} rows of a set a commit"), &normal);
    suite.latency("Limits", format!("write and fdatasync of the {wal_bytes} bytes of its WAL"), &flush);
    suite.latency(GROUP, "durable set, 1 caller", &durable);
    suite.latency(GROUP, "process-durable set, 1 caller", &process);
    Ok(())
}

fn crowd(suite: &mut Suite, power: &Agent, rows: &Rows) -> anyhow::Result<()> {
    let each = suite.size.crowd / CROWD;
    let echo = Echo::of_a_set()?;
    let mut plain = Plain::open(rows, "FULL")?;
    let batch = Cell::new(1);
    let batches = Cell::new(Vec::new());
    let agent = |round: usize| {
        let before = power.commits()?;
        let run = threads(&power.socket(), Call::Set, &label(Call::Set, "crowd", round), CROWD, each)?;
        let after = power.commits()?;
        let seen = (after.1 - before.1) / (after.0 - before.0).max(1.0);
        batches.set([batches.take(), vec![seen]].concat());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some tens")]
        batch.set((seen.round() as usize).clamp(1, CROWD));
        Ok(run)
    };
    let contestants = [
        Contestant::new("socket", |_| echo.ping(CROWD, each * 4)),
        Contestant::new("durable sets", agent),
        Contestant::new("WAL-FULL in the same batches", |_| {
            plain.commits(
                (CROWD * each / batch.get()).min((rows.calls() / (suite.size.rounds + 1)) / batch.get()),
                batch.get(),
            )
        }),
    ];
    let [socket, sets, commits] = in_turn(suite.size.rounds, contestants)?;
    let batches = batches.into_inner();
    let plain = commits.rate() * median(&batches).round().max(1.0);
    suite.budgets.push(Budget {
        what: "durable sets, 64 callers".to_owned(),
        rule: "≥ 0.7 × 1 / (1/rate of a 64-caller socket ping-pong + 1/rate of plain SQLite committing the same rows in the batch sizes seen)".to_owned(),
        measured: sets.rate(),
        limit: 1.0 / (1.0 / socket.rate() + 1.0 / plain),
        unit: "/s".to_owned(),
        allowed: 0.7,
        at_most: false,
        note: format!("{:.1} sets a commit", median(&batches)),
    });
    suite.rate("Limits", "Unix-socket round trips, 64 clients", &socket);
    suite.figure("Limits", "plain SQLite, WAL-FULL, sets a second in the batches seen", "/s", vec![plain]);
    suite.figure(GROUP, "sets a commit, 64 callers", "", batches);
    Ok(())
}

fn lists(suite: &mut Suite, power: &Agent, down: &str) -> anyhow::Result<()> {
    let size = suite.size;
    let list = |what: &str, length: usize, number: usize| -> Vec<_> {
        (0..length).map(|place| alarm(&format!("{what}-{number:03}"), 0, place)).collect()
    };
    let rows = {
        let mut agent = Agent::start(&suite.programs.agent, &format!("{PROCESS}{down}"))?;
        let client = agent.client();
        let lists = (size.rounds + 1) * size.lists;
        for number in 0..lists {
            client.set_list(list("rows", 1000, number))?;
        }
        agent.stop()?;
        Rows::of(&agent.database(), lists)?
    };
    let client = power.client();
    let mut plain = Plain::open(&rows, "FULL")?;
    let next = Cell::new(0);
    // A set list takes its alarms by value; making them is no part of the call.
    let set_list = |length: usize, lists: usize| {
        let name = format!("list{length}");
        let mut ready: Vec<_> = (0..lists)
            .map(|_| {
                next.set(next.get() + 1);
                list(&name, length, next.get())
            })
            .collect();
        alone(lists, |_| Ok(client.set_list(ready.pop().unwrap_or_default()).map(drop)?))
    };
    let contestants = [
        Contestant::new("WAL-FULL, 1000 rows", |_| plain.commits(size.lists, 1)),
        Contestant::new("set list of 1000", |_| set_list(1000, size.lists)),
        Contestant::new("set list of 1", |_| set_list(1, size.lists * 10)),
        Contestant::new("set list of 100", |_| set_list(100, size.lists * 2)),
        Contestant::new("set list of 10000", |_| set_list(10_000, 1)),
    ];
    let [plain, thousand, one, hundred, most] = in_turn(size.rounds, contestants)?;
    let rate = |measured: &Measured, length: f64| length * 1e6 / measured.p50();
    suite.budgets.push(Budget {
        what: "set list of 1000".to_owned(),
        rule: "≥ 0.5 × plain SQLite inserting 1000 rows in one transaction".to_owned(),
        measured: rate(&thousand, 1000.0),
        limit: rate(&plain, 1000.0),
        unit: "alarms/s".to_owned(),
        allowed: 0.5,
        at_most: false,
        note: String::new(),
    });
    suite.latency("Limits", "plain SQLite, WAL-FULL, the rows of a list of 1000 a commit", &plain);
    for (name, measured) in [("1", &one), ("100", &hundred), ("1000", &thousand), ("10000", &most)] {
        suite.latency(GROUP, format!("durable set list of {name}"), measured);
    }
    Ok(())
}

fn crowds(suite: &mut Suite, power: &Agent, process: &Agent) -> anyhow::Result<()> {
    let size = suite.size;
    for callers in [8, 64, 512] {
        let each = (size.crowd / callers).max(2);
        let (what, rounds) = (format!("{callers}"), if callers == 512 { 2 } else { size.rounds });
        let by_threads = |agent: &Agent, kind: &str, round: usize| {
            threads(
                &agent.socket(),
                Call::Set,
                &label(Call::Set, &format!("{kind}{what}"), round),
                callers,
                each,
            )
        };
        let [durable, fast, apart] = in_turn(
            rounds,
            [
                Contestant::new("durable", |round| by_threads(power, "t", round)),
                Contestant::new("process-durable", |round| by_threads(process, "t", round)),
                Contestant::new("processes", |round| {
                    let label = label(Call::Set, &format!("p{what}"), round);
                    Ok(processes(&power.socket(), Call::Set, &label, callers, each)?.0)
                }),
            ],
        )?;
        suite.rate(GROUP, format!("durable sets, {callers} threads"), &durable);
        suite.rate(GROUP, format!("durable sets, {callers} processes"), &apart);
        suite.rate(GROUP, format!("process-durable sets, {callers} threads"), &fast);
    }
    Ok(())
}

fn others(suite: &mut Suite, power: &Agent) -> anyhow::Result<()> {
    let calls = suite.size.calls / 2;
    let client = power.client();
    let make = |call: Call, named: &str, round: usize| {
        alone(calls, |number| Ok(call.make(&client, &format!("others-{named}-{round}"), 0, number)?))
    };
    let [_, clear, keep, detached] = in_turn(
        suite.size.rounds,
        [
            Contestant::new("set before clear", |round| make(Call::Set, "set", round)),
            Contestant::new("clear", |round| make(Call::Clear, "set", round)),
            Contestant::new("keep", |round| make(Call::Keep, "keep", round)),
            Contestant::new("async", |round| {
                let run = make(Call::Async, "async", round);
                // What is still under way would disturb the next.
                client.ping()?;
                run
            }),
        ],
    )?;
    suite.latency(GROUP, "durable clear, 1 caller", &clear);
    suite.latency(GROUP, "durable set, keep_existing_alarm, 1 caller", &keep);
    suite.latency(GROUP, "async set, 1 caller, until it returns", &detached);
    Ok(())
}

fn costs(suite: &mut Suite, power: &Agent) -> anyhow::Result<()> {
    let calls = suite.size.calls;
    let agent = power.process()?;
    let mut cpu = (Vec::new(), Vec::new());
    let mut switches = (Vec::new(), Vec::new());
    for round in 0..suite.size.rounds {
        let before = agent.used()?;
        let (_, caller) = processes(&power.socket(), Call::Set, &label(Call::Set, "costs", round), 1, calls)?;
        let used = agent.used()?.since(before);
        let each = calls as f64;
        cpu.0.push(used.cpu_ns as f64 / 1e3 / each);
        cpu.1.push(caller.cpu_ns as f64 / 1e3 / each);
        switches.0.push(used.switches as f64 / each);
        switches.1.push(caller.switches as f64 / each);
    }
    suite.figure(COSTS, "processor time, agent", "µs", cpu.0);
    suite.figure(COSTS, "processor time, caller", "µs", cpu.1);
    suite.figure(COSTS, "voluntary context switches, agent", "", switches.0);
    suite.figure(COSTS, "voluntary context switches, caller", "", switches.1);
    Ok(())
}
