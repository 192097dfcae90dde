//! The figures of a run: budgets and cases, as JSON for programs and as tables for people.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::programs;
use crate::stats::{Spread, median, noise};

/// Everything that a run found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) quick: bool,
    /// How long the run took, without building, in seconds.
    pub(crate) took_s: u64,
    pub(crate) budgets: Vec<Budget>,
    pub(crate) cases: Vec<Case>,
}

/// A promise, what was measured and what it is held against.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Budget {
    pub(crate) what: String,
    /// The rule in words.
    pub(crate) rule: String,
    pub(crate) measured: f64,
    /// What `measured` is divided by: what the machine does without an agent, or a fixed bound.
    pub(crate) limit: f64,
    pub(crate) unit: String,
    /// The ratio that is allowed.
    pub(crate) allowed: f64,
    /// Whether the ratio may be at most (or at least) what is allowed.
    pub(crate) at_most: bool,
    /// What else should be known.
    pub(crate) note: String,
}

impl Budget {
    pub(crate) fn ratio(&self) -> f64 {
        self.measured / self.limit
    }

    pub(crate) fn met(&self) -> bool {
        if self.at_most { self.ratio() <= self.allowed } else { self.ratio() >= self.allowed }
    }
}

/// One figure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Case {
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) unit: String,
    /// Of each round.
    pub(crate) rounds: Vec<f64>,
    /// Of all calls, where the figure is a latency.
    pub(crate) spread: Option<Spread>,
}

impl Case {
    /// The median of the rounds.
    pub(crate) fn value(&self) -> f64 {
        median(&self.rounds)
    }

    /// How uncertain it is, as a share of it.
    pub(crate) fn noise(&self) -> f64 {
        noise(&self.rounds)
    }
}

impl Report {
    /// Writes the JSON under target/bench, and the tables beside it; returns the file.
    pub(crate) fn save(&self) -> anyhow::Result<PathBuf> {
        let directory = programs::directory()?;
        let date: String = self.machine.date.chars().filter(char::is_ascii_digit).take(14).collect();
        let file = directory.join(format!("run-{date}.json"));
        fs::write(&file, serde_json::to_vec_pretty(self)?).with_context(|| file.display().to_string())?;
        fs::write(directory.join("table.md"), self.tables()?)?;
        Ok(file)
    }

    /// Reads the figures of a run; without a file, those of the newest.
    pub(crate) fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let file = match file {
            Some(file) => file.to_owned(),
            None => newest()?,
        };
        let text = fs::read(&file).with_context(|| file.display().to_string())?;
        serde_json::from_slice(&text).with_context(|| format!("{} has no figures of a run", file.display()))
    }

    /// The cases, those of a group together, groups in the order in which they began.
    fn grouped(&self) -> Vec<&Case> {
        let mut groups: Vec<&str> = Vec::new();
        for case in &self.cases {
            if !groups.contains(&case.group.as_str()) {
                groups.push(&case.group);
            }
        }
        let of = |group: &str| self.cases.iter().filter(move |case| case.group == group).collect::<Vec<_>>();
        groups.into_iter().flat_map(of).collect()
    }

    /// The tables, in Markdown.
    pub(crate) fn tables(&self) -> Result<String, std::fmt::Error> {
        let mut text = format!("{}; {} s.\n", self.machine.line(), self.took_s);
        if self.quick {
            text += "A quick run: for work on the agent, not for publication.\n";
        }
        text +=
            "\n| what | measured | limit | ratio | budget | |\n| --- | ---: | ---: | ---: | --- | --- |\n";
        for budget in &self.budgets {
            let Budget { what, rule, unit, .. } = budget;
            let met = if budget.met() { "met" } else { "**not met**" };
            let note = if budget.note.is_empty() { String::new() } else { format!(" ({})", budget.note) };
            writeln!(
                text,
                "| {what} | {} {unit} | {} {unit} | {:.2} | {rule} | {met}{note} |",
                short(budget.measured),
                short(budget.limit),
                budget.ratio()
            )?;
        }
        let mut group = "";
        for case in self.grouped() {
            if case.group != group {
                group = &case.group;
                write!(text, "\n**{group}**\n\n| case | median | ± | p50 | p99 | p99.9 | max |\n")?;
                text += "| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n";
            }
            let percentiles = case.spread.map_or_else(
                || " | | | ".to_owned(),
                |spread| [spread.p50, spread.p99, spread.p999, spread.max].map(short).join(" | "),
            );
            writeln!(
                text,
                "| {} | {} {} | {:.0} % | {percentiles} |",
                case.name,
                short(case.value()),
                case.unit,
                case.noise() * 100.0
            )?;
        }
        Ok(text)
    }
}

/// The newest file of a run.
fn newest() -> anyhow::Result<PathBuf> {
    let directory = programs::directory()?;
    let mut newest: Option<(SystemTime, PathBuf)> = None;
    for entry in fs::read_dir(&directory)? {
        let path = entry?.path();
        let is_run = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("run-"));
        if is_run {
            newest = newest.max(Some((fs::metadata(&path)?.modified()?, path)));
        }
    }
    let newest =
        newest.with_context(|| format!("no figures in {}: run `make bench`", directory.display()))?;
    Ok(newest.1)
}

/// Three digits, or all before the point.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn report(cases: Vec<Case>) -> Report {
        Report { machine: Machine::this().unwrap(), quick: true, took_s: 1, budgets: Vec::new(), cases }
    }

    pub(crate) fn case(name: &str, rounds: &[f64]) -> Case {
        Case {
            group: "g".into(),
            name: name.into(),
            unit: "µs".into(),
            rounds: rounds.to_vec(),
            spread: None,
        }
    }

    #[test]
    fn a_budget_is_met_or_not() {
        let budget = |measured, at_most| Budget {
            what: "durable set".into(),
            rule: "≤ 1.3 ×".into(),
            measured,
            limit: 100.0,
            unit: "µs".into(),
            allowed: 1.3,
            at_most,
            note: String::new(),
        };
        assert!(budget(130.0, true).met() && !budget(131.0, true).met());
        assert!(budget(131.0, false).met() && !budget(129.0, false).met());
        let mut report = report(vec![case("set", &[1.0, 2.0, 3.0])]);
        report.budgets = vec![budget(200.0, true)];
        let tables = report.tables().unwrap();
        assert!(
            tables.contains("| durable set | 200 µs | 100 µs | 2.00 | ≤ 1.3 × | **not met** |"),
            "{tables}"
        );
        assert!(tables.contains("| set | 2.00 µs | 74 % |"), "{tables}");
    }

    #[test]
    fn figures_have_three_digits() {
        assert_eq!([0.1234, 1.5, 12.34, 123.4, 12345.6].map(short), ["0.12", "1.50", "12.3", "123", "12346"]);
    }
}
