//! How many instructions a set costs, in the agent and in its caller, held against the committed counts.
//!
//! Instructions do not depend on how busy the machine is, so a growth of more than [`ALLOWED`] fails. Both programs
//! run under valgrind; what start and end cost is taken away by counting a short and a long run. A processor (and
//! C library) without counts of its own is measured and not judged.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::agent::Agent;
use crate::controllers::{platform, refused};
use crate::programs;

/// The committed counts.
const FILE: &str = "tests/bench/instructions.toml";
/// By how much a count may grow, as a share of it.
const ALLOWED: f64 = 0.10;
/// Calls of the short and of the long run. The difference is long enough for several checkpoints of the store.
const CALLS: (u64, u64) = (200, 1200);

/// Instructions of one durable set, the alarm new and its controller down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
struct Counts {
    agent: u64,
    caller: u64,
}

/// Counts, and fails when one has grown too much; with `update`, writes them down instead.
pub(crate) fn check(update: bool) -> anyhow::Result<()> {
    let file = programs::root()?.join(FILE);
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let mut written: BTreeMap<String, Counts> = toml::from_str(&text).with_context(|| FILE)?;
    let (short, long) = (run(CALLS.0)?, run(CALLS.1)?);
    let each = |short: u64, long: u64| long.saturating_sub(short) / (CALLS.1 - CALLS.0);
    let counted = Counts { agent: each(short.agent, long.agent), caller: each(short.caller, long.caller) };
    let mut out = std::io::stdout();
    let target = target();
    let before = written.get(&target).copied();
    if update {
        written.insert(target, counted);
        let comment: String = text
            .lines()
            .take_while(|line| line.starts_with('#'))
            .fold(String::new(), |all, line| all + line + "\n");
        let tables = written.iter().map(|(target, Counts { agent, caller })| {
            format!("\n[{target}]\nagent = {agent}\ncaller = {caller}\n")
        });
        fs::write(&file, comment + &tables.collect::<String>())?;
        return Ok(writeln!(out, "written to {FILE}: {counted:?}, before {before:?}")?);
    }
    match before {
        Some(before) => Ok(writeln!(out, "{}", judged(before, counted)?)?),
        None => Ok(writeln!(out, "no counts for {target} in {FILE}; counted: {counted:?}")?),
    }
}

/// What has become of the counts, in words.
///
/// # Errors
/// One has grown too much.
fn judged(before: Counts, counted: Counts) -> anyhow::Result<String> {
    let mut lines = Vec::new();
    let mut grown = false;
    for (who, before, now) in
        [("agent", before.agent, counted.agent), ("caller", before.caller, counted.caller)]
    {
        let change = now as f64 / before as f64 - 1.0;
        grown |= now as f64 > before as f64 * (1.0 + ALLOWED);
        lines.push(format!("instructions of a set, {who}: {now} ({:+.1} % of {before})", change * 100.0));
        if change < -ALLOWED {
            lines
                .push(format!("{who}: far fewer than before; write it down with `make instructions-update`"));
        }
    }
    let text = lines.join("\n");
    ensure!(
        !grown,
        "{text}\nmore than {:.0} % more: make it cheaper, or write it down with `make instructions-update` and say why",
        ALLOWED * 100.0
    );
    Ok(text)
}

/// Where counts can be compared: the processor and the C library.
fn target() -> String {
    let libc = if cfg!(target_env = "musl") { "musl" } else { "gnu" };
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    format!("{}-{libc}-{profile}", std::env::consts::ARCH)
}

/// All instructions of an agent and of its caller, from start to end, for so many sets.
fn run(calls: u64) -> anyhow::Result<Counts> {
    let program = programs::release_program("fm-agent")?;
    let directory = tempfile::tempdir()?;
    let counted = |name: &str| directory.path().join(name);
    let mut agent = Agent::prepare(&program, &platform(refused()?))?;
    agent.run_under(valgrind(&counted("agent"), &program))?;
    let mut caller = valgrind(&counted("caller"), &std::env::current_exe()?);
    caller
        .args(["call", "--call", "set", "--label", "counted", "--caller", "0", "--socket"])
        .arg(agent.socket());
    let mut caller = caller
        .args(["--each", &calls.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .context("starting valgrind: is it installed?")?;
    caller.stdin.take().context("a caller without input")?.write_all(b"go\n")?;
    let status = caller.wait()?;
    ensure!(status.success(), "the caller ended with {status}");
    agent.stop()?;
    Ok(Counts { agent: total(&counted("agent"))?, caller: total(&counted("caller"))? })
}

/// A command that counts the instructions of a program into a file.
fn valgrind(into: &Path, program: &Path) -> Command {
    let mut command = Command::new("valgrind");
    let mut file = std::ffi::OsString::from("--callgrind-out-file=");
    file.push(into);
    command.args(["--quiet", "--tool=callgrind"]).arg(file).arg(program);
    command
}

/// The sum in a file of callgrind.
fn total(file: &PathBuf) -> anyhow::Result<u64> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    sum(&text).with_context(|| format!("{} has no sum: did valgrind end well?", file.display()))
}

fn sum(text: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix("totals:").or_else(|| line.strip_prefix("summary:")))?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_tenth_more_fails() {
        let before = Counts { agent: 1000, caller: 100 };
        let fine = judged(before, Counts { agent: 1099, caller: 110 }).unwrap();
        assert!(fine.contains("agent: 1099 (+9.9 % of 1000)"), "{fine}");
        let agent = judged(before, Counts { agent: 1101, caller: 100 }).unwrap_err().to_string();
        assert!(agent.contains("more than 10 % more"), "{agent}");
        assert!(judged(before, Counts { agent: 1000, caller: 111 }).is_err());
        let fewer = judged(before, Counts { agent: 800, caller: 100 }).unwrap();
        assert!(fewer.contains("agent: far fewer"), "{fewer}");
    }

    #[test]
    fn the_sum_is_read() {
        assert_eq!(sum("events: Ir\nfn=(1) main\n1 2\ntotals: 4711\n"), Some(4711));
        assert_eq!(sum("events: Ir\n"), None);
    }

    #[test]
    fn the_committed_counts_are_readable() {
        let text = fs::read_to_string(programs::root().unwrap().join(FILE)).unwrap();
        let counts: BTreeMap<String, Counts> = toml::from_str(&text).unwrap();
        assert!(counts.values().all(|counts| counts.agent > 1000 && counts.caller > 1000));
    }
}
