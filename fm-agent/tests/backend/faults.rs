//! Broken connections and answers that do not say what happened: in the end there is exactly one alarm and
//! exactly one event of it, whatever was carried out.

use std::time::Duration;

use fm_agent::backend::{Clear, FailureKind, Log, Raise};
use fm_common::AlarmKey;
use fm_rest_sim::{Apply, Fault, FaultKind, Service, SimConfig};

use crate::support::{ALARM_ID, Bench, ENTITY, alarm, log, raise, usual};

const PAGE: &str = "<html><head><title>502 Bad Gateway</title></head></html>";

/// A backend that does not wait long.
fn hasty() -> Bench {
    Bench::with(SimConfig::default(), "request_timeout_ms = 1000\n", "")
}

/// Every way in which an answer does not say what happened.
fn unclear() -> Vec<(&'static str, Fault)> {
    let page = |code| Fault { body: PAGE.into(), ..Fault::status(code) };
    vec![
        ("empty 500", Fault::status(500)),
        ("500 of a proxy", page(500)),
        ("502", page(502)),
        ("503", page(503)),
        ("504", page(504)),
        ("408", Fault::status(408)),
        ("reset", Fault::new(FaultKind::Reset)),
        ("hang", Fault::new(FaultKind::Hang)),
        ("no JSON", Fault::new(FaultKind::BrokenJson)),
        ("a page instead of the answer", page(200)),
        ("half an answer", Fault::new(FaultKind::HalfAnswer)),
    ]
}

#[tokio::test]
async fn a_raise_with_an_unclear_answer_stands_once() {
    for (name, fault) in unclear() {
        for applied in [Apply::Nothing, Apply::AlarmOnly, Apply::All] {
            let bench = hasty();
            bench.fault(fault.clone().applied(applied).on("POST", "/v1/alarms").times(1));
            let given = usual();
            let uuid = bench.insist(&given, 3).await;
            assert_eq!(uuid.as_ref(), Some(&given.uuid), "{name}, {applied:?}");
            assert_eq!(bench.uuids(), [given.uuid], "{name}, {applied:?}");
            // A worker that dies between alarm and event loses the event: nothing a client does brings it.
            let events = usize::from(applied != Apply::AlarmOnly);
            assert_eq!(bench.events().len(), events, "{name}, {applied:?}");
        }
    }
}

#[tokio::test]
async fn a_change_with_an_unclear_answer_stands_once() {
    for (name, fault) in unclear() {
        for (method, applied) in [
            ("DELETE", Apply::Nothing),
            ("DELETE", Apply::All),
            ("POST", Apply::Nothing),
            ("POST", Apply::All),
        ] {
            let bench = hasty();
            bench.raise(&usual()).await.unwrap();
            bench.fault(fault.clone().applied(applied).on(method, "/v1/alarms").times(1));
            let worse = raise(alarm(ENTITY, "worse"));
            bench.insist(&worse, 3).await;
            assert_eq!(bench.uuids(), [worse.uuid], "{name}, {method}, {applied:?}");
            assert_eq!(bench.events(), ["set", "clear", "set"], "{name}, {method}, {applied:?}");
        }
    }
}

#[tokio::test]
async fn a_clear_with_an_unclear_answer_clears_once() {
    for (name, fault) in unclear() {
        for applied in [Apply::Nothing, Apply::All] {
            let bench = hasty();
            let standing = bench.raise(&usual()).await.unwrap();
            bench.fault(fault.clone().applied(applied).on("DELETE", "/v1/alarms").times(1));
            let clear = Clear { key: AlarmKey::new(ALARM_ID, ENTITY), standing };
            let delivered = bench.backend.clear(&clear).await.unwrap();
            // A 204 has no body: there half an answer is a whole one.
            assert!(delivered.unclear || name == "half an answer", "{name}, {applied:?}");
            bench.backend.clear(&clear).await.unwrap();
            assert!(bench.alarms().is_empty(), "{name}, {applied:?}");
            assert_eq!(bench.events(), ["set", "clear"], "{name}, {applied:?}");
        }
    }
}

#[tokio::test]
async fn a_log_with_an_unclear_answer_is_recorded_once() {
    for (name, fault) in unclear() {
        for applied in [Apply::Nothing, Apply::All] {
            let bench = hasty();
            bench.fault(fault.clone().applied(applied).on("POST", "/v1/alarms").times(1));
            let mut given = log(alarm(ENTITY, "noted"));
            let first = bench.backend.log(&given).await;
            if let Err(failure) = first {
                assert_eq!(applied, Apply::Nothing, "{name}: {failure}");
                given = Log { in_doubt: failure.in_doubt, ..given };
                bench.backend.log(&given).await.unwrap();
            }
            let events = bench.sim.events().unwrap();
            assert_eq!(events.len(), 1, "{name}, {applied:?}");
            assert_eq!(events[0].uuid, given.uuid, "{name}, {applied:?}");
        }
    }
}

#[tokio::test]
async fn a_doubt_that_cannot_be_asked_about_stays_one() {
    let bench = hasty();
    bench.fault(Fault::new(FaultKind::Reset).applied(Apply::All).on("POST", "/v1/alarms").times(1));
    bench.fault(Fault::status(502).on("GET", "/v1/alarms/").times(1));
    let given = usual();
    let failure = bench.raise(&given).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, true), "{failure}");
    assert!(failure.reason.contains("whether it was stored cannot be asked"), "{failure}");
    // The next attempt does not get an answer to its question either: the doubt stays.
    let again = Raise { in_doubt: true, ..given.clone() };
    bench.sim.stop().unwrap();
    let failure = bench.raise(&again).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, true), "{failure}");
    bench.sim.restart().unwrap();
    assert_eq!(bench.raise(&again).await.unwrap(), Some(given.uuid));
    assert_eq!((bench.alarms().len(), bench.events().len()), (1, 1));
}

#[tokio::test]
async fn a_log_whose_doubt_cannot_be_asked_about_stays_in_doubt() {
    let bench = hasty();
    bench.fault(Fault::new(FaultKind::Reset).applied(Apply::All).on("POST", "/v1/alarms").times(1));
    bench.fault(Fault::status(500).on("GET", "/v1/event_log").times(1));
    let given = log(alarm(ENTITY, "noted"));
    let failure = bench.backend.log(&given).await.unwrap_err();
    assert!(failure.in_doubt, "{failure}");
    bench.backend.log(&Log { in_doubt: true, ..given }).await.unwrap();
    assert_eq!(bench.events(), ["log"]);
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_asked_about() {
    let bench = hasty();
    bench.fault(Fault::slow(3_000).on("POST", "/v1/alarms").times(1));
    let given = usual();
    let failure = bench.raise(&given).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, true), "{failure}");
    assert!(failure.reason.contains("request_timeout_ms"), "{failure}");
    // The service gets to it after all, before the next attempt.
    let mut late = fm_rest_sim::NewAlarm::new(ALARM_ID, ENTITY, "major");
    let text = |text: &str| Some(text.to_owned());
    late.fields.uuid.clone_from(&given.uuid);
    late.fields.entity_type_id = text(&given.alarm.entity_type_id);
    late.fields.reason_text = text(&given.alarm.reason_text);
    late.fields.alarm_type = text(given.alarm.alarm_type.as_str());
    late.fields.probable_cause = text(given.alarm.probable_cause.as_str());
    late.fields.service_affecting = Some(given.alarm.service_affecting);
    late.fields.suppression = Some(given.alarm.suppression);
    bench.sim.insert_alarm(late).unwrap();
    assert_eq!(bench.insist(&Raise { in_doubt: true, ..given.clone() }, 1).await, Some(given.uuid));
    assert_eq!(bench.alarms().len(), 1);
}

#[tokio::test]
async fn a_slow_answer_within_the_deadline_is_an_answer() {
    let bench = Bench::platform();
    bench.fault(Fault::slow(150));
    bench.raise(&usual()).await.unwrap();
    assert_eq!(bench.alarms().len(), 1);
}

#[tokio::test]
async fn nothing_is_sent_when_the_first_question_is_not_answered() {
    for (name, fault) in unclear() {
        let bench = hasty();
        bench.fault(fault.on("GET", "/v1/alarms").times(2));
        let failure = bench.raise(&usual()).await.unwrap_err();
        assert!(!failure.in_doubt, "{name}: {failure}");
        assert_ne!(failure.kind, FailureKind::Rejected, "{name}: {failure}");
        assert!(bench.alarms().is_empty(), "{name}");
        assert!(!bench.requests().contains(&"POST alarms".to_owned()), "{name}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_no_doubt() {
    let bench = hasty();
    bench.raise(&usual()).await.unwrap();
    bench.sim.stop().unwrap();
    let failure = bench.raise(&raise(alarm(ENTITY, "worse"))).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, false), "{failure}");
    assert!(failure.reason.contains("cannot be reached") || failure.reason.contains("no complete answer"));
    let failure = bench.backend.log(&log(alarm(ENTITY, "noted"))).await.unwrap_err();
    assert!(!failure.in_doubt && failure.reason.contains("refused"), "{failure}");
    bench.sim.restart().unwrap();
    bench.insist(&raise(alarm(ENTITY, "worse")), 2).await;
    assert_eq!(bench.alarms().len(), 1);
}

#[tokio::test]
async fn refusals_of_the_service_are_for_good_and_pages_of_others_are_not() {
    let refusal =
        r#"{"error_message": "{\"faultcode\": \"Client\", \"faultstring\": \"Unknown attribute: x\"}"}"#;
    for code in [400, 413, 422] {
        let bench = Bench::platform();
        bench.fault(Fault { body: refusal.into(), ..Fault::status(code) }.on("POST", "/v1/alarms").times(1));
        let failure = bench.raise(&usual()).await.unwrap_err();
        assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Rejected, false), "{code}: {failure}");
        assert!(failure.reason.contains("Unknown attribute: x"), "{failure}");
        bench.fault(Fault { body: PAGE.into(), ..Fault::status(code) }.on("POST", "/v1/alarms").times(1));
        let failure = bench.raise(&usual()).await.unwrap_err();
        assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, false), "{code}: {failure}");
    }
}

#[tokio::test]
async fn too_many_requests_is_a_retry_without_doubt() {
    let bench = Bench::platform();
    bench.fault(Fault::status(429).on("POST", "/v1/alarms").times(1));
    let failure = bench.raise(&usual()).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Retry, false));
}

#[tokio::test]
async fn a_404_of_somebody_else_is_no_absence() {
    let bench = Bench::platform();
    let standing = bench.raise(&usual()).await.unwrap();
    bench.fault(Fault { body: "default backend - 404".into(), ..Fault::status(404) });
    let clear = Clear { key: AlarmKey::new(ALARM_ID, ENTITY), standing };
    let failure = bench.backend.clear(&clear).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(failure.reason.contains("correct the endpoint"), "{failure}");
    assert_eq!(bench.alarms().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let bench = Bench::platform();
    bench.fault(Fault::status(302));
    let failure = bench.raise(&usual()).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, false), "{failure}");
    assert_eq!(bench.sim.requests_to(Service::Fm).len(), 1);
}

#[tokio::test]
async fn a_service_that_ends_and_comes_back_loses_and_doubles_nothing() {
    let bench = hasty();
    bench.raise(&usual()).await.unwrap();
    bench.sim.terminate(Duration::from_millis(200));
    let worse = raise(alarm(ENTITY, "worse"));
    let failure = bench.raise(&worse).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable, "{failure}");
    bench.sim.restart().unwrap();
    bench.insist(&Raise { in_doubt: failure.in_doubt, ..worse.clone() }, 3).await;
    assert_eq!(bench.uuids(), [worse.uuid]);
}

#[tokio::test]
async fn parallel_raises_at_the_cap_of_the_event_log_all_stand_once() {
    let bench = Bench::platform();
    bench.sim.set_event_cap(50);
    bench.sim.fill_event_log(50).unwrap();
    bench.sim.set_race_window(Duration::from_millis(5));
    let raises: Vec<Raise> = (0..40).map(|n| raise(alarm(&format!("host=c{n}"), "broken"))).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for chunk in raises.chunks(5) {
        let (backend, chunk) = (bench.backend.clone(), chunk.to_vec());
        tasks.spawn(async move {
            let mut unclear = 0;
            for raise in chunk {
                unclear += usize::from(backend.raise(&raise).await.unwrap().unclear);
            }
            unclear
        });
    }
    let unclear: usize = tasks.join_all().await.into_iter().sum();
    assert!(unclear > 0, "the stand-in's writers did not collide");
    let mut expected: Vec<String> = raises.into_iter().map(|raise| raise.uuid).collect();
    let mut standing = bench.uuids();
    expected.sort();
    standing.sort();
    assert_eq!(standing, expected);
}

#[tokio::test]
async fn a_storm_of_faults_ends_in_what_was_asked() {
    for seed in 1..=4 {
        let bench = hasty();
        for (number, (name, fault)) in (1..).zip(unclear()) {
            // A hang takes its whole deadline each time; the other tests have it.
            if name == "hang" {
                continue;
            }
            let applied = if number % 2 == 0 { Apply::Nothing } else { Apply::All };
            bench.fault(fault.applied(applied).with_probability(0.03, seed * 100 + number));
        }
        let mut failed = 0;
        for round in 0..5 {
            for host in 0..6 {
                let entity = format!("host=c{host}");
                let given = raise(alarm(&entity, &format!("round {round}")));
                bench.insist(&given, 50).await;
                if (host + round) % 3 == 0 {
                    while let Err(failure) = bench.clear(&entity).await {
                        assert_ne!(failure.kind, FailureKind::Rejected, "{failure}");
                        failed += 1;
                    }
                }
            }
        }
        bench.sim.clear_faults().unwrap();
        let mut standing: Vec<_> =
            bench.alarms().into_iter().filter_map(|alarm| alarm.entity_instance_id).collect();
        standing.sort();
        // Cleared in the last round: hosts 2 and 5.
        assert_eq!(standing, ["host=c0", "host=c1", "host=c3", "host=c4"], "seed {seed}");
        assert!(bench.alarms().iter().all(|alarm| alarm.reason_text.as_deref() == Some("round 4")));
        let (sets, clears): (Vec<_>, Vec<_>) = bench.events().into_iter().partition(|state| state == "set");
        assert_eq!((sets.len(), clears.len()), (30, 26), "seed {seed}");
        assert!(failed > 0, "seed {seed}: no fault hit a clear");
    }
}

#[tokio::test]
async fn a_row_that_is_already_deleted_by_a_500_counts_as_deleted() {
    let bench = Bench::platform();
    bench.raise(&usual()).await.unwrap();
    bench.fault(Fault::status(500).applied(Apply::All).on("DELETE", "/v1/alarms").times(1));
    let clear = Clear { key: AlarmKey::new(ALARM_ID, ENTITY), standing: None };
    assert!(bench.backend.clear(&clear).await.unwrap().unclear);
    bench.raise(&usual()).await.unwrap();
    bench.fault(Fault::new(FaultKind::Reset).on("DELETE", "/v1/alarms").times(1));
    assert!(bench.backend.clear(&clear).await.unwrap().unclear, "sent again after the question");
    assert!(bench.alarms().is_empty());
    assert_eq!(bench.events(), ["set", "clear", "set", "clear"]);
}
