//! Directory, files, schema, and what outlives the process.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::super::{StoreErrorKind, schema};
use super::*;

#[tokio::test]
async fn everything_is_there_again_after_a_restart() {
    let mut bed = Bed::new(&[(Platform, false), (Openstack, true)]);
    let (one, two) = (alarm("1", "hot"), alarm("2", "hot"));
    bed.all(vec![raise(Platform, &one), raise(Openstack, &two), clear("3", Unknown::Deliver(Platform))])
        .await;
    bed.done(Platform, Some("u")).await;
    bed.all(vec![raise(Platform, &alarm("4", "bad")), log(Platform, &alarm("5", "rebooted"))]).await;
    let look = async |bed: &Bed| {
        let reader = &bed.store().reader;
        let overlay = reader.overlay(None, String::new()).await.unwrap();
        (overlay, bed.waiting(Platform).await, reader.begun(Platform).await.unwrap(), bed.events())
    };
    let before = look(&bed).await;
    assert_eq!((before.0.0.len(), before.1.len(), before.3.len()), (4, 3, 1));
    bed.reopen();
    assert_eq!(look(&bed).await, before);
    bed.store().writer.stop().await.unwrap();
    bed.reopen();
    assert_eq!(look(&bed).await, before);
    assert_eq!(fs::metadata(bed.directory.path().join("fm-agent.db-wal")).unwrap().len(), 0);
}

#[tokio::test]
async fn what_was_answered_is_on_disk_before_the_answer() {
    let bed = Bed::delivering();
    for number in 0..20 {
        bed.one(raise(Platform, &alarm(&number.to_string(), "hot"))).await;
        if number % 5 != 0 {
            continue;
        }
        // As a process finds it that comes after one that was killed now.
        let killed = TempDir::new().unwrap();
        for file in ["fm-agent.db", "fm-agent.db-wal"] {
            fs::copy(bed.directory.path().join(file), killed.path().join(file)).unwrap();
        }
        let store = Store::open(&options(killed.path(), &[(Platform, false)])).unwrap();
        let (found, _) = store.reader.waiting(Platform, 0, usize::MAX, usize::MAX).await.unwrap();
        assert_eq!(found, bed.waiting(Platform).await);
    }
}

#[tokio::test]
async fn dropping_the_store_commits_what_was_submitted() {
    let mut bed = Bed::delivering();
    for number in 0..200 {
        let ops = vec![raise(Platform, &alarm(&number.to_string(), "hot"))];
        bed.store().writer.submit(Batch { token: None, origin: None, ops }).await.unwrap();
    }
    bed.reopen();
    assert_eq!(bed.waiting(Platform).await.len(), 200);
}

#[tokio::test]
async fn a_stopped_store_refuses_what_comes_later() {
    let bed = Bed::delivering();
    let submitted =
        bed.store().writer.submit(Batch { token: None, origin: None, ops: vec![] }).await.unwrap();
    let writer = &bed.store().writer;
    assert_eq!(writer.stop().await, Ok(()));
    assert_eq!(submitted.committed().await, Ok(vec![]));
    for result in [writer.stop().await, writer.flush().await, bed.try_submit(None, vec![]).await.map(drop)] {
        assert_eq!(result.unwrap_err().kind, StoreErrorKind::Stopped);
    }
    // The directory is free as soon as the stop was answered.
    drop(Store::open(&bed.options).unwrap());
}

#[tokio::test]
async fn a_directory_in_use_is_refused_and_its_holder_named() {
    let bed = Bed::delivering();
    let error = Store::open(&bed.options).unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::InUse);
    let text = error.to_string();
    assert!(text.contains(&format!("pid {}", std::process::id())), "{text}");
    assert!(text.contains(bed.directory.path().to_str().unwrap()), "{text}");
}

#[tokio::test]
async fn the_directory_is_held_as_long_as_there_is_a_writer() {
    let mut bed = Bed::delivering();
    let writer = bed.store().writer.clone();
    drop(bed.store.take());
    assert_eq!(Store::open(&bed.options).unwrap_err().kind, StoreErrorKind::InUse);
    drop(writer);
    bed.reopen();
}

#[test]
fn the_pragmas_are_in_force() {
    for (durability, synchronous) in [(Durability::Power, 2), (Durability::Process, 1)] {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("fm-agent.db");
        drop(Store::open(&StoreOptions { durability, ..options(directory.path(), &[]) }).unwrap());
        let connection = schema::open(&path, durability).unwrap();
        let number = |connection: &Connection, pragma: &str| -> i64 {
            connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).unwrap()
        };
        let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
        assert_eq!(number(&connection, "synchronous"), synchronous);
        let reader = schema::open_reader(&path).unwrap();
        assert_eq!(number(&reader, "query_only"), 1);
        assert!(reader.execute("DELETE FROM request", []).is_err());
        assert!(number(&reader, "busy_timeout") > 0);
    }
}

#[tokio::test]
async fn files_are_for_this_user_only() {
    let parent = TempDir::new().unwrap();
    let directory = parent.path().join("state");
    let store = Store::open(&options(&directory, &[(Platform, false)])).unwrap();
    let ops = vec![raise(Platform, &alarm("1", "hot"))];
    store.writer.submit(Batch { token: None, origin: None, ops }).await.unwrap().committed().await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    let files: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 5, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn a_token_is_taken_once() {
    let mut bed = Bed::new(&[(Platform, false), (Openstack, true)]);
    let fault = alarm("1", "hot");
    let ops = vec![
        raise(Platform, &fault),
        log(Platform, &alarm("2", "rebooted")),
        log(Openstack, &alarm("3", "rebooted")),
        clear("4", Unknown::Deliver(Platform)),
    ];
    let token = Some([7; 16]);
    let outcomes = bed.try_submit(token, ops.clone()).await.unwrap();
    let state = async |bed: &Bed| (bed.queue(Platform).await, bed.events());
    let before = state(&bed).await;
    assert_eq!((before.0.len(), before.1.len()), (3, 1));
    for _ in 0..2 {
        assert_eq!(bed.try_submit(token, ops.clone()).await.unwrap(), outcomes);
        assert_eq!(state(&bed).await, before);
        bed.reopen();
    }
    // Delivered, and the agent restarted: still the same call.
    for uuid in [fault.uuid.as_deref(), None, None] {
        bed.done(Platform, uuid).await;
    }
    bed.reopen();
    assert_eq!(bed.try_submit(token, ops.clone()).await.unwrap(), outcomes);
    assert_eq!(state(&bed).await, (vec![], before.1));
    // Another call with the same words is another call.
    bed.try_submit(Some([8; 16]), ops).await.unwrap();
    assert_eq!(bed.events().len(), 2);
}

#[tokio::test]
async fn a_clear_that_was_taken_in_a_domain_kept_here_is_found_again_by_its_repetition() {
    let mut bed = Bed::new(&[(Platform, true)]);
    bed.one(raise(Platform, &alarm("1", "hot"))).await;
    let ops = vec![clear("1", Unknown::Tell)];
    assert_eq!(bed.try_submit(Some([1; 16]), ops.clone()).await.unwrap(), [Outcome::Cleared]);
    bed.reopen();
    assert_eq!(bed.try_submit(Some([1; 16]), ops).await.unwrap(), [Outcome::Cleared]);
}

#[tokio::test]
async fn a_token_is_not_taken_by_a_batch_that_changed_nothing() {
    let bed = Bed::delivering();
    let token = Some([1; 16]);
    let told = bed.try_submit(token, vec![clear("1", Unknown::Tell)]).await.unwrap();
    assert_eq!(told, [Outcome::Unknown]);
    let delivered = bed.try_submit(token, vec![clear("1", Unknown::Deliver(Platform))]).await.unwrap();
    assert_eq!(delivered, [Outcome::Cleared]);
    assert_eq!(bed.queue(Platform).await, ["clear 1"]);
}

#[tokio::test]
async fn a_batch_that_is_repeated_is_told_the_uuid_that_stands() {
    let bed = Bed::delivering();
    let (first, again) = (alarm("1", "hot"), alarm("1", "hot"));
    bed.one(raise(Platform, &first)).await;
    for _ in 0..2 {
        let outcomes = bed.try_submit(Some([1; 16]), vec![raise(Platform, &again)]).await.unwrap();
        assert_eq!(outcomes, [Outcome::Raised(uuid(&first))]);
    }
}

#[tokio::test]
async fn tokens_are_bounded_and_the_newest_stay() {
    let mut bed = Bed::new(&[(Platform, true)]);
    let token = |number: u32| {
        let mut token = [0; 16];
        token[..4].copy_from_slice(&number.to_be_bytes());
        Some(token)
    };
    let most = u32::try_from(super::super::tokens::REMEMBERED).unwrap();
    let op = |number: u32| vec![log(Platform, &alarm(&number.to_string(), ""))];
    let mut submitted = Vec::new();
    for number in 0..=most {
        let batch = Batch { token: token(number), origin: None, ops: op(number) };
        submitted.push(bed.store().writer.submit(batch).await.unwrap());
    }
    for batch in submitted {
        batch.committed().await.unwrap();
    }
    let rows: u32 = bed.database().query_row("SELECT count(*) FROM token", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, most);
    // Whether the call is taken anew.
    let anew = async |bed: &Bed, number| {
        let before = bed.events();
        bed.try_submit(token(number), op(number)).await.unwrap();
        bed.events() != before
    };
    assert!(!anew(&bed, most).await && !anew(&bed, 1).await);
    assert!(anew(&bed, 0).await, "the oldest was not let go");
    bed.reopen();
    assert!(!anew(&bed, 0).await && !anew(&bed, 2).await && !anew(&bed, most).await);
    assert!(anew(&bed, 1).await, "the oldest was not let go");
    assert!(!anew(&bed, 3).await && !anew(&bed, most).await && !anew(&bed, 0).await);
    assert!(anew(&bed, 2).await, "the oldest was not let go");
}
