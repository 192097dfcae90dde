//! What the documents tell people to type.
//!
//! A block ```` ```sh ```` is run as it stands, against an agent with a controller; it may hold this node's own
//! programs only. A block ```` ```sh not-run: REASON ```` is for a person: its reason is written, and so is of each
//! command of this repository in it, and in the text, whether there is such a one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::run::Ran;
use crate::support::{Node, controller};

/// What a block that is run may begin its commands with.
const OURS: [&str; 3] = ["fmctl", "fm-agent", "echo"];
/// Its commands are run by the tests of the C library, in order, beside the programs that they compile.
const RUN_ELSEWHERE: &str = "docs/c.md";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Every document of the repository.
fn documents() -> Vec<PathBuf> {
    let (mut paths, mut directories) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(root().join(&directory)).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            let path = directory.join(&name);
            if entry.file_type().unwrap().is_dir() {
                let is_source = !name.starts_with('.') && name != "target";
                directories.extend(is_source.then_some(path));
            } else if path.extension().is_some_and(|end| end == "md") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    assert!(paths.len() > 10, "{paths:?}");
    paths
}

/// A fenced block: what stands after the fence, and its text.
#[derive(Debug, Clone)]
struct Block {
    info: String,
    text: String,
}

/// The blocks of a document, and the rest of it.
fn split(document: &str) -> (Vec<Block>, String) {
    let (mut blocks, mut prose, mut open) = (Vec::new(), String::new(), None::<Block>);
    for line in document.lines() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(info), None) => open = Some(Block { info: info.trim().to_owned(), text: String::new() }),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => block.text.extend([line, "\n"]),
            (None, None) => prose.extend([line, "\n"]),
        }
    }
    assert!(open.is_none(), "a block is not closed");
    (blocks, prose)
}

/// The single commands of a script, as words without variables before and comments after.
fn commands(script: &str) -> Vec<Vec<String>> {
    let script = script.replace("\\\n", " ");
    let lines = script.lines().map(|line| line.split_once(" #").map_or(line, |(command, _)| command));
    let single = lines.flat_map(|line| line.split([';', '|', '&']));
    let words = single.map(|command| {
        let words = command.split_whitespace().map(str::to_owned);
        words.skip_while(|word| word.contains('=')).collect::<Vec<String>>()
    });
    words.filter(|words| words.first().is_some_and(|first| !first.starts_with('#'))).collect()
}

/// The commands that the repository has.
struct Known {
    make: Vec<String>,
    xtask: Vec<String>,
    targets: String,
    fmctl: BTreeMap<String, String>,
}

impl Known {
    fn new() -> Self {
        let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
        let makefile = read("Makefile");
        let targets =
            makefile.lines().filter_map(|line| line.split_once(':').map(|(name, _)| name.to_owned()));
        let main = read("xtask/src/main.rs");
        let chores = main.split("enum Chore {").nth(1).unwrap().split("\n}").next().unwrap();
        let variants = chores.lines().filter_map(|line| line.strip_prefix("    "));
        let variants = variants.filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()));
        let kebab = |name: &str| {
            name.chars().fold(String::new(), |name, c| {
                let begins = c.is_ascii_uppercase() && !name.is_empty();
                name + if begins { "-" } else { "" } + &c.to_ascii_lowercase().to_string()
            })
        };
        let xtask = variants.map(|line| kebab(line.trim_end_matches([',', ' ', '{']))).collect();
        Self { make: targets.collect(), xtask, targets: read("fm-agent/Cargo.toml"), fmctl: BTreeMap::new() }
    }

    /// What is wrong with a command, where it is one of this repository's.
    fn objection(&mut self, words: &[String]) -> Option<String> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let missing = |what: &str| Some(format!("`{}`: there is no {what}", words.join(" ")));
        if let Some(path) = words.iter().find(|word| is_own_path(word) && !root().join(word).exists()) {
            return missing(path);
        }
        match words[..] {
            ["make", verb, ..] if !self.make.iter().any(|known| known == verb) => missing(verb),
            ["cargo", "xtask", verb, ..] if !self.xtask.iter().any(|known| known == verb) => missing(verb),
            ["cargo", "test", .., "--test", name]
                if !self.targets.contains(&format!("name = \"{name}\"")) =>
            {
                missing(name)
            }
            ["fmctl", verb, ..] if verb.starts_with(|c: char| c.is_ascii_lowercase()) => {
                let help = self.help(verb);
                if help.is_empty() {
                    return missing(verb);
                }
                let options = words.iter().filter(|word| word.starts_with("--"));
                let mut names = options.map(|word| word.split('=').next().unwrap());
                names.find(|name| !help.contains(name)).and_then(missing)
            }
            _ => None,
        }
    }

    /// The help of a command and of those below it; nothing when there is none.
    fn help(&mut self, verb: &str) -> &str {
        self.fmctl.entry(verb.to_owned()).or_insert_with(|| {
            let help = |words: &[&str]| {
                let shown =
                    Command::new(env!("CARGO_BIN_EXE_fmctl")).args(words).arg("--help").output().unwrap();
                if shown.status.success() { String::from_utf8(shown.stdout).unwrap() } else { String::new() }
            };
            let below = if verb == "rejected" { ["list", "show", "replay", "drop"].as_slice() } else { &[] };
            below.iter().map(|word| help(&[verb, word])).fold(help(&[verb]), |all, one| all + &one)
        })
    }
}

/// Whether a word names a file of this repository.
fn is_own_path(word: &str) -> bool {
    ["packaging/", "docs/", "fm-agent/", "fm-common/", "include/"].iter().any(|start| word.starts_with(start))
        && word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
}

/// What became of a document's commands.
#[derive(Debug, Default)]
struct Report {
    ran: Vec<String>,
    not_run: Vec<String>,
    wrong: Vec<String>,
}

impl Report {
    /// Runs what is to be run in a document with `run`, and looks at the rest.
    fn take(&mut self, name: &str, text: &str, known: &mut Known, run: impl Fn(&str) -> Result<(), String>) {
        let (blocks, prose) = split(text);
        for Block { info, text } in &blocks {
            let commands = commands(text);
            let told = || format!("{name}: {}", text.trim_end().replace('\n', "; "));
            match info.split_once(" not-run: ") {
                _ if name == RUN_ELSEWHERE => self.not_run.push(format!("{} (run by tests/c)", told())),
                None if info == "sh" => {
                    let foreign = commands.iter().find(|words| !OURS.contains(&words[0].as_str()));
                    if let Some(words) = foreign {
                        let words = words.join(" ");
                        self.wrong
                            .push(format!("{name}: `{words}` is not run here: write why after not-run:"));
                    } else {
                        self.wrong.extend(run(text).err().map(|error| format!("{}: {error}", told())));
                        self.ran.push(told());
                    }
                }
                Some(("sh", reason)) if !reason.is_empty() => {
                    self.not_run.push(format!("{} ({reason})", told()));
                    let objections = commands.iter().filter_map(|words| known.objection(words));
                    self.wrong.extend(objections.map(|error| format!("{name}: {error}")));
                }
                _ if info.starts_with("sh") || info.starts_with("bash") => {
                    self.wrong.push(format!("{name}: a block of unknown kind: {info}"));
                }
                _ => {}
            }
        }
        for span in prose.split('`').skip(1).step_by(2) {
            for words in commands(span) {
                self.wrong.extend(known.objection(&words).map(|error| format!("{name}: {error}")));
            }
        }
    }
}

fn shell(node: &Node, script: &str) -> Output {
    let programs = Path::new(env!("CARGO_BIN_EXE_fmctl")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", script]).current_dir(node.socket().parent().unwrap());
    shell.env("PATH", path).env("FM_AGENT_SOCKET", node.socket()).env_remove("NO_COLOR").output().unwrap()
}

fn run(node: &Node, script: &str) -> Result<(), String> {
    let ran = Ran::of(shell(node, script));
    // The doctor finds what a test's surroundings lack; that it looked is what counts.
    let looked = script.contains("doctor") && ran.out.contains(" checks: ");
    if ran.status == 0 || looked { Ok(()) } else { Err(format!("{ran:?}")) }
}

#[test]
fn every_command_runs_as_it_stands_or_says_why_not() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    let (mut report, mut known) = (Report::default(), Known::new());
    for path in documents() {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        report.take(path.to_str().unwrap(), &text, &mut known, |script| run(&node, script));
    }
    eprintln!("run:\n  {}\nnot run:\n  {}", report.ran.join("\n  "), report.not_run.join("\n  "));
    assert!(report.wrong.is_empty(), "{:#?}", report.wrong);
    for document in ["docs/operator.md", "docs/troubleshooting.md"] {
        assert!(report.ran.iter().any(|block| block.starts_with(document)), "{document}: {:#?}", report.ran);
    }
    assert!(report.ran.len() >= 12 && report.not_run.len() >= 5, "{report:#?}");
}

#[test]
fn commands_that_are_wrong_are_found() {
    let node = Node::start("");
    let wrong = |text: &str| {
        let mut report = Report::default();
        report.take("a.md", text, &mut Known::new(), |script| run(&node, script));
        report.wrong
    };
    for (text, found) in [
        ("```sh\nfmctl status\nfmctl get 100.103 host=nowhere\n```\n", "host=nowhere"),
        ("```sh\nrm -r /\n```\n", "`rm -r /` is not run here"),
        ("```sh\nfmctl status && X=1 make test\n```\n", "`make test` is not run here"),
        ("```sh not-run: long\nmake tests\n```\n", "there is no tests"),
        ("```sh not-run: long\nA=1 cargo xtask lints   # all\n```\n", "there is no lints"),
        ("```sh not-run: long\ncargo test -p fm-agent --test none\n```\n", "there is no none"),
        (
            "```sh not-run: long\nhelm install fm packaging/helm/agent\n```\n",
            "there is no packaging/helm/agent",
        ),
        ("```sh later\nfmctl status\n```\n", "unknown kind"),
        ("Type `fmctl states` or so.\n", "there is no states"),
        ("Type `fmctl tail --every` or so.\n", "there is no --every"),
    ] {
        let wrong = wrong(text);
        assert!(wrong.len() == 1 && wrong[0].contains(found), "{text}: {wrong:?}");
    }
    let right = "```sh\nfmctl status\n```\n```sh not-run: long\nmake test\ncargo xtask delivery-rate\n```\n\
                 `fmctl rejected list --id 100.103`, `fmctl COMMAND --help`\n";
    assert_eq!(wrong(right), Vec::<String>::new());
}
