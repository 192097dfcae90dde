//! `bindings/c/src/enums.rs`: the enumerations of the C interface, from their table.
//!
//! Invariant: enumerators are numbered from 0 without gaps, and the last one, which only counts the
//! others, is not among an enumeration's values.

use std::fmt::Write;

use anyhow::{Context, ensure};

use crate::csv;

/// The Rust text of the enumerations.
pub(super) fn render(tables: &[String]) -> anyhow::Result<String> {
    let [table] = tables else { anyhow::bail!("one table is needed") };
    let mut enumerations: Vec<(String, Vec<String>)> = Vec::new();
    for (line, [enumeration, enumerator, value, _text]) in
        csv::records(table, ["enum", "enumerator", "value", "text"])?
    {
        if enumerations.last().is_none_or(|(name, _)| *name != enumeration) {
            enumerations.push((enumeration, Vec::new()));
        }
        let (name, enumerators) = enumerations.last_mut().context("no enumeration")?;
        let expected = enumerators.len();
        ensure!(
            value == expected.to_string(),
            "line {line}: {name} goes on with {value}, expected {expected}"
        );
        enumerators.push(enumerator);
    }
    let mut text = HEADER.to_owned();
    for (name, enumerators) in &enumerations {
        let doc = doc(name).with_context(|| format!("nothing says what {name} is"))?;
        let (count, values) = enumerators.split_last().context("an enumeration without values")?;
        ensure!(count.ends_with("_MAX"), "{name} ends with {count}, not with the number of its values");
        write!(
            text,
            "\n/// {doc}\n#[repr(C)]\n#[derive(Debug, Clone, Copy, PartialEq, Eq)]\npub enum {name} {{\n"
        )?;
        for (value, enumerator) in enumerators.iter().enumerate() {
            writeln!(text, "    {enumerator} = {value},")?;
        }
        write!(
            text,
            "}}\n\nimpl {name} {{\n    /// The values, by number.\n    pub const ALL: &[Self] = &[\n"
        )?;
        for enumerator in values {
            writeln!(text, "        Self::{enumerator},")?;
        }
        text.push_str("    ];\n}\n");
    }
    Ok(text)
}

fn doc(enumeration: &str) -> Option<&'static str> {
    Some(match enumeration {
        "EFmAlarmStateT" => {
            "What a call with an alarm asks for: clear it, raise it, or record a log (`MSG` and `LOG` are the same)."
        }
        "EFmAlarmSeverityT" => "How bad a fault is, after ITU-T X.733. `CLEAR` asks for a clear.",
        "EFmAlarmTypeT" => "The kind of a fault, after ITU-T X.733.",
        "EFmAlarmProbableCauseT" => "Why a fault came about, after ITU-T X.733 and X.736.",
        "EFmErrorT" => {
            "What came of a call. Only `NOCONNECT`, `COMMUNICATIONS`, `NOT_ENOUGH_SPACE` and `RESOURCE_UNAVAILABLE` are worth another try."
        }
        _ => return None,
    })
}

const HEADER: &str = r#"//! The enumerations of the C interface.
//!
//! @generated from fm-common/data/c_enums.csv by `cargo xtask gen`; change the table, not this file.
//! Names and numbers are part of the interface.

#![cfg_attr(rustfmt, rustfmt_skip)]
#![expect(non_camel_case_types, missing_docs, reason = "the interface's names, which say what they mean")]
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn told(rows: &str) -> String {
        let table = format!("enum,enumerator,value,text\n{rows}\n");
        format!("{:#}", render(&[table]).unwrap_err())
    }

    #[test]
    fn a_table_that_contradicts_itself_is_refused() {
        assert!(told("EFmErrorT,A,1,").starts_with("line 2: EFmErrorT goes on with 1, expected 0"));
        assert!(told("EFmErrorT,A,0,").starts_with("EFmErrorT ends with A"));
        assert!(told("Other,A_MAX,0,").starts_with("nothing says what Other is"));
    }
}
