//! Raising, changing, clearing, logging.

use fm_agent::backend::{FailureKind, Query};
use fm_common::{Alarm, ProbableCause, Severity};
use fm_manager_sim::{Action, AlarmRecord, EventState, ManagerConfig};

use crate::support::{ALARM_ID, Bench, ENTITY, alarm, key, log, raise, usual};

#[tokio::test]
async fn a_raise_stands_as_it_was_written_and_leaves_one_event() {
    let bench = Bench::new();
    let raised = usual();
    let delivered = bench.raise(&raised).await.unwrap();
    assert_eq!((delivered.uuid.as_deref(), delivered.unclear), (Some(raised.uuid.as_str()), false));
    let found = bench.list(&Query::one(&key(ENTITY))).await;
    let expected = Alarm {
        uuid: Some(raised.uuid.clone()),
        // C has one enumerator for both.
        probable_cause: ProbableCause::NotApplicable,
        ..raised.alarm.clone()
    };
    assert_eq!(found, [expected]);
    assert_eq!(bench.events(), [EventState::Set]);
    assert_eq!(bench.actions(), [Action::Get, Action::Create, Action::Get]);
}

#[tokio::test]
async fn an_alarm_that_says_the_same_is_left_alone() {
    let bench = Bench::new();
    let first = usual();
    bench.raise(&first).await.unwrap();
    let again = bench.raise(&usual()).await.unwrap();
    assert_eq!(again.uuid, Some(first.uuid));
    assert_eq!(bench.count(Action::Create), 1);
    assert_eq!(bench.events(), [EventState::Set]);
}

#[tokio::test]
async fn a_change_takes_the_place_of_what_stood() {
    let bench = Bench::new();
    bench.raise(&usual()).await.unwrap();
    let worse = raise(Alarm { severity: Severity::Critical, ..alarm(ENTITY, "worse") });
    let delivered = bench.raise(&worse).await.unwrap();
    assert_eq!(delivered.uuid, Some(worse.uuid.clone()));
    let rows = bench.sim.alarms();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].uuid.as_str(), rows[0].severity, rows[0].reason_text.as_str()),
        (worse.uuid.as_str(), 4, "worse")
    );
    assert_eq!(bench.events(), [EventState::Set, EventState::Set]);
}

#[tokio::test]
async fn an_alarm_to_be_kept_is_kept_and_the_manager_is_told_so() {
    let bench = Bench::new();
    let keep = || raise(Alarm { keep_existing_alarm: true, ..alarm(ENTITY, "other words") });
    let first = keep();
    assert_eq!(bench.raise(&first).await.unwrap().uuid, Some(first.uuid.clone()));
    let created = bench.sim.requests().into_iter().find(|request| request.action == Action::Create).unwrap();
    assert!(AlarmRecord::from_bytes(&created.body).unwrap().keep_existing_alarm);
    let second = raise(Alarm { keep_existing_alarm: true, ..alarm(ENTITY, "more words") });
    assert_eq!(bench.raise(&second).await.unwrap().uuid, None, "what stands is not what was raised");
    assert_eq!(bench.sim.alarms()[0].uuid, first.uuid);
    assert_eq!(bench.sim.alarms()[0].reason_text, "other words");
    assert_eq!(bench.events(), [EventState::Set]);
}

#[tokio::test]
async fn a_clear_removes_one_alarm_and_leaves_one_event() {
    let bench = Bench::new();
    bench.raise(&usual()).await.unwrap();
    bench.clear(ENTITY).await.unwrap();
    assert!(bench.sim.alarms().is_empty());
    assert_eq!(bench.events(), [EventState::Set, EventState::Clear]);
}

#[tokio::test]
async fn a_clear_of_nothing_is_done_and_sends_no_delete() {
    let bench = Bench::new();
    bench.plant(ALARM_ID, "host=compute-10");
    let delivered = bench.clear(ENTITY).await.unwrap();
    assert!(!delivered.unclear);
    assert_eq!(bench.actions(), [Action::GetById]);
    assert_eq!(bench.entities(), ["host=compute-10"]);
}

#[tokio::test]
async fn a_log_is_an_event_and_no_alarm() {
    let bench = Bench::new();
    let logged = log("host=o'brien");
    assert_eq!(bench.backend.log(&logged).await.unwrap().uuid, Some(logged.uuid.clone()));
    assert!(bench.sim.alarms().is_empty());
    assert_eq!(bench.events(), [EventState::Log]);
    let event = bench.sim.events().remove(0).record;
    assert_eq!(
        (event.alarm_state, event.uuid, event.entity_instance_id.as_str()),
        (2, logged.uuid, "host=o’brien")
    );
}

#[tokio::test]
async fn the_empty_entity_is_one_like_others() {
    let bench = Bench::new();
    bench.raise(&raise(alarm("", "whole system"))).await.unwrap();
    bench.plant(ALARM_ID, ENTITY);
    assert_eq!(bench.list(&Query::one(&key(""))).await[0].reason_text, "whole system");
    bench.clear("").await.unwrap();
    assert_eq!(bench.entities(), [ENTITY]);
}

#[tokio::test]
async fn a_uuid_in_another_form_is_the_same_uuid() {
    let bench = Bench::new();
    let mut raised = usual();
    let uuid = raised.uuid.clone();
    raised.uuid = uuid.replace('-', "");
    assert_eq!(bench.raise(&raised).await.unwrap().uuid, Some(uuid.clone()));
    assert_eq!(bench.raise(&raised).await.unwrap().uuid, Some(uuid));
    assert_eq!(bench.count(Action::Create), 1);
}

#[tokio::test]
async fn a_uuid_without_filling_is_understood() {
    let bench = Bench::with(ManagerConfig { bare_uuid: true, ..ManagerConfig::default() }, "");
    let raised = usual();
    assert_eq!(bench.raise(&raised).await.unwrap().uuid, Some(raised.uuid));
}

#[tokio::test]
async fn long_texts_are_cut_and_long_entities_stay_two() {
    let bench = Bench::new();
    let long = |end: &str| format!("host={}{end}", "x".repeat(300));
    for end in ["a", "b"] {
        bench.raise(&raise(alarm(&long(end), &"ä".repeat(200)))).await.unwrap();
    }
    assert_eq!(bench.sim.alarms().len(), 2);
    assert_eq!(bench.sim.alarms()[0].reason_text, "ä".repeat(127));
    let found = bench.list(&Query::one(&key(&long("a")))).await;
    assert_eq!(found[0].entity_instance_id, long("a"));
    // The same again is the same alarm.
    bench.raise(&raise(alarm(&long("a"), &"ä".repeat(200)))).await.unwrap();
    assert_eq!(bench.count(Action::Create), 2);
    bench.clear(&long("a")).await.unwrap();
    assert_eq!(bench.sim.alarms().len(), 1);
    bench.clear_all(&long("b")).await.unwrap();
    assert!(bench.sim.alarms().is_empty());
}

#[tokio::test]
async fn a_manager_that_answers_can_be_used() {
    let bench = Bench::new();
    bench.backend.probe().await.unwrap();
    bench.sim.kill();
    assert_eq!(bench.backend.probe().await.unwrap_err().kind, FailureKind::Unavailable);
    bench.sim.restart().unwrap();
    bench.backend.probe().await.unwrap();
}
