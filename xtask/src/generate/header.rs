//! `include/fmAPI.h` and `include/fmAlarm.h`.
//!
//! Invariants: types, constants and prototypes of `fmAPI.h` come from the sources of `bindings/c` by
//! cbindgen; fixed text says only what cbindgen cannot: includes, the prototypes with a C++ vector, and
//! the typed constant. `fmAlarm.h` comes from its table.

use std::fmt::Write;

use anyhow::{Context, ensure};
use cbindgen::{Builder, Config, DocumentationStyle, Language, Style};

use crate::csv;

/// The text of `fmAPI.h`, from the texts of the sources.
pub(super) fn api(sources: &[String]) -> anyhow::Result<String> {
    // cbindgen reads files only.
    let directory = tempfile::tempdir().context("making a directory for cbindgen")?;
    let mut builder = Builder::new().with_config(config());
    for (index, source) in sources.iter().enumerate() {
        let path = directory.path().join(format!("{index}.rs"));
        std::fs::write(&path, source).with_context(|| format!("writing {}", path.display()))?;
        builder = builder.with_src(path);
    }
    let mut bytes = Vec::new();
    builder.generate().context("cbindgen")?.write(&mut bytes);
    let text = without_safety(&String::from_utf8(bytes).context("cbindgen's text")?);
    for needed in ["typedef enum EFmErrorT", "typedef struct SFmAlarmDataT", "EFmErrorT fm_set_fault("] {
        ensure!(text.contains(needed), "cbindgen left out '{needed}'");
    }
    Ok(text)
}

fn config() -> Config {
    let mut config = Config {
        language: Language::C,
        cpp_compat: true,
        style: Style::Both,
        documentation_style: DocumentationStyle::C99,
        line_length: 110,
        no_includes: true,
        usize_is_size_t: true,
        header: Some(HEAD.to_owned()),
        after_includes: Some(INCLUDES.to_owned()),
        trailer: Some(VECTORS.to_owned()),
        ..Config::default()
    };
    config.export.exclude =
        ["Vector", "fm_set_fault_list", "fm_clear_fault_list", "fm_init_lib", "fm_server_create"]
            .map(str::to_owned)
            .to_vec();
    config
}

/// Leaves out what the comments say about `unsafe`, which C does not have.
fn without_safety(text: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut leaving_out = false;
    for line in text.lines() {
        if line.trim() == "// # Safety" {
            leaving_out = true;
            // The empty comment line before it.
            kept.pop();
        }
        leaving_out &= line.starts_with("//");
        if !leaving_out {
            kept.push(line);
        }
    }
    let mut text = kept.join("\n");
    text.push('\n');
    text
}

const HEAD: &str = "\
/* The C and C++ interface to fault management.
 *
 * @generated from bindings/c by `cargo xtask gen`; change the sources there, not this file.
 *
 * Every call may be made by any thread at any time, before and after a fork, and returns by its
 * deadline. fm_last_error_message tells in words why a call failed. */

#ifndef FM_API_H
#define FM_API_H
";

const INCLUDES: &str = "\
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#ifdef __cplusplus
#include <vector>
#endif

// How many alarms fm_get_faults_by_id_n_eid takes the array to hold when it is not told.
static const size_t DEF_MAX_ALARMS = 1000;
";

const VECTORS: &str = "\
#ifdef __cplusplus
extern \"C\" {

// As fm_set_fault_array.
EFmErrorT fm_set_fault_list(const std::vector<SFmAlarmDataT> *alarms);

// As fm_clear_fault_array.
EFmErrorT fm_clear_fault_list(std::vector<AlarmFilter> *filters);

}  // extern \"C\"
#endif

#endif  // FM_API_H";

/// The text of `fmAlarm.h`, from its table.
pub(super) fn alarms(tables: &[String]) -> anyhow::Result<String> {
    let [table] = tables else { anyhow::bail!("one table is needed") };
    let mut text = ALARM_HEAD.to_owned();
    let mut group = "";
    for (line, [name, value]) in csv::records(table, ["macro", "value"])? {
        let heading = GROUPS.iter().find(|(prefix, _)| name.starts_with(prefix));
        let (prefix, heading) =
            heading.with_context(|| format!("line {line}: {name} is of no known group"))?;
        ensure!(!value.contains(['"', '\\']), "line {line}: {name}: {value} cannot stand in a C text");
        if group != *prefix {
            group = prefix;
            write!(text, "\n/* {heading} */\n")?;
        }
        writeln!(text, "#define {name} \"{value}\"")?;
    }
    text.push_str("\n#endif /* FM_ALARM_H */\n");
    Ok(text)
}

const GROUPS: [(&str, &str); 3] = [
    ("FM_ENTITY_TYPE_", "Kinds of entities, for entity_type_id."),
    ("ALARM_GROUP_", "What alarm ids begin with."),
    ("FM_ALARM_ID_", "Alarm ids."),
];

const ALARM_HEAD: &str = "\
/* Entity types and alarm ids for C and C++ callers of fault management.
 *
 * @generated from fm-common/data/c_alarm_macros.csv by `cargo xtask gen`; change the table, not this
 * file. The catalogue has more ids than those with a name here. */

#ifndef FM_ALARM_H
#define FM_ALARM_H
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safety_sections_are_left_out() {
        let text = "// Does it.\n//\n// # Safety\n// Pointers.\nvoid f(void);\n// Next.\n";
        assert_eq!(without_safety(text), "// Does it.\nvoid f(void);\n// Next.\n");
    }

    #[test]
    fn a_row_that_cannot_be_a_macro_is_refused() {
        for (row, message) in [
            ("OTHER,x", "line 2: OTHER is of no known group"),
            ("FM_ALARM_ID_X,a\\b", "line 2: FM_ALARM_ID_X"),
        ] {
            let error = format!("{:#}", alarms(&[format!("macro,value\n{row}\n")]).unwrap_err());
            assert!(error.starts_with(message), "{error}");
        }
    }
}
