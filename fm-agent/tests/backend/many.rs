//! Lists longer than a page: the service gives 2000 alarms at a time, and no working way to the next.

use std::time::{Duration, Instant};

use fm_agent::backend::{FailureKind, Query, Raise};
use fm_common::AlarmKey;
use fm_common::entity::EntityMatch;
use fm_rest_sim::{Fault, NewAlarm};

use crate::support::{ALARM_ID, Bench, ENTITY, alarm, everything, raise, usual};

fn plant(bench: &Bench, alarm_id: &str, number: usize, suppressed_too: bool) {
    for n in 0..number {
        bench.sim.insert_alarm(NewAlarm::new(alarm_id, &format!("subcloud=s{n}"), "critical")).unwrap();
    }
    if suppressed_too {
        bench.sim.suppress(alarm_id, true).unwrap();
    }
}

#[tokio::test]
async fn every_alarm_is_listed_however_many() {
    let bench = Bench::platform();
    plant(&bench, "280.001", 2500, false);
    plant(&bench, "100.101", 900, true);
    let (_, page) = bench.raw("GET", "alarms?include_suppress=1", None).await;
    assert_eq!(page["alarms"].as_array().map(Vec::len), Some(2000));
    assert_eq!(
        bench.raw("GET", page["next"].as_str().unwrap().split("/v1/").nth(1).unwrap(), None).await.0,
        500
    );

    let count = async |query: &Query| bench.backend.list(query).await.unwrap().len();
    assert_eq!(count(&everything()).await, 3400);
    assert_eq!(count(&Query { include_suppressed: false, ..everything() }).await, 2500);
    assert_eq!(count(&Query { alarm_id: Some("280.001".into()), ..everything() }).await, 2500);
    let one = Query { entity_instance_id: Some("subcloud=s2".into()), ..everything() };
    assert_eq!(count(&one).await, 2);
    let under = Query { entity_instance_id: Some("subcloud=".into()), ..everything() };
    assert_eq!(count(&under).await, 3400);
}

#[tokio::test]
async fn everything_can_be_cleared_however_many() {
    let bench = Bench::platform();
    plant(&bench, ALARM_ID, 2100, false);
    bench.clear_all("subcloud=", EntityMatch::Component).await.unwrap();
    assert!(bench.alarms().is_empty());
}

#[tokio::test]
async fn a_list_that_cannot_be_complete_is_a_failure() {
    let bench = Bench::platform();
    plant(&bench, ALARM_ID, 2100, false);
    let summary = r#"{"critical": 2101, "major": 0, "minor": 0, "warnings": 0, "status": "critical"}"#;
    bench.fault(Fault { body: summary.into(), ..Fault::status(200) }.on("GET", "/v1/alarms/summary"));
    let failure = bench.backend.list(&everything()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Retry);
    assert!(failure.reason.contains("fewer alarms can be read"), "{failure}");
}

/// Masks so many alarms that come first in every list.
fn mask(bench: &Bench, alarm_id: &str, number: usize) {
    for n in 0..number {
        let alarm = NewAlarm::new(alarm_id, &format!("host=a{n}"), "critical");
        let uuid = bench.sim.insert_alarm(alarm).unwrap().fields.uuid;
        bench.sim.mask_alarm(&uuid, true).unwrap();
    }
}

#[tokio::test]
async fn a_page_that_masked_alarms_have_emptied_is_not_the_end() {
    for masked_as in [ALARM_ID, "100.101"] {
        let bench = Bench::platform();
        mask(&bench, masked_as, 2000);
        for n in 0..10 {
            bench.plant(ALARM_ID, &format!("host=c{n}"), "warning");
        }
        let (_, page) = bench.raw("GET", "alarms?include_suppress=1", None).await;
        assert_eq!(
            (page["alarms"].as_array().map(Vec::len), &page["next"]),
            (Some(0), &serde_json::Value::Null)
        );
        assert_eq!(bench.backend.list(&everything()).await.unwrap().len(), 10, "masked: {masked_as}");
    }
}

#[tokio::test]
async fn a_page_that_masked_alarms_have_shortened_is_not_the_end() {
    let bench = Bench::platform();
    mask(&bench, ALARM_ID, 500);
    plant(&bench, ALARM_ID, 1600, false);
    let path = format!("alarms?q.field=alarm_id&q.op=eq&q.value={ALARM_ID}");
    let (_, page) = bench.raw("GET", &path, None).await;
    assert_eq!(page["alarms"].as_array().map(Vec::len), Some(1500), "not full, and not all");
    let query = Query { alarm_id: Some(ALARM_ID.into()), ..everything() };
    assert_eq!(bench.backend.list(&query).await.unwrap().len(), 1600);
}

#[tokio::test]
async fn what_is_absent_is_told_by_one_question() {
    let bench = Bench::platform();
    bench.plant(ALARM_ID, "host=c0.port=eth1", "minor");
    let keys: Vec<AlarmKey> =
        (0..6).map(|n| AlarmKey::new(ALARM_ID, &format!("host=c0.port=eth{n}"))).collect();
    let absent = bench.backend.absent(&keys).await.unwrap();
    assert_eq!(absent, keys.iter().filter(|key| **key != keys[1]).cloned().collect());
    assert_eq!(bench.requests().iter().filter(|request| *request == "GET alarms").count(), 1);
    // What has nothing in common would be everybody's alarms, and a long page is none to rely on.
    let strangers = [AlarmKey::new("100.101", "host=a"), AlarmKey::new("100.102", "instance=b")];
    assert!(bench.backend.absent(&strangers).await.unwrap().is_empty());
    plant(&bench, ALARM_ID, 1000, false);
    let others = [AlarmKey::new(ALARM_ID, "subcloud=x"), AlarmKey::new(ALARM_ID, "subcloud=y")];
    assert!(bench.backend.absent(&others).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_the_service_holds_in_another_form_is_not_absent() {
    let bench = Bench::containerized();
    let long = format!("host=c0.port={}", "x".repeat(300));
    for entity in ["host=c0.port=eth0", &long, "host=c0.\u{1F525}"] {
        bench.raise(&raise(alarm(entity, "broken"))).await.unwrap();
    }
    let keys: Vec<AlarmKey> = ["host=c0.port=eth0", "host=c0.port=eth9", &long, "host=c0.\u{1F525}"]
        .iter()
        .map(|entity| AlarmKey::new(ALARM_ID, entity))
        .collect();
    assert_eq!(bench.backend.absent(&keys).await.unwrap(), [keys[1].clone()].into());
    let twice = [keys[2].clone(), AlarmKey::new(ALARM_ID, &format!("{long}y"))];
    assert_eq!(bench.backend.absent(&twice).await.unwrap(), [twice[1].clone()].into());
}

/// Nothing stands there, and that may be relied on for a while.
fn known_to_be_new(given: Raise) -> Raise {
    Raise { absent_until: Some(Instant::now() + Duration::from_mins(1)), ..given }
}

#[tokio::test]
async fn a_raise_that_is_known_to_be_new_asks_nothing_and_a_doubt_is_asked_about_all_the_same() {
    let bench = Bench::platform();
    let new = known_to_be_new(usual());
    bench.raise(&new).await.unwrap();
    assert_eq!(bench.requests(), ["POST alarms"]);
    for again in [
        Raise { in_doubt: true, ..new.clone() },
        Raise { standing: Some(new.uuid.clone()), ..known_to_be_new(usual()) },
    ] {
        bench.raise(&again).await.unwrap();
        assert_eq!(bench.uuids(), std::slice::from_ref(&new.uuid));
    }
}

/// Between the answer and the sending lie the store, its disk and what else has to be asked first.
#[tokio::test]
async fn what_was_known_too_long_ago_is_asked_again() {
    let bench = Bench::platform();
    let theirs = bench.plant(ALARM_ID, ENTITY, "minor");
    let stale = Raise { absent_until: Some(Instant::now()), ..usual() };
    bench.raise(&stale).await.unwrap();
    assert_eq!(bench.requests(), ["GET alarms", "DELETE alarms/one", "POST alarms"]);
    assert_eq!(bench.uuids(), [stale.uuid], "{theirs} would stand beside it");
}
