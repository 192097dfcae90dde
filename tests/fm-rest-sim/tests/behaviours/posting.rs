//! POST /v1/alarms: what a body may hold and what each state does.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure ends the test")]

use fm_rest_sim::{AlarmRow, Dialect};
use reqwest::Method;
use serde_json::{Value, json};

use crate::bench::{Bench, alarm, alarm_with, behaviours};

const UUID: &str = "3f0e2f2a-0000-4000-8000-00000000000a";

fn stored(bench: &Bench) -> AlarmRow {
    bench.sim.alarms().unwrap().pop().unwrap()
}

fn states(bench: &Bench) -> Vec<String> {
    bench.sim.events().unwrap().iter().map(|event| event.alarm_state.clone().unwrap()).collect()
}

behaviours! {
    the_answer_is_json_inside_json, "A POST answers a JSON text that holds JSON.", |bench| {
        let answer = bench.post(&alarm_with("host=c0", &json!({"uuid": UUID})));
        assert_eq!(answer.body, format!("\"{{\\\"uuid\\\": \\\"{UUID}\\\"}}\""));
    };
    six_keys_are_mandatory_for_every_state, "Each missing key is a 400, for clear and log too.", |bench| {
        for state in ["set", "clear", "log", "msg", "other"] {
            for key in
                ["alarm_id", "alarm_state", "entity_instance_id", "severity", "alarm_type", "probable_cause"]
            {
                let mut body = alarm_with("host=c0", &json!({"alarm_state": state}));
                body.as_object_mut().unwrap().remove(key);
                let answer = bench.post(&body);
                assert_eq!(answer.status, 400, "{state} {key}");
                assert!(answer.fault_string().contains(key));
                assert_eq!(answer.error()["faultcode"], "Client");
                assert!(answer.error().as_object().unwrap().contains_key("debuginfo"));
            }
        }
    };
    mandatory_keys_are_strings, "A number or an object where text belongs is a 400.", |bench| {
        for key in ["alarm_id", "severity", "probable_cause", "reason_text"] {
            for value in [json!(1), json!({}), json!(true)] {
                assert_eq!(bench.post(&alarm_with("host=c0", &json!({key: value}))).status, 400, "{key}");
            }
        }
    };
    a_body_that_is_no_json_object, "No JSON, an array, a text: 400.", |bench| {
        let token = bench.token();
        let headers = [("x-auth-token", token.as_str()), ("content-type", "application/json")];
        let url = format!("{}/v1/alarms", bench.sim.url());
        for body in ["{", "[]", "\"x\"", "null", ""] {
            let answer = bench.send(Method::POST, &url, &headers, Some(body.as_bytes().to_vec())).unwrap();
            assert_eq!(answer.status, 400, "{body}");
        }
    };
    uuid_is_stored_as_it_is, "Any uuid text is stored as it is; without one the service makes one.", |bench| {
        for uuid in [UUID.to_uppercase(), UUID.replace("0a", "0b").replace('-', "")] {
            assert_eq!(bench.post(&alarm_with("host=c0", &json!({"uuid": uuid}))).uuid(), uuid);
            assert_eq!(stored(bench).uuid, uuid);
        }
        assert_eq!(bench.raise("100.101", "host=c0").len(), 36);
    };
    a_bad_uuid_is_a_400, "An empty or garbage uuid is a 400.", |bench| {
        for uuid in ["", "garbage", "3f0e2f2a-0000-4000-8000-00000000000"] {
            assert_eq!(bench.post(&alarm_with("host=c0", &json!({"uuid": uuid}))).status, 400, "{uuid}");
        }
    };
    without_a_timestamp_it_stays_null, "The alarm's timestamp stays null; its event has the server's time.", |bench| {
        let mut body = alarm("100.101", "host=c0");
        body.as_object_mut().unwrap().remove("timestamp");
        let uuid = bench.post(&body).uuid();
        assert_eq!(bench.get(&format!("/v1/alarms/{uuid}")).json()["timestamp"], Value::Null);
        assert!(bench.sim.events().unwrap()[0].timestamp.as_deref().unwrap().starts_with("20"));
    };
    timestamp_forms, "T or space, any fraction digits of which 6 are kept, offsets by database, garbage 400.", |bench| {
        let with_offset = match bench.dialect {
            Dialect::PostgreSql => "2026-06-01T08:20:30",
            Dialect::MariaDb => "2026-06-01T10:20:30",
        };
        for (sent, kept) in [
            ("2026-06-01T10:20:30", "2026-06-01T10:20:30"),
            ("2026-06-01 10:20:30.5", "2026-06-01T10:20:30.500000"),
            ("2026-06-01T10:20:30.123456789", "2026-06-01T10:20:30.123456"),
            ("2026-06-01T10:20:30+02:00", with_offset),
        ] {
            let uuid = bench.post(&alarm_with("host=c0", &json!({"timestamp": sent}))).uuid();
            assert_eq!(bench.get(&format!("/v1/alarms/{uuid}")).json()["timestamp"], kept, "{sent}");
        }
        assert_eq!(bench.post(&alarm_with("host=c0", &json!({"timestamp": "now"}))).status, 400);
    };
    optional_texts_may_be_null, "entity_type_id, reason_text, proposed_repair_action: text or null.", |bench| {
        let nulls = json!({"entity_type_id": null, "reason_text": null, "proposed_repair_action": null});
        let uuid = bench.post(&alarm_with("host=c0", &nulls)).uuid();
        assert_eq!(bench.get(&format!("/v1/alarms/{uuid}")).json()["reason_text"], Value::Null);
    };
    booleans_must_be_booleans, "The strings \"True\" and \"False\" are a 400.", |bench| {
        for key in ["service_affecting", "suppression"] {
            for value in ["True", "False", "true"] {
                assert_eq!(bench.post(&alarm_with("host=c0", &json!({key: value}))).status, 400);
            }
            bench.post(&alarm_with("host=c0", &json!({key: true}))).uuid();
        }
    };
    unknown_attributes_are_refused, "inhibit_alarms, keep_existing_alarm, masked, id, any other: 400, even when null.", |bench| {
        for key in ["inhibit_alarms", "keep_existing_alarm", "masked", "id", "colour"] {
            for value in [json!(null), json!(false)] {
                let answer = bench.post(&alarm_with("host=c0", &json!({key: value})));
                assert_eq!(answer.status, 400, "{key}");
                assert!(answer.fault_string().starts_with("Unknown attribute"), "{answer:?}");
            }
        }
    };
    columns_hold_255_characters, "256 characters are an empty 500, 255 of any width are stored.", |bench| {
        for key in ["entity_instance_id", "reason_text", "proposed_repair_action", "probable_cause", "entity_type_id"] {
            bench.post(&alarm_with("host=c0", &json!({key: "ü".repeat(255)}))).uuid();
            bench.post(&alarm_with("host=c0", &json!({key: "ü".repeat(256)}))).assert_empty_500();
        }
        assert_eq!(bench.sim.alarms().unwrap().len(), 5);
        bench.post(&alarm_with("host=c0", &json!({"alarm_state": "log", "reason_text": "x".repeat(256)}))).assert_empty_500();
    };
    severity_type_and_cause_are_not_checked, "Any text is stored.", |bench| {
        let odd = json!({"severity": "purple", "alarm_type": "odd", "probable_cause": "bad luck"});
        bench.post(&alarm_with("host=c0", &odd)).uuid();
        assert_eq!(stored(bench).severity.as_deref(), Some("purple"));
    };
    a_null_alarm_id_is_never_shown, "Null alarm_id stores an alarm that no GET shows.", |bench| {
        let uuid = bench.post(&alarm_with("host=c0", &json!({"alarm_id": null}))).uuid();
        assert_eq!(stored(bench).uuid, uuid);
        assert!(bench.listed("?include_suppress=1").is_empty());
        assert_eq!(bench.get(&format!("/v1/alarms/{uuid}")).status, 404);
    };
    set_writes_the_alarm_and_an_event_with_its_uuid, "set: alarm row, then event row with the same uuid.", |bench| {
        let uuid = bench.raise("100.101", "host=c0");
        let (alarms, events) = (bench.sim.alarms().unwrap(), bench.sim.events().unwrap());
        assert_eq!((alarms.len(), events.len()), (1, 1));
        assert_eq!((&alarms[0].uuid, &events[0].uuid), (&uuid, &uuid));
        assert_eq!(events[0].fields, alarms[0].fields);
        assert!(alarms[0].stored_at <= events[0].stored_at);
    };
    log_and_msg_write_an_event_only, "log, msg: kept as log; the alarm id may be unknown.", |bench| {
        for state in ["log", "msg"] {
            let mut body = alarm("900.999", "host=c0");
            body["alarm_state"] = json!(state);
            let uuid = bench.post(&body).uuid();
            assert_eq!(bench.get(&format!("/v1/event_log/{uuid}")).json()["state"], "log");
        }
        assert!(bench.sim.alarms().unwrap().is_empty());
        assert_eq!(states(bench), ["log", "log"]);
    };
    clear_with_uuid_ignores_the_key, "clear with uuid: that row goes, whatever the key says.", |bench| {
        let (first, second) = (bench.raise("100.101", "host=c0"), bench.raise("100.101", "host=c1"));
        let mut body = alarm_with("host=c1", &json!({"alarm_state": "clear", "uuid": first}));
        body["alarm_id"] = json!("no.such");
        assert_eq!(bench.post(&body).uuid(), first);
        assert_eq!(bench.listed(""), [second]);
    };
    clear_by_key, "clear without uuid: the single row with that key goes; the answer has the old uuid.", |bench| {
        let (first, second) = (bench.raise("100.101", "host=c0"), bench.raise("100.101", "host=c1"));
        assert_eq!(bench.post(&alarm_with("host=c0", &json!({"alarm_state": "clear"}))).uuid(), first);
        assert_eq!(bench.listed(""), [second]);
    };
    a_clear_event_copies_the_alarm, "A clear's event copies the stored alarm, with a new uuid and the server's time.", |bench| {
        let uuid = bench.raise("100.101", "host=c0");
        bench.post(&alarm_with("host=c0", &json!({"alarm_state": "clear", "reason_text": "other", "severity": "minor"}))).uuid();
        let deleted = bench.raise("100.101", "host=c0");
        assert_eq!(bench.delete(&format!("/v1/alarms/{deleted}")).status, 204);
        assert_eq!(states(bench), ["set", "clear", "set", "clear"]);
        for event in bench.sim.events().unwrap().iter().filter(|event| event.alarm_state.as_deref() == Some("clear")) {
            assert_eq!(event.reason_text.as_deref(), Some("because"));
            assert_eq!(event.severity.as_deref(), Some("major"));
            assert!(event.uuid != uuid && event.uuid != deleted);
            assert_ne!(event.timestamp.as_deref(), Some("2026-06-01T10:20:30.123456"));
        }
    };
    another_state_is_an_empty_500, "Any other alarm_state: empty 500.", |bench| {
        for state in [json!("Set"), json!("raise"), json!(""), json!(null)] {
            bench.post(&alarm_with("host=c0", &json!({"alarm_state": state}))).assert_empty_500();
        }
        assert!(bench.sim.alarms().unwrap().is_empty() && bench.sim.events().unwrap().is_empty());
    };
    every_failure_of_post_looks_the_same, "Not found, duplicate, unknown id, too long, bad state: one empty 500.", |bench| {
        bench.post(&alarm_with("host=c0", &json!({"uuid": UUID}))).uuid();
        for changes in [
            json!({"alarm_state": "clear", "entity_instance_id": "host=none"}),
            json!({"alarm_state": "clear", "uuid": UUID.replace("0a", "0c")}),
            json!({"uuid": UUID}),
            json!({"alarm_id": "no.such"}),
            json!({"reason_text": "x".repeat(256)}),
            json!({"alarm_state": "bad"}),
        ] {
            bench.post(&alarm_with("host=c0", &changes)).assert_empty_500();
        }
        assert_eq!(bench.sim.alarms().unwrap().len(), 1);
    };
    put_never_works, "PUT is an empty 500 and changes nothing, by uuid and by number.", |bench| {
        let uuid = bench.raise("100.101", "host=c0");
        let before = bench.sim.alarms().unwrap();
        for id in [uuid.as_str(), "1"] {
            let body = alarm_with("host=c0", &json!({"severity": "minor"}));
            bench.call(Method::PUT, &format!("/v1/alarms/{id}"), Some(&body)).assert_empty_500();
        }
        assert_eq!(bench.sim.alarms().unwrap(), before);
    };
}
