//! `fmClientCli` as scripts call it: options, output, exit status.

use std::process::Command;

use crate::support::Node;
use crate::toolbox::{at, run};

/// What the command printed and its exit status.
fn call(node: &Node, arguments: &[&str]) -> (String, i32) {
    let mut command = at(Command::new(env!("CARGO_BIN_EXE_fmClientCli")), &node.socket());
    let output = run(command.args(arguments));
    (String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
}

const FIELDS: &str = "### ###100.103###set###host###host=c-1###2026-11-22 10:00:00.500000###major###disk full\
                      ###equipment###file-error###look at it###False###True###False###";

#[test]
fn a_script_sets_looks_and_clears() {
    let node = Node::start("");
    let (told, status) = call(&node, &["-c", &format!("{FIELDS}True###")]);
    assert_eq!(status, 0, "{told}");
    let uuid = told.strip_prefix("Ok\n").unwrap().trim_end();
    assert_eq!(uuid.len(), 36);

    let line = format!("{uuid}{}", FIELDS.strip_prefix("### ").unwrap());
    assert_eq!(line.matches("###").count(), 14);
    for arguments in [["-g", "###100.103###host=c-1###"], ["-G", "host=c-1"], ["-A", "100.103"]] {
        assert_eq!(call(&node, &arguments), (format!("Ok\n{line}\n"), 0), "{arguments:?}");
    }

    // Without the last field, as older scripts write it.
    let (told, status) = call(&node, &["-c", &FIELDS.replace("host=c-1", "host=c-1.disk=a")]);
    assert!(told.starts_with("Ok\n") && status == 0, "{told}");
    let (told, _) = call(&node, &["-G", "host=c-1"]);
    assert_eq!(told.lines().count(), 3, "{told}");

    assert_eq!(call(&node, &["-d", "###100.103###host=c-1###"]), ("Ok\n".to_owned(), 0));
    let (told, _) = call(&node, &["-A", "100.103"]);
    assert_eq!(told.lines().count(), 2, "{told}");
    assert_eq!(call(&node, &["-D", "host=c-1"]), ("Ok\n".to_owned(), 0));
}

#[test]
fn a_failure_is_its_name_and_255() {
    let mut node = Node::start("");
    let not_found = ("FM_ERR_ENTITY_NOT_FOUND\n".to_owned(), 255);
    for arguments in [
        ["-g", "###100.103###host=c-1###"],
        ["-G", "host=c-1"],
        ["-A", "100.103"],
        ["-d", "###100.103###host=c-1###"],
        ["-D", "host=c-1"],
    ] {
        assert_eq!(call(&node, &arguments), not_found, "{arguments:?}");
    }
    let invalid = ("FM_ERR_INVALID_PARAMETER\n".to_owned(), 255);
    assert_eq!(call(&node, &["-c", "disk full"]), invalid);
    assert_eq!(call(&node, &["-c", &FIELDS.replace("major", "terrible")]), invalid);
    assert_eq!(call(&node, &["-D", ""]), invalid);
    for wrong in [&[][..], &["-x"], &["-g"], &["-A", "100.103", "-D", "host=c-1"]] {
        assert_eq!(call(&node, wrong), (String::new(), 255), "{wrong:?}");
    }
    node.kill();
    assert_eq!(call(&node, &["-A", "100.103"]), ("FM_ERR_NOCONNECT\n".to_owned(), 255));
}
