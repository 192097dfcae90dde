//! What each change means: view, queue and answer.

use super::*;

#[tokio::test]
async fn a_raise_is_kept_and_waits() {
    let bed = Bed::delivering();
    let fault = alarm("1", "hot");
    assert_eq!(bed.one(raise(Platform, &fault)).await, Outcome::Raised(uuid(&fault)));
    let kept = bed.find("1").await.unwrap();
    assert_eq!(kept.standing, Standing::Raised(Box::new(fault.clone())));
    assert_eq!((kept.domain, kept.pending, kept.controller_uuid), (Platform, true, None));
    let waiting = bed.waiting(Platform).await;
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].kind, RequestKind::Raise { uuid: uuid(&fault), alarm: Box::new(fault) });
    assert!(bed.queue(Openstack).await.is_empty());
}

#[tokio::test]
async fn a_set_that_changes_nothing_waits_once() {
    let bed = Bed::delivering();
    let (first, again) = (alarm("1", "hot"), alarm("1", "hot"));
    bed.one(raise(Platform, &first)).await;
    assert_eq!(bed.one(raise(Platform, &again)).await, Outcome::Raised(uuid(&first)));
    assert_eq!(bed.queue(Platform).await, ["raise 1 hot"]);
    assert_eq!(raised(bed.find("1").await), first);
}

#[tokio::test]
async fn a_set_that_changes_nothing_has_the_controller_asked_once_it_was_delivered() {
    let bed = Bed::delivering();
    let (first, again) = (alarm("1", "hot"), alarm("1", "hot"));
    bed.one(raise(Platform, &first)).await;
    bed.done(Platform, first.uuid.as_deref()).await;
    assert_eq!(bed.one(raise(Platform, &again)).await, Outcome::Raised(uuid(&first)));
    let waiting = bed.waiting(Platform).await;
    assert_eq!(waiting.len(), 1);
    // Under a uuid that the controller has not seen.
    assert_eq!(asked(&waiting[0]), uuid(&again));
    let kept = bed.find("1").await.unwrap();
    assert_eq!((kept.pending, kept.controller_uuid.as_ref()), (true, first.uuid.as_ref()));
    // Still there.
    bed.done(Platform, first.uuid.as_deref()).await;
    let kept = bed.find("1").await;
    assert_eq!(kept.as_ref().map(|kept| kept.pending), Some(false));
    assert_eq!(raised(kept), first);
}

#[tokio::test]
async fn an_alarm_that_the_controller_had_lost_is_raised_anew_under_its_callers_uuid() {
    let bed = Bed::delivering();
    let first = alarm("1", "hot");
    let again = Alarm { timestamp: Some(Timestamp::from_micros(7)), ..alarm("1", "hot") };
    bed.one(raise(Platform, &first)).await;
    bed.done(Platform, first.uuid.as_deref()).await;
    bed.one(raise(Platform, &again)).await;
    bed.done(Platform, again.uuid.as_deref()).await;
    let kept = bed.find("1").await;
    assert_eq!(kept.as_ref().unwrap().controller_uuid, again.uuid);
    assert_eq!(raised(kept), Alarm { uuid: first.uuid, ..again });
}

#[tokio::test]
async fn a_change_takes_its_own_uuid() {
    let bed = Bed::delivering();
    let (hot, hotter) = (alarm("1", "hot"), alarm("1", "hotter"));
    bed.one(raise(Platform, &hot)).await;
    assert_eq!(bed.one(raise(Platform, &hotter)).await, Outcome::Raised(uuid(&hotter)));
    assert_eq!(bed.queue(Platform).await, ["raise 1 hot", "raise 1 hotter"]);
    assert_eq!(raised(bed.find("1").await), hotter);
}

#[tokio::test]
async fn a_uuid_that_the_alarm_had_is_not_given_to_the_controller_again() {
    let bed = Bed::delivering();
    let hot = alarm("1", "hot");
    let hotter = Alarm { uuid: hot.uuid.clone(), ..alarm("1", "hotter") };
    bed.one(raise(Platform, &hot)).await;
    assert_eq!(bed.one(raise(Platform, &hotter)).await, Outcome::Raised(uuid(&hot)));
    assert_ne!(asked(&bed.waiting(Platform).await[1]), uuid(&hot));
    bed.done(Platform, hot.uuid.as_deref()).await;
    bed.one(clear("1", Unknown::Tell)).await;
    bed.one(raise(Platform, &hot)).await;
    assert_ne!(asked(&bed.waiting(Platform).await[2]), uuid(&hot));
}

#[tokio::test]
async fn keep_existing_leaves_what_is_known() {
    let bed = Bed::delivering();
    let first = alarm("1", "hot");
    let other = Alarm { keep_existing_alarm: true, ..alarm("1", "cold") };
    bed.one(raise(Platform, &first)).await;
    for domain in [Platform, Openstack] {
        assert_eq!(bed.one(raise(domain, &other)).await, Outcome::Raised(uuid(&first)));
    }
    assert_eq!(bed.queue(Platform).await, ["raise 1 hot"]);
    assert!(bed.queue(Openstack).await.is_empty());
    // Cleared is not known: it is raised.
    bed.one(clear("1", Unknown::Tell)).await;
    assert_eq!(bed.one(raise(Platform, &other)).await, Outcome::Raised(uuid(&other)));
    assert_eq!(bed.queue(Platform).await, ["raise 1 hot", "clear 1", "raise 1 cold"]);
}

#[tokio::test]
async fn a_clear_of_a_known_alarm_waits_once() {
    let bed = Bed::delivering();
    bed.one(raise(Openstack, &alarm("1", "hot"))).await;
    for _ in 0..2 {
        assert_eq!(bed.one(clear("1", Unknown::Deliver(Platform))).await, Outcome::Cleared);
    }
    assert!(bed.queue(Platform).await.is_empty());
    assert_eq!(bed.queue(Openstack).await, ["raise 1 hot", "clear 1"]);
    let kept = bed.find("1").await.unwrap();
    assert_eq!((kept.standing, kept.pending), (Standing::Cleared, true));
}

#[tokio::test]
async fn a_clear_of_an_unknown_alarm_is_told_or_delivered() {
    let bed = Bed::new(&[(Platform, false), (Openstack, true)]);
    assert_eq!(bed.one(clear("1", Unknown::Tell)).await, Outcome::Unknown);
    assert_eq!(bed.one(clear("1", Unknown::Deliver(Openstack))).await, Outcome::Unknown);
    assert!(bed.queue(Platform).await.is_empty() && bed.find("1").await.is_none());
    assert_eq!(bed.one(clear("1", Unknown::Deliver(Platform))).await, Outcome::Cleared);
    assert_eq!(bed.queue(Platform).await, ["clear 1"]);
    assert_eq!(bed.find("1").await.unwrap().standing, Standing::Cleared);
    bed.done(Platform, None).await;
    assert_eq!(bed.find("1").await, None);
}

#[tokio::test]
async fn an_alarm_that_moves_is_cleared_where_it_stood() {
    let bed = Bed::delivering();
    bed.one(raise(Platform, &alarm("1", "hot"))).await;
    bed.one(raise(Openstack, &alarm("1", "hot"))).await;
    assert_eq!(bed.queue(Platform).await, ["raise 1 hot", "clear 1"]);
    assert_eq!(bed.queue(Openstack).await, ["raise 1 hot"]);
    assert_eq!(bed.find("1").await.unwrap().domain, Openstack);
    bed.one(clear("1", Unknown::Tell)).await;
    assert_eq!(bed.queue(Openstack).await, ["raise 1 hot", "clear 1"]);
    assert_eq!(bed.queue(Platform).await.len(), 2);
}

#[tokio::test]
async fn an_alarm_that_is_being_cleared_is_not_cleared_again_when_it_moves() {
    let bed = Bed::delivering();
    bed.one(raise(Platform, &alarm("1", "hot"))).await;
    bed.one(clear("1", Unknown::Tell)).await;
    bed.one(raise(Openstack, &alarm("1", "hot"))).await;
    assert_eq!(bed.queue(Platform).await, ["raise 1 hot", "clear 1"]);
}

#[tokio::test]
async fn an_alarm_moves_into_a_domain_that_is_kept_here_and_out_of_it() {
    let bed = Bed::new(&[(Platform, false), (Openstack, true)]);
    bed.one(raise(Platform, &alarm("1", "hot"))).await;
    bed.one(raise(Openstack, &alarm("1", "hot"))).await;
    assert_eq!(bed.queue(Platform).await, ["raise 1 hot", "clear 1"]);
    let kept = bed.find("1").await.unwrap();
    assert_eq!((kept.domain, kept.pending), (Openstack, false));
    bed.one(raise(Platform, &alarm("1", "hot"))).await;
    assert_eq!(bed.queue(Platform).await, ["raise 1 hot", "clear 1", "raise 1 hot"]);
    assert_eq!(bed.events(), ["set 1", "clear 1"]);
}

#[tokio::test]
async fn clear_all_means_the_entity_and_what_lies_under_it_in_each_domain() {
    let bed = Bed::delivering();
    for (id, entity, domain) in [
        ("own", "host=c1", Platform),
        ("under", "host=c1.port=eth0", Openstack),
        ("other", "host=c10", Platform),
    ] {
        let fault = Alarm { entity_instance_id: entity.to_owned(), ..alarm(id, "hot") };
        bed.one(raise(domain, &fault)).await;
    }
    let domains = [Platform, Openstack];
    assert_eq!(bed.one(clear_all("host=c1", Unknown::Tell, &domains)).await, Outcome::Cleared);
    assert_eq!(bed.queue(Platform).await, ["raise own hot", "raise other hot", "clear_all host=c1"]);
    assert_eq!(bed.queue(Openstack).await, ["raise under hot", "clear_all host=c1"]);
    let (kept, clear_alls) = bed.store().reader.overlay(None, String::new()).await.unwrap();
    let standing: Vec<(&str, bool)> =
        kept.iter().map(|kept| (kept.key.alarm_id.as_str(), kept.standing != Standing::Cleared)).collect();
    assert_eq!(standing, [("other", true), ("own", false), ("under", false)]);
    assert!(kept.iter().all(|kept| kept.pending));
    let waiting: Vec<(Domain, &str)> =
        clear_alls.iter().map(|waiting| (waiting.domain, waiting.entity_instance_id.as_str())).collect();
    assert_eq!(waiting, [(Platform, "host=c1"), (Openstack, "host=c1")]);
    assert!(clear_alls[0].covers(Platform, "host=c1.port=eth0"));
    assert!(!clear_alls[0].covers(Openstack, "host=c1") && !clear_alls[0].covers(Platform, "host=c10"));
    for (id, prefix, wanted) in [
        (None, "host=c1", 3),
        (None, "host=c1.", 1),
        (None, "HOST", 0),
        (Some("own"), "host=c1", 1),
        (Some("own"), "host=c1.", 0),
    ] {
        let (kept, _) = bed.store().reader.overlay(id.map(str::to_owned), prefix.to_owned()).await.unwrap();
        assert_eq!(kept.len(), wanted, "{id:?} {prefix}");
    }
}

#[tokio::test]
async fn the_rule_of_a_clear_all_goes_with_it() {
    let bed = Bed::delivering();
    let fault = Alarm { entity_instance_id: "host=c10".to_owned(), ..alarm("1", "hot") };
    bed.one(raise(Platform, &fault)).await;
    let op = |rule| Op::ClearAll {
        entity_instance_id: "host=c1".to_owned(),
        rule,
        unknown: Unknown::Tell,
        domains: vec![Platform],
    };
    assert_eq!(bed.one(op(EntityMatch::Component)).await, Outcome::Unknown);
    assert_eq!(bed.one(op(EntityMatch::Prefix)).await, Outcome::Cleared);
    let kind = bed.waiting(Platform).await.remove(1).kind;
    let wanted =
        RequestKind::ClearAll { entity_instance_id: "host=c1".to_owned(), rule: EntityMatch::Prefix };
    assert_eq!(kind, wanted);
}

#[tokio::test]
async fn clear_all_of_nothing_is_told_or_delivered() {
    let bed = Bed::new(&[(Platform, false), (Openstack, true)]);
    let (deliver, here, both) = (Unknown::Deliver(Platform), [Openstack], [Platform, Openstack]);
    assert_eq!(bed.one(clear_all("host=c1", Unknown::Tell, &both)).await, Outcome::Unknown);
    assert_eq!(bed.one(clear_all("host=c1", deliver, &here)).await, Outcome::Unknown);
    assert!(bed.queue(Platform).await.is_empty());
    assert_eq!(bed.one(clear_all("host=c1", deliver, &both)).await, Outcome::Cleared);
    assert_eq!(bed.queue(Platform).await, ["clear_all host=c1"]);
    assert!(bed.queue(Openstack).await.is_empty());
}

#[tokio::test]
async fn clear_all_leaves_domains_alone_that_it_does_not_name() {
    let bed = Bed::delivering();
    bed.one(raise(Openstack, &alarm("1", "hot"))).await;
    assert_eq!(bed.one(clear_all(ENTITY, Unknown::Tell, &[Platform])).await, Outcome::Unknown);
    assert!(bed.queue(Platform).await.is_empty());
    assert_ne!(bed.find("1").await.unwrap().standing, Standing::Cleared);
}

#[tokio::test]
async fn a_log_waits_and_leaves_no_alarm() {
    let bed = Bed::delivering();
    let entry = alarm("1", "rebooted");
    for _ in 0..2 {
        assert_eq!(bed.one(log(Platform, &entry)).await, Outcome::Logged(uuid(&entry)));
    }
    assert_eq!(bed.queue(Platform).await, ["log 1 rebooted", "log 1 rebooted"]);
    assert_eq!(bed.find("1").await, None);
}

#[tokio::test]
async fn a_domain_that_is_kept_here_sends_nothing_and_records_events() {
    let bed = Bed::new(&[(Platform, true)]);
    let fault = alarm("1", "hot");
    bed.one(raise(Platform, &fault)).await;
    bed.one(raise(Platform, &alarm("1", "hot"))).await;
    bed.one(log(Platform, &alarm("2", "rebooted"))).await;
    let kept = bed.find("1").await.unwrap();
    assert!(!kept.pending && kept.standing == Standing::Raised(Box::new(fault)));
    assert_eq!(bed.one(clear("1", Unknown::Tell)).await, Outcome::Cleared);
    assert_eq!(bed.one(clear("1", Unknown::Tell)).await, Outcome::Unknown);
    bed.one(raise(Platform, &alarm("3", "hot"))).await;
    assert_eq!(bed.one(clear_all(ENTITY, Unknown::Tell, &[Platform])).await, Outcome::Cleared);
    assert_eq!(bed.one(clear_all(ENTITY, Unknown::Tell, &[Platform])).await, Outcome::Unknown);
    assert_eq!(bed.events(), ["set 1", "log 2", "clear 1", "set 3", "clear 3"]);
    assert!(bed.queue(Platform).await.is_empty());
}

#[tokio::test]
async fn the_newest_events_are_kept() {
    let mut bed = Bed::new(&[(Platform, true)]);
    bed.options.max_events = 3;
    bed.reopen();
    bed.all((0..10).map(|number| log(Platform, &alarm(&number.to_string(), ""))).collect()).await;
    assert_eq!(bed.events(), ["log 7", "log 8", "log 9"]);
}

#[tokio::test]
async fn a_batch_is_applied_in_order_and_answered_one_by_one() {
    let bed = Bed::delivering();
    let (one, two) = (alarm("1", "hot"), alarm("2", "hot"));
    let outcomes = bed
        .all(vec![
            raise(Platform, &one),
            clear("1", Unknown::Tell),
            clear("3", Unknown::Tell),
            raise(Platform, &two),
        ])
        .await;
    let wanted =
        [Outcome::Raised(uuid(&one)), Outcome::Cleared, Outcome::Unknown, Outcome::Raised(uuid(&two))];
    assert_eq!(outcomes, wanted);
    assert_eq!(bed.queue(Platform).await, ["raise 1 hot", "clear 1", "raise 2 hot"]);
}

#[tokio::test]
async fn awkward_texts_come_back_equal() {
    let mut bed = Bed::delivering();
    let long = "ä".repeat(32 * 1024);
    let texts = ["\0", "a\0b", "a\0c", "it's \"quoted\"", "###", "\u{1F525}", "%", "_", "\\", "\n", &long];
    let faults: Vec<Alarm> = texts
        .iter()
        .map(|text| Alarm {
            alarm_id: (*text).to_owned(),
            entity_instance_id: format!("host={text}"),
            entity_type_id: (*text).to_owned(),
            proposed_repair_action: (*text).to_owned(),
            ..alarm("", text)
        })
        .collect();
    bed.all(faults.iter().map(|fault| raise(Platform, fault)).collect()).await;
    bed.reopen();
    let waiting = bed.waiting(Platform).await;
    assert_eq!(waiting.len(), faults.len());
    for (fault, request) in faults.iter().zip(waiting) {
        let kind = RequestKind::Raise { alarm: Box::new(fault.clone()), uuid: uuid(fault) };
        assert_eq!(request.kind, kind);
        let kept = bed.store().reader.find(fault.key()).await.unwrap();
        assert_eq!(raised(kept), *fault);
        // Literal: each entity means itself and no other.
        let prefix = fault.entity_instance_id.clone();
        let (kept, _) = bed.store().reader.overlay(Some(fault.alarm_id.clone()), prefix).await.unwrap();
        assert_eq!(kept.len(), 1, "{:?}", fault.alarm_id);
        let cleared = clear_all(&fault.entity_instance_id, Unknown::Tell, &[Platform]);
        assert_eq!(bed.one(cleared).await, Outcome::Cleared);
    }
    let (kept, clear_alls) = bed.store().reader.overlay(None, String::new()).await.unwrap();
    assert!(kept.iter().all(|kept| kept.standing == Standing::Cleared));
    let filters: Vec<String> = clear_alls.into_iter().map(|waiting| waiting.entity_instance_id).collect();
    assert_eq!(filters, faults.iter().map(|fault| fault.entity_instance_id.clone()).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_waits_can_be_read_in_parts_and_counted() {
    let bed = Bed::delivering();
    bed.all((0..5).map(|number| log(Platform, &alarm(&number.to_string(), ""))).collect()).await;
    let all = bed.waiting(Platform).await;
    let part = async |after: usize, most, most_bytes| {
        bed.store().reader.waiting(Platform, all[after].seq, most, most_bytes).await.unwrap()
    };
    assert_eq!(part(1, 2, usize::MAX).await, (all[2..4].to_vec(), true));
    assert_eq!(part(1, 9, usize::MAX).await, (all[2..].to_vec(), false));
    assert_eq!(part(1, 9, 1).await, (all[2..3].to_vec(), true), "one at least");
    assert_eq!(part(1, 9, all[2].bytes() + 1).await, (all[2..4].to_vec(), true));
    assert_eq!(part(4, 9, 1).await, (Vec::new(), false));
    let count = bed.store().reader.count_waiting(Platform).await.unwrap();
    assert_eq!((count.requests, count.oldest, count.rejected), (5, Some(all[0].taken_at), 0));
    let none = bed.store().reader.count_waiting(Openstack).await.unwrap();
    assert_eq!((none.requests, none.oldest), (0, None));
    bed.done(Platform, None).await;
    bed.rejected(Platform).await;
    let count = bed.store().reader.count_waiting(Platform).await.unwrap();
    assert_eq!((count.requests, count.oldest, count.rejected), (3, Some(all[2].taken_at), 1));
}
