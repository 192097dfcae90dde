//! A healthy service: what each method does, and how many requests it takes.

use fm_agent::backend::{Clear, Delivered, Query};
use fm_common::entity::EntityMatch;
use fm_common::{Alarm, AlarmKey};
use fm_rest_sim::{AlarmType, SimConfig};

use crate::support::{ALARM_ID, Bench, ENTITY, alarm, everything, log, raise, usual};

#[tokio::test]
async fn a_raise_stands_as_it_was_given() {
    let bench = Bench::platform();
    let given = usual();
    let uuid = bench.raise(&given).await.unwrap();
    assert_eq!(uuid.as_ref(), Some(&given.uuid));
    assert_eq!(bench.requests(), ["GET alarms", "POST alarms"]);
    assert_eq!(bench.events(), ["set"]);
    let expected = Alarm { uuid, ..given.alarm };
    assert_eq!(bench.one(ALARM_ID, ENTITY).await.unwrap(), [expected]);
}

#[tokio::test]
async fn a_raise_that_changes_nothing_is_not_sent() {
    let bench = Bench::platform();
    let first = bench.raise(&usual()).await.unwrap();
    bench.requests();
    assert_eq!(bench.raise(&usual()).await.unwrap(), first);
    assert_eq!(bench.requests(), ["GET alarms"]);
    assert_eq!(bench.events(), ["set"]);
}

#[tokio::test]
async fn a_changed_alarm_takes_the_place_of_the_one_before() {
    let bench = Bench::platform();
    bench.raise(&usual()).await.unwrap();
    bench.requests();
    let worse = raise(alarm(ENTITY, "worse"));
    assert_eq!(bench.raise(&worse).await.unwrap(), Some(worse.uuid.clone()));
    assert_eq!(bench.requests(), ["GET alarms", "DELETE alarms/one", "POST alarms"]);
    assert_eq!(bench.uuids(), [worse.uuid]);
    assert_eq!(bench.events(), ["set", "clear", "set"]);
}

#[tokio::test]
async fn keep_existing_alarm_keeps_whatever_stands() {
    let bench = Bench::platform();
    let first = bench.raise(&usual()).await.unwrap();
    let kept = raise(Alarm { keep_existing_alarm: true, ..alarm(ENTITY, "worse") });
    // It says something else: what stands is not what was raised.
    assert_eq!(bench.raise(&kept).await.unwrap(), None);
    assert_eq!(bench.uuids(), [first.unwrap()]);
    assert_eq!(bench.alarms()[0].reason_text.as_deref(), Some("broken"));
    bench.clear(ENTITY).await.unwrap();
    assert_eq!(bench.raise(&kept).await.unwrap(), Some(kept.uuid.clone()));
}

#[tokio::test]
async fn a_clear_removes_exactly_its_key() {
    let bench = Bench::platform();
    for entity in [ENTITY, "host=compute-10", "host=compute-1.port=1"] {
        bench.raise(&raise(alarm(entity, "broken"))).await.unwrap();
    }
    bench.requests();
    bench.clear(ENTITY).await.unwrap();
    assert_eq!(bench.requests(), ["GET alarms", "DELETE alarms/one"]);
    assert_eq!(bench.alarms().len(), 2);
    bench.clear(ENTITY).await.unwrap();
    assert_eq!(bench.requests(), ["GET alarms"], "that there is none is fine");
}

#[tokio::test]
async fn a_clear_of_a_known_uuid_that_is_gone_is_fine() {
    let bench = Bench::platform();
    let standing = Some(uuid::Uuid::new_v4().to_string());
    let clear = Clear { key: AlarmKey::new(ALARM_ID, ENTITY), standing };
    assert_eq!(bench.backend.clear(&clear).await.unwrap(), Delivered::default());
}

#[tokio::test]
async fn clear_all_goes_by_component() {
    let bench = Bench::platform();
    for entity in [ENTITY, "host=compute-1.port=1", "host=compute-10", "vm.host=compute-1"] {
        bench.raise(&raise(alarm(entity, "broken"))).await.unwrap();
    }
    bench.clear_all(ENTITY, EntityMatch::Component).await.unwrap();
    let left: Vec<_> = bench.alarms().into_iter().filter_map(|alarm| alarm.entity_instance_id).collect();
    assert_eq!(left, ["host=compute-10", "vm.host=compute-1"]);
    bench.clear_all("host=compute-1", EntityMatch::Prefix).await.unwrap();
    assert_eq!(bench.alarms().len(), 1);
}

#[tokio::test]
async fn a_log_is_an_event_and_no_alarm() {
    let bench = Bench::platform();
    let given = log(alarm(ENTITY, "noted"));
    assert_eq!(bench.backend.log(&given).await.unwrap().uuid, Some(given.uuid.clone()));
    assert_eq!(bench.requests(), ["POST alarms"]);
    assert_eq!((bench.alarms().len(), bench.events()), (0, vec!["log".to_owned()]));
    assert_eq!(bench.sim.events().unwrap()[0].uuid, given.uuid);
}

#[tokio::test]
async fn the_empty_entity_reads_back_empty_however_it_is_stored() {
    let bench = Bench::platform();
    bench.raise(&raise(alarm("", "broken"))).await.unwrap();
    assert_eq!(bench.alarms()[0].entity_instance_id.as_deref(), Some(" "));
    bench.plant("100.101", "", "minor");
    let entities: Vec<String> =
        bench.backend.list(&everything()).await.unwrap().into_iter().map(|a| a.entity_instance_id).collect();
    assert_eq!(entities, ["", ""]);
    assert_eq!(bench.one(ALARM_ID, "").await.unwrap().len(), 1);
    let standing = bench.uuids()[0].clone();
    assert_eq!(bench.raise(&raise(alarm(" ", "broken"))).await.unwrap(), Some(standing));
    bench.clear("").await.unwrap();
    assert_eq!(bench.alarms().len(), 1);
}

#[tokio::test]
async fn lists_mean_what_they_say() {
    let mut config = SimConfig::default();
    let longer = AlarmType { alarm_id: "300.0100".into(), ..config.alarm_types[0].clone() };
    config.alarm_types.push(longer);
    let bench = Bench::new(config);
    for entity in [ENTITY, "host=compute-1.port=1", "host=compute-10"] {
        bench.raise(&raise(alarm(entity, "broken"))).await.unwrap();
    }
    bench.plant("300.0100", ENTITY, "minor");
    let count = async |query: &Query| bench.backend.list(query).await.unwrap().len();
    let by_entity = Query { entity_instance_id: Some(ENTITY.into()), ..everything() };
    assert_eq!(count(&by_entity).await, 3);
    assert_eq!(count(&Query { alarm_id: Some(ALARM_ID.into()), ..by_entity.clone() }).await, 2);
    assert_eq!(count(&Query { exact: true, ..by_entity.clone() }).await, 2);
    assert_eq!(count(&Query { alarm_id: Some("300".into()), ..everything() }).await, 0);
    assert_eq!(count(&everything()).await, 4);
}

#[tokio::test]
async fn a_probe_asks_the_database() {
    let bench = Bench::platform();
    bench.backend.probe().await.unwrap();
    assert_eq!(bench.requests(), ["GET alarms/summary"]);
}
