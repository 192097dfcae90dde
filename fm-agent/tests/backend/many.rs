//! Lists longer than a page: the service gives 2000 alarms at a time, and no working way to the next.

use fm_agent::backend::{FailureKind, Query};
use fm_common::entity::EntityMatch;
use fm_rest_sim::{Fault, NewAlarm};

use crate::support::{ALARM_ID, Bench, everything};

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
    bench.backend.clear_all("subcloud=", EntityMatch::Component).await.unwrap();
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
