//! `fm_api/constants.py`: the names and values that Python callers import, in the order of the table.
//!
//! Invariant: the type that the table states for a name is the type of its value.

use std::collections::BTreeSet;
use std::fmt::Write;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::csv;

/// The Python text of the constants.
pub(super) fn render(tables: &[String]) -> anyhow::Result<String> {
    let [table] = tables else { bail!("one table is needed") };
    let mut text = HEADER.to_owned();
    let mut names = BTreeSet::new();
    for (line, [name, kind, json]) in csv::records(table, ["name", "type", "value_json"])? {
        let value = serde_json::from_str(&json).with_context(|| format!("line {line}: {name}"))?;
        let python = literal(&kind, &value).with_context(|| format!("line {line}: {name}"))?;
        ensure!(is_constant_name(&name), "line {line}: '{name}' is no name of a constant");
        writeln!(text, "{name} = {python}")?;
        ensure!(names.insert(name), "line {line}: the name is there twice");
    }
    Ok(text)
}

fn is_constant_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// A Python literal. JSON writes texts and integers as Python does.
fn literal(kind: &str, value: &Value) -> anyhow::Result<String> {
    match (kind, value) {
        ("str", Value::String(_)) => Ok(value.to_string()),
        ("int", Value::Number(number)) if number.is_i64() => Ok(value.to_string()),
        ("list", Value::Array(items)) => {
            let mut text = String::from("[\n");
            for item in items {
                ensure!(item.is_string(), "{item} in the list is no text");
                writeln!(text, "    {item},")?;
            }
            text.push(']');
            Ok(text)
        }
        _ => bail!("{value} is no {kind}"),
    }
}

const HEADER: &str = r#""""The names and values that fault management callers use.

@generated from fm-common/data/fm_api_constants.csv by `cargo xtask gen`; change the table, not this
file. Names, types and values are part of the interface.
"""

"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &str) -> String {
        format!("name,type,value_json\n{rows}\n")
    }

    #[test]
    fn texts_numbers_and_lists() {
        let rows = "B,str,\"\"\"say \\\"\"it's\\\"\"\"\"\"\nA_1,int,14\nL,list,\"[\"\"x\"\", \"\"y\"\"]\"";
        let text = render(&[table(rows)]).unwrap();
        let expected = "B = \"say \\\"it's\\\"\"\nA_1 = 14\nL = [\n    \"x\",\n    \"y\",\n]\n";
        assert_eq!(text.strip_prefix(HEADER).unwrap(), expected);
    }

    #[test]
    fn a_row_that_contradicts_itself_is_refused() {
        for (rows, message) in [
            ("A,str,1", "line 2: A: 1 is no str"),
            ("A,int,\"\"\"1\"\"\"", "line 2: A: \"1\" is no int"),
            ("A,list,[1]", "line 2: A: 1 in the list is no text"),
            ("a-b,int,1", "line 2: 'a-b' is no name"),
            ("A,int,", "line 2: A: EOF"),
            ("A,int,1\nA,int,2", "line 3: the name is there twice"),
        ] {
            let error = format!("{:#}", render(&[table(rows)]).unwrap_err());
            assert!(error.starts_with(message), "{error}");
        }
    }
}
