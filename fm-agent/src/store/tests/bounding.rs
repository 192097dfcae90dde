//! What is given up from high water on, what never is, and what is refused.

use fm_common::ErrorCode;
use fm_common::protocol::Refusal;

use super::super::{Rank, StoreErrorKind};
use super::*;

/// A store for so many requests; high water is at half of them.
fn bounded(max_requests: u64) -> Bed {
    let mut bed = Bed::delivering();
    bed.options.limits = Limits { max_bytes: 1 << 30, max_requests, high_water: 0.5 };
    bed.reopen();
    bed
}

fn severe(id: &str, severity: Severity) -> Alarm {
    Alarm { severity, ..alarm(id, "log") }
}

async fn refusal(bed: &Bed, ops: Vec<Op>) -> StoreErrorKind {
    let error = bed.try_submit(None, ops).await.unwrap_err();
    let kind = error.kind;
    assert_eq!(Refusal::from(error).code, ErrorCode::NotEnoughSpace);
    kind
}

/// Brings it above high water, without anything that may be given up, so that every batch gives up what
/// can be.
async fn fill(bed: &Bed, to: usize) {
    for number in 0.. {
        if bed.queue(Platform).await.len() >= to {
            break;
        }
        bed.one(raise(Platform, &alarm(&format!("fill{number}"), ""))).await;
    }
}

/// What waits, without the filling.
async fn rest(bed: &Bed) -> Vec<String> {
    let mut queue = bed.queue(Platform).await;
    queue.retain(|request| !request.contains("fill"));
    queue
}

#[tokio::test]
async fn below_high_water_nothing_is_given_up() {
    let bed = bounded(20);
    for number in 0..4 {
        bed.one(raise(Platform, &alarm("1", &number.to_string()))).await;
        bed.one(clear("1", Unknown::Tell)).await;
    }
    bed.all(vec![log(Platform, &alarm("1", "a")), log(Platform, &alarm("1", "b"))]).await;
    assert_eq!(bed.queue(Platform).await.len(), 10);
    assert_eq!(bed.store().reader.meter().folded(), 0);
    // One more, and all that are superseded may go; as many do as have to.
    bed.one(raise(Platform, &alarm("2", ""))).await;
    assert_eq!(bed.queue(Platform).await.len(), 10);
    assert_eq!(bed.store().reader.meter().folded(), 1);
}

#[tokio::test]
async fn superseded_requests_are_folded_into_the_latest_state() {
    let bed = bounded(40);
    let unknown = Unknown::Deliver(Platform);
    bed.all(vec![raise(Platform, &alarm("raised", "1")), raise(Platform, &alarm("raised", "2"))]).await;
    bed.all(vec![raise(Platform, &alarm("cleared", "1")), clear("cleared", unknown)]).await;
    bed.all(vec![clear("again", unknown), raise(Platform, &alarm("again", "1"))]).await;
    for number in 0..3 {
        bed.all(vec![raise(Platform, &alarm("flaps", &number.to_string())), clear("flaps", unknown)]).await;
    }
    bed.one(raise(Platform, &alarm("flaps", "last"))).await;
    fill(&bed, 21).await;
    // The clear before a raise stays: without it the alarm would stand since it stood before.
    let wanted = [
        "raise raised 2",
        "clear cleared",
        "clear again",
        "raise again 1",
        "clear flaps",
        "raise flaps last",
    ];
    fill(&bed, 30).await;
    assert_eq!(rest(&bed).await, wanted);
    assert_eq!(bed.store().reader.meter().folded(), 7);
    assert_eq!(raised(bed.find("flaps").await).reason_text, "last");
    // Delivered as if nothing had been between.
    while !bed.queue(Platform).await.is_empty() {
        let asked = match &bed.waiting(Platform).await[0].kind {
            RequestKind::Raise { uuid, .. } => Some(uuid.clone()),
            _ => None,
        };
        bed.done(Platform, asked.as_deref()).await;
    }
    assert!(bed.find("flaps").await.is_some_and(|kept| kept.controller_uuid.is_some() && !kept.pending));
    assert_eq!(bed.find("cleared").await, None);
}

#[tokio::test]
async fn what_may_have_been_sent_stays() {
    let mut bed = bounded(20);
    for number in 0..5 {
        bed.one(raise(Platform, &alarm("1", &number.to_string()))).await;
    }
    let seqs: Vec<i64> = bed.waiting(Platform).await.iter().map(|request| request.seq).collect();
    // An agent that was killed had begun up to the third: only the first of the alarm can have been sent.
    bed.report(Report::Begun { domain: Platform, up_to: seqs[2] }).await;
    bed.reopen();
    fill(&bed, 14).await;
    assert_eq!(rest(&bed).await, ["raise 1 0", "raise 1 4"]);
    // The first of the openstack's has another number, and another place that was begun.
    bed.done(Platform, Some("u")).await;
    bed.one(raise(Platform, &alarm("1", "5"))).await;
    bed.one(raise(Platform, &alarm("2", ""))).await;
    assert_eq!(rest(&bed).await, ["raise 1 5", "raise 2 "]);
    let seq = bed.waiting(Platform).await.last().unwrap().seq;
    bed.report(Report::Begun { domain: Platform, up_to: seq }).await;
    bed.one(raise(Platform, &alarm("1", "6"))).await;
    bed.one(raise(Platform, &alarm("2", "b"))).await;
    bed.one(raise(Platform, &alarm("3", ""))).await;
    assert_eq!(rest(&bed).await, ["raise 1 5", "raise 2 ", "raise 1 6", "raise 2 b", "raise 3 "]);
}

#[tokio::test]
async fn a_clear_all_takes_the_place_of_what_it_clears_and_of_the_same_clear_all() {
    let bed = bounded(40);
    let all = |entity| clear_all(entity, Unknown::Deliver(Platform), &[Platform]);
    bed.one(raise(Platform, &alarm("1", "a"))).await;
    bed.all(vec![clear("2", Unknown::Deliver(Platform)), raise(Platform, &alarm("2", "a"))]).await;
    bed.all(vec![all(ENTITY), all("host=other")]).await;
    bed.one(raise(Platform, &alarm("1", "b"))).await;
    bed.all(vec![all(ENTITY), all("host")]).await;
    bed.one(raise(Platform, &alarm("2", "b"))).await;
    let mut outside = alarm("fill", "");
    outside.entity_instance_id = "host=c2".to_owned();
    bed.all(
        (0..15)
            .map(|n| raise(Platform, &Alarm { alarm_id: format!("fill{n}"), ..outside.clone() }))
            .collect(),
    )
    .await;
    bed.one(raise(Platform, &alarm("3", ""))).await;
    let wanted = ["clear_all host=other", "clear_all host=c1", "clear_all host", "raise 2 b", "raise 3 "];
    assert_eq!(rest(&bed).await, wanted);
    assert_eq!(bed.find("1").await.unwrap().standing, Standing::Cleared);
}

#[tokio::test]
async fn a_clear_where_an_alarm_stood_before_it_moved_stays() {
    let bed = bounded(20);
    for text in ["a", "b"] {
        bed.one(raise(Platform, &alarm("1", text))).await;
    }
    for text in ["c", "d"] {
        bed.one(raise(Openstack, &alarm("1", text))).await;
    }
    fill(&bed, 12).await;
    assert_eq!(rest(&bed).await, ["clear 1"]);
    assert_eq!(bed.queue(Openstack).await, ["raise 1 d"]);
    assert_eq!(bed.find("1").await.unwrap().domain, Openstack);
}

#[tokio::test]
async fn logs_go_after_superseded_requests_and_before_alarms_the_least_severe_first() {
    let bed = bounded(20);
    let logs = [
        ("b1", Severity::Major),
        ("a1", Severity::Warning),
        ("b2", Severity::Critical),
        ("a2", Severity::Warning),
        ("a0", Severity::Unranked),
    ];
    for (number, (id, severity)) in logs.into_iter().enumerate() {
        let domain = if number % 2 == 0 { Platform } else { Openstack };
        bed.one(log(domain, &severe(id, severity))).await;
    }
    bed.all((0..3).map(|n| raise(Platform, &alarm("1", &n.to_string()))).collect()).await;
    let shed = |rank: usize| bed.store().reader.meter().shed_logs(Rank::ALL[rank]);
    let mut gone = Vec::new();
    let all = async || [bed.queue(Platform).await, bed.queue(Openstack).await].concat();
    let mut before = all().await;
    for number in 0..9 {
        bed.one(raise(Platform, &alarm(&format!("new{number}"), ""))).await;
        let now = all().await;
        gone.extend(before.iter().filter(|request| !now.contains(request)).cloned());
        before = now;
    }
    let wanted =
        ["raise 1 0", "raise 1 1", "log a0 log", "log a1 log", "log a2 log", "log b1 log", "log b2 log"];
    assert_eq!(gone, wanted);
    assert_eq!([0, 1, 2, 3, 4].map(shed), [1, 2, 0, 1, 1]);
    assert_eq!(before.len(), 10);
    // Alarms are never given up, so now it grows.
    bed.one(raise(Platform, &alarm("more", ""))).await;
    assert_eq!(all().await.len(), 11);
}

#[tokio::test]
async fn a_log_that_may_have_been_sent_stays() {
    let bed = bounded(4);
    bed.all(vec![log(Platform, &alarm("1", "")), log(Openstack, &alarm("2", ""))]).await;
    let seq = bed.waiting(Platform).await[0].seq;
    bed.report(Report::Begun { domain: Platform, up_to: seq }).await;
    bed.all(vec![raise(Platform, &alarm("3", "")), raise(Platform, &alarm("4", ""))]).await;
    assert_eq!(bed.queue(Platform).await, ["log 1 ", "raise 3 ", "raise 4 "]);
    assert!(bed.queue(Openstack).await.is_empty());
}

#[tokio::test]
async fn at_the_limit_sets_are_refused_and_clears_are_not() {
    let mut bed = bounded(16);
    fill(&bed, 16).await;
    let (new, known) = (alarm("new", ""), alarm("fill1", ""));
    assert_eq!(refusal(&bed, vec![raise(Platform, &new)]).await, StoreErrorKind::Limit);
    assert_eq!(refusal(&bed, vec![log(Openstack, &new)]).await, StoreErrorKind::Limit);
    // One that takes no room is taken.
    assert!(matches!(bed.one(raise(Platform, &known)).await, Outcome::Raised(_)));
    // One that takes the place of what waits is taken, too; not with another that brings something new.
    bed.one(raise(Platform, &alarm("fill1", "changed"))).await;
    let list = vec![raise(Platform, &alarm("fill2", "changed")), raise(Platform, &new)];
    assert_eq!(refusal(&bed, list).await, StoreErrorKind::Limit);
    assert_eq!(bed.find("new").await, None);
    assert_eq!(raised(bed.find("fill2").await).reason_text, "", "all of it or nothing");
    assert_eq!(bed.store().reader.meter().refused_at_limit(), 3);

    for id in ["x", "y"] {
        assert_eq!(bed.one(clear(id, Unknown::Deliver(Platform))).await, Outcome::Cleared);
    }
    bed.reopen();
    assert_eq!(bed.store().reader.count_waiting(Platform).await.unwrap().requests, 18);
    // Their reserve has an end, too; but a clear that takes the place of a raise needs none.
    assert_eq!(refusal(&bed, vec![clear("z", Unknown::Deliver(Platform))]).await, StoreErrorKind::Limit);
    for number in 0..16 {
        let cleared = bed.try_submit(None, vec![clear(&format!("fill{number}"), Unknown::Tell)]).await;
        assert!(cleared.is_ok(), "{number}");
    }

    // Deliveries make room.
    for _ in 0..4 {
        bed.done(Platform, None).await;
    }
    bed.one(raise(Platform, &new)).await;
}

#[tokio::test]
async fn a_call_is_taken_once_whatever_became_of_its_requests() {
    let bed = bounded(8);
    let token = Some([1; 16]);
    let first = vec![log(Platform, &alarm("1", "")), raise(Platform, &alarm("2", "a"))];
    let outcomes = bed.try_submit(token, first.clone()).await.unwrap();
    bed.one(raise(Platform, &alarm("2", "b"))).await;
    fill(&bed, 5).await;
    assert_eq!(rest(&bed).await, ["raise 2 b"]);
    let again = bed.try_submit(token, first).await.unwrap();
    assert_eq!(again[0], outcomes[0]);
    assert_eq!(rest(&bed).await, ["raise 2 b"], "taken for a second time");
    // A call that was refused may come again.
    fill(&bed, 8).await;
    let token = Some([2; 16]);
    let list = vec![raise(Platform, &alarm("3", ""))];
    assert!(bed.try_submit(token, list.clone()).await.is_err());
    bed.done(Platform, None).await;
    bed.try_submit(token, list).await.unwrap();
    assert!(bed.find("3").await.is_some());
}

#[tokio::test]
async fn the_file_stays_within_its_limit_and_clears_fit_behind_sets() {
    let mut bed = Bed::delivering();
    let max_bytes: u64 = 4 << 20;
    bed.options.limits = Limits { max_bytes, max_requests: 1_000_000, high_water: 0.9 };
    bed.reopen();
    let text = "x".repeat(20_000);
    let mut taken = 0;
    let error = loop {
        match bed.try_submit(None, vec![raise(Platform, &alarm(&taken.to_string(), &text))]).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 1000, "there is no limit");
    };
    assert_eq!(error.kind, StoreErrorKind::Limit);
    assert!(taken > 30, "{taken}");
    bed.one(clear("1", Unknown::Tell)).await;
    // The same alarms again, and others: something superseded goes for each.
    for number in 2..20 {
        bed.one(clear(&number.to_string(), Unknown::Tell)).await;
        bed.one(raise(Platform, &alarm(&number.to_string(), &text))).await;
    }
    assert!(bed.store().reader.meter().folded() > 0);
    bed.store().writer.stop().await.unwrap();
    let bytes = bed.store().reader.bytes().unwrap();
    assert!(bytes <= max_bytes, "{bytes}");
}

#[tokio::test]
async fn a_list_that_does_not_fit_sacrifices_nothing() {
    let mut bed = Bed::delivering();
    bed.options.limits = Limits { max_bytes: 4 << 20, max_requests: 1000, high_water: 1.0 };
    bed.reopen();
    bed.all((0..10).map(|n| log(Platform, &alarm(&n.to_string(), &"x".repeat(20_000)))).collect()).await;
    let list =
        |bytes: usize| (0..10).map(|n| raise(Platform, &alarm(&n.to_string(), &"x".repeat(bytes)))).collect();
    assert_eq!(refusal(&bed, list(200_000)).await, StoreErrorKind::Limit);
    assert_eq!(bed.queue(Platform).await.len(), 10);
    // One that fits when the logs are gone is worth them.
    bed.all(list(80_000)).await;
    assert!(bed.queue(Platform).await.len() < 20);
    assert!(bed.find("9").await.is_some());
}

#[tokio::test]
async fn the_file_shrinks_when_the_backlog_is_gone() {
    let bed = Bed::delivering();
    let bytes = || bed.store().reader.bytes().unwrap();
    let text = "x".repeat(30_000);
    for list in 0..10 {
        bed.all((0..100).map(|n| log(Platform, &alarm(&format!("{list} {n}"), &text))).collect()).await;
    }
    let full = bytes();
    assert!(full > 30 << 20, "{full}");
    bed.one(raise(Platform, &alarm("stays", "hot"))).await;
    for request in bed.waiting(Platform).await {
        if matches!(request.kind, RequestKind::Log { .. }) {
            bed.report(Report::Done { seq: request.seq, uuid: None }).await;
        }
    }
    shrinks_to(&bed, 6 << 20).await;
    assert_eq!(bed.queue(Platform).await, ["raise stays hot"]);
    let check: String = bed.database().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[tokio::test]
async fn what_a_few_changes_have_freed_is_given_back_too() {
    let bed = Bed::delivering();
    let text = "x".repeat(300_000);
    bed.all((0..50).map(|n| log(Platform, &alarm(&n.to_string(), &text))).collect()).await;
    assert!(bed.store().reader.bytes().unwrap() > 14 << 20);
    for request in bed.waiting(Platform).await {
        bed.report(Report::Done { seq: request.seq, uuid: None }).await;
    }
    shrinks_to(&bed, 5 << 20).await;
}

/// The writer gives back while it has nothing else to do.
async fn shrinks_to(bed: &Bed, most: u64) {
    let bytes = || bed.store().reader.bytes().unwrap();
    let started = std::time::Instant::now();
    while bytes() > most {
        assert!(started.elapsed() < Duration::from_mins(1), "{} bytes are left", bytes());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_database_of_an_earlier_version_learns_to_give_space_back() {
    let directory = TempDir::new().unwrap();
    let options = options(directory.path(), &[(Platform, false)]);
    let mut bed = Bed::over(directory, options, None);
    bed.store = Some(Store::open(&bed.options).unwrap());
    bed.one(raise(Platform, &alarm("1", "hot"))).await;
    drop(bed.store.take());
    let mode =
        |bed: &Bed| -> i64 { bed.database().query_row("PRAGMA auto_vacuum", [], |row| row.get(0)).unwrap() };
    bed.database().execute_batch("PRAGMA auto_vacuum = NONE; VACUUM").unwrap();
    assert_eq!(mode(&bed), 0);
    bed.reopen();
    assert_eq!(mode(&bed), 2);
    assert_eq!(bed.queue(Platform).await, ["raise 1 hot"]);
}
