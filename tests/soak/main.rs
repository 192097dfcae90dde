//! The soak: the real agent is killed again and again, at random and at exact moments, while callers in C and
//! Python set, change, clear and log, and both controllers refuse, hang, fail, reset and lose tokens.
//!
//! In the end every request that was acknowledged has arrived, in order for its alarm, once; one that was not
//! acknowledged has arrived once or not at all; what stands is what the callers said last.
//!
//! `FM_SOAK_KILLS` is how many kills, `FM_SOAK_SEED` the seed. It decides calls, faults and kills; what they meet is
//! a matter of time, so a seed that failed may have to be run again to fail again. Started by `cargo xtask soak`,
//! which builds the agent with its fail points, the C library and the Python package.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "what fails fails the test, and says how to see it again"
)]

mod callers;
mod deaths;
#[path = "../simulate/faults.rs"]
mod faults;
mod migrations;
mod oracle;
#[path = "../preload.rs"]
mod preload;
#[path = "../powercut/recorder.rs"]
mod recorder;
#[expect(dead_code, reason = "shared with the end-to-end suite, which uses more of it")]
#[path = "../agent/support.rs"]
mod support;
mod world;

use oracle::Verdict;
use world::{Kills, Soak, soak};

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")),
        Err(_) => default,
    }
}

fn seed() -> u64 {
    number("FM_SOAK_SEED", 1)
}

#[test]
fn kills_lose_nothing_and_double_nothing() {
    let kills = number("FM_SOAK_KILLS", 100);
    let Soak { verdict, told } = soak(seed(), "power", &Kills::Random(kills));
    eprintln!("{told}");
    let Verdict { lost, doubled, wrong } = verdict;
    assert!(
        lost == 0 && doubled == 0 && wrong.is_empty(),
        "again: make soak KILLS={kills} SEED={}\n{} differences, the first of them:\n{}",
        seed(),
        wrong.len(),
        wrong.iter().take(10).cloned().collect::<Vec<_>>().join("\n")
    );
}

/// What is durable for the process only survives the process.
#[test]
fn kills_lose_nothing_of_a_process() {
    let Soak { verdict, told } = soak(seed(), "process", &Kills::Random(number("FM_SOAK_KILLS", 100) / 5));
    eprintln!("durability = \"process\": {told}");
    assert_eq!(verdict, Verdict::default());
}

/// The soak can fail: an agent that answers what it does not commit is found out.
#[test]
fn an_answer_without_a_commit_is_found_out() {
    let Soak { verdict, told } = soak(seed(), "power", &Kills::OfALiar(5));
    eprintln!("an agent that lies: {told}");
    assert!(verdict.lost > 0, "nothing was found missing: this test would not notice");
}

/// What the agent's own suite looks for in the agent that is shipped can be found.
#[test]
fn this_agent_has_fail_points() {
    let program = std::fs::read(world::agent()).unwrap();
    let name = b"FM_FAIL_POINT";
    assert!(program.windows(name.len()).any(|bytes| bytes == name));
}
