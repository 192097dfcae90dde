//! The headers compile as every language they are for, and say what the tables say.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use crate::toolbox::{STRICT, c_compilers, compiler, cpp_compilers, library, program, root, source, succeed};

#[test]
fn they_compile_everywhere_and_the_layout_is_the_callers() {
    for (compilers, standards, language) in
        [(c_compilers(), ["c99", "c11"], "c"), (cpp_compilers(), ["c++11", "c++20"], "c++")]
    {
        for name in compilers {
            for standard in standards {
                let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("layout-{name}-{standard}"));
                let mut command = compiler(name);
                command.args([&format!("-std={standard}"), "-x", language]).arg(source("layout.c"));
                succeed(command.arg("-o").arg(&binary));
                assert_eq!(succeed(&mut Command::new(binary)), "fits\n", "{name} {standard}");
            }
        }
    }
}

/// Each enumerator and macro of the tables, checked by a program.
#[test]
fn every_name_of_the_tables_has_its_value() {
    let mut checks = 0;
    let mut text =
        String::from("#include <fmAPI.h>\n#include <fmAlarm.h>\nint main(void) {\n int bad = 0;\n");
    for line in include_str!("../../fm-common/data/c_enums.csv").lines().skip(1) {
        let columns: Vec<&str> = line.split(',').collect();
        let [enumeration, enumerator, value] = columns[..3] else { panic!("{line}") };
        writeln!(text, " {{ {enumeration} value = {enumerator}; if ((int)value != {value}) puts(\"{enumerator}\"), bad++; }}").unwrap();
        checks += 1;
    }
    for line in include_str!("../../fm-common/data/c_alarm_macros.csv").lines().skip(1) {
        let (name, value) = line.split_once(',').unwrap();
        // Joined to another literal: callers build longer texts that way.
        writeln!(text, " if (strcmp({name} \".x\", \"{value}.x\")) puts(\"{name}\"), bad++;").unwrap();
        checks += 1;
    }
    assert!(checks > 140, "{checks}");
    text.push_str(" return bad;\n}\n");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (file, binary) = (directory.join("table.c"), directory.join("table"));
    std::fs::write(&file, text).unwrap();
    succeed(compiler("gcc").arg("-std=c99").arg(&file).arg("-o").arg(&binary));
    succeed(&mut Command::new(binary));
}

#[test]
fn pkg_config_and_the_static_library() {
    let flags = |statically: &[&str]| -> Vec<String> {
        let mut command = Command::new("pkg-config");
        command.env("PKG_CONFIG_PATH", library().join("lib/pkgconfig"));
        let flags = succeed(command.args(statically).args(["--cflags", "--libs", "libfmcommon"]));
        flags.split_whitespace().map(str::to_owned).collect()
    };
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("layout-pkg-config");
    let mut command = Command::new("gcc");
    command.args(STRICT).arg(source("layout.c")).arg("-o").arg(&binary);
    succeed(command.args(flags(&[])));

    // Linked with the archive alone, the program needs no shared library of ours.
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("one-call-static");
    let mut command = Command::new("gcc");
    command.args(STRICT).args(["-std=gnu11", "-o"]).arg(&binary).arg(source("one_call.c"));
    let all = flags(&["--static"]);
    command.args(all.iter().map(|flag| if flag == "-lfmcommon" { "-l:libfmcommon.a" } else { flag }));
    succeed(&mut command);
    let needed = succeed(Command::new("readelf").arg("-d").arg(&binary));
    assert!(!needed.contains("libfmcommon"), "{needed}");
    let mut call = Command::new(&binary);
    call.env("FM_AGENT_SOCKET", "/nonexistent/a.sock").env("FM_API_LOG", "off").arg("set");
    let told = succeed(&mut call);
    assert!(told.starts_with("set\t3\t"), "{told}");
}

/// What a caller compiled with the headers of the existing library has in its file: its names, found in ours.
#[test]
fn a_program_needs_the_soname_it_was_linked_with() {
    let needed = succeed(Command::new("readelf").arg("-d").arg(program("gcc", "one_call.c", &[])));
    assert!(needed.contains("Shared library: [libfmcommon.so.1]"), "{needed}");
    assert!(root().join("include/fmAPI.h").is_file());
}
