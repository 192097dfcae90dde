//! Reads: exact after a manager that matches by prefix, complete after one that hides some, with the
//! alarms' own uuids after one that gives others.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use fm_agent::backend::Query;
use fm_common::AlarmKey;
use fm_manager_sim::{Action, ManagerConfig, ManagerSim};

use crate::support::{ALARM_ID, Bench, OTHER_ID, entities, key, query};

fn planted() -> Bench {
    let bench = Bench::new();
    for entity in ["host=compute-1", "host=compute-1.port=eth0", "host=compute-10", "host=compute_2"] {
        bench.plant(ALARM_ID, entity);
    }
    bench.plant(OTHER_ID, "host=compute-1");
    bench
}

#[tokio::test]
async fn a_filter_means_the_entity_and_what_lies_under_it() {
    let bench = planted();
    let rows = bench.list(&query(Some(ALARM_ID), Some("host=compute-1"), false)).await;
    assert_eq!(entities(&rows), ["host=compute-1", "host=compute-1.port=eth0"]);
    let rows = bench.list(&query(None, Some("host=compute-1"), false)).await;
    assert_eq!(entities(&rows), ["host=compute-1", "host=compute-1", "host=compute-1.port=eth0"]);
    let exact = Query { exact: true, ..query(None, Some("host=compute-1"), false) };
    assert_eq!(bench.list(&exact).await.len(), 2);
    assert_eq!(bench.list(&query(Some(ALARM_ID), None, true)).await.len(), 4);
    assert_eq!(bench.list(&query(None, None, true)).await.len(), 5);
    assert!(bench.list(&query(Some("999.999"), None, true)).await.is_empty());
}

#[tokio::test]
async fn every_alarm_comes_with_its_own_uuid() {
    let bench = planted();
    let own: BTreeSet<String> = bench.sim.alarms().into_iter().map(|row| row.uuid).collect();
    for (alarm_id, entity) in
        [(Some(ALARM_ID), Some("host=compute-1")), (None, Some("host=compute-1")), (None, None)]
    {
        for include_suppressed in [true, false] {
            let rows = bench.list(&query(alarm_id, entity, include_suppressed)).await;
            assert!(rows.len() >= 2);
            assert!(rows.iter().all(|row| own.contains(row.uuid.as_deref().unwrap())));
        }
    }
}

#[tokio::test]
async fn suppressed_alarms_are_shown_and_hidden_as_asked() {
    let bench = planted();
    bench.sim.suppress(ALARM_ID, true);
    assert_eq!(bench.list(&query(Some(ALARM_ID), Some("host=compute-1"), true)).await.len(), 2);
    assert_eq!(bench.list(&query(Some(ALARM_ID), Some("host=compute-1"), false)).await.len(), 0);
    assert_eq!(bench.list(&query(None, Some("host=compute-1"), true)).await.len(), 3);
    assert_eq!(bench.list(&query(None, Some("host=compute-1"), false)).await.len(), 1);
    assert_eq!(bench.list(&Query::one(&key("host=compute-1"))).await.len(), 1);
    let hidden = Query { include_suppressed: false, ..Query::one(&key("host=compute-1")) };
    assert_eq!(bench.list(&hidden).await.len(), 0);
    let shown = AlarmKey::new(OTHER_ID, "host=compute-1");
    assert_eq!(bench.list(&Query { include_suppressed: false, ..Query::one(&shown) }).await.len(), 1);
}

#[tokio::test]
async fn wildcards_and_quotes_mean_nothing_and_are_not_sent_in_filters() {
    let bench = planted();
    bench.plant(ALARM_ID, "host=o'brien");
    bench.sim.clear_requests();
    for (entity, found) in
        [("host=compute_2", 1), ("host=compute_1", 0), ("host=%", 0), ("host=o'brien", 1), (r"host=\", 0)]
    {
        for alarm_id in [Some(ALARM_ID), None] {
            for include_suppressed in [true, false] {
                let rows = bench.list(&query(alarm_id, Some(entity), include_suppressed)).await;
                assert_eq!(rows.len(), found, "{alarm_id:?} {entity}");
            }
        }
    }
    assert!(bench.filters().iter().all(|filter| !filter.entity_instance_id.contains(['\'', '\\', '%', '_'])));
    // By key the manager compares exactly, so there a wildcard may be sent, and a quote still is not.
    assert_eq!(bench.list(&Query::one(&key("host=compute_2"))).await.len(), 1);
    assert_eq!(bench.list(&Query::one(&key("host=compute_1"))).await.len(), 0);
    assert_eq!(bench.list(&Query::one(&key("host=o'brien"))).await.len(), 1);
    assert!(bench.list(&Query::one(&AlarmKey::new("1' OR '1'='1", "host=compute-1"))).await.is_empty());
    assert!(bench.filters().iter().all(|filter| !filter.entity_instance_id.contains('\'')));
    assert!(bench.filters().iter().all(|filter| !filter.alarm_id.contains('\'')));
}

#[tokio::test]
async fn an_alarm_id_that_the_catalogue_lacks_is_found() {
    let config = ManagerConfig { alarm_ids: vec!["999.001".into()], ..ManagerConfig::default() };
    let bench = Bench::with(config, "");
    bench.plant("999.001", "host=compute-1");
    assert_eq!(bench.list(&query(None, Some("host=compute-1"), true)).await.len(), 1);
    assert_eq!(bench.list(&query(None, Some("host=compute-1"), false)).await.len(), 1);
}

#[tokio::test]
async fn a_list_has_thousands() {
    let bench = Bench::new();
    for number in 0..2500 {
        bench.plant(ALARM_ID, &format!("host=a.port={number}"));
    }
    assert_eq!(bench.list(&query(None, Some("host=a"), false)).await.len(), 2500);
}

/// Every alarm id of the catalogue is asked about in one message, so all of them cost one poll.
#[tokio::test]
async fn everything_costs_two_polls() {
    let poll = Duration::from_millis(400);
    let sim = ManagerSim::start(ManagerConfig { poll, ..ManagerConfig::default() }).unwrap();
    let bench = Bench::of(sim, "read_timeout_ms = 20000\n");
    bench.plant(ALARM_ID, "host=a");
    let started = Instant::now();
    assert_eq!(bench.list(&query(None, None, true)).await.len(), 1);
    let took = started.elapsed();
    assert!(took < poll * 8, "{took:?}");
    assert_eq!(bench.count(Action::GetById), 135);
    assert_eq!(bench.count(Action::GetByEntity), 1);
}
