//! What controllers should hold, and what findings about it do.

use crate::store::{Cleared, Finding, Found, Held};

use super::*;

fn finding(id: &str, uuid: &str, what: Found) -> Finding {
    Finding { key: key(id), uuid: uuid.to_owned(), what }
}

async fn sides(bed: &Bed) -> (Vec<Held>, Vec<Cleared>) {
    bed.store().reader.healing(Platform).await.unwrap()
}

async fn heal(bed: &Bed, finding: Finding) -> bool {
    bed.store().writer.heal(Platform, vec![finding]).await.unwrap() == [true]
}

/// An alarm that the controller holds under this uuid.
async fn delivered(bed: &Bed, id: &str, uuid: &str) -> Alarm {
    let fault = alarm(id, "hot");
    bed.one(raise(Platform, &fault)).await;
    bed.done(Platform, Some(uuid)).await;
    fault
}

#[tokio::test]
async fn what_was_delivered_is_held_since_then() {
    let mut bed = Bed::delivering();
    let before = Timestamp::now();
    let fault = delivered(&bed, "1", "u").await;
    bed.one(raise(Platform, &alarm("2", "waits"))).await;
    bed.one(raise(Openstack, &alarm("3", "elsewhere"))).await;
    let (held, cleared) = sides(&bed).await;
    assert_eq!((held.len(), cleared.len()), (1, 0));
    assert_eq!((&held[0].key, &*held[0].uuid), (&key("1"), "u"));
    assert!(before <= held[0].since && held[0].since <= Timestamp::now());
    // A check that finds it where it was leaves the time as it was.
    bed.done(Platform, Some("v")).await;
    bed.one(raise(Platform, &Alarm { uuid: Some("w".into()), ..fault.clone() })).await;
    bed.done(Platform, Some("u")).await;
    assert!(sides(&bed).await.0.contains(&held[0]));
    bed.reopen();
    assert!(sides(&bed).await.0.contains(&held[0]));
}

#[tokio::test]
async fn what_was_cleared_replaced_or_moved_is_remembered() {
    let bed = Bed::delivering();
    for id in ["1", "2", "3", "4"] {
        delivered(&bed, id, &format!("u{id}")).await;
    }
    bed.one(clear("1", Unknown::Tell)).await;
    assert!(sides(&bed).await.1.is_empty(), "a clear that waits is no clear yet");
    bed.done(Platform, None).await;
    bed.one(raise(Platform, &alarm("2", "hotter"))).await;
    bed.done(Platform, Some("v2")).await;
    bed.one(raise(Openstack, &alarm("3", "hot"))).await;
    bed.done(Platform, None).await;
    bed.one(clear_all(ENTITY, Unknown::Tell, &[Platform])).await;
    bed.done(Platform, None).await;
    let (held, cleared) = sides(&bed).await;
    assert!(held.is_empty());
    let mut uuids: Vec<&str> = cleared.iter().map(|cleared| &*cleared.uuid).collect();
    uuids.sort_unstable();
    assert_eq!(uuids, ["u1", "u2", "u3", "u4", "v2"]);
    assert!(cleared.contains(&Cleared { key: key("1"), uuid: "u1".into() }));
}

#[tokio::test]
async fn a_clear_of_an_alarm_of_others_is_not_remembered() {
    let bed = Bed::delivering();
    bed.one(clear("1", Unknown::Deliver(Platform))).await;
    bed.done(Platform, None).await;
    assert_eq!(sides(&bed).await, (vec![], vec![]));
}

#[tokio::test]
async fn the_memory_of_clears_is_bounded() {
    let mut bed = Bed::delivering();
    delivered(&bed, "1", "u").await;
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
                INSERT INTO cleared (domain, alarm_id, entity, uuid, at) SELECT 'platform', 'x', 'y', i, ?1 FROM n";
    let now = Timestamp::now().as_micros();
    bed.database().execute(many, [now]).unwrap();
    bed.one(clear("1", Unknown::Tell)).await;
    bed.done(Platform, None).await;
    assert_eq!(sides(&bed).await.1.len(), 10_000);
    let month = 30 * 24 * 60 * 60 * 1_000_000;
    bed.database().execute("UPDATE cleared SET at = ?1 WHERE uuid <> 'u'", [now - month - 1]).unwrap();
    bed.reopen();
    assert_eq!(sides(&bed).await.1, [Cleared { key: key("1"), uuid: "u".into() }]);
}

#[tokio::test]
async fn a_lost_alarm_is_raised_again_under_a_fresh_uuid() {
    let bed = Bed::delivering();
    let fault = delivered(&bed, "1", "u").await;
    assert!(heal(&bed, finding("1", "u", Found::Lost)).await);
    let waiting = bed.waiting(Platform).await;
    let fresh = asked(&waiting[0]);
    assert!(fresh != "u" && fresh != uuid(&fault));
    let kept = bed.find("1").await.unwrap();
    // The old uuid goes with the request: if the alarm was only hidden it has to make room.
    assert_eq!((kept.pending, kept.controller_uuid.as_deref()), (true, Some("u")));
    bed.done(Platform, Some(&fresh)).await;
    let kept = bed.find("1").await.unwrap();
    assert_eq!(kept.controller_uuid, Some(fresh));
    assert_eq!(kept.standing, Standing::Raised(Box::new(fault)), "callers see no change");
    assert_eq!(sides(&bed).await.1, [Cleared { key: key("1"), uuid: "u".into() }]);
}

#[tokio::test]
async fn a_removed_alarm_is_forgotten() {
    let bed = Bed::delivering();
    delivered(&bed, "1", "u").await;
    assert!(heal(&bed, finding("1", "u", Found::Removed)).await);
    assert_eq!(bed.find("1").await, None);
    assert!(bed.queue(Platform).await.is_empty());
}

#[tokio::test]
async fn what_stands_again_is_removed_by_its_uuid() {
    let bed = Bed::delivering();
    delivered(&bed, "1", "u").await;
    bed.one(clear("1", Unknown::Tell)).await;
    bed.done(Platform, None).await;
    assert!(heal(&bed, finding("1", "u", Found::Back)).await);
    assert_eq!(bed.queue(Platform).await, ["remove 1 u"]);
    bed.done(Platform, None).await;
    assert!(bed.queue(Platform).await.is_empty());
}

#[tokio::test]
async fn a_finding_that_does_not_fit_any_more_is_passed_over() {
    let bed = Bed::delivering();
    delivered(&bed, "1", "u").await;
    for what in [Found::Lost, Found::Removed] {
        assert!(!heal(&bed, finding("1", "older", what)).await);
        assert!(!heal(&bed, finding("unknown", "u", what)).await);
    }
    assert!(!heal(&bed, finding("1", "u", Found::Back)).await, "it stands by right");
    bed.one(raise(Platform, &alarm("1", "hotter"))).await;
    for what in [Found::Lost, Found::Removed, Found::Back] {
        assert!(!heal(&bed, finding("1", "u", what)).await, "a request decides what stands");
    }
    assert_eq!(bed.queue(Platform).await, ["raise 1 hotter"]);
    bed.done(Platform, Some("v")).await;
    bed.one(clear("1", Unknown::Tell)).await;
    assert!(!heal(&bed, finding("1", "v", Found::Lost)).await);
    assert_eq!(bed.queue(Platform).await, ["clear 1"]);
}
