//! What a body, an answer and a time look like to the service (observed behaviour of fm-rest-api, 2026-06): shown with a
//! plain client, then what the backend sends and understands.

use fm_agent::backend::{FailureKind, Raise};
use fm_common::{Alarm, Timestamp};
use fm_rest_sim::{Fault, Service};
use serde_json::{Value, json};

use crate::support::{Bench, ENTITY, alarm, raise, raw_body, usual};

/// The body of the last POST.
fn sent(bench: &Bench) -> Value {
    let requests = bench.sim.requests_to(Service::Fm);
    let posted = requests.iter().rfind(|request| request.method == "POST").unwrap();
    serde_json::from_str(&posted.body).unwrap()
}

#[tokio::test]
async fn a_taken_set_is_answered_with_a_text_that_holds_json() {
    let bench = Bench::platform();
    let (status, answer) = bench.raw("POST", "alarms", Some(raw_body(&[]))).await;
    let inner: Value = serde_json::from_str(answer.as_str().unwrap()).unwrap();
    assert_eq!((status, &inner["uuid"]), (200, &json!(bench.uuids()[0])));

    let bench = Bench::platform();
    let given = usual();
    let delivered = bench.backend.raise(&given).await.unwrap();
    assert_eq!((delivered.uuid, delivered.unclear), (Some(given.uuid), false));
}

#[tokio::test]
async fn an_answer_with_another_uuid_is_asked_about() {
    let bench = Bench::platform();
    let body = json!(json!({"uuid": usual().uuid}).to_string()).to_string();
    bench.fault(Fault { body, ..Fault::status(200) }.on("POST", "/v1/alarms").times(1));
    let given = usual();
    let failure = bench.raise(&given).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, true), "{failure}");
    assert_eq!(bench.requests(), ["GET alarms", "POST alarms", "GET alarms/one", "GET event_log/one"]);
    bench.raise(&Raise { in_doubt: true, ..given.clone() }).await.unwrap();
    assert_eq!(bench.uuids(), [given.uuid]);
}

#[tokio::test]
async fn put_never_works() {
    let bench = Bench::platform();
    let given = usual();
    bench.raise(&given).await.unwrap();
    let changed = raw_body(&[("reason_text", json!("worse")), ("uuid", json!(given.uuid))]);
    assert_eq!(bench.raw("PUT", &format!("alarms/{}", given.uuid), Some(changed)).await.0, 500);
    assert_eq!(bench.alarms()[0].reason_text.as_deref(), Some("broken"));

    let worse = Raise { standing: Some(given.uuid), ..raise(alarm(ENTITY, "worse")) };
    bench.raise(&worse).await.unwrap();
    assert_eq!(bench.requests(), ["GET alarms", "DELETE alarms/one", "POST alarms"]);
    assert_eq!(
        (bench.uuids(), bench.events()),
        (vec![worse.uuid], ["set", "clear", "set"].map(str::to_owned).into())
    );
}

#[tokio::test]
async fn a_body_in_chunks_counts_as_empty() {
    let bench = Bench::platform();
    let answer = bench.chunked_set().await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("Missing argument"), "{answer}");
    assert!(bench.alarms().is_empty());

    bench.raise(&usual()).await.unwrap();
    assert_eq!(bench.alarms().len(), 1);
}

#[tokio::test]
async fn flags_as_texts_and_unknown_attributes_are_refused() {
    let bench = Bench::platform();
    for wrong in [
        ("service_affecting", json!("True")),
        ("suppression", json!("False")),
        ("keep_existing_alarm", json!(false)),
        ("inhibit_alarms", Value::Null),
        ("masked", Value::Null),
    ] {
        assert_eq!(bench.raw_set(std::slice::from_ref(&wrong)).await, 400, "{wrong:?}");
    }
    assert!(bench.alarms().is_empty());

    let everything = Alarm {
        suppression: true,
        inhibit_alarms: true,
        keep_existing_alarm: true,
        ..alarm(ENTITY, "broken")
    };
    bench.raise(&raise(everything)).await.unwrap();
    let body = sent(&bench);
    assert_eq!((&body["service_affecting"], &body["suppression"]), (&json!(true), &json!(true)));
    assert_eq!(bench.alarms().len(), 1);
}

#[tokio::test]
async fn times_are_kept_without_their_zone() {
    let bench = Bench::containerized();
    let elsewhere = ("timestamp", json!("2026-11-22T12:00:00+02:00"));
    assert_eq!(bench.raw_set(std::slice::from_ref(&elsewhere)).await, 200);
    let listed = bench.raw("GET", "alarms", None).await.1;
    let kept = listed["alarms"][0]["timestamp"].as_str().unwrap();
    assert!(kept.starts_with("2026-11-22T12:00:00"), "ten o'clock UTC has become {kept}");

    for bench in [Bench::platform(), Bench::containerized()] {
        let raised = Timestamp::from_micros(1_795_341_600_123_456);
        let given = raise(Alarm { timestamp: Some(raised), ..alarm(ENTITY, "broken") });
        bench.raise(&given).await.unwrap();
        let time = sent(&bench)["timestamp"].as_str().unwrap().to_owned();
        assert!(!time.ends_with('Z') && !time.contains('+'), "{time}");
        assert_eq!(bench.one(&given.alarm.alarm_id, ENTITY).await.unwrap()[0].timestamp, Some(raised));
    }
}
