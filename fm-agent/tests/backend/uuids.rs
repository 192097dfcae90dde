//! Uuids that callers have read and send again: none of them proves that a request was taken.

use fm_agent::backend::{FailureKind, Log, Raise};
use fm_common::{Alarm, Severity};
use fm_rest_sim::Apply;

use crate::support::{ALARM_ID, Bench, ENTITY, alarm, log, post_500, raise, usual};

fn said(bench: &Bench) -> Vec<(String, String)> {
    let alarms = bench.alarms().into_iter();
    alarms
        .map(|alarm| (alarm.entity_instance_id.unwrap_or_default(), alarm.severity.unwrap_or_default()))
        .collect()
}

#[tokio::test]
async fn a_row_under_the_uuid_that_says_something_else_is_changed() {
    for in_doubt in [false, true] {
        let bench = Bench::platform();
        let read = usual();
        bench.raise(&read).await.unwrap();
        let worse = Alarm { severity: Severity::Critical, ..read.alarm.clone() };
        let given = Raise { alarm: worse, in_doubt, ..read.clone() };
        let delivered = bench.raise(&given).await.unwrap();
        assert_eq!(said(&bench), [(ENTITY.to_owned(), "critical".to_owned())]);
        assert_eq!(bench.uuids(), [delivered.clone().unwrap()]);
        assert_ne!(delivered.as_deref(), Some(read.uuid.as_str()), "a uuid is taken once");
        // Asked again, it is found.
        assert_eq!(bench.raise(&Raise { in_doubt: true, ..given }).await.unwrap(), delivered);
        assert_eq!(bench.events(), ["set", "clear", "set"]);
    }
}

#[tokio::test]
async fn a_raise_under_another_alarms_uuid_stands_beside_it() {
    for in_doubt in [false, true] {
        let bench = Bench::platform();
        let read = usual();
        bench.raise(&read).await.unwrap();
        let other = Alarm { entity_instance_id: "host=other".to_owned(), ..read.alarm.clone() };
        let given = Raise { alarm: other, in_doubt, ..read.clone() };
        let delivered = bench.raise(&given).await.unwrap();
        assert_eq!(bench.uuids(), [read.uuid.clone(), delivered.clone().unwrap()]);
        assert_eq!(said(&bench)[1].0, "host=other");
        // However often it is asked for, and wherever an answer gets lost.
        assert_eq!(bench.raise(&Raise { in_doubt: true, ..given }).await.unwrap(), delivered);
        assert_eq!(bench.events(), ["set", "set"]);
    }
}

#[tokio::test]
async fn a_raise_under_another_alarms_uuid_that_was_taken_and_removed_is_not_repeated() {
    let bench = Bench::platform();
    let read = usual();
    bench.raise(&read).await.unwrap();
    let other = Alarm { entity_instance_id: "host=other".to_owned(), ..read.alarm.clone() };
    let given = Raise { alarm: other, ..read.clone() };
    bench.raise(&given).await.unwrap();
    bench.clear("host=other").await.unwrap();
    assert_eq!(bench.raise(&Raise { in_doubt: true, ..given }).await.unwrap(), None);
    assert_eq!(bench.uuids(), [read.uuid]);
}

#[tokio::test]
async fn a_log_under_a_used_uuid_is_recorded() {
    for in_doubt in [false, true] {
        let bench = Bench::platform();
        let read = usual();
        bench.raise(&read).await.unwrap();
        let mut given = Log { uuid: read.uuid.clone(), in_doubt, ..log(read.alarm.clone()) };
        let delivered = bench.backend.log(&given).await.unwrap();
        assert_eq!(bench.events(), ["set", "log"]);
        assert_ne!(delivered.uuid, Some(read.uuid));
        given.in_doubt = true;
        assert_eq!(bench.backend.log(&given).await.unwrap().uuid, delivered.uuid);
        assert_eq!(bench.events(), ["set", "log"]);
    }
}

#[tokio::test]
async fn an_alarm_that_differs_under_the_uuid_just_sent_is_looked_at_again() {
    let bench = Bench::platform();
    let read = usual();
    bench.raise(&read).await.unwrap();
    let mut worse = read.clone();
    worse.alarm.severity = Severity::Critical;
    // It is said not to stand, as before somebody else has raised it.
    worse.absent_until = Some(std::time::Instant::now() + std::time::Duration::from_mins(1));
    let failure = bench.raise(&worse).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Retry, true), "{failure}");
    bench.raise(&Raise { absent_until: None, in_doubt: true, ..worse }).await.unwrap();
    assert_eq!(said(&bench), [(ENTITY.to_owned(), "critical".to_owned())]);
}

/// Hidden is not removed: only a clear in the event log is.
#[tokio::test]
async fn a_masked_alarm_in_doubt_stands() {
    let bench = Bench::platform();
    let before = usual();
    bench.raise(&before).await.unwrap();
    // A change: the removal of what stood before is no removal of this.
    let given = Raise { standing: Some(before.uuid), ..raise(alarm(ENTITY, "worse")) };
    bench.fault(post_500(Apply::All));
    bench.raise(&given).await.unwrap();
    bench.sim.mask_alarm(&given.uuid, true).unwrap();
    let again = Raise { in_doubt: true, standing: None, ..given.clone() };
    assert_eq!(bench.raise(&again).await.unwrap(), Some(given.uuid.clone()));
    assert_eq!(bench.uuids(), std::slice::from_ref(&given.uuid));
    // Removed, masked or not, it is removed.
    bench.sim.mask_alarm(&given.uuid, false).unwrap();
    bench.clear(ENTITY).await.unwrap();
    assert_eq!(bench.raise(&again).await.unwrap(), None);
    assert!(bench.alarms().is_empty());
}

#[tokio::test]
async fn an_alarm_that_is_to_stay_and_says_something_else_is_not_this_nodes() {
    let bench = Bench::platform();
    let theirs = bench.plant(ALARM_ID, ENTITY, "minor");
    let mut keep = usual();
    keep.alarm.keep_existing_alarm = true;
    assert_eq!(bench.raise(&keep).await.unwrap(), None);
    assert_eq!(bench.uuids(), [theirs]);
}

#[tokio::test]
async fn a_removal_is_of_its_own_alarm_alone() {
    let bench = Bench::platform();
    let other = usual();
    bench.raise(&other).await.unwrap();
    let key = fm_common::AlarmKey::new(ALARM_ID, "host=cleared");
    bench.backend.remove(&key, &other.uuid).await.unwrap();
    assert_eq!(bench.uuids(), std::slice::from_ref(&other.uuid));
    bench.backend.remove(&other.alarm.key(), &other.uuid).await.unwrap();
    assert!(bench.alarms().is_empty());
}
