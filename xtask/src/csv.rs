//! Reads the committed tables: comma-separated, one record a line, a field in double quotes may hold
//! commas and doubled quotes.
//!
//! Invariant: a table that is not of this form is an error that names the line; nothing is guessed.
//! Fields that span lines are not supported: no table has one.

use anyhow::{Context, bail, ensure};

/// The records of a table below its head, which must be exactly `head`, each with the number of its
/// line.
pub(crate) fn records<const N: usize>(
    text: &str,
    head: [&str; N],
) -> anyhow::Result<Vec<(usize, [String; N])>> {
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    let (_, first) = lines.next().context("the table is empty")?;
    ensure!(first == head.join(","), "line 1: the head is '{first}', expected '{}'", head.join(","));
    lines
        .map(|(number, line)| {
            let fields = fields(line).with_context(|| format!("line {number}"))?;
            let count = fields.len();
            let record = fields.try_into().ok();
            Ok((number, record.with_context(|| format!("line {number}: {count} fields, expected {N}"))?))
        })
        .collect()
}

fn fields(line: &str) -> anyhow::Result<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, after) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted_field(quoted)?
        } else {
            let (plain, after) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
            (plain.to_owned(), after)
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(fields),
            None => bail!("'{after}' follows a closing quote"),
        }
    }
}

/// The field that ends at the first quote that is not doubled, and what follows it.
fn quoted_field(text: &str) -> anyhow::Result<(String, &str)> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"').context("a quote is not closed")?;
        field.push_str(before);
        match after.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                rest = next;
            }
            None => return Ok((field, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_commas() {
        let table = "a,b\nplain,\"x, \"\"y\"\"\"\n,\n";
        let records = records(table, ["a", "b"]).unwrap();
        assert_eq!(records[0], (2, ["plain".to_owned(), "x, \"y\"".to_owned()]));
        assert_eq!(records[1], (3, [String::new(), String::new()]));
    }

    #[test]
    fn a_bad_table_is_refused_with_its_line() {
        for (table, message) in [
            ("", "the table is empty"),
            ("a,c\n", "line 1: the head"),
            ("a,b\nonly\n", "line 2: 1 fields, expected 2"),
            ("a,b\n1,2\n1,\"open\n", "line 3: a quote is not closed"),
            ("a,b\n\"1\"x,2\n", "line 2: 'x,2' follows"),
        ] {
            let error = format!("{:#}", records(table, ["a", "b"]).unwrap_err());
            assert!(error.starts_with(message), "{error}");
        }
    }
}
