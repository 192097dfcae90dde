//! GET, DELETE and the suppression table.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure ends the test")]

use std::collections::BTreeSet;

use fm_rest_sim::{AlarmFields, NewAlarm, catalogue_alarm_types};
use reqwest::Method;
use serde_json::{Value, json};

use crate::bench::{Bench, alarm_with, behaviours};

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn filter(field: &str, value: &str) -> String {
    let value = value.replace('%', "%25").replace('=', "%3D").replace(' ', "%20");
    format!("q.field={field}&q.op=eq&q.value={value}")
}

fn insert_many(bench: &Bench, count: usize) {
    for number in 0..count {
        bench.sim.insert_alarm(NewAlarm::new("100.101", &format!("host=c{number:05}"), "minor")).unwrap();
    }
}

/// The row of an alarm id in the suppression table.
fn suppression(bench: &Bench, alarm_id: &str) -> Value {
    bench.get(&format!("/v1/event_suppression?{}", filter("alarm_id", alarm_id))).json()["event_suppression"]
        [0]
    .clone()
}

behaviours! {
    the_attributes_of_a_list, "The short form has nine attributes, expand seven more; no numeric id.", |bench| {
        bench.raise("100.101", "host=c0");
        let short = BTreeSet::from(["uuid", "alarm_id", "entity_instance_id", "timestamp", "severity",
            "reason_text", "suppression_status", "mgmt_affecting", "degrade_affecting"]);
        let more = BTreeSet::from(["alarm_state", "entity_type_id", "alarm_type", "probable_cause",
            "proposed_repair_action", "service_affecting", "suppression"]);
        let list = bench.get("/v1/alarms").json();
        assert_eq!(keys(&list), BTreeSet::from(["alarms"]));
        assert_eq!(keys(&list["alarms"][0]), short);
        assert_eq!(keys(&bench.get("/v1/alarms?expand=1").json()["alarms"][0]), &short | &more);
    };
    booleans_and_their_strings, "service_affecting and suppression are booleans; mgmt_ and degrade_affecting are \"True\" or \"False\".", |bench| {
        // 100.101 hinders management from major on and degrades from critical on.
        let uuid = bench.raise("100.101", "host=c0");
        let shown = bench.get(&format!("/v1/alarms/{uuid}")).json();
        assert_eq!((&shown["service_affecting"], &shown["suppression"]), (&json!(true), &json!(false)));
        assert_eq!((&shown["mgmt_affecting"], &shown["degrade_affecting"]), (&json!("True"), &json!("False")));
        let minor = bench.post(&alarm_with("host=c1", &json!({"severity": "minor"}))).uuid();
        assert_eq!(bench.get(&format!("/v1/alarms/{minor}")).json()["mgmt_affecting"], "False");
    };
    timestamps_are_naive, "Naive ISO time, six fraction digits or none when zero.", |bench| {
        for (sent, shown) in [("2026-06-01T10:20:30.12", "2026-06-01T10:20:30.120000"), ("2026-06-01T10:20:30.0", "2026-06-01T10:20:30")] {
            bench.post(&alarm_with("host=c0", &json!({"timestamp": sent}))).uuid();
            let list = bench.get("/v1/alarms").json();
            assert_eq!(list["alarms"].as_array().unwrap().last().unwrap()["timestamp"], shown);
        }
    };
    filters_mean_contains, "Each of six fields filters by 'contains'.", |bench| {
        let mut other = alarm_with("vm=x", &json!({"severity": "minor", "alarm_type": "other", "entity_type_id": "vm"}));
        other["alarm_id"] = json!("200.001");
        let (one, two) = (bench.raise("100.101", "host=c0"), bench.post(&other).uuid());
        for (field, value, found) in [
            ("uuid", &one[3..20], &one), ("alarm_id", "0.10", &one), ("entity_type_id", "os", &one),
            ("entity_instance_id", "st=c", &one), ("severity", "ajo", &one), ("alarm_type", "quip", &one),
            ("severity", "minor", &two), ("alarm_id", "200", &two),
        ] {
            assert_eq!(bench.listed(&format!("?{}", filter(field, value))), std::slice::from_ref(found), "{field}");
        }
        assert!(bench.listed(&format!("?{}", filter("alarm_id", "300"))).is_empty());
    };
    sql_wildcards_are_live, "% and _ in a filter match as in SQL LIKE.", |bench| {
        let uuid = bench.raise("100.101", "host=compute-10");
        for value in ["host=%10", "c_mpute", "%", ""] {
            assert_eq!(bench.listed(&format!("?{}", filter("entity_instance_id", value))), std::slice::from_ref(&uuid), "{value}");
        }
        assert!(bench.listed(&format!("?{}", filter("entity_instance_id", "c__mpute"))).is_empty());
    };
    different_fields_are_anded_the_same_one_counts_last, "Filters are AND-ed; of one field twice the last wins.", |bench| {
        let (one, _) = (bench.raise("100.101", "host=c0"), bench.raise("100.101", "host=c1"));
        let both = format!("?{}&{}", filter("entity_instance_id", "c0"), filter("alarm_id", "100.101"));
        assert_eq!(bench.listed(&both), std::slice::from_ref(&one));
        let neither = format!("?{}&{}", filter("entity_instance_id", "c0"), filter("alarm_id", "200"));
        assert!(bench.listed(&neither).is_empty());
        let last = format!("?{}&{}", filter("entity_instance_id", "c1"), filter("entity_instance_id", "c0"));
        assert_eq!(bench.listed(&last), [one]);
    };
    another_operator_drops_the_filter, "Any op but eq drops the filter silently.", |bench| {
        bench.raise("100.101", "host=c0");
        for op in ["ne", "lt", "le", "gt", "ge", "like"] {
            assert_eq!(bench.listed(&format!("?q.field=alarm_id&q.op={op}&q.value=300")).len(), 1, "{op}");
        }
    };
    unknown_field_and_parameter, "An unknown field is a 500, an unknown parameter a 400.", |bench| {
        bench.get(&format!("/v1/alarms?{}", filter("colour", "red"))).assert_500_with_text();
        let answer = bench.get("/v1/alarms?colour=red");
        assert_eq!(answer.status, 400);
        assert!(answer.fault_string().contains("colour"));
    };
    limits, "Default and most 2000, 0 means 2000; negative and garbage are a 400.", |bench| {
        insert_many(bench, 2001);
        for query in ["", "?limit=0", "?limit=2000", "?limit=5000"] {
            assert_eq!(bench.listed(query).len(), 2000, "{query}");
        }
        assert_eq!(bench.listed("?limit=3").len(), 3);
        for query in ["?limit=-1", "?limit=x"] {
            assert_eq!(bench.get(&format!("/v1/alarms{query}")).status, 400, "{query}");
        }
        assert_eq!(bench.get("/v1/alarms/summary").json()["minor"], 2001);
    };
    next_shows_on_a_full_page_and_leads_nowhere, "next shows whenever the page is full; following it is a 500.", |bench| {
        insert_many(bench, 2);
        assert!(bench.get("/v1/alarms?limit=3").json().get("next").is_none());
        let full = bench.get("/v1/alarms?limit=2").json();
        let next = full["next"].as_str().unwrap();
        assert!(next.starts_with(&bench.sim.url()), "{next}");
        bench.get(next.strip_prefix(&bench.sim.url()).unwrap()).assert_500_with_text();
    };
    the_order_of_a_list, "By severity alphabetically, entity, id.", |bench| {
        let mut raised = Vec::new();
        for (entity, severity) in [("b", "warning"), ("b", "critical"), ("a", "minor"), ("a", "critical"), ("b", "major"), ("a", "critical")] {
            raised.push(bench.post(&alarm_with(entity, &json!({"severity": severity}))).uuid());
        }
        let expected: Vec<String> = [3, 5, 1, 4, 2, 0].iter().map(|at| raised[*at].clone()).collect();
        assert_eq!(bench.listed("?sort_key=id&sort_dir=desc"), expected);
        assert_eq!(bench.get("/v1/alarms?sort_dir=up").status, 400);
    };
    any_text_is_true, "`include_suppress` and expand: any non-empty value is true, 'false' too.", |bench| {
        bench.raise("100.101", "host=c0");
        bench.sim.suppress("100.101", true).unwrap();
        for (value, shown) in [("1", 1), ("true", 1), ("false", 1), ("0", 1), ("", 0)] {
            assert_eq!(bench.listed(&format!("?include_suppress={value}")).len(), shown, "{value}");
            let expanded = bench.get(&format!("/v1/alarms?include_suppress=1&expand={value}")).json();
            assert_eq!(expanded["alarms"][0].get("alarm_state").is_some(), shown == 1, "{value}");
        }
    };
    get_by_uuid, "The full record, suppressed included; 404 if absent.", |bench| {
        let uuid = bench.raise("100.101", "host=c0");
        bench.sim.suppress("100.101", true).unwrap();
        let shown = bench.get(&format!("/v1/alarms/{uuid}")).json();
        assert_eq!((&shown["alarm_state"], &shown["suppression_status"]), (&json!("set"), &json!("suppressed")));
        let absent = bench.get(&format!("/v1/alarms/{NOBODY}"));
        assert_eq!(absent.status, 404);
        assert_eq!(absent.fault_string(), format!("Alarm {NOBODY} could not be found."));
    };
    the_summary, "critical, major, minor, warnings and a status.", |bench| {
        let summary = || bench.get("/v1/alarms/summary").json();
        assert_eq!(summary(), json!({"critical": 0, "major": 0, "minor": 0, "warnings": 0, "status": "OK"}));
        for (severity, status) in [("warning", "OK"), ("minor", "degraded"), ("major", "degraded"), ("critical", "critical")] {
            bench.post(&alarm_with("host=c0", &json!({"severity": severity}))).uuid();
            assert_eq!(summary()["status"], status);
        }
        assert_eq!(summary(), json!({"critical": 1, "major": 1, "minor": 1, "warnings": 1, "status": "critical"}));
    };
    detail_is_always_404, "/v1/alarms/detail: 404.", |bench| {
        assert_eq!(bench.get("/v1/alarms/detail").status, 404);
    };
    delete, "204 and a clear event; again: 404.", |bench| {
        let uuid = bench.raise("100.101", "host=c0");
        let answer = bench.delete(&format!("/v1/alarms/{uuid}"));
        assert_eq!((answer.status, answer.body.as_str()), (204, ""));
        assert_eq!(bench.sim.events().unwrap().len(), 2);
        let again = bench.delete(&format!("/v1/alarms/{uuid}"));
        assert_eq!((again.status, again.fault_string()), (404, format!("Alarm {uuid} could not be found.")));
    };
    event_by_uuid, "GET /v1/event_log/{uuid}: the event, or 404.", |bench| {
        let uuid = bench.raise("100.101", "host=c0");
        let event = bench.get(&format!("/v1/event_log/{uuid}")).json();
        assert_eq!((&event["event_log_id"], &event["state"], &event["event_log_type"]),
            (&json!("100.101"), &json!("set"), &json!("equipment")));
        assert_eq!(bench.get(&format!("/v1/event_log/{NOBODY}")).status, 404);
    };
    event_lists, "alarms=1, logs=1, start, end and contains-filters; newest time first.", |bench| {
        for (day, state, alarm_id) in [(1, "set", "100.101"), (2, "log", "700.001"), (3, "set", "200.001")] {
            let mut body = alarm_with(&format!("host=c{day}"), &json!({"alarm_state": state, "timestamp": format!("2026-06-0{day}T00:00:00")}));
            body["alarm_id"] = json!(alarm_id);
            bench.post(&body).uuid();
        }
        let ids = |query: &str| -> Vec<String> {
            let list = bench.get(&format!("/v1/event_log{query}")).json();
            list["event_log"].as_array().unwrap().iter().map(|event| event["event_log_id"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(ids(""), ["200.001", "700.001", "100.101"]);
        assert_eq!(ids("?alarms=1"), ["200.001", "100.101"]);
        assert_eq!(ids("?logs=1"), ["700.001"]);
        assert_eq!(ids("?alarms=1&logs=1").len(), 3);
        assert_eq!(ids(&format!("?{}", filter("start", "2026-06-02T00:00:00"))), ["200.001", "700.001"]);
        assert_eq!(ids(&format!("?{}", filter("end", "2026-06-02T00:00:00"))), ["700.001", "100.101"]);
        for (field, value) in [("event_log_id", "00.0"), ("entity_instance_id", "c3"), ("severity", "majo"), ("entity_type_id", "ost")] {
            assert!(ids(&format!("?{}", filter(field, value))).contains(&"200.001".to_owned()), "{field}");
        }
        assert_eq!(ids(&format!("?{}", filter("entity_instance_id", "c_"))).len(), 3);
        bench.get(&format!("/v1/event_log?{}", filter("colour", "red"))).assert_500_with_text();
        assert_eq!(ids("?limit=1"), ["200.001"]);
    };
    the_suppression_list, "The 135 alarm types and nothing else, by alarm id; log types are absent.", |bench| {
        let list = bench.get("/v1/event_suppression").json();
        let ids: Vec<&str> = list["event_suppression"].as_array().unwrap().iter().map(|row| row["alarm_id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), 135);
        assert!(ids.is_sorted());
        let known: BTreeSet<String> = catalogue_alarm_types().into_iter().map(|kind| kind.alarm_id).collect();
        assert_eq!(known, ids.iter().map(|id| (*id).to_owned()).collect());
        assert!(!ids.contains(&"200.020") && !ids.contains(&"700.201"), "log types");
    };
    suppression_filters_are_exact, "uuid, alarm_id, description, suppression_status: exact; any limit is a 500.", |bench| {
        let row = suppression(bench, "100.101");
        for field in ["uuid", "alarm_id", "description"] {
            let query = filter(field, row[field].as_str().unwrap());
            let list = bench.get(&format!("/v1/event_suppression?{query}")).json();
            assert_eq!(list["event_suppression"], json!([row]), "{field}");
        }
        for query in [filter("alarm_id", "100.10"), filter("alarm_id", "100.%"), filter("suppression_status", "suppressed")] {
            assert_eq!(bench.get(&format!("/v1/event_suppression?{query}")).json()["event_suppression"], json!([]));
        }
        for limit in ["1", "0", "2000"] {
            bench.get(&format!("/v1/event_suppression?limit={limit}")).assert_500_with_text();
        }
        assert_eq!(bench.get(&format!("/v1/event_suppression/{}", row["uuid"].as_str().unwrap())).json()["alarm_id"], "100.101");
        assert_eq!(bench.get(&format!("/v1/event_suppression/{NOBODY}")).status, 400);
    };
    suppression_is_patched, "PATCH with a replace of /suppression_status hides and shows; an unknown uuid is a 400.", |bench| {
        bench.raise("100.101", "host=c0");
        let path = format!("/v1/event_suppression/{}", suppression(bench, "100.101")["uuid"].as_str().unwrap());
        let replace = |path: &str, field: &str, value: &str| {
            bench.call(Method::PATCH, path, Some(&json!([{"path": field, "op": "replace", "value": value}])))
        };
        let answer = replace(&path, "/suppression_status", "suppressed");
        assert_eq!((answer.status, &answer.json()["suppression_status"]), (200, &json!("suppressed")));
        assert!(bench.listed("").is_empty());
        assert_eq!(replace(&path, "/suppression_status", "unsuppressed").status, 200);
        assert_eq!(bench.listed("").len(), 1);
        assert_eq!(replace(&path, "/suppression_status", "maybe").status, 400);
        assert_eq!(replace(&path, "/alarm_id", "x").status, 400);
        assert_eq!(replace(&format!("/v1/event_suppression/{NOBODY}"), "/suppression_status", "suppressed").status, 400);
    };
    rows_of_another_writer, "Rows put in beside the service are read like its own.", |bench| {
        let alarm = NewAlarm::new("100.101", "host=c0", "major");
        let fields = AlarmFields { reason_text: Some("by the manager".to_owned()), ..alarm.fields };
        let row = bench.sim.insert_alarm(NewAlarm { fields, masked: false }).unwrap();
        assert_eq!(bench.get(&format!("/v1/alarms/{}", row.uuid)).json()["reason_text"], "by the manager");
        bench.sim.remove_alarm(&row.uuid).unwrap();
        assert!(bench.listed("").is_empty() && bench.sim.events().unwrap().is_empty());
        assert!(bench.sim.remove_alarm(&row.uuid).is_err());
    };
}
