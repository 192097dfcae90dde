//! The rules of order, one by one, and as a property over random queues.

use std::time::Duration;

use fm_common::{Alarm, AlarmType, ProbableCause, Severity, Timestamp};
use proptest::prelude::*;

use super::*;

fn raise(seq: i64, alarm_id: &str, entity: &str) -> Request {
    let (alarm_type, cause) = (AlarmType::Unknown, ProbableCause::Unknown);
    let alarm = Alarm::new(alarm_id, "host", entity, Severity::Major, alarm_type, cause);
    let kind = RequestKind::Raise { alarm: Box::new(alarm), uuid: String::new() };
    Request { seq, taken_at: Timestamp::from_micros(0), kind }
}

fn clear_all(seq: i64, entity: &str) -> Request {
    let kind = RequestKind::ClearAll { entity_instance_id: entity.to_owned(), rule: EntityMatch::Component };
    Request { seq, taken_at: Timestamp::from_micros(0), kind }
}

fn lanes(requests: Vec<Request>) -> Lanes {
    let mut lanes = Lanes::new(0);
    lanes.append(requests);
    lanes
}

/// Everything that may go now, taken one after the other.
fn all(lanes: &mut Lanes, now: Instant) -> Vec<i64> {
    std::iter::from_fn(|| lanes.next(now)).map(|next| next.request.seq).collect()
}

#[test]
fn one_alarm_goes_one_at_a_time_and_in_order() {
    let now = Instant::now();
    let mut lanes = lanes(vec![raise(1, "a", "h=1"), raise(2, "a", "h=1"), raise(3, "a", "h=2")]);
    assert_eq!(all(&mut lanes, now), [1, 3]);
    lanes.done(1);
    assert_eq!(all(&mut lanes, now), [2]);
}

#[test]
fn what_can_go_next_is_asked_about_and_nothing_else() {
    let now = Instant::now();
    let mut lanes = Lanes::new(1);
    lanes.append(vec![
        raise(1, "doubtful", "h=1"),
        raise(2, "a", "h=1"),
        raise(3, "a", "h=1"),
        raise(4, "b", "h=1"),
        raise(5, "c", "h=1"),
        clear_all(6, "h=2"),
        raise(7, "a", "h=2.p=1"),
        raise(8, "a", "h=20"),
    ]);
    let ids = |lanes: &Lanes, most| -> Vec<_> {
        lanes.raises_ahead(most).into_iter().map(|key| (key.alarm_id, key.entity_instance_id)).collect()
    };
    let pair = |id: &str, entity: &str| (id.to_owned(), entity.to_owned());
    let all = [pair("a", "h=1"), pair("b", "h=1"), pair("c", "h=1"), pair("a", "h=20")];
    assert_eq!(ids(&lanes, 9), all);
    assert_eq!(ids(&lanes, 2), all[..2]);
    // Under way, answered or paused after a failure: what stands may be changing, or has been asked.
    for seq in [1, 2, 4] {
        assert_eq!(lanes.next(now).unwrap().request.seq, seq);
    }
    lanes.answered(2);
    lanes.failed(4, false, |_| now);
    assert_eq!(ids(&lanes, 9), [pair("c", "h=1"), pair("a", "h=20")]);
    lanes.done(2);
    assert_eq!(ids(&lanes, 1), [pair("a", "h=1")], "its next one");
}

#[test]
fn a_clear_all_waits_and_holds_back() {
    let now = Instant::now();
    let mut lanes = lanes(vec![
        raise(1, "a", "h=1.p=1"),
        clear_all(2, "h=1"),
        raise(3, "b", "h=1"),
        raise(4, "b", "h=10"),
        clear_all(5, "h=2"),
        clear_all(6, "h=1.p=1"),
    ]);
    assert_eq!(all(&mut lanes, now), [1, 4, 5]);
    lanes.done(1);
    assert_eq!(all(&mut lanes, now), [2]);
    lanes.done(2);
    assert_eq!(all(&mut lanes, now), [3, 6]);
}

#[test]
fn a_pause_holds_back_its_own_lane_only() {
    let now = Instant::now();
    let later = now + Duration::from_secs(1);
    let mut lanes = lanes(vec![raise(1, "a", "h=1"), raise(2, "a", "h=1"), raise(3, "b", "h=1")]);
    assert_eq!(all(&mut lanes, now), [1, 3]);
    lanes.failed(1, true, |attempts| {
        assert_eq!(attempts, 1);
        later
    });
    assert_eq!(lanes.next_due(now), Some(later));
    assert_eq!(lanes.next_due(later), None);
    assert_eq!(all(&mut lanes, now), [] as [i64; 0]);
    let again = lanes.next(later).unwrap();
    assert_eq!((again.request.seq, again.in_doubt), (1, true));
    // A clear failure does not end the doubt that an unclear one left.
    lanes.failed(1, false, |_| later);
    assert!(lanes.next(later).unwrap().in_doubt);
}

#[test]
fn what_an_earlier_run_may_have_sent_is_in_doubt() {
    let mut lanes = Lanes::new(1);
    lanes.append(vec![raise(1, "a", "h=1"), raise(2, "b", "h=1")]);
    let now = Instant::now();
    assert!(lanes.next(now).unwrap().in_doubt);
    assert!(!lanes.next(now).unwrap().in_doubt);
}

#[test]
fn a_lane_that_is_full_leaves_room_for_the_others() {
    let now = Instant::now();
    let mut lanes = Lanes::new(0);
    lanes.room.requests = 2;
    let mut flaps: Vec<Request> = (1..10).map(|seq| raise(seq, "a", "h=1")).collect();
    flaps.push(clear_all(10, "h=1"));
    flaps.push(raise(11, "b", "h=1"));
    flaps.push(raise(12, "b", "h=2"));
    lanes.append(flaps);
    assert_eq!((lanes.entries.len(), all(&mut lanes, now)), (3, vec![1, 12]));
    assert_eq!(lanes.read_again_from(), None, "it is still full");
    lanes.done(1);
    assert_eq!(lanes.read_again_from(), Some(3));
    assert_eq!(lanes.read_again_from(), None, "once is enough");
    lanes.append(vec![raise(2, "a", "h=1"), raise(3, "a", "h=1"), raise(12, "b", "h=2")]);
    assert_eq!((lanes.entries.len(), all(&mut lanes, now)), (3, vec![2]), "nothing twice");
}

/// Reads as the worker does, three at a time, what has not finished of these.
fn fill(lanes: &mut Lanes, read_up_to: &mut i64, requests: &[Request], finished: &[i64]) {
    if let Some(seq) = lanes.read_again_from() {
        *read_up_to = seq.min(*read_up_to + 1) - 1;
    }
    while lanes.has_room() {
        let waiting = requests.iter().filter(|it| it.seq > *read_up_to && !finished.contains(&it.seq));
        let chunk: Vec<Request> = waiting.take(3).cloned().collect();
        let Some(last) = chunk.last() else { break };
        *read_up_to = last.seq;
        lanes.append(chunk);
    }
}

#[test]
fn what_a_failed_clear_all_holds_back_leaves_room_for_the_others() {
    let now = Instant::now();
    let mut requests = vec![clear_all(1, "h=1")];
    requests.extend((2..40).map(|seq| raise(seq, "a", &format!("h=1.p={seq}"))));
    requests.push(clear_all(40, "h=1.p=1"));
    requests.push(raise(41, "a", "h=2"));
    let (mut lanes, mut read_up_to) = (Lanes::new(0), 0);
    lanes.window.requests = 12;
    fill(&mut lanes, &mut read_up_to, &requests, &[]);
    assert_eq!((all(&mut lanes, now), lanes.has_room()), (vec![1], false));
    lanes.failed(1, false, |_| now);
    fill(&mut lanes, &mut read_up_to, &requests, &[]);
    assert_eq!((all(&mut lanes, now), lanes.entries.len()), (vec![1, 41], 2));
    lanes.done(41);
    // Under way again, it holds back as before.
    assert_eq!(lanes.read_again_from(), None);
    lanes.done(1);
    fill(&mut lanes, &mut read_up_to, &requests, &[1, 41]);
    assert_eq!(all(&mut lanes, now), (2..14).collect::<Vec<i64>>());
}

#[test]
fn a_clear_all_behind_a_failed_alarm_is_left_with_what_it_holds_back() {
    let now = Instant::now();
    let mut requests = vec![raise(1, "a", "h=1.p=1"), raise(2, "a", "h=1.p=2"), clear_all(3, "h=1")];
    requests.extend((4..40).map(|seq| raise(seq, "b", &format!("h=1.p={seq}"))));
    requests.push(raise(40, "a", "h=2"));
    let (mut lanes, mut read_up_to) = (Lanes::new(0), 0);
    lanes.window.requests = 12;
    fill(&mut lanes, &mut read_up_to, &requests, &[]);
    assert_eq!(all(&mut lanes, now), [1, 2]);
    lanes.failed(1, false, |_| now);
    fill(&mut lanes, &mut read_up_to, &requests, &[]);
    assert_eq!(all(&mut lanes, now), [1, 40], "2 is before the clear-all and stays");
    lanes.done(2);
    lanes.done(1);
    fill(&mut lanes, &mut read_up_to, &requests, &[1, 2]);
    assert_eq!(all(&mut lanes, now), [3]);
}

#[test]
fn a_full_lane_behind_what_failed_is_read_again_when_that_is_over() {
    let now = Instant::now();
    let mut requests = vec![raise(1, "bad", "h=1"), raise(2, "a", "h=1.p=1"), clear_all(3, "h=1")];
    requests.extend((4..14).map(|seq| raise(seq, "a", "h=1.p=1")));
    requests.push(raise(14, "a", "h=2"));
    let (mut lanes, mut read_up_to) = (Lanes::new(0), 0);
    (lanes.window.requests, lanes.room.requests) = (6, 4);
    fill(&mut lanes, &mut read_up_to, &requests, &[]);
    assert_eq!(all(&mut lanes, now), [1, 2]);
    lanes.failed(1, false, |_| now);
    fill(&mut lanes, &mut read_up_to, &requests, &[]);
    assert_eq!(all(&mut lanes, now), [1, 14]);
    assert_eq!(lanes.read_again_from(), None, "what is left of the lane says nothing about the clear-all");
    lanes.done(1);
    assert_eq!(lanes.read_again_from(), Some(3));
}

#[test]
fn large_texts_fill_a_lane_and_the_window_sooner() {
    let large = |seq, id: &str| {
        let mut request = raise(seq, id, "h=1");
        if let RequestKind::Raise { alarm, .. } = &mut request.kind {
            alarm.reason_text = "x".repeat(100_000);
        }
        request
    };
    let mut lanes = lanes((1..=100).map(|seq| large(seq, "a")).collect());
    assert_eq!(lanes.entries.len(), 21, "2 MiB");
    for seq in 101.. {
        if !lanes.has_room() {
            break;
        }
        lanes.append(vec![large(seq, &seq.to_string())]);
    }
    assert_eq!(lanes.entries.len(), 167, "16 MiB");
    (1..=10).for_each(|seq| lanes.done(seq));
    assert_eq!(lanes.read_again_from(), None);
    lanes.done(11);
    assert_eq!((lanes.has_room(), lanes.read_again_from()), (true, Some(22)), "half of the lane is left");
}

#[test]
fn a_trial_is_made_with_what_failed_least() {
    let now = Instant::now();
    let mut lanes = lanes(vec![raise(1, "a", "h=1"), raise(2, "b", "h=1"), raise(3, "c", "h=1")]);
    for seq in [1, 2, 3, 1] {
        let trial = lanes.next_trial(now).unwrap().request.seq;
        assert_eq!(trial, seq);
        lanes.failed(seq, false, |_| now);
    }
    lanes.failed(2, false, |_| now + Duration::from_secs(1));
    assert_eq!(lanes.next_trial(now).unwrap().request.seq, 3);
}

fn any_request() -> impl Strategy<Value = (bool, u8, u8)> {
    (prop::bool::weighted(0.2), 0u8..3, 0u8..4)
}

fn build(seq: i64, (is_clear_all, id, entity): (bool, u8, u8)) -> Request {
    let entity = ["h=1", "h=1.p=1", "h=10", "h=2"][usize::from(entity)];
    if is_clear_all { clear_all(seq, entity) } else { raise(seq, ["a", "b", "c"][usize::from(id)], entity) }
}

fn conflict(one: &Request, other: &Request) -> bool {
    let key = |request: &Request| match &request.kind {
        RequestKind::Raise { alarm, .. } => Some(alarm.key()),
        _ => None,
    };
    let filter = |request: &Request| match &request.kind {
        RequestKind::ClearAll { entity_instance_id, .. } => Some(entity_instance_id.clone()),
        _ => None,
    };
    let covers = |filter: &str, entity: &str| EntityMatch::Component.covers(filter, entity);
    match (key(one), key(other), filter(one), filter(other)) {
        (Some(one), Some(other), ..) => one == other,
        (Some(key), _, _, Some(filter)) | (_, Some(key), Some(filter), _) => {
            covers(&filter, &key.entity_instance_id)
        }
        (_, _, Some(one), Some(other)) => covers(&one, &other) || covers(&other, &one),
        _ => false,
    }
}

proptest! {
    /// Requests are read as there is room and finish in random order, with random failures: two that
    /// conflict are never under way together, never overtake, and everything goes in the end.
    #[test]
    fn conflicting_requests_never_overtake(
        kinds in prop::collection::vec(any_request(), 1..60),
        (room, window) in (1usize..4, 4usize..10),
        choices in prop::collection::vec((any::<prop::sample::Index>(), prop::bool::weighted(0.3)), 300),
    ) {
        let requests: Vec<Request> = (1..).zip(kinds).map(|(seq, kind)| build(seq, kind)).collect();
        let mut lanes = Lanes::new(0);
        (lanes.room.requests, lanes.window.requests) = (room, window);
        let mut read_up_to = 0;
        let now = Instant::now();
        let find = |seq: i64| &requests[usize::try_from(seq - 1).unwrap()];
        let mut running: Vec<i64> = Vec::new();
        let mut finished: Vec<i64> = Vec::new();
        let mut choices = choices.into_iter();
        loop {
            fill(&mut lanes, &mut read_up_to, &requests, &finished);
            running.extend(all(&mut lanes, now));
            prop_assert_eq!(running.len(), lanes.running());
            for one in &running {
                for earlier in requests.iter().filter(|request| request.seq < *one) {
                    let open = !finished.contains(&earlier.seq);
                    prop_assert!(!(open && conflict(earlier, find(*one))), "{} overtook {}", one, earlier.seq);
                }
            }
            if running.is_empty() {
                break;
            }
            let (index, fails) = choices.next().map_or((0, false), |(index, fails)| (index.index(running.len()), fails));
            let seq = running.remove(index);
            if fails {
                lanes.failed(seq, false, |_| now);
            } else {
                lanes.done(seq);
                finished.push(seq);
            }
        }
        prop_assert_eq!(finished.len(), requests.len());
        prop_assert_eq!((lanes.entries.len(), lanes.total), (0, Amount::NONE));
    }

    /// Two requests fail again and again: everything that need not wait for them goes, nothing else does; all of it
    /// when they are taken at last.
    #[test]
    fn what_is_stuck_delays_nothing_else(
        kinds in prop::collection::vec(any_request(), 2..60),
        stuck in any::<[prop::sample::Index; 2]>(),
        room in 1usize..4,
    ) {
        let requests: Vec<Request> = (1..).zip(kinds).map(|(seq, kind)| build(seq, kind)).collect();
        let stuck: Vec<i64> = stuck.iter().map(|index| index.get(&requests).seq).collect();
        let mut held_back: Vec<&Request> = Vec::new();
        for request in &requests {
            if stuck.contains(&request.seq) || held_back.iter().any(|earlier| conflict(earlier, request)) {
                held_back.push(request);
            }
        }
        let mut lanes = Lanes::new(0);
        (lanes.room.requests, lanes.window.requests) = (room, 8);
        let (mut read_up_to, mut finished, now) = (0, Vec::new(), Instant::now());
        let mut run = |fails: &dyn Fn(i64) -> bool, rounds: usize| {
            for _ in 0..rounds {
                fill(&mut lanes, &mut read_up_to, &requests, &finished);
                for seq in all(&mut lanes, now) {
                    if fails(seq) {
                        lanes.failed(seq, false, |_| now);
                    } else {
                        lanes.done(seq);
                        finished.push(seq);
                    }
                }
            }
            finished.len()
        };
        prop_assert_eq!(run(&|seq| stuck.contains(&seq), 100), requests.len() - held_back.len());
        prop_assert_eq!(run(&|_| false, 100), requests.len());
    }
}
