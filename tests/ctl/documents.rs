//! What the operators' guide tells people to type.

use std::process::{Command, Output};

use crate::run::Ran;
use crate::support::{Node, controller};

/// The examples of the section about `fmctl`, each block a script.
fn examples() -> Vec<String> {
    let guide = include_str!("../../docs/operator.md");
    let section = guide.split("\n## ").find(|section| section.starts_with("The command fmctl\n")).unwrap();
    section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

fn run(node: &Node, script: &str) -> Output {
    let programs = std::path::Path::new(env!("CARGO_BIN_EXE_fmctl")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", script]).current_dir(node.socket().parent().unwrap());
    shell.env("PATH", path).env("FM_AGENT_SOCKET", node.socket()).env_remove("NO_COLOR").output().unwrap()
}

#[test]
fn every_example_runs_as_it_stands() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    let examples = examples();
    assert!(examples.len() >= 7, "{examples:?}");
    for example in &examples {
        let ran = Ran::of(run(&node, example));
        // The doctor finds what a test's surroundings lack; that it looked is what counts.
        let looked = example.contains("doctor") && ran.out.contains(" checks: ");
        assert!(ran.status == 0 || looked, "{example}: {ran:?}");
    }
}
