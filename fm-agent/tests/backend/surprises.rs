//! What the real service does that nobody would expect (observed behaviour of fm-rest-api, 2026-06).
//! Each test shows the surprise with a plain client first, then what the backend makes of it.

use fm_agent::backend::{Clear, FailureKind, Query, Raise};
use fm_common::entity::EntityMatch;
use fm_common::{AlarmKey, Severity};
use fm_rest_sim::{Apply, SimConfig};
use serde_json::json;

use crate::support::{ALARM_ID, Bench, ENTITY, alarm, everything, log, post_500, raise, raw_body, usual};

#[tokio::test]
async fn a_set_of_an_active_alarm_adds_a_row() {
    let bench = Bench::platform();
    assert_eq!(bench.raw_set(&[]).await, 200);
    assert_eq!(bench.raw_set(&[]).await, 200);
    assert_eq!(bench.alarms().len(), 2);

    let given = usual();
    bench.raise(&given).await.unwrap();
    assert_eq!(bench.uuids(), std::slice::from_ref(&given.uuid), "both went, one came");
    bench.raise(&usual()).await.unwrap();
    assert_eq!(bench.uuids(), [given.uuid]);
}

#[tokio::test]
async fn more_rows_of_the_same_alarm_become_one_without_a_new_event() {
    let bench = Bench::platform();
    let given = usual();
    bench.raise(&given).await.unwrap();
    let time = given.alarm.timestamp.unwrap().to_iso();
    for _ in 0..2 {
        assert_eq!(
            bench
                .raw_set(&[
                    ("timestamp", json!(time)),
                    ("service_affecting", json!(true)),
                    ("suppression", json!(false)),
                    ("proposed_repair_action", json!(""))
                ])
                .await,
            200
        );
    }
    assert_eq!(bench.alarms().len(), 3);

    let again = Raise { standing: Some(given.uuid.clone()), ..usual() };
    assert_eq!(bench.raise(&again).await.unwrap(), Some(given.uuid.clone()));
    assert_eq!(bench.uuids(), [given.uuid]);
    assert_eq!(bench.events().iter().filter(|state| *state == "set").count(), 3);
}

#[tokio::test]
async fn a_set_with_an_active_uuid_is_an_empty_500() {
    let bench = Bench::platform();
    let given = usual();
    bench.raise(&given).await.unwrap();
    assert_eq!(bench.raw_set(&[("uuid", json!(given.uuid))]).await, 500);

    for in_doubt in [false, true] {
        let again = Raise { in_doubt, ..given.clone() };
        assert_eq!(bench.raise(&again).await.unwrap(), Some(given.uuid.clone()));
        assert!(!bench.requests().contains(&"POST alarms".to_owned()));
    }
    assert_eq!(bench.uuids(), [given.uuid]);
    assert_eq!(bench.events(), ["set"]);
}

#[tokio::test]
async fn a_set_with_a_used_uuid_is_a_500_that_stores_the_alarm_without_an_event() {
    let bench = Bench::platform();
    let given = usual();
    bench.raise(&given).await.unwrap();
    bench.clear(ENTITY).await.unwrap();
    assert_eq!(bench.raw_set(&[("uuid", json!(given.uuid))]).await, 500);
    assert_eq!(bench.uuids(), std::slice::from_ref(&given.uuid));
    bench.clear(ENTITY).await.unwrap();

    let delivered = bench.backend.raise(&given).await.unwrap();
    assert_eq!((delivered.uuid, delivered.unclear), (Some(given.uuid.clone()), true));
    assert_eq!(bench.uuids(), [given.uuid]);
}

#[tokio::test]
async fn a_lost_answer_hides_an_alarm_that_stands_without_its_event() {
    let bench = Bench::platform();
    bench.fault(post_500(Apply::AlarmOnly));
    assert_eq!(bench.raw_set(&[("entity_instance_id", json!("host=other"))]).await, 500);
    assert_eq!((bench.alarms().len(), bench.events().len()), (1, 0));

    bench.fault(post_500(Apply::AlarmOnly));
    let given = usual();
    let delivered = bench.backend.raise(&given).await.unwrap();
    assert_eq!((delivered.uuid, delivered.unclear), (Some(given.uuid), true));
    assert_eq!(bench.requests(), ["GET alarms", "POST alarms", "GET alarms/one"]);
    assert_eq!((bench.alarms().len(), bench.events().len()), (2, 0), "the event is the service's loss");
}

#[tokio::test]
async fn a_raise_in_doubt_that_was_taken_and_removed_is_not_repeated() {
    let bench = Bench::platform();
    let given = usual();
    bench.raise(&given).await.unwrap();
    assert_eq!(bench.raw("DELETE", &format!("alarms/{}", given.uuid), None).await.0, 204);

    let again = Raise { in_doubt: true, ..given };
    assert_eq!(bench.raise(&again).await.unwrap(), None);
    assert_eq!(bench.requests(), ["GET alarms", "GET event_log/one", "GET alarms/one", "GET event_log"]);
    assert_eq!((bench.alarms().len(), bench.events()), (0, vec!["set".to_owned(), "clear".to_owned()]));
}

#[tokio::test]
async fn a_raise_in_doubt_of_which_nothing_is_known_is_sent() {
    let bench = Bench::platform();
    let given = Raise { in_doubt: true, ..usual() };
    assert_eq!(bench.raise(&given).await.unwrap(), Some(given.uuid.clone()));
    assert_eq!(bench.requests(), ["GET alarms", "GET event_log/one", "POST alarms"]);
    assert_eq!((bench.uuids(), bench.events()), (vec![given.uuid], vec!["set".to_owned()]));
}

#[tokio::test]
async fn an_event_of_another_time_under_the_uuid_is_another_event() {
    let bench = Bench::platform();
    let mut given = usual();
    bench.raise(&given).await.unwrap();
    bench.clear(ENTITY).await.unwrap();
    given.alarm.timestamp = Some(fm_common::Timestamp::from_micros(1_795_341_600_000_000));
    given.in_doubt = true;
    assert_eq!(bench.raise(&given).await.unwrap(), Some(given.uuid.clone()));
    assert_eq!(bench.uuids(), [given.uuid]);
}

#[tokio::test]
async fn a_retry_of_a_stored_log_is_a_500() {
    let bench = Bench::platform();
    let mut given = log(alarm(ENTITY, "noted"));
    bench.backend.log(&given).await.unwrap();
    let again = raw_body(&[("uuid", json!(given.uuid)), ("alarm_state", json!("log"))]);
    assert_eq!(bench.raw("POST", "alarms", Some(again)).await.0, 500);

    given.in_doubt = true;
    bench.backend.log(&given).await.unwrap();
    assert_eq!(bench.requests(), ["GET event_log/one"]);
    assert_eq!(bench.events(), ["log"]);
}

#[tokio::test]
async fn a_clear_by_key_clears_none_of_two() {
    let bench = Bench::platform();
    let first = bench.plant(ALARM_ID, ENTITY, "minor");
    bench.plant(ALARM_ID, ENTITY, "major");
    let clear = raw_body(&[("alarm_state", json!("clear"))]);
    assert_eq!(bench.raw("POST", "alarms", Some(clear)).await.0, 500);
    assert_eq!(bench.alarms().len(), 2);

    let clear = Clear { key: AlarmKey::new(ALARM_ID, ENTITY), standing: Some(first) };
    bench.backend.clear(&clear).await.unwrap();
    assert_eq!(bench.requests(), ["GET alarms", "DELETE alarms/one", "DELETE alarms/one"]);
    assert_eq!((bench.alarms().len(), bench.events().len()), (0, 2));
}

#[tokio::test]
async fn a_clear_by_key_of_none_is_a_500() {
    let bench = Bench::platform();
    let clear = raw_body(&[("alarm_state", json!("clear"))]);
    assert_eq!(bench.raw("POST", "alarms", Some(clear)).await.0, 500);
    let (status, body) = bench.raw("DELETE", &format!("alarms/{}", usual().uuid), None).await;
    assert_eq!(status, 404, "{body}");

    bench.clear(ENTITY).await.unwrap();
    assert!(bench.events().is_empty());
}

#[tokio::test]
async fn an_alarm_id_that_the_service_does_not_know_is_a_500() {
    let bench = Bench::platform();
    assert_eq!(bench.raw_set(&[("alarm_id", json!("999.999"))]).await, 500);
    let logged = raw_body(&[("alarm_id", json!("999.999")), ("alarm_state", json!("log"))]);
    assert_eq!(bench.raw("POST", "alarms", Some(logged)).await.0, 200);

    let mut unknown = usual();
    unknown.alarm.alarm_id = "999.999".into();
    let failure = bench.raise(&unknown).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Rejected, false));
    assert!(failure.reason.contains("does not know the alarm id 999.999"), "{failure}");
    bench.backend.log(&log(unknown.alarm)).await.unwrap();
    // The same 500 for another reason is no refusal.
    bench.fault(post_500(Apply::Nothing));
    let failure = bench.raise(&usual()).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Retry, false));
}

#[tokio::test]
async fn a_severity_outside_the_five_breaks_every_list() {
    let bench = Bench::platform();
    let given = usual();
    bench.raise(&given).await.unwrap();
    assert_eq!(bench.raw_set(&[("severity", json!("cleared"))]).await, 200);
    assert_eq!(bench.raw("GET", "alarms", None).await.0, 500);
    let broken = bench.uuids().pop().unwrap();

    for severity in ["clear", "catastrophic"] {
        let mut bad = raise(alarm("host=other", "broken"));
        bad.alarm.severity = severity.into();
        let failure = bench.raise(&bad).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Rejected);
        assert!(failure.reason.contains(severity), "{failure}");
        assert!(bench.requests().is_empty(), "it was not even tried");
    }
    // A list has what can be shown, and what concerns one alarm goes on.
    let listed = bench.backend.list(&everything()).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].uuid.as_ref(), Some(&given.uuid));
    let worse = Raise { standing: Some(given.uuid), ..raise(alarm(ENTITY, "worse")) };
    assert_eq!(bench.raise(&worse).await.unwrap(), Some(worse.uuid.clone()));
    assert_eq!(bench.uuids(), [broken.clone(), worse.uuid]);
    bench.clear(ENTITY).await.unwrap();
    assert_eq!(bench.uuids(), std::slice::from_ref(&broken));
    // Nothing else stands: a list does not say that nothing stands, but what is wrong. This node has raised none.
    let failure = bench.backend.list(&everything()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Retry);
    assert!(failure.reason.contains("delete it by its uuid"), "{failure}");
    assert!(bench.backend.list_raised(&everything()).await.unwrap().is_empty());
    bench.clear_all(ENTITY, EntityMatch::Component).await.unwrap();
    assert_eq!(bench.uuids(), std::slice::from_ref(&broken));
    let clear = Clear { key: AlarmKey::new(ALARM_ID, ENTITY), standing: Some(broken) };
    bench.backend.clear(&clear).await.unwrap();
    assert!(bench.backend.list(&everything()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_named_port_breaks_the_containerized_service() {
    let port = "host=compute-1.port=eth0";
    let bench = Bench::containerized();
    assert_eq!(bench.raw_set(&[("entity_instance_id", json!(port))]).await, 200);
    assert_eq!(bench.raw("GET", "alarms", None).await.0, 500);
    assert_eq!(bench.raw("GET", "event_log", None).await.0, 500);

    let bench = Bench::containerized();
    let given = raise(alarm(port, "broken"));
    bench.raise(&given).await.unwrap();
    assert_eq!(bench.alarms()[0].entity_instance_id.as_deref(), Some("host=compute-1.port:eth0"));
    assert_eq!(bench.raw("GET", "alarms", None).await.0, 200);
    for query in [
        everything(),
        Query::one(&AlarmKey::new(ALARM_ID, port)),
        Query { entity_instance_id: Some(port.into()), ..everything() },
        Query { entity_instance_id: Some("host=compute-1".into()), ..everything() },
    ] {
        let listed = bench.backend.list(&query).await.unwrap();
        assert_eq!(listed[0].entity_instance_id, port, "{query:?}");
    }
    assert_eq!(bench.raise(&raise(alarm(port, "broken"))).await.unwrap(), Some(given.uuid.clone()));
    bench.clear(port).await.unwrap();
    assert!(bench.alarms().is_empty());
    bench.raise(&raise(alarm(port, "broken"))).await.unwrap();
    bench.clear_all(port, EntityMatch::Component).await.unwrap();
    assert!(bench.alarms().is_empty());
}

#[tokio::test]
async fn a_named_port_is_sent_to_the_platform_as_it_is() {
    let bench = Bench::platform();
    let port = "host=compute-1.port=eth0";
    bench.raise(&raise(alarm(port, "broken"))).await.unwrap();
    assert_eq!(bench.alarms()[0].entity_instance_id.as_deref(), Some(port));
    assert_eq!(bench.backend.list(&everything()).await.unwrap()[0].entity_instance_id, port);
}

#[tokio::test]
async fn another_writers_named_port_does_not_stop_its_host() {
    let bench = Bench::containerized();
    let known = usual();
    bench.raise(&known).await.unwrap();
    bench.plant(ALARM_ID, "host=compute-1.port=eth0", "minor");
    assert_eq!(bench.raw("GET", "alarms", None).await.0, 500);

    let worse = Raise { standing: Some(known.uuid), ..raise(alarm(ENTITY, "worse")) };
    bench.raise(&worse).await.unwrap();
    assert_eq!(bench.alarms().len(), 2);
    // Without a known uuid nobody can say what else stands under the key.
    let failure = bench.raise(&raise(alarm(ENTITY, "other"))).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Retry, false));
    let failure = bench.backend.list(&everything()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Retry, "nor is a list without it one");
}

#[tokio::test]
async fn text_over_255_characters_is_a_500() {
    let bench = Bench::platform();
    assert_eq!(bench.raw_set(&[("reason_text", json!("ä".repeat(256)))]).await, 500);

    let long = raise(alarm(&format!("host={}", "y".repeat(400)), &"ä".repeat(400)));
    bench.raise(&long).await.unwrap();
    assert_eq!(bench.alarms()[0].reason_text.as_deref(), Some("ä".repeat(255).as_str()));
    let entity = &long.alarm.entity_instance_id;
    assert_eq!(bench.one(ALARM_ID, entity).await.unwrap()[0].entity_instance_id, *entity);
    assert_eq!(bench.raise(&raise(long.alarm.clone())).await.unwrap(), Some(long.uuid), "the same alarm");
    // Another entity that begins with the same 255 characters is another alarm.
    bench.raise(&raise(alarm(&format!("{entity}z"), "other"))).await.unwrap();
    assert_eq!(bench.alarms().len(), 2);
    bench.clear(entity).await.unwrap();
    assert_eq!(bench.alarms()[0].reason_text.as_deref(), Some("other"));
}

#[tokio::test]
async fn four_byte_characters_are_a_500_on_mariadb() {
    let fire = "it burns \u{1F525}";
    let bench = Bench::containerized();
    assert_eq!(bench.raw_set(&[("reason_text", json!(fire))]).await, 500);

    let entity = "host=\u{1F525}";
    let given = raise(alarm(entity, fire));
    bench.raise(&given).await.unwrap();
    assert_eq!(bench.alarms()[0].reason_text.as_deref(), Some("it burns \u{FFFD}"));
    assert_eq!(bench.raise(&raise(alarm(entity, fire))).await.unwrap(), Some(given.uuid), "the same alarm");
    assert_eq!(bench.one(ALARM_ID, entity).await.unwrap()[0].entity_instance_id, entity);
    bench.clear(entity).await.unwrap();
    assert!(bench.alarms().is_empty());

    let bench = Bench::platform();
    bench.raise(&raise(alarm(entity, fire))).await.unwrap();
    assert_eq!(bench.alarms()[0].reason_text.as_deref(), Some(fire));
    assert_eq!(bench.one(ALARM_ID, entity).await.unwrap().len(), 1);
}

#[tokio::test]
async fn nul_is_a_500() {
    let bench = Bench::platform();
    assert_eq!(bench.raw_set(&[("reason_text", json!("a\0b"))]).await, 500);

    bench.raise(&raise(alarm("host=a\0b", "a\0b"))).await.unwrap();
    assert_eq!(bench.alarms()[0].reason_text.as_deref(), Some("a\u{FFFD}b"));
    bench.clear("host=a\0b").await.unwrap();
    assert!(bench.alarms().is_empty());
}

#[tokio::test]
async fn mariadb_takes_similar_entities_for_equal() {
    let bench = Bench::containerized();
    bench.plant(ALARM_ID, "host=c0", "minor");
    let clear = raw_body(&[("alarm_state", json!("clear")), ("entity_instance_id", json!("HÔST=C0 "))]);
    assert_eq!(bench.raw("POST", "alarms", Some(clear)).await.0, 200);
    assert!(bench.alarms().is_empty());

    let similar = ["host=c0", "HOST=C0", "hôst=c0", "host=c0 "];
    for entity in similar {
        bench.raise(&raise(alarm(entity, "broken"))).await.unwrap();
    }
    assert_eq!(bench.alarms().len(), similar.len());
    assert_eq!(bench.one(ALARM_ID, "HOST=C0").await.unwrap().len(), 1);
    bench.clear("HOST=C0").await.unwrap();
    let left: Vec<_> = bench.alarms().into_iter().filter_map(|alarm| alarm.entity_instance_id).collect();
    assert_eq!(left, ["host=c0", "hôst=c0", "host=c0 "]);
}

#[tokio::test]
async fn suppressed_alarms_are_hidden_from_lists() {
    let bench = Bench::platform();
    let given = usual();
    bench.raise(&given).await.unwrap();
    bench.sim.suppress(ALARM_ID, true).unwrap();
    assert_eq!(bench.raw("GET", "alarms", None).await.1["alarms"], json!([]));

    assert_eq!(bench.raise(&usual()).await.unwrap(), Some(given.uuid), "it still stands");
    assert_eq!(bench.one(ALARM_ID, ENTITY).await.unwrap().len(), 1);
    let hidden = Query { include_suppressed: false, ..everything() };
    assert!(bench.backend.list(&hidden).await.unwrap().is_empty());
    bench.clear(ENTITY).await.unwrap();
    assert!(bench.alarms().is_empty());
    bench.raise(&usual()).await.unwrap();
    bench.clear_all(ENTITY, EntityMatch::Component).await.unwrap();
    assert!(bench.alarms().is_empty());
}

#[tokio::test]
async fn masked_alarms_are_hidden_everywhere_and_can_be_deleted() {
    let bench = Bench::platform();
    let given = usual();
    bench.raise(&given).await.unwrap();
    bench.sim.mask_alarm(&given.uuid, true).unwrap();
    assert_eq!(bench.raw("GET", &format!("alarms/{}", given.uuid), None).await.0, 404);

    assert!(bench.one(ALARM_ID, ENTITY).await.unwrap().is_empty());
    let worse = Raise { standing: Some(given.uuid), ..raise(alarm(ENTITY, "worse")) };
    bench.raise(&worse).await.unwrap();
    assert_eq!(bench.uuids(), std::slice::from_ref(&worse.uuid), "not a second one beside it");
    bench.sim.mask_alarm(&worse.uuid, true).unwrap();
    let clear = Clear { key: AlarmKey::new(ALARM_ID, ENTITY), standing: Some(worse.uuid) };
    bench.backend.clear(&clear).await.unwrap();
    assert!(bench.alarms().is_empty());
}

#[tokio::test]
async fn wildcards_in_a_filter_are_live() {
    let bench = Bench::platform();
    let entities = ["host=c%0", "host=c_0", r"host=c\0", "host=cx0"];
    for entity in entities {
        bench.raise(&raise(alarm(entity, "broken"))).await.unwrap();
    }
    assert_eq!(bench.alarms().len(), entities.len());
    let listed =
        bench.raw("GET", "alarms?q.field=entity_instance_id&q.op=eq&q.value=host%3Dc_0", None).await.1;
    assert_eq!(listed["alarms"].as_array().map(Vec::len), Some(4), "the service takes _ for any character");

    for entity in entities {
        assert_eq!(bench.one(ALARM_ID, entity).await.unwrap().len(), 1, "{entity}");
        let query = Query { entity_instance_id: Some(entity.into()), ..everything() };
        assert_eq!(bench.backend.list(&query).await.unwrap().len(), 1, "{entity}");
    }
    bench.clear("host=c%0").await.unwrap();
    bench.clear(r"host=c\0").await.unwrap();
    assert_eq!(bench.alarms().len(), 2);
}

#[tokio::test]
async fn two_parallel_deletes_of_one_alarm_may_both_succeed() {
    let config = SimConfig { race_window: std::time::Duration::from_millis(300), ..SimConfig::default() };
    let bench = Bench::new(config);
    let planted = bench.plant(ALARM_ID, ENTITY, "minor");
    let path = format!("alarms/{planted}");
    let (first, second) = tokio::join!(bench.raw("DELETE", &path, None), bench.raw("DELETE", &path, None));
    assert_eq!((first.0, second.0), (204, 204));
    assert_eq!(bench.events(), ["clear", "clear"]);

    // One clear sends its requests one after the other, whichever way it knows of the alarm.
    let planted = bench.plant(ALARM_ID, ENTITY, "minor");
    let clear = Clear { key: AlarmKey::new(ALARM_ID, ENTITY), standing: Some(planted) };
    bench.backend.clear(&clear).await.unwrap();
    assert_eq!(bench.requests(), ["GET alarms", "DELETE alarms/one"]);
    assert_eq!(bench.events().len(), 3);
}

#[tokio::test]
async fn at_the_cap_of_the_event_log_writes_fail_and_are_done_or_not() {
    let bench = Bench::platform();
    bench.sim.set_event_cap(10);
    bench.sim.fill_event_log(10).unwrap();
    bench.sim.set_collision_probability(1.0, 1);
    assert_eq!(bench.raw_set(&[("entity_instance_id", json!("host=other"))]).await, 500);
    let other = bench.uuids().pop().unwrap();
    assert_eq!(bench.raw("DELETE", &format!("alarms/{other}"), None).await.0, 404);
    assert!(bench.alarms().is_empty(), "the 500 had stored it, the 404 had deleted it");

    let given = usual();
    let delivered = bench.backend.raise(&given).await.unwrap();
    assert_eq!((delivered.uuid, delivered.unclear), (Some(given.uuid), true));
    bench.clear(ENTITY).await.unwrap();
    assert!(bench.alarms().is_empty());
    let mut noted = log(alarm(ENTITY, "noted"));
    let failure = bench.backend.log(&noted).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Retry, false));
    bench.sim.set_collision_probability(0.0, 1);
    noted.in_doubt = true;
    bench.backend.log(&noted).await.unwrap();
    assert_eq!(bench.events().iter().filter(|state| *state == "log").count(), 10);
    assert_eq!(bench.sim.events().unwrap().iter().filter(|event| event.fields.uuid == noted.uuid).count(), 1);
}

#[tokio::test]
async fn a_database_that_is_down_makes_the_service_unavailable() {
    let bench = Bench::platform();
    bench.sim.set_database_down(true).unwrap();
    assert_eq!(bench.raw("GET", "", None).await.0, 200, "the root says nothing about health");
    assert_eq!(bench.raw_set(&[]).await, 500);

    let failure = bench.backend.probe().await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable, "{failure}");
    let failure = bench.raise(&usual()).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, false), "{failure}");
    let again = Raise { in_doubt: true, ..usual() };
    let failure = bench.raise(&again).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, true), "{failure}");
    let failure = bench.backend.log(&log(alarm(ENTITY, "noted"))).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, true), "{failure}");
    assert_eq!(bench.backend.list(&everything()).await.unwrap_err().kind, FailureKind::Unavailable);
    bench.sim.set_database_down(false).unwrap();
    bench.raise(&again).await.unwrap();
    assert_eq!(bench.alarms().len(), 1);
}

#[tokio::test]
async fn logs_carry_severities_that_alarms_may_not() {
    let bench = Bench::platform();
    let mut noted = log(alarm(ENTITY, "noted"));
    noted.alarm.severity = Severity::Clear;
    bench.backend.log(&noted).await.unwrap();
    assert_eq!(bench.sim.events().unwrap()[0].severity.as_deref(), Some("none"));
}
