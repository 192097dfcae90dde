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
    lanes.room = 2;
    let mut flaps: Vec<Request> = (1..10).map(|seq| raise(seq, "a", "h=1")).collect();
    flaps.push(clear_all(10, "h=1"));
    flaps.push(raise(11, "b", "h=1"));
    flaps.push(raise(12, "b", "h=2"));
    lanes.append(flaps);
    assert_eq!((lanes.len(), all(&mut lanes, now)), (3, vec![1, 12]));
    assert_eq!(lanes.read_again_from(), None, "it is still full");
    lanes.done(1);
    assert_eq!(lanes.read_again_from(), Some(3));
    assert_eq!(lanes.read_again_from(), None, "once is enough");
    lanes.append(vec![raise(2, "a", "h=1"), raise(3, "a", "h=1"), raise(12, "b", "h=2")]);
    assert_eq!((lanes.len(), all(&mut lanes, now)), (3, vec![2]), "nothing twice");
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
        room in 1usize..4,
        choices in prop::collection::vec((any::<prop::sample::Index>(), prop::bool::weighted(0.3)), 300),
    ) {
        let requests: Vec<Request> = (1..).zip(kinds).map(|(seq, kind)| build(seq, kind)).collect();
        let mut lanes = Lanes::new(0);
        lanes.room = room;
        let mut read_up_to = 0;
        let now = Instant::now();
        let find = |seq: i64| &requests[usize::try_from(seq - 1).unwrap()];
        let mut running: Vec<i64> = Vec::new();
        let mut finished: Vec<i64> = Vec::new();
        let mut choices = choices.into_iter();
        loop {
            read_up_to = lanes.read_again_from().map_or(read_up_to, |seq| seq - 1);
            // Five at a time, as the store gives them: what has not finished, in order.
            while lanes.len() < 10 {
                let waiting = requests.iter().filter(|it| it.seq > read_up_to && !finished.contains(&it.seq));
                let chunk: Vec<Request> = waiting.take(5).cloned().collect();
                let Some(last) = chunk.last() else { break };
                read_up_to = last.seq;
                lanes.append(chunk);
            }
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
        prop_assert_eq!(lanes.len(), 0);
    }
}
