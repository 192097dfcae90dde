//! Answers that get lost: what may have been carried out is asked about, not guessed.

use std::time::{Duration, Instant};

use fm_agent::backend::{FailureKind, Raise};
use fm_manager_sim::{Action, Event, EventState, Fault, FaultKind, ManagerConfig};

use crate::support::{ALARM_ID, Bench, ENTITY, alarm, log, raise, usual};

/// Ways in which an answer gets lost at once.
const LOST: [FaultKind; 3] = [FaultKind::Reset, FaultKind::Garbage, FaultKind::HalfAnswer];

fn quick() -> Bench {
    Bench::with(ManagerConfig::default(), "read_timeout_ms = 400\n")
}

#[tokio::test]
async fn a_raise_that_was_taken_is_not_sent_again() {
    for kind in LOST.into_iter().chain([FaultKind::Hang]) {
        let bench = quick();
        bench.once_applied(Action::Create, kind);
        let raised = usual();
        let delivered = bench.raise(&raised).await.unwrap();
        assert_eq!((delivered.uuid, delivered.unclear), (Some(raised.uuid), true), "{kind:?}");
        assert_eq!(bench.count(Action::Create), 1, "{kind:?}");
        assert_eq!(bench.events(), [EventState::Set], "{kind:?}");
    }
}

#[tokio::test]
async fn a_raise_that_was_not_taken_is_sent_again() {
    for kind in LOST.into_iter().chain([FaultKind::Hang]) {
        let bench = quick();
        bench.once(Action::Create, kind);
        let raised = usual();
        let delivered = bench.raise(&raised).await.unwrap();
        assert_eq!((delivered.uuid, delivered.unclear), (Some(raised.uuid), true), "{kind:?}");
        assert_eq!(bench.events(), [EventState::Set], "{kind:?}");
    }
}

/// A caller may send the uuid of what it has read: it does not say that this is the raise.
#[tokio::test]
async fn a_uuid_that_stands_in_other_words_is_no_earlier_attempt() {
    for in_doubt in [false, true] {
        let bench = Bench::new();
        let read = usual();
        bench.raise(&read).await.unwrap();
        let mut worse = Raise { in_doubt, ..read };
        worse.alarm.reason_text = "worse".to_owned();
        bench.raise(&worse).await.unwrap();
        let rows = bench.sim.alarms();
        assert_eq!((rows.len(), rows[0].reason_text.as_str()), (1, "worse"));
        assert_eq!(bench.count(Action::Create), 2);
    }
}

#[tokio::test]
async fn an_alarm_that_is_to_stay_and_says_something_else_is_not_this_nodes() {
    let bench = Bench::new();
    bench.raise(&usual()).await.unwrap();
    let mut keep = raise(alarm(ENTITY, "worse"));
    keep.alarm.keep_existing_alarm = true;
    assert_eq!(bench.raise(&keep).await.unwrap().uuid, None);
    let theirs = bench.sim.alarms().remove(0);
    assert_eq!(theirs.reason_text, "broken");
    keep.alarm.reason_text = "broken".to_owned();
    assert_eq!(bench.raise(&keep).await.unwrap().uuid, Some(theirs.uuid));
}

#[tokio::test]
async fn a_raise_whose_uuid_is_another_alarms_goes_under_a_second_one() {
    let bench = Bench::new();
    let read = usual();
    bench.raise(&read).await.unwrap();
    // As a database that takes a uuid once answers it.
    bench.once(Action::Create, FaultKind::Code(11));
    let other = Raise { alarm: alarm("host=other", "broken"), ..read.clone() };
    let delivered = bench.raise(&other).await.unwrap();
    assert_eq!(bench.entities(), [ENTITY, "host=other"]);
    assert!(delivered.uuid.is_some_and(|uuid| uuid != read.uuid));
}

#[tokio::test]
async fn a_log_whose_uuid_is_another_events_is_recorded_under_a_second_one() {
    let bench = Bench::new();
    let first = log(ENTITY);
    bench.backend.log(&first).await.unwrap();
    assert_eq!(bench.events(), [EventState::Log], "the event log takes a uuid once");
    let mut second = log(ENTITY);
    second.uuid.clone_from(&first.uuid);
    second.alarm.reason_text = "another".to_owned();
    assert_ne!(bench.backend.log(&second).await.unwrap().uuid, Some(first.uuid));
    assert_eq!(bench.events(), [EventState::Log, EventState::Log]);
}

#[tokio::test]
async fn a_manager_that_dies_after_it_stored_has_the_alarm_once() {
    let bench = Bench::new();
    bench.once_applied(Action::Create, FaultKind::Die);
    let raised = usual();
    let failure = bench.raise(&raised).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, true));
    bench.sim.restart().unwrap();
    let delivered = bench.raise(&Raise { in_doubt: true, ..raised.clone() }).await.unwrap();
    assert_eq!(delivered.uuid, Some(raised.uuid));
    assert_eq!((bench.sim.alarms().len(), bench.count(Action::Create)), (1, 1));
    // The manager's own defect: what it had queued for its event log died with it.
    assert!(bench.events().is_empty());
}

#[tokio::test]
async fn a_raise_in_doubt_stays_so_until_the_manager_answers() {
    let bench = Bench::new();
    bench.sim.kill();
    let in_doubt = Raise { in_doubt: true, ..usual() };
    let failure = bench.raise(&in_doubt).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, true));
    let failure = bench.raise(&usual()).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, false));
}

/// The event log cannot be read over this protocol: a missing alarm matters more than a second event.
#[tokio::test]
async fn a_raise_in_doubt_that_does_not_stand_is_raised() {
    let bench = Bench::new();
    let raised = usual();
    bench.raise(&raised).await.unwrap();
    assert!(bench.sim.remove(ALARM_ID, ENTITY), "a person removes it");
    bench.raise(&Raise { in_doubt: true, ..raised }).await.unwrap();
    assert_eq!(bench.entities(), [ENTITY]);
}

#[tokio::test]
async fn every_attempt_that_fails_leaves_the_raise_in_doubt() {
    let bench = Bench::new();
    bench.fault(Fault::new(FaultKind::Reset).on(Action::Create));
    let failure = bench.raise(&usual()).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, true));
    // A question after the last answer was lost that is lost itself.
    bench.sim.clear_faults();
    bench.once(Action::Create, FaultKind::Reset);
    bench.fault(Fault::new(FaultKind::Slow(Duration::ZERO)).on(Action::Get).times(1));
    bench.fault(Fault::new(FaultKind::Reset).on(Action::Get));
    let failure = bench.raise(&usual()).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, true));
}

#[tokio::test]
async fn a_clear_whose_answer_is_lost_is_asked_about() {
    for kind in LOST.into_iter().chain([FaultKind::Hang]) {
        for applied in [true, false] {
            let bench = quick();
            bench.plant(ALARM_ID, ENTITY);
            let fault = Fault::new(kind).on(Action::Delete).times(1);
            bench.fault(if applied { fault.applied() } else { fault });
            assert!(bench.clear(ENTITY).await.unwrap().unclear, "{kind:?} {applied}");
            assert!(bench.sim.alarms().is_empty(), "{kind:?} {applied}");
            let deletes = if applied { 1 } else { 2 };
            assert_eq!(bench.count(Action::Delete), deletes, "{kind:?} {applied}");
            assert_eq!(bench.events(), [EventState::Clear], "{kind:?} {applied}");
        }
    }
}

#[tokio::test]
async fn a_clear_all_whose_answer_is_lost_is_asked_about() {
    for applied in [true, false] {
        let bench = quick();
        bench.plant(ALARM_ID, "host=a");
        bench.plant(ALARM_ID, "host=a.x");
        let fault = Fault::new(FaultKind::Reset).on(Action::DeleteList).times(1);
        bench.fault(if applied { fault.applied() } else { fault });
        assert!(bench.clear_all("host=a").await.unwrap().unclear);
        assert!(bench.sim.alarms().is_empty());
    }
}

#[tokio::test]
async fn a_log_whose_answer_is_lost_is_sent_again_and_recorded_once() {
    for applied in [true, false] {
        let bench = quick();
        let fault = Fault::new(FaultKind::Reset).on(Action::Create).times(1);
        bench.fault(if applied { fault.applied() } else { fault });
        let mut logged = log(ENTITY);
        let failure = bench.backend.log(&logged).await.unwrap_err();
        assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, true));
        logged.in_doubt = true;
        // The event log takes a uuid once, whether it has been written already or is about to be.
        let written = bench.events().len();
        assert_eq!(written, usize::from(applied));
        assert_eq!(bench.backend.log(&logged).await.unwrap().uuid, Some(logged.uuid.clone()));
        let events: Vec<Event> = {
            bench.events();
            bench.sim.events()
        };
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].record.uuid, logged.uuid);
    }
}

#[tokio::test]
async fn a_moments_failure_loses_no_log() {
    let bench = Bench::new();
    bench.fault(Fault::new(FaultKind::Code(11)).on(Action::Create).times(2));
    let mut logged = log(ENTITY);
    let failure = bench.backend.log(&logged).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Retry, false));
    // In doubt, a refusal might mean that it is recorded: it is tried again before that is believed.
    bench.once(Action::Create, FaultKind::Code(11));
    logged.in_doubt = true;
    bench.backend.log(&logged).await.unwrap();
    assert_eq!(bench.events(), [EventState::Log]);
}

#[tokio::test]
async fn no_method_waits_longer_than_its_deadlines() {
    let bench = quick();
    bench.plant(ALARM_ID, "host=b");
    bench.fault(Fault::new(FaultKind::Hang));
    let started = Instant::now();
    for failure in [
        bench.raise(&raise(alarm(ENTITY, "broken"))).await.unwrap_err(),
        bench.clear("host=b").await.unwrap_err(),
        bench.clear_all("host=b").await.unwrap_err(),
        bench.backend.log(&log(ENTITY)).await.unwrap_err(),
        bench.backend.probe().await.unwrap_err(),
    ] {
        assert_eq!(failure.kind, FailureKind::Unavailable);
        assert!(failure.reason.contains("no answer within 400 ms"), "{failure}");
    }
    let took = started.elapsed();
    assert!(took < Duration::from_millis(400) * 5 + Duration::from_secs(2), "{took:?}");
}
