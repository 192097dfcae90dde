//! What is measured, part by part.

mod controllers;
mod delivery;
mod languages;
mod reads;
mod sizes;
mod writes;

use std::io::Write;
use std::time::Instant;

use anyhow::Context;

use crate::load::Call;
use crate::machine::Machine;
use crate::programs::Programs;
use crate::report::{Budget, Case, Report};
use crate::rounds::Measured;

/// How much of everything.
#[derive(Debug, Clone, Copy)]
struct Size {
    rounds: usize,
    /// Calls of one caller in a round.
    calls: usize,
    /// Calls of a crowd in a round, all callers together.
    crowd: usize,
    /// Lists of 1000 in a round.
    lists: usize,
    /// Calls of one kind in one state of the controller, in a round.
    troubled: usize,
    /// Alarms delivered in a round.
    delivered: usize,
    /// Requests that wait, for the memory and the start.
    waiting: usize,
    connections: usize,
}

const FULL: Size = Size {
    rounds: 5,
    calls: 1000,
    crowd: 2560,
    lists: 6,
    troubled: 500,
    delivered: 1000,
    waiting: 1_000_000,
    connections: 10_000,
};

const QUICK: Size = Size {
    rounds: 3,
    calls: 300,
    crowd: 1024,
    lists: 2,
    troubled: 150,
    delivered: 200,
    waiting: 50_000,
    connections: 1_000,
};

/// A run under way.
#[derive(Debug)]
struct Suite {
    programs: Programs,
    size: Size,
    budgets: Vec<Budget>,
    cases: Vec<Case>,
}

impl Suite {
    /// A latency: the p50 of each round, and all calls together.
    fn latency(&mut self, group: &str, name: impl Into<String>, measured: &Measured) {
        self.cases.push(Case {
            group: group.to_owned(),
            name: name.into(),
            unit: "µs".to_owned(),
            rounds: measured.p50s(),
            spread: Some(measured.spread()),
        });
    }

    /// Calls a second of a crowd, and the latencies of its callers.
    fn rate(&mut self, group: &str, name: impl Into<String>, measured: &Measured) {
        self.cases.push(Case {
            group: group.to_owned(),
            name: name.into(),
            unit: "/s".to_owned(),
            rounds: measured.rates(),
            spread: Some(measured.spread()),
        });
    }

    /// Any other figure.
    fn figure(&mut self, group: &str, name: impl Into<String>, unit: &str, rounds: Vec<f64>) {
        self.cases.push(Case {
            group: group.to_owned(),
            name: name.into(),
            unit: unit.to_owned(),
            rounds,
            spread: None,
        });
    }
}

type Part = fn(&mut Suite) -> anyhow::Result<()>;

const PARTS: [(&str, Part); 6] = [
    ("writes", writes::measure),
    ("reads", reads::measure),
    ("languages", languages::measure),
    ("controllers", controllers::measure),
    ("delivery", delivery::measure),
    ("sizes", sizes::measure),
];

/// Measures, prints and saves.
pub(crate) fn run(quick: bool, only: Option<&str>) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let machine = Machine::this()?;
    let programs = Programs::build()?;
    let size = if quick { QUICK } else { FULL };
    let mut suite = Suite { programs, size, budgets: Vec::new(), cases: Vec::new() };
    let started = Instant::now();
    let mut failed = Ok(());
    for (name, measure) in PARTS {
        if only.is_some_and(|only| !name.starts_with(only)) {
            continue;
        }
        let begun = Instant::now();
        // What the other parts have measured is worth telling all the same.
        failed = failed.and(measure(&mut suite).with_context(|| name));
        writeln!(std::io::stderr(), "{name}: {:.0} s", begun.elapsed().as_secs_f64())?;
    }
    let Suite { budgets, cases, .. } = suite;
    let took_s = started.elapsed().as_secs();
    let report = Report { machine, quick, took_s, budgets, cases };
    writeln!(out, "{}", report.tables()?)?;
    writeln!(out, "written: {}", report.save()?.display())?;
    failed
}

/// The name of the alarms of a round: no two rounds share any.
fn label(call: Call, what: &str, round: usize) -> String {
    format!("{what}-{}-{round}", call.name().split([' ', ',']).next().unwrap_or_default())
}
