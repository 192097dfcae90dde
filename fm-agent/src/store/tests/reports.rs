//! What became of a delivery, and what it leaves behind.

use super::super::Turn;
use super::*;

#[tokio::test]
async fn a_delivered_raise_stands_under_the_controllers_uuid() {
    for other in [false, true] {
        let bed = Bed::delivering();
        let fault = alarm("1", "hot");
        bed.one(raise(Platform, &fault)).await;
        let uuid = if other { "other".to_owned() } else { uuid(&fault) };
        bed.done(Platform, Some(&uuid)).await;
        let kept = bed.find("1").await.unwrap();
        assert_eq!(kept.controller_uuid, Some(uuid.clone()));
        assert!(!kept.pending && kept.standing == Standing::Raised(Box::new(fault)));
        assert!(bed.queue(Platform).await.is_empty());
        // The next request about it is told.
        bed.one(clear("1", Unknown::Tell)).await;
        let seq = bed.waiting(Platform).await[0].seq;
        let told = async |domain, key| bed.store().reader.still_waits(domain, seq, key).await.unwrap();
        assert_eq!(told(Platform, Some(key("1"))).await, Turn::Waits(Some(uuid)));
        assert_eq!(told(Openstack, Some(key("1"))).await, Turn::Waits(None), "held in the other domain");
        assert_eq!(told(Platform, None).await, Turn::Waits(None));
        bed.done(Platform, None).await;
        assert_eq!(told(Platform, Some(key("1"))).await, Turn::Gone, "it waits no more");
    }
}

#[tokio::test]
async fn an_alarm_that_somebody_removed_is_not_held() {
    let bed = Bed::delivering();
    bed.one(raise(Platform, &alarm("1", "hot"))).await;
    bed.done(Platform, None).await;
    assert_eq!(bed.find("1").await, None);
}

#[tokio::test]
async fn an_alarm_that_somebody_removed_stands_nowhere_for_the_request_that_follows() {
    let bed = Bed::delivering();
    bed.one(raise(Platform, &alarm("1", "hot"))).await;
    bed.done(Platform, Some("u")).await;
    bed.all(vec![raise(Platform, &alarm("1", "hotter")), clear("1", Unknown::Tell)]).await;
    bed.done(Platform, None).await;
    let kept = bed.find("1").await.unwrap();
    assert_eq!((kept.pending, kept.standing, kept.controller_uuid), (true, Standing::Cleared, None));
}

#[tokio::test]
async fn an_earlier_report_leaves_the_later_request_alone() {
    let bed = Bed::delivering();
    let (hot, hotter) = (alarm("1", "hot"), alarm("1", "hotter"));
    bed.all(vec![raise(Platform, &hot), raise(Platform, &hotter)]).await;
    bed.done(Platform, hot.uuid.as_deref()).await;
    let kept = bed.find("1").await.unwrap();
    assert_eq!((kept.pending, &kept.controller_uuid), (true, &hot.uuid));
    assert_eq!(kept.standing, Standing::Raised(Box::new(hotter.clone())));
    bed.done(Platform, hotter.uuid.as_deref()).await;
    let kept = bed.find("1").await.unwrap();
    assert_eq!((kept.pending, &kept.controller_uuid), (false, &hotter.uuid));
}

#[tokio::test]
async fn a_delivered_clear_forgets_the_alarm_unless_it_was_raised_again() {
    let bed = Bed::delivering();
    let (hot, again) = (alarm("1", "hot"), alarm("1", "again"));
    bed.all(vec![raise(Platform, &hot), clear("1", Unknown::Tell), raise(Platform, &again)]).await;
    bed.done(Platform, hot.uuid.as_deref()).await;
    bed.done(Platform, None).await;
    let kept = bed.find("1").await.unwrap();
    assert_eq!((kept.pending, &kept.controller_uuid), (true, &None));
    assert_eq!(kept.standing, Standing::Raised(Box::new(again)));
    bed.one(clear("1", Unknown::Tell)).await;
    bed.done(Platform, Some("u")).await;
    assert_eq!(bed.find("1").await.unwrap().controller_uuid.as_deref(), Some("u"));
    bed.done(Platform, None).await;
    assert_eq!(bed.find("1").await, None);
}

#[tokio::test]
async fn a_delivered_clear_all_forgets_what_it_cleared_and_what_it_cleared_stands_nowhere() {
    let bed = Bed::delivering();
    let (one, two) = (alarm("1", "hot"), alarm("2", "hot"));
    let other = Alarm { entity_instance_id: "host=c10".to_owned(), ..alarm("3", "hot") };
    bed.all(vec![raise(Platform, &one), raise(Platform, &two), raise(Platform, &other)]).await;
    for fault in [&one, &two, &other] {
        bed.done(Platform, fault.uuid.as_deref()).await;
    }
    bed.one(clear_all(ENTITY, Unknown::Tell, &[Platform])).await;
    bed.one(raise(Platform, &alarm("2", "again"))).await;
    bed.done(Platform, None).await;
    assert_eq!(bed.find("1").await, None);
    let again = bed.find("2").await.unwrap();
    assert_eq!((again.pending, again.controller_uuid), (true, None));
    let left = bed.store().reader.find(other.key()).await.unwrap().unwrap();
    assert_eq!(left.controller_uuid, other.uuid);
}

#[tokio::test]
async fn a_delivered_clear_does_not_forget_what_a_clear_all_covers() {
    let bed = Bed::delivering();
    let hot = alarm("1", "hot");
    bed.all(vec![
        raise(Platform, &hot),
        clear("1", Unknown::Tell),
        clear_all(ENTITY, Unknown::Tell, &[Platform]),
    ])
    .await;
    bed.done(Platform, hot.uuid.as_deref()).await;
    bed.done(Platform, None).await;
    let kept = bed.find("1").await.unwrap();
    assert_eq!((kept.pending, kept.standing), (true, Standing::Cleared));
    bed.done(Platform, None).await;
    assert_eq!(bed.find("1").await, None);
}

#[tokio::test]
async fn what_a_domain_reports_about_an_alarm_that_moved_away_changes_nothing() {
    let bed = Bed::delivering();
    let (first, moved) = (alarm("1", "hot"), alarm("1", "hot"));
    bed.all(vec![raise(Platform, &first), raise(Openstack, &moved)]).await;
    bed.done(Openstack, moved.uuid.as_deref()).await;
    let before = bed.find("1").await;
    bed.done(Platform, first.uuid.as_deref()).await;
    bed.done(Platform, None).await;
    assert_eq!(bed.find("1").await, before);
    assert_eq!(before.unwrap().controller_uuid, moved.uuid);
}

#[tokio::test]
async fn an_alarm_that_moved_and_came_back_is_told_apart() {
    let bed = Bed::delivering();
    let back = alarm("1", "back");
    bed.all(vec![
        raise(Platform, &alarm("1", "hot")),
        raise(Openstack, &alarm("1", "moved")),
        raise(Platform, &back),
    ])
    .await;
    bed.done(Platform, Some("first")).await;
    assert_eq!(bed.find("1").await.unwrap().controller_uuid.as_deref(), Some("first"));
    bed.done(Openstack, Some("moved")).await;
    bed.done(Openstack, None).await;
    assert_eq!(bed.find("1").await.unwrap().controller_uuid.as_deref(), Some("first"));
    bed.done(Platform, None).await;
    assert_eq!(bed.find("1").await.unwrap().controller_uuid, None);
    bed.done(Platform, back.uuid.as_deref()).await;
    let kept = bed.find("1").await.unwrap();
    assert_eq!((kept.pending, kept.domain, &kept.controller_uuid), (false, Platform, &back.uuid));
}

#[tokio::test]
async fn a_refused_raise_is_kept_aside_and_not_held() {
    let bed = Bed::delivering();
    let fault = alarm("1", "hot");
    bed.one(raise(Platform, &fault)).await;
    bed.rejected(Platform).await;
    assert!(bed.queue(Platform).await.is_empty());
    assert_eq!(bed.find("1").await, None);
    let (entity, uuid, answer): (String, String, String) = bed
        .database()
        .query_row("SELECT entity, uuid, answer FROM rejected", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!((entity.as_str(), Some(uuid), answer.as_str()), (ENTITY, fault.uuid, "no"));
}

#[tokio::test]
async fn a_refused_change_does_not_lose_the_alarm_that_stands() {
    let bed = Bed::delivering();
    let (hot, bad) = (alarm("1", "hot"), alarm("1", "bad"));
    bed.one(raise(Openstack, &hot)).await;
    bed.done(Openstack, hot.uuid.as_deref()).await;
    bed.one(raise(Openstack, &bad)).await;
    bed.rejected(Openstack).await;
    let kept = bed.find("1").await.unwrap();
    assert_eq!((kept.domain, kept.pending, &kept.controller_uuid), (Openstack, false, &hot.uuid));
    // What stands is what readers see.
    assert_eq!(kept.standing, Standing::Raised(Box::new(hot)));
    // So a clear finds it, where it stands.
    assert_eq!(bed.one(clear("1", Unknown::Deliver(Platform))).await, Outcome::Cleared);
    assert_eq!(bed.queue(Openstack).await, ["clear 1"]);
}

#[tokio::test]
async fn of_several_changes_the_last_that_was_taken_stands_after_a_refusal() {
    let bed = Bed::delivering();
    let (hot, hotter, bad) = (alarm("1", "hot"), alarm("1", "hotter"), alarm("1", "bad"));
    bed.all(vec![raise(Platform, &hot), raise(Platform, &hotter), raise(Platform, &bad)]).await;
    bed.done(Platform, hot.uuid.as_deref()).await;
    bed.done(Platform, hotter.uuid.as_deref()).await;
    bed.rejected(Platform).await;
    assert_eq!(bed.find("1").await.unwrap().standing, Standing::Raised(Box::new(hotter.clone())));
    // The uuid that callers know stays, whatever was asked and refused since.
    bed.all(vec![raise(Platform, &alarm("1", "hotter")), raise(Platform, &bad)]).await;
    bed.done(Platform, hotter.uuid.as_deref()).await;
    bed.rejected(Platform).await;
    assert_eq!(bed.find("1").await.unwrap().standing, Standing::Raised(Box::new(hotter)));
    let left: i64 = bed.database().query_row("SELECT count(*) FROM accepted", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_refused_change_that_took_the_alarm_away_leaves_none() {
    for foreign in [false, true] {
        let bed = Bed::delivering();
        let (hot, bad) = (alarm("1", "hot"), alarm("1", "bad"));
        bed.one(raise(Platform, &hot)).await;
        bed.done(Platform, hot.uuid.as_deref()).await;
        bed.one(raise(Platform, &bad)).await;
        let uuid = if foreign { "another".to_owned() } else { hot.uuid.clone().unwrap() };
        bed.report(Report::Gone { domain: Platform, key: key("1"), uuid }).await;
        bed.rejected(Platform).await;
        let standing = bed.find("1").await.map(|kept| kept.standing);
        assert_eq!(standing, foreign.then(|| Standing::Raised(Box::new(hot))));
    }
}

#[tokio::test]
async fn a_refusal_leaves_the_uuid_for_the_request_that_follows() {
    for refused_clear in [false, true] {
        let bed = Bed::delivering();
        let hot = alarm("1", "hot");
        bed.one(raise(Platform, &hot)).await;
        bed.done(Platform, hot.uuid.as_deref()).await;
        let bad = if refused_clear { clear("1", Unknown::Tell) } else { raise(Platform, &alarm("1", "bad")) };
        bed.all(vec![bad, raise(Platform, &alarm("1", "good"))]).await;
        bed.rejected(Platform).await;
        let kept = bed.find("1").await.unwrap();
        assert_eq!((kept.pending, &kept.controller_uuid), (true, &hot.uuid), "clear: {refused_clear}");
    }
}

#[tokio::test]
async fn a_refused_clear_can_be_asked_for_again() {
    for everything in [false, true] {
        let bed = Bed::delivering();
        bed.one(raise(Platform, &alarm("1", "hot"))).await;
        bed.done(Platform, Some("u")).await;
        let op = if everything {
            clear_all(ENTITY, Unknown::Tell, &[Platform])
        } else {
            clear("1", Unknown::Tell)
        };
        bed.one(op).await;
        bed.rejected(Platform).await;
        assert_eq!(bed.find("1").await, None);
        assert_eq!(bed.one(clear("1", Unknown::Deliver(Platform))).await, Outcome::Cleared);
        assert_eq!(bed.queue(Platform).await, ["clear 1"]);
    }
}

#[tokio::test]
async fn a_report_about_a_request_that_is_gone_changes_nothing() {
    let bed = Bed::delivering();
    let fault = alarm("1", "hot");
    bed.one(raise(Platform, &fault)).await;
    let seq = bed.waiting(Platform).await[0].seq;
    bed.done(Platform, fault.uuid.as_deref()).await;
    let before = bed.find("1").await;
    bed.report(Report::Done { seq, uuid: None }).await;
    bed.report(Report::Rejected { seq, answer: "no".to_owned() }).await;
    assert_eq!(bed.find("1").await, before);
    assert_eq!(bed.store().reader.count_waiting(Platform).await.unwrap().rejected, 0);
}

#[tokio::test]
async fn what_waits_is_announced_to_its_domain() {
    let bed = Bed::delivering();
    let wake = bed.store().wake(Openstack).unwrap();
    bed.one(raise(Openstack, &alarm("1", "hot"))).await;
    // Signalled before the answer.
    assert!(std::pin::pin!(wake.notified()).enable());
    let other = bed.store().wake(Platform).unwrap();
    assert!(!std::pin::pin!(other.notified()).enable());
}

#[tokio::test]
async fn what_may_have_been_sent_is_known_to_the_next_agent() {
    let mut bed = Bed::delivering();
    assert_eq!(bed.store().reader.begun(Platform).await.unwrap(), 0);
    for up_to in [64, 128] {
        bed.store().writer.report(Report::Begun { domain: Platform, up_to }).await.unwrap();
        bed.reopen();
        assert_eq!(bed.store().reader.begun(Platform).await.unwrap(), up_to);
    }
    assert_eq!(bed.store().reader.begun(Openstack).await.unwrap(), 0, "each domain has its own");
}

#[tokio::test]
async fn refused_requests_are_kept_for_a_while() {
    let mut bed = Bed::delivering();
    for id in ["1", "2"] {
        bed.one(raise(Platform, &alarm(id, "hot"))).await;
        bed.rejected(Platform).await;
    }
    let ids = async |bed: &Bed| -> Vec<String> {
        let kept = bed.store().reader.rejected(0, 10).await.unwrap();
        kept.iter().map(|rejected| short(&rejected.request.as_ref().unwrap().kind)).collect()
    };
    assert_eq!(ids(&bed).await, ["raise 1 hot", "raise 2 hot"]);
    let days_ago = |days: i64| Timestamp::now().as_micros() - days * 24 * 60 * 60 * 1_000_000;
    bed.database()
        .execute("UPDATE rejected SET rejected_at = ?1 WHERE alarm_id = '1'", [days_ago(4)])
        .unwrap();
    bed.reopen();
    assert_eq!(ids(&bed).await, ["raise 2 hot"]);
    // By a clock that was a day behind then and is a day ahead now, this one was refused just now.
    bed.database().execute("UPDATE rejected SET rejected_at = ?1", [days_ago(2)]).unwrap();
    bed.reopen();
    assert_eq!(ids(&bed).await, ["raise 2 hot"]);
    bed.database().execute("UPDATE rejected SET rejected_at = ?1", [days_ago(4)]).unwrap();
    bed.one(raise(Platform, &alarm("3", "hot"))).await;
    bed.rejected(Platform).await;
    assert_eq!(ids(&bed).await, ["raise 3 hot"]);
}

#[tokio::test]
async fn a_replay_means_what_the_request_means_now() {
    let bed = Bed::delivering();
    bed.one(raise(Platform, &alarm("1", "hot"))).await;
    bed.one(log(Platform, &alarm("2", "said"))).await;
    bed.one(clear("3", Unknown::Deliver(Platform))).await;
    bed.one(clear_all("host=x", Unknown::Deliver(Platform), &[Platform])).await;
    let waiting = bed.waiting(Platform).await;
    for _ in &waiting {
        bed.rejected(Platform).await;
    }
    assert_eq!(bed.find("1").await, None);
    let replays: Vec<Op> = waiting.iter().map(|request| Op::Replay { seq: request.seq }).collect();
    assert_eq!(bed.all(replays.clone()).await, [Outcome::Done, Outcome::Done, Outcome::Done, Outcome::Done]);
    assert_eq!(bed.queue(Platform).await, ["raise 1 hot", "log 2 said", "clear 3", "clear_all host=x"]);
    assert!(bed.find("1").await.unwrap().pending);
    assert_eq!(bed.all(replays).await, vec![Outcome::Unknown; 4], "they are taken once");
    assert!(bed.store().reader.rejected(0, 10).await.unwrap().is_empty());
}
