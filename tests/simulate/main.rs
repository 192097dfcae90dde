//! Bad days by the seed: random calls on the real agent while both its controllers misbehave at random and
//! the agent itself is killed, and what must hold all the same.
//!
//! - No call passes its deadline, and each means what the table of calls says: callers read what they wrote.
//! - Callers set and log again what they have read, changed and elsewhere, with the uuid that it had; where events
//!   may be lost, by an older library, too, which sends that uuid as it is.
//! - When the faults end everything is delivered: the controllers' alarms equal the model's, and nobody
//!   else's alarms were touched.
//! - Each raise left one alarm and one set event, each clear one clear event, each log one event, in the
//!   order of the calls. Where the service's own defects lose an event (the seeds that [`Losses`] names),
//!   what is left is still in that order and nothing is doubled.
//! - No comparison, in between or at the end, finds anything to heal.
//! - A controller that then loses its database has every alarm again after the comparison.
//!
//! `FM_SIMULATE_SEEDS` is how many seeds, `FM_SIMULATE_FIRST` the first. A seed decides calls and faults; what
//! they meet is a matter of time, so a seed that failed may have to be run again to fail again.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "what fails fails the test, and says how to see it again"
)]

mod faults;
mod model;
#[expect(dead_code, reason = "shared with the end-to-end suite, which uses more of it")]
#[path = "../agent/support.rs"]
mod support;
mod world;

use std::time::Instant;

use faults::Losses;
use world::World;

/// Calls and faults of one seed.
const STEPS: usize = 250;

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")),
        Err(_) => default,
    }
}

/// Says how to run a seed that fails again.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "seed {0} failed; run it again with:\n  \
                 FM_SIMULATE_FIRST={0} FM_SIMULATE_SEEDS=1 cargo test -p fm-agent --test simulate",
                self.0
            );
        }
    }
}

#[test]
fn bad_days_by_the_seed() {
    let first = number("FM_SIMULATE_FIRST", 1);
    for seed in first..first + number("FM_SIMULATE_SEEDS", 4) {
        let _replay = Replay(seed);
        let losses = if seed % 3 == 0 { Losses::Events } else { Losses::None };
        let started = Instant::now();
        let mut world = World::new(seed, losses);
        for _ in 0..STEPS {
            world.step();
        }
        let told = world.end();
        eprintln!("seed {seed}: {told}, {:.1} s", started.elapsed().as_secs_f64());
    }
}
