//! What a changed configuration does to what the store holds.

use super::*;

const BOTH: [(Domain, bool); 2] = [(Platform, false), (Openstack, false)];
const PLATFORM_ONLY: [(Domain, bool); 1] = [(Platform, false)];

#[tokio::test]
async fn what_belonged_to_a_domain_that_is_gone_falls_to_the_platform() {
    let mut bed = Bed::new(&BOTH);
    let (delivered, waits) = (alarm("1", "hot"), alarm("2", "hot"));
    bed.one(raise(Openstack, &delivered)).await;
    bed.done(Openstack, delivered.uuid.as_deref()).await;
    bed.all(vec![raise(Openstack, &waits), log(Openstack, &alarm("3", "rebooted"))]).await;
    bed.reopen_with(&PLATFORM_ONLY);
    // The platform's controller has seen none of it.
    assert_eq!(bed.queue(Platform).await, ["raise 2 hot", "log 3 rebooted", "raise 1 hot"]);
    for id in ["1", "2"] {
        let kept = bed.find(id).await.unwrap();
        assert_eq!((kept.domain, kept.pending, kept.controller_uuid), (Platform, true, None));
    }
    assert!(bed.queue(Openstack).await.is_empty());
    bed.reopen();
    assert_eq!(bed.queue(Platform).await.len(), 3);
}

#[tokio::test]
async fn a_clear_for_a_domain_that_is_gone_does_not_hit_the_alarm_that_moved() {
    let mut bed = Bed::new(&BOTH);
    let moved = alarm("1", "hot");
    bed.all(vec![raise(Openstack, &alarm("1", "hot")), raise(Platform, &moved)]).await;
    bed.done(Platform, moved.uuid.as_deref()).await;
    bed.reopen_with(&PLATFORM_ONLY);
    assert!(bed.queue(Platform).await.is_empty());
    let kept = bed.find("1").await.unwrap();
    assert_eq!((kept.pending, &kept.controller_uuid), (false, &moved.uuid));
}

#[tokio::test]
async fn a_clear_all_for_a_domain_that_is_gone_clears_what_it_meant_only() {
    let mut bed = Bed::new(&BOTH);
    let later = alarm("2", "hot");
    bed.all(vec![raise(Openstack, &alarm("1", "hot")), raise(Openstack, &alarm("3", "hot"))]).await;
    bed.one(clear_all(ENTITY, Unknown::Tell, &[Platform, Openstack])).await;
    bed.done(Platform, None).await;
    bed.all(vec![raise(Platform, &later), raise(Openstack, &alarm("3", "again"))]).await;
    bed.done(Platform, later.uuid.as_deref()).await;
    bed.reopen_with(&PLATFORM_ONLY);
    assert_eq!(
        bed.queue(Platform).await,
        ["raise 1 hot", "raise 3 hot", "raise 3 again", "clear 1"],
        "the alarm that was raised since stays"
    );
    let kept = bed.find("1").await.unwrap();
    assert_eq!((kept.domain, kept.pending, kept.standing), (Platform, true, Standing::Cleared));
    for uuid in [Some("a"), Some("b"), Some("c"), None] {
        bed.done(Platform, uuid).await;
    }
    assert_eq!(bed.find("1").await, None);
    assert_eq!(bed.find("3").await.unwrap().controller_uuid.as_deref(), Some("c"));
}

#[tokio::test]
async fn refused_requests_of_a_domain_that_is_gone_stay_listed() {
    let mut bed = Bed::new(&BOTH);
    bed.one(raise(Openstack, &alarm("1", "hot"))).await;
    bed.rejected(Openstack).await;
    bed.reopen_with(&PLATFORM_ONLY);
    assert_eq!(bed.store().reader.count_waiting(Platform).await.unwrap().rejected, 1);
}

#[tokio::test]
async fn a_domain_that_becomes_this_nodes_own_has_nothing_to_deliver() {
    let mut bed = Bed::new(&PLATFORM_ONLY);
    let (delivered, waits) = (alarm("1", "hot"), alarm("2", "hot"));
    bed.one(raise(Platform, &delivered)).await;
    bed.done(Platform, Some("other")).await;
    bed.all(vec![
        raise(Platform, &waits),
        raise(Platform, &alarm("3", "hot")),
        clear("3", Unknown::Tell),
        log(Platform, &alarm("4", "rebooted")),
    ])
    .await;
    bed.reopen_with(&[(Platform, true)]);
    assert!(bed.queue(Platform).await.is_empty());
    for fault in [delivered, waits] {
        let kept = bed.find(&fault.alarm_id).await.unwrap();
        assert_eq!((kept.pending, kept.controller_uuid), (false, None));
        assert_eq!(kept.standing, Standing::Raised(Box::new(fault)));
    }
    assert_eq!(bed.find("3").await, None);
    assert_eq!(bed.events(), ["log 4"]);
}

#[tokio::test]
async fn a_domain_that_gets_a_controller_hands_over_what_stands_in_the_order_raised() {
    let mut bed = Bed::new(&[(Platform, true)]);
    for (id, micros) in [("1", 30), ("2", 10), ("3", 20)] {
        let fault = Alarm { timestamp: Some(Timestamp::from_micros(micros)), ..alarm(id, "hot") };
        bed.one(raise(Platform, &fault)).await;
    }
    bed.one(log(Platform, &alarm("4", "rebooted"))).await;
    for _ in 0..2 {
        bed.reopen_with(&PLATFORM_ONLY);
        assert_eq!(bed.queue(Platform).await, ["raise 2 hot", "raise 3 hot", "raise 1 hot"]);
    }
    for id in ["1", "2", "3"] {
        assert!(bed.find(id).await.unwrap().pending);
    }
}

#[tokio::test]
async fn a_refused_change_is_not_sent_again_at_each_start() {
    let mut bed = Bed::new(&PLATFORM_ONLY);
    bed.one(raise(Platform, &alarm("1", "hot"))).await;
    bed.done(Platform, Some("u")).await;
    bed.one(raise(Platform, &alarm("1", "bad"))).await;
    bed.rejected(Platform).await;
    bed.reopen();
    assert!(bed.queue(Platform).await.is_empty());
}
