//! `fm-common/src/catalogue/table.rs`: the alarm catalogue as a Rust table, sorted by id.
//!
//! Invariant: the text is as rustfmt would leave it, with one line for each id.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail, ensure};

use crate::csv;

const HEAD: [&str; 11] = [
    "alarm_id",
    "kind",
    "context",
    "severities",
    "alarm_type",
    "probable_cause",
    "service_affecting",
    "suppression",
    "inhibit_alarms",
    "mgmt_affecting_severity",
    "degrade_affecting_severity",
];

/// The Rust text of a catalogue.
pub(super) fn render(tables: &[String]) -> anyhow::Result<String> {
    let [table] = tables else { bail!("one table is needed") };
    let mut entries = BTreeMap::new();
    let mut severities_used = BTreeSet::new();
    for (line, record) in csv::records(table, HEAD)? {
        let [id, kind, context, severities, ..] = record;
        let severities = variants(&severities).with_context(|| format!("line {line}: {id}"))?;
        let kind = match kind.as_str() {
            "alarm" => "Alarm",
            "log" => "Log",
            other => bail!("line {line}: '{other}' is neither alarm nor log"),
        };
        let context = match context.as_str() {
            "starlingx" => "StarlingX",
            "openstack" => "OpenStack",
            "none" => "None",
            other => bail!("line {line}: '{other}' is no context"),
        };
        let list = severities.join(", ");
        let entry = format!("    entry({id:?}, Kind::{kind}, Context::{context}, &[{list}]),\n");
        severities_used.extend(severities);
        ensure!(entries.insert(id.clone(), entry).is_none(), "line {line}: {id} is there twice");
    }
    let used: Vec<&str> = severities_used.into_iter().collect();
    let body: String = entries.into_values().collect();
    Ok(format!("{}{body}{TAIL}", HEADER.replace("SEVERITIES", &used.join(", "))))
}

/// The variants of `Severity` that a list such as `critical|major` names.
fn variants(list: &str) -> anyhow::Result<Vec<&'static str>> {
    list.split('|')
        .map(|severity| match severity {
            "critical" => Ok("Critical"),
            "major" => Ok("Major"),
            "minor" => Ok("Minor"),
            "warning" => Ok("Warning"),
            other => bail!("'{other}' is no severity that an alarm is raised with"),
        })
        .collect()
}

const HEADER: &str = "\
//! The ids of the alarm catalogue, sorted.
//!
//! @generated from `data/alarm_catalogue.csv` by `cargo xtask gen`; change the table, not this file.

use super::{Context, Entry, Kind};
use crate::values::Severity::{self, SEVERITIES};

const fn entry(id: &'static str, kind: Kind, context: Context, severities: &'static [Severity]) -> Entry {
    Entry { id, kind, context, severities }
}

pub(super) const ENTRIES: &[Entry] = &[
";

const TAIL: &str = "];\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[&str]) -> String {
        format!("{}\n{}\n", HEAD.join(","), rows.join("\n"))
    }

    #[test]
    fn sorted_with_only_the_severities_in_use() {
        let text = render(&[table(&[
            "300.010,log,none,minor,,,,,,,",
            "300.001,alarm,starlingx,critical|minor,,,,,,,",
        ])])
        .unwrap();
        assert!(text.contains("use crate::values::Severity::{self, Critical, Minor};"));
        let first = r#"entry("300.001", Kind::Alarm, Context::StarlingX, &[Critical, Minor]),"#;
        let second = r#"entry("300.010", Kind::Log, Context::None, &[Minor]),"#;
        assert!(text.ends_with(&format!("    {first}\n    {second}\n];\n")), "{text}");
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        for (row, message) in [
            ("1,event,none,minor,,,,,,,", "line 2: 'event' is neither"),
            ("1,log,windriver,minor,,,,,,,", "line 2: 'windriver' is no context"),
            ("1,log,none,fatal,,,,,,,", "line 2: 1: 'fatal' is no severity"),
        ] {
            let error = format!("{:#}", render(&[table(&[row])]).unwrap_err());
            assert!(error.starts_with(message), "{error}");
        }
        let twice = render(&[table(&["1,log,none,minor,,,,,,,", "1,log,none,minor,,,,,,,"])]);
        assert!(twice.unwrap_err().to_string().contains("1 is there twice"));
    }
}
