//! Damage of the log, and logs that do not belong to their database.

use std::fs;

use super::recovery::{Killed, PAGE, goes_on, killed};
use super::*;

/// The frames of the log: where each begins, and whether it ends a transaction.
fn frames(wal: &[u8]) -> Vec<(usize, bool)> {
    let frame = 24 + usize::try_from(PAGE).unwrap();
    (0..(wal.len() - 32) / frame)
        .map(|number| 32 + number * frame)
        .map(|at| (at, wal[at + 4..at + 8] != [0; 4]))
        .collect()
}

#[tokio::test]
async fn a_flipped_byte_in_the_middle_of_the_log_loses_no_request_that_followed() {
    let here = killed(true).await;
    let wal = fs::read(here.path("fm-agent.db-wal")).unwrap();
    let frames = frames(&wal);
    for middle in [0, 1, frames.len() / 2, frames.len() / 2 + 1] {
        let (at, _) = frames[middle];
        // In the page, in the number of the page, in the checksum.
        for byte in [at + 24 + 2000, at + 3, at + 17] {
            let case = format!("byte {byte}, frame {middle} of {}", frames.len());
            let mut spoiled = wal.clone();
            spoiled[byte] ^= 0x10;
            let copy = TempDir::new().unwrap();
            fs::copy(here.path("fm-agent.db"), copy.path().join("fm-agent.db")).unwrap();
            fs::write(copy.path().join("fm-agent.db-wal"), &spoiled).unwrap();
            let copy = Killed { directory: copy, queue: here.queue.clone() };
            let bed = copy.open().unwrap();
            assert!(bed.store().condition().quarantines() >= 1, "{case}");
            assert_eq!(bed.queue(Platform).await, here.queue, "{case}");
            let kept = fs::read_dir(copy.directory.path()).unwrap().map(|it| it.unwrap().path());
            let kept = kept.filter(|path| path.to_string_lossy().ends_with("-wal"));
            assert!(kept.into_iter().any(|path| fs::read(path).unwrap() == spoiled), "{case}: not kept");
            goes_on(&bed).await;
        }
    }
}

#[tokio::test]
async fn a_damaged_head_of_the_log_loses_nothing() {
    let here = killed(true).await;
    for byte in [0, 5, 9, 17, 26] {
        let copy = TempDir::new().unwrap();
        fs::copy(here.path("fm-agent.db"), copy.path().join("fm-agent.db")).unwrap();
        let mut wal = fs::read(here.path("fm-agent.db-wal")).unwrap();
        wal[byte] ^= 0x40;
        fs::write(copy.path().join("fm-agent.db-wal"), &wal).unwrap();
        let bed = Killed { directory: copy, queue: Vec::new() }.open_kept();
        assert_eq!(bed.queue(Platform).await, here.queue, "byte {byte}");
        goes_on(&bed).await;
    }
}

/// What a power cut leaves: the last transaction, of which nobody was told, is on the disk in part.
#[tokio::test]
async fn a_log_that_is_torn_at_its_end_is_no_damage() {
    let here = killed(true).await;
    let wal = fs::read(here.path("fm-agent.db-wal")).unwrap();
    let frames = frames(&wal);
    let commits: Vec<usize> = frames.iter().filter(|(_, commits)| *commits).map(|(at, _)| *at).collect();
    let last = commits[commits.len() - 1];
    let end = last + 24 + usize::try_from(PAGE).unwrap();
    let mut flipped = wal[..end].to_vec();
    flipped[last + 500] ^= 1;
    for (wal, lost) in [(&wal[..end], 0), (&wal[..end - 100], 1), (&wal[..last + 10], 1), (&*flipped, 1)] {
        let copy = TempDir::new().unwrap();
        fs::copy(here.path("fm-agent.db"), copy.path().join("fm-agent.db")).unwrap();
        fs::write(copy.path().join("fm-agent.db-wal"), wal).unwrap();
        let bed = Killed { directory: copy, queue: Vec::new() }.open_kept();
        assert_eq!(bed.store().condition().quarantines(), 0);
        assert_eq!(bed.queue(Platform).await, here.queue[..here.queue.len() - lost]);
        goes_on(&bed).await;
    }
}

#[tokio::test]
async fn a_missing_and_a_stale_index_of_the_log() {
    let (here, other) = (killed(true).await, Bed::delivering());
    other.one(raise(Platform, &alarm("1", "hot"))).await;
    let stale = fs::read(other.directory.path().join("fm-agent.db-shm")).unwrap();
    for shm in [None, Some(stale), Some(vec![0xA5; 32768])] {
        let copy = TempDir::new().unwrap();
        for file in ["fm-agent.db", "fm-agent.db-wal"] {
            fs::copy(here.path(file), copy.path().join(file)).unwrap();
        }
        if let Some(shm) = shm {
            fs::write(copy.path().join("fm-agent.db-shm"), shm).unwrap();
        }
        let bed = Killed { directory: copy, queue: Vec::new() }.open_kept();
        assert_eq!(bed.queue(Platform).await, here.queue);
        assert_eq!(bed.store().condition().quarantines(), 0);
        goes_on(&bed).await;
    }
}

#[tokio::test]
async fn a_log_of_another_database() {
    // Of another application, and of another agent's store.
    let foreign = TempDir::new().unwrap();
    let path = foreign.path().join("other.db");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch("PRAGMA journal_mode = wal; PRAGMA application_id = 77; CREATE TABLE t (a)")
        .unwrap();
    let foreign_log = fs::read(foreign.path().join("other.db-wal")).unwrap();
    let other = killed(true).await;
    let others_log = fs::read(other.path("fm-agent.db-wal")).unwrap();
    for log in [foreign_log, others_log] {
        let here = killed(false).await;
        fs::write(here.path("fm-agent.db-wal"), &log).unwrap();
        let bed = here.open().unwrap();
        let left = bed.queue(Platform).await;
        assert_eq!(left, here.queue);
        assert_eq!(bed.store().condition().quarantines(), 1);
        goes_on(&bed).await;
    }
}
