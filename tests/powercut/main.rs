//! Power cuts: what the agent's disk may hold after one, and whether every acknowledged request is in it.
//!
//! A kill proves nothing about a disk: the kernel keeps what was written. So the real agent runs under a recorder
//! (`record.c`) of everything it does to its files, with real callers and controllers; then its files are built
//! as a cut at some moment may leave them (`disk`), opened with the product's own store, and compared with what
//! callers had been told (`promise`) when the power went.
//!
//! `FM_POWERCUT_CUTS` is how many cuts, `FM_POWERCUT_SEED` the seed: it decides calls and cuts; what they meet is
//! a matter of time. An image that breaks the promise is kept and named.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "what fails fails the test, and says how to see it again"
)]

mod cuts;
mod disk;
mod disk_tests;
mod log;
#[path = "../preload.rs"]
mod preload;
mod promise;
mod recorder;
mod recording;
#[expect(dead_code, reason = "shared with the end-to-end suite, which uses more of it")]
#[path = "../agent/support.rs"]
mod support;
mod version1;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use cuts::{Tally, cut};
use fastrand::Rng;
use recording::{Phase, record};

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")),
        Err(_) => default,
    }
}

/// Records and cuts; the images that break the promise are kept in the directory that is given, too.
fn run(name: &str, durability: &str, first: Phase, cuts: usize) -> (Tally, usize, PathBuf) {
    let seed = number("FM_POWERCUT_SEED", 1);
    let keep = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("powercut-{name}"));
    if keep.exists() {
        fs::remove_dir_all(&keep).unwrap();
    }
    let started = Instant::now();
    let recording = record(seed, durability, first);
    let (records, requests) = (recording.records.len(), recording.promise.len());
    let took = started.elapsed();
    let tally = cut(recording, cuts, &mut Rng::with_seed(seed), &keep);
    eprintln!(
        "{name}: cuts {cuts} requests {requests} lost {} broken {} seed {seed}; {:?}; {records} records in {:.1} s, \
         all {:.1} s",
        tally.lost,
        tally.broken.len(),
        tally.cuts,
        took.as_secs_f64(),
        started.elapsed().as_secs_f64()
    );
    (tally, requests, keep)
}

fn keeps_the_promise(name: &str, first: Phase, phases: &[Phase]) {
    let cuts = usize::try_from(number("FM_POWERCUT_CUTS", 120).div_ceil(2)).unwrap();
    let (tally, requests, _) = run(name, "power", first, cuts);
    let shown: Vec<&str> = tally.broken.iter().take(3).map(String::as_str).collect();
    assert!(
        tally.broken.is_empty(),
        "again: make powercut CUTS={} SEED={}\nthe first of {} images that break the promise:\n{}",
        2 * cuts,
        number("FM_POWERCUT_SEED", 1),
        tally.broken.len(),
        shown.join("\n")
    );
    assert!(requests > 500, "only {requests} requests were acknowledged");
    for phase in phases {
        assert!(cuts < 2 * phases.len() || tally.cuts.contains_key(phase), "no cut in {phase:?}");
    }
}

#[test]
fn nothing_acknowledged_is_lost() {
    use Phase::{Checkpoint, Close, Creation, Load, Recovery, Restart, Start};
    let phases = [Creation, Start, Recovery, Load, Checkpoint, Restart, Close];
    keeps_the_promise("from-nothing", Creation, &phases);
}

#[test]
fn nothing_acknowledged_is_lost_in_a_migration() {
    use Phase::{Checkpoint, Close, Load, Migration, Recovery, Restart, Start};
    let phases = [Migration, Start, Recovery, Load, Checkpoint, Restart, Close];
    keeps_the_promise("migrated", Migration, &phases);
}

/// The test can fail: without the sync at each commit it does.
#[test]
fn what_is_durable_for_the_process_only_is_lost() {
    let (tally, _, keep) = run("process", "process", Phase::Creation, 60);
    assert!(tally.lost > 0, "no cut lost anything: this test would not notice");
    // A log that is torn in the middle looks like damage, and may be repaired like it.
    let harmless = |text: &&String| text.contains("asked for") || text.contains("had to be repaired");
    let damaged: Vec<_> = tally.broken.iter().filter(|text| !harmless(text)).collect();
    assert!(damaged.is_empty(), "a commit may be lost, the database not: {damaged:?}");
    fs::remove_dir_all(keep).unwrap();
}
