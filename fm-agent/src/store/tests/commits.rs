//! What shares a commit, and what does not share a failure.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Instant;

use super::super::{Condition, StoreErrorKind, Submitted, lock, recover};
use super::*;

/// The commits in the WAL. It counts from the last checkpoint, which a test's few pages do not reach.
fn commits(bed: &Bed) -> usize {
    const HEADER: usize = 32;
    const FRAME: usize = 24 + 4096;
    let wal = fs::read(bed.directory.path().join("fm-agent.db-wal")).unwrap();
    let salts = wal[16..24].to_vec();
    // A frame that ends a commit says how many pages the database has after it.
    let frames = wal[HEADER..].chunks_exact(FRAME).take_while(|frame| frame[8..16] == salts);
    frames.filter(|frame| frame[4..8] != [0; 4]).count()
}

/// Submits while another connection holds the writer up, so that what is submitted meets in the queue.
async fn together(bed: &Bed, batches: Vec<Batch>) -> Vec<Result<Vec<Outcome>, StoreError>> {
    let blocker = bed.database();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut submitted: Vec<Submitted> = Vec::new();
    for batch in batches {
        submitted.push(bed.store().writer.submit(batch).await.unwrap());
    }
    blocker.execute_batch("ROLLBACK").unwrap();
    let mut results = Vec::new();
    for batch in submitted {
        results.push(batch.committed().await);
    }
    results
}

fn logs(numbers: std::ops::Range<usize>) -> Vec<Batch> {
    let ops = |number: usize| vec![log(Platform, &alarm(&number.to_string(), ""))];
    numbers.map(|number| Batch { token: None, origin: None, ops: ops(number) }).collect()
}

async fn ids(bed: &Bed, domain: Domain) -> Vec<String> {
    let waiting = bed.waiting(domain).await;
    waiting
        .into_iter()
        .map(|request| match request.kind {
            RequestKind::Raise { alarm, .. } | RequestKind::Log { alarm, .. } => alarm.alarm_id,
            RequestKind::Clear { key } | RequestKind::Remove { key, .. } => key.alarm_id,
            RequestKind::ClearAll { entity_instance_id, .. } => entity_instance_id,
        })
        .collect()
}

#[tokio::test]
async fn what_arrives_during_a_commit_shares_the_next() {
    let bed = Bed::delivering();
    let before = commits(&bed);
    let results = together(&bed, logs(0..500)).await;
    assert!(results.iter().all(Result::is_ok));
    // What the writer had taken when it was held up, and the rest.
    let group = commits(&bed) - before;
    assert!((1..=2).contains(&group), "{group} commits");
    // Nobody to share with: no waiting for company.
    let before = commits(&bed);
    for batch in logs(0..20) {
        bed.all(batch.ops).await;
    }
    assert_eq!(commits(&bed) - before, 20);
}

#[tokio::test]
async fn the_order_of_each_domain_is_the_order_of_submission() {
    let bed = Bed::delivering();
    let domain = |number: usize| if number.is_multiple_of(3) { Openstack } else { Platform };
    let mut submitted = Vec::new();
    for number in 0..3000 {
        let id = number.to_string();
        let op = match number % 4 {
            0 => raise(domain(number), &alarm(&id, "")),
            1 => log(domain(number), &alarm(&id, "")),
            2 => clear(&id, Unknown::Deliver(domain(number))),
            _ => clear_all(&id, Unknown::Deliver(Platform), &[domain(number)]),
        };
        let batch = Batch { token: None, origin: None, ops: vec![op] };
        submitted.push(bed.store().writer.submit(batch).await.unwrap());
    }
    bed.store().writer.flush().await.unwrap();
    for wanted in [Platform, Openstack] {
        let numbers: Vec<String> =
            (0..3000).filter(|number| domain(*number) == wanted).map(|number| number.to_string()).collect();
        assert_eq!(ids(&bed, wanted).await, numbers);
    }
    for batch in submitted {
        batch.committed().await.unwrap();
    }
}

#[tokio::test]
async fn a_flush_returns_when_what_was_submitted_before_is_on_disk() {
    let bed = Bed::delivering();
    for batch in logs(0..100) {
        bed.store().writer.submit(batch).await.unwrap();
    }
    bed.store().writer.flush().await.unwrap();
    let count: u32 = bed.database().query_row("SELECT count(*) FROM request", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 100);
}

#[tokio::test]
async fn a_caller_that_is_alone_has_its_change_on_disk_at_once() {
    let bed = Bed::delivering();
    let (mut at_once, mut taken) = (0, 0);
    let started = Instant::now();
    // Whenever the writer's thread is busy with something, the change is made there.
    while at_once < 20 {
        assert!(started.elapsed() < Duration::from_mins(1), "{at_once} changes were made at once");
        let batch = logs(taken..taken + 1).remove(0);
        let submitted = bed.store().writer.submit_at_once(batch).await.unwrap();
        taken += 1;
        if submitted.is_committed_already() {
            at_once += 1;
            let count = "SELECT count(*) FROM request";
            let there: u32 = bed.database().query_row(count, [], |row| row.get(0)).unwrap();
            assert_eq!(there as usize, taken);
        }
        assert!(matches!(*submitted.committed().await.unwrap(), [Outcome::Logged(_)]));
    }
}

#[tokio::test]
async fn a_change_that_is_to_be_made_at_once_overtakes_nothing() {
    let bed = Bed::delivering();
    for round in 0..50 {
        let mut submitted = Vec::new();
        let first = round * 10;
        for (place, batch) in logs(first..first + 10).into_iter().enumerate() {
            let writer = &bed.store().writer;
            // The writer's thread is anywhere between taking the others and answering them.
            submitted.push(match place % 3 {
                2 => writer.submit_at_once(batch).await.unwrap(),
                _ => writer.submit(batch).await.unwrap(),
            });
        }
        for batch in submitted {
            batch.committed().await.unwrap();
        }
    }
    let numbers: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    assert_eq!(ids(&bed, Platform).await, numbers);
}

#[tokio::test]
async fn what_cannot_be_done_at_once_leaves_nothing_behind_and_is_told_as_always() {
    let bed = Bed::delivering();
    let trigger = "CREATE TRIGGER bad BEFORE INSERT ON request WHEN NEW.alarm_id = 'bad'
                   BEGIN SELECT RAISE(ABORT, 'no'); END";
    bed.database().execute_batch(trigger).unwrap();
    let ops = vec![raise(Platform, &alarm("half", "")), raise(Platform, &alarm("bad", ""))];
    let batch = Batch { token: Some([7; 16]), origin: None, ops };
    let submitted = bed.store().writer.submit_at_once(batch).await.unwrap();
    assert!(submitted.committed().await.unwrap_err().to_string().contains("no"));
    assert_eq!(bed.find("half").await, None);
    assert_eq!(bed.store().reader.meter().waiting(Platform), 0);
    // Its token was not taken, so the same call has its effect when it comes again.
    bed.database().execute_batch("DROP TRIGGER bad").unwrap();
    let batch = Batch { token: Some([7; 16]), origin: None, ops: vec![raise(Platform, &alarm("half", ""))] };
    bed.store().writer.submit_at_once(batch).await.unwrap().committed().await.unwrap();
    assert!(bed.find("half").await.is_some());
    assert_eq!(bed.store().reader.meter().waiting(Platform), 1);
    // A store that has stopped takes nothing by this way either.
    bed.store().writer.stop().await.unwrap();
    let batch = logs(0..1).remove(0);
    let error = bed.store().writer.submit_at_once(batch).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Stopped);
}

#[tokio::test]
async fn a_batch_that_fails_takes_no_other_with_it() {
    // ROLLBACK ends the whole transaction, as a failing disk does.
    for failure in ["ABORT", "ROLLBACK"] {
        let bed = Bed::delivering();
        let trigger = format!(
            "CREATE TRIGGER bad BEFORE INSERT ON request WHEN NEW.alarm_id = 'bad'
             BEGIN SELECT RAISE({failure}, 'no'); END"
        );
        bed.database().execute_batch(&trigger).unwrap();
        let mut batches = logs(0..6);
        // The good half of a bad batch is not taken either.
        batches[3].ops = vec![raise(Platform, &alarm("half", "")), raise(Platform, &alarm("bad", ""))];
        let before = commits(&bed);
        let results = together(&bed, batches).await;
        if failure == "ABORT" {
            assert!(commits(&bed) - before <= 2);
            let good: Vec<bool> = results.iter().map(Result::is_ok).collect();
            assert_eq!(good, [true, true, true, false, true, true]);
            assert_eq!(ids(&bed, Platform).await, ["0", "1", "2", "4", "5"]);
        } else {
            // What shared the transaction is gone with it, and is told so.
            let kept: Vec<String> =
                (0..6).filter(|number| results[*number].is_ok()).map(|number| number.to_string()).collect();
            assert!(results[3].is_err());
            assert_eq!(ids(&bed, Platform).await, kept);
        }
        assert_eq!(bed.find("half").await, None);
        assert!(results[3].as_ref().is_err_and(|error| error.to_string().contains("no")));
        // And on it goes.
        bed.all(logs(7..8).remove(0).ops).await;
        assert_eq!(ids(&bed, Platform).await.last().map(String::as_str), Some("7"));
    }
}

#[tokio::test]
async fn a_token_of_a_batch_that_is_not_on_disk_is_not_taken() {
    let bed = Bed::delivering();
    let trigger = "CREATE TRIGGER bad BEFORE INSERT ON request WHEN NEW.alarm_id = 'bad'
                   BEGIN SELECT RAISE(ROLLBACK, 'no'); END";
    bed.database().execute_batch(trigger).unwrap();
    let call = |number: u8| {
        let id = if number == 60 { "bad".to_owned() } else { number.to_string() };
        Batch { token: Some([number; 16]), origin: None, ops: vec![log(Platform, &alarm(&id, ""))] }
    };
    let calls: Vec<Batch> = (0..=60).map(call).collect();
    let failed = together(&bed, calls.clone()).await;
    assert!(failed[60].is_err());
    bed.database().execute_batch("DROP TRIGGER bad").unwrap();
    for _ in 0..2 {
        for call in calls.clone() {
            bed.try_submit(call.token, call.ops).await.unwrap();
        }
        // Each once, whatever had shared the transaction with the bad one.
        let found: BTreeSet<String> = ids(&bed, Platform).await.into_iter().collect();
        assert_eq!((found.len(), bed.waiting(Platform).await.len()), (61, 61));
    }
}

/// A store on a disk with room for this many pages more.
fn small(pages: i64) -> Bed {
    let directory = TempDir::new().unwrap();
    let options = options(directory.path(), &[(Platform, false), (Openstack, false)]);
    let held = lock(directory.path()).unwrap();
    let path = directory.path().join("fm-agent.db");
    let opened = recover::open(&path, options.durability, &Condition::default()).unwrap();
    let connection = &opened.connection;
    let now: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    connection.pragma_update(None, "max_page_count", now + pages).unwrap();
    let store = Some(Store::start(&options, opened, held, Arc::default()).unwrap());
    Bed::over(directory, options, store)
}

#[tokio::test]
async fn a_full_disk_is_said_and_costs_nothing_that_was_taken() {
    let mut bed = small(40);
    let text = "x".repeat(8000);
    let mut taken = Vec::new();
    let error = loop {
        let id = taken.len().to_string();
        assert!(taken.len() < 100, "the disk does not get full");
        match bed.try_submit(None, vec![raise(Platform, &alarm(&id, &text))]).await {
            Ok(_) => taken.push(id),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind, StoreErrorKind::Full);
    assert!(taken.len() > 2);
    assert_eq!(ids(&bed, Platform).await, taken);
    assert_eq!(bed.find(&taken.len().to_string()).await, None, "half of it is there");
    // Reads and reports go on, and make room.
    bed.done(Platform, Some("u")).await;
    bed.done(Platform, Some("u")).await;
    bed.one(raise(Platform, &alarm("again", &text))).await;
    taken.drain(..2);
    taken.push("again".to_owned());
    assert_eq!(ids(&bed, Platform).await, taken);
    // And all of it is there on a disk with room.
    bed.reopen();
    assert_eq!(ids(&bed, Platform).await, taken);
    bed.one(raise(Platform, &alarm("more", &text))).await;
    let check: String = bed.database().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[tokio::test]
async fn what_does_not_fit_takes_nothing_with_it_that_does() {
    let bed = small(10);
    let mut batches = logs(0..6);
    batches[3].ops =
        vec![raise(Platform, &alarm("small", "")), raise(Platform, &alarm("big", &"x".repeat(60_000)))];
    let results = together(&bed, batches).await;
    let fits: Vec<bool> = results.iter().map(Result::is_ok).collect();
    assert_eq!(fits, [true, true, true, false, true, true]);
    assert_eq!(results[3].as_ref().unwrap_err().kind, StoreErrorKind::Full);
    assert_eq!(ids(&bed, Platform).await, ["0", "1", "2", "4", "5"]);
    assert_eq!(bed.find("small").await, None);
}

#[tokio::test]
async fn the_end_of_the_writer_is_noticed() {
    let bed = Bed::delivering();
    let writer = bed.store().writer.clone();
    let early = tokio::time::timeout(std::time::Duration::from_millis(50), writer.ended()).await;
    assert!(early.is_err(), "it has not ended");
    writer.stop().await.unwrap();
    writer.ended().await;
    let late = writer.submit(Batch { token: None, origin: None, ops: Vec::new() }).await;
    assert_eq!(late.unwrap_err().kind, StoreErrorKind::Stopped);
}
