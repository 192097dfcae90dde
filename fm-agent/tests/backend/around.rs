//! Lists around a row that the service cannot show.

use fm_agent::backend::{ClearAll, FailureKind, Query};
use fm_common::entity::EntityMatch;
use fm_rest_sim::{Fault, NewAlarm};

use crate::support::{ALARM_ID, Bench, ENTITY, everything};

/// The alarms of another writer on entities under the usual one.
fn plant(bench: &Bench, number: usize, severity: &str) -> Vec<String> {
    (0..number).map(|n| bench.plant(ALARM_ID, &format!("{ENTITY}.n={n}"), severity)).collect()
}

/// One alarm of another writer under this uuid.
fn plant_as(bench: &Bench, entity: &str, first_digits: &str, last_digits: &str) -> String {
    let mut alarm = NewAlarm::new(ALARM_ID, entity, "minor");
    alarm.fields.uuid = format!("{first_digits}d0d41f-8ad2-4ef0-8a6e-0b2e5f00{last_digits}");
    bench.sim.insert_alarm(alarm).unwrap().fields.uuid
}

#[tokio::test]
async fn a_clear_all_deletes_what_can_be_read_around_anothers_port() {
    let bench = Bench::containerized();
    let hiding = plant_as(&bench, "host=compute-1.port=eth0", "a7", "0000");
    let hidden = plant_as(&bench, "host=compute-1.n=a", "a7", "0001");
    for digits in ["a6", "b7", "07", "7a"] {
        plant_as(&bench, &format!("host=compute-1.n={digits}"), digits, "0002");
    }
    plant(&bench, 3, "major");
    assert_eq!(bench.raw("GET", "alarms", None).await.0, 500);

    bench.clear_all(ENTITY, EntityMatch::Component).await.unwrap();
    assert_eq!(
        bench.uuids(),
        [hiding.clone(), hidden.clone()],
        "what the same part of the uuids hides stays"
    );

    // Unless this node knows its uuid.
    let clear_all = ClearAll {
        entity_instance_id: ENTITY.to_owned(),
        rule: EntityMatch::Component,
        standing: vec![hiding],
    };
    bench.backend.clear_all(&clear_all).await.unwrap();
    assert_eq!(bench.uuids(), [hidden]);
    bench.clear_all(ENTITY, EntityMatch::Component).await.unwrap();
    assert!(bench.alarms().is_empty());
}

#[tokio::test]
async fn a_clear_all_is_not_done_where_no_list_can_be_read() {
    let bench = Bench::platform();
    plant(&bench, 3, "minor");
    // The first that fits decides: the summary goes on.
    let summary = r#"{"critical": 0, "major": 0, "minor": 3, "warnings": 0, "status": "OK"}"#;
    bench.fault(Fault { body: summary.into(), ..Fault::status(200) }.on("GET", "/v1/alarms/summary"));
    bench.fault(Fault::status(500).on("GET", "/v1/alarms"));
    let failure = bench.backend.list(&everything()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Retry, "{failure}");
    bench.requests();
    let failure = bench.clear_all(ENTITY, EntityMatch::Component).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Retry, false), "{failure}");
    assert!(!bench.requests().contains(&"DELETE alarms/one".to_owned()));
    bench.sim.clear_faults().unwrap();
    bench.clear_all(ENTITY, EntityMatch::Component).await.unwrap();
    assert!(bench.alarms().is_empty());
}

#[tokio::test]
async fn many_known_uuids_that_are_not_listed_are_deleted_each_once() {
    let bench = Bench::platform();
    let standing = plant(&bench, 200, "minor");
    for uuid in &standing[100..] {
        bench.sim.mask_alarm(uuid, true).unwrap();
    }
    let under = Query { entity_instance_id: Some(ENTITY.into()), ..everything() };
    assert_eq!(bench.backend.list(&under).await.unwrap().len(), 100);
    bench.requests();
    let clear_all =
        ClearAll { entity_instance_id: ENTITY.to_owned(), rule: EntityMatch::Component, standing };
    bench.backend.clear_all(&clear_all).await.unwrap();
    let requests = bench.requests();
    assert_eq!(requests.iter().filter(|request| *request == "DELETE alarms/one").count(), 200);
    assert!(bench.alarms().is_empty());
}
