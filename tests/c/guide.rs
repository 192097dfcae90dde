//! The guide for C and C++ callers: its programs compile, its commands run, its output is what comes.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use crate::support::Node;
use crate::toolbox::{at, library, root, succeed};

/// A fenced block: what stands after the fence, and its lines.
struct Block<'a> {
    info: &'a str,
    text: String,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => open = Some(Block { info, text: String::new() }),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

#[test]
fn its_commands_do_what_it_says() {
    const NEXT: &str = "--- next block ---";
    let page = fs::read_to_string(root().join("docs/c.md")).unwrap();
    // Built here first: the guide's own build then finds it done.
    library();
    let (mut script, mut expected) = (String::from("set -eu\n"), Vec::new());
    for Block { info, text } in blocks(&page) {
        match info.split_once(' ') {
            None if info == "sh" => {
                writeln!(script, "{text}echo '{NEXT}'").unwrap();
                expected.push(None);
            }
            None if info == "text" => *expected.last_mut().unwrap() = Some(text),
            Some(("c" | "cpp", path)) => {
                writeln!(script, "cat > {path} <<'END OF THE PROGRAM'\n{text}END OF THE PROGRAM").unwrap();
            }
            _ => panic!("a block of unknown kind: {info}"),
        }
    }
    assert!(expected.iter().flatten().count() >= 4, "the page shows what its commands print");

    let node = Node::start("");
    let mut command = at(Command::new("sh"), &node.socket());
    let printed = succeed(command.current_dir(root()).arg("-c").arg(&script));
    let printed: Vec<&str> = printed.split(&format!("{NEXT}\n")).collect();
    for (printed, expected) in printed.iter().zip(&expected) {
        if let Some(expected) = expected {
            assert_eq!(printed, expected);
        }
    }
    assert_eq!(printed.len(), expected.len() + 1);
}
