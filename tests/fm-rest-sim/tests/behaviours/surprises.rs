//! The surprises a forwarding client has to live with, and the event log at its cap.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure ends the test")]

use std::sync::Barrier;
use std::time::Duration;

use fm_rest_sim::{Apply, Dialect, Fault, FaultKind, NewAlarm, SimConfig};
use reqwest::Method;
use serde_json::json;

use crate::bench::{Answer, Bench, alarm, alarm_with, behaviours};

const UUID: &str = "3f0e2f2a-0000-4000-8000-00000000000a";

/// `writers` threads that each do `work` so many times, all at once; their answers.
fn in_parallel(
    bench: &Bench,
    writers: usize,
    times: usize,
    work: impl Fn(&Client, usize) -> Answer + Sync,
) -> Vec<Answer> {
    let barrier = Barrier::new(writers);
    let (token, url) = (bench.token(), bench.sim.url());
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..writers)
            .map(|writer| {
                let (barrier, work, client) = (&barrier, &work, Client::new(&token, &url));
                scope.spawn(move || {
                    barrier.wait();
                    (0..times).map(|time| work(&client, writer * times + time)).collect::<Vec<_>>()
                })
            })
            .collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// A client for one thread.
struct Client {
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
    token: String,
    url: String,
}

impl Client {
    fn new(token: &str, url: &str) -> Self {
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            token: token.to_owned(),
            url: url.to_owned(),
        }
    }

    fn call(&self, method: Method, path: &str, body: Option<&serde_json::Value>) -> Answer {
        let mut request =
            self.http.request(method, format!("{}{path}", self.url)).header("x-auth-token", &self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Answer { status, headers, body: response.text().await.unwrap() }
        })
    }
}

/// A bench whose event log is full and whose writers' steps lie wide apart.
fn at_the_cap(bench: &Bench, window: Duration) -> Bench {
    let config =
        SimConfig { event_cap: 50, race_window: window, dialect: bench.dialect, ..SimConfig::default() };
    let bench = Bench::with(config);
    bench.sim.fill_event_log(50).unwrap();
    bench
}

fn failures(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

behaviours! {
    a_repeated_set_adds_a_row, "Nothing makes the key unique: every repeated set adds a row.", |bench| {
        let uuids: Vec<String> = (0..3).map(|_| bench.raise("100.101", "host=c0")).collect();
        assert_eq!(bench.listed(""), uuids);
    };
    sixteen_parallel_sets_sixteen_rows, "16 parallel sets of one key, 16 rows.", |bench| {
        let answers = in_parallel(bench, 16, 1, |client, _| client.call(Method::POST, "/v1/alarms", Some(&alarm("100.101", "host=c0"))));
        assert_eq!(failures(&answers, 200), 16);
        assert_eq!(bench.sim.alarms().unwrap().len(), 16);
    };
    set_with_an_active_uuid, "Empty 500, nothing added.", |bench| {
        bench.post(&alarm_with("host=c0", &json!({"uuid": UUID}))).uuid();
        bench.post(&alarm_with("host=c1", &json!({"uuid": UUID}))).assert_empty_500();
        assert_eq!((bench.sim.alarms().unwrap().len(), bench.sim.events().unwrap().len()), (1, 1));
        // MariaDB compares uuids without case too.
        let upper = bench.post(&alarm_with("host=c1", &json!({"uuid": UUID.to_uppercase()})));
        assert_eq!(upper.status, if bench.dialect == Dialect::MariaDb { 500 } else { 200 });
    };
    set_with_a_used_and_cleared_uuid, "500, yet the alarm row is stored.", |bench| {
        bench.post(&alarm_with("host=c0", &json!({"uuid": UUID}))).uuid();
        assert_eq!(bench.delete(&format!("/v1/alarms/{UUID}")).status, 204);
        bench.post(&alarm_with("host=c0", &json!({"uuid": UUID}))).assert_empty_500();
        assert_eq!(bench.listed(""), [UUID]);
        assert_eq!(bench.sim.events().unwrap().len(), 2);
    };
    a_lost_answer, "The alarm may be stored without its event; GET by uuid tells.", |bench| {
        bench.token();
        let body = alarm_with("host=c0", &json!({"uuid": UUID}));
        for applied in [Apply::Nothing, Apply::AlarmOnly] {
            bench.sim.add_fault(Fault::new(FaultKind::Reset).applied(applied).on("POST", "/v1/alarms").times(1)).unwrap();
            assert!(bench.try_call(Method::POST, "/v1/alarms", Some(&body)).is_err());
            let stored = bench.get(&format!("/v1/alarms/{UUID}")).status;
            assert_eq!(stored, if applied == Apply::Nothing { 404 } else { 200 });
            assert_eq!(bench.get(&format!("/v1/event_log/{UUID}")).status, 404);
        }
    };
    raised_and_gone_again, "GET alarm 404 and GET event 200: it was raised and is gone again.", |bench| {
        let uuid = bench.raise("100.101", "host=c0");
        bench.delete(&format!("/v1/alarms/{uuid}"));
        assert_eq!(bench.get(&format!("/v1/alarms/{uuid}")).status, 404);
        assert_eq!(bench.get(&format!("/v1/event_log/{uuid}")).status, 200);
    };
    retry_of_a_log, "500 if stored; at the cap each failed retry costs an old row.", |bench| {
        let bench = at_the_cap(bench, Duration::ZERO);
        let body = alarm_with("host=c0", &json!({"alarm_state": "log", "uuid": UUID}));
        assert_eq!(bench.post(&body).uuid(), UUID);
        assert_eq!(bench.sim.events().unwrap().len(), 50);
        bench.post(&body).assert_empty_500();
        assert_eq!(bench.sim.events().unwrap().len(), 49);
        assert_eq!(bench.get(&format!("/v1/event_log/{UUID}")).status, 200);
    };
    clear_by_key_of_two_rows, "500, none cleared, until one row is left.", |bench| {
        let first = bench.raise("100.101", "host=c0");
        bench.raise("100.101", "host=c0");
        let clear = alarm_with("host=c0", &json!({"alarm_state": "clear"}));
        bench.post(&clear).assert_empty_500();
        assert_eq!(bench.sim.alarms().unwrap().len(), 2);
        bench.delete(&format!("/v1/alarms/{first}"));
        bench.post(&clear).uuid();
        assert!(bench.sim.alarms().unwrap().is_empty());
    };
    clear_by_key_of_none, "500; DELETE by uuid gives a real 404.", |bench| {
        bench.post(&alarm_with("host=c0", &json!({"alarm_state": "clear"}))).assert_empty_500();
        assert_eq!(bench.delete(&format!("/v1/alarms/{UUID}")).status, 404);
        assert!(bench.sim.events().unwrap().is_empty());
    };
    an_unknown_alarm_id, "An id the suppression table lacks: 500, nothing stored; log is fine.", |bench| {
        let mut body = alarm("999.999", "host=c0");
        bench.post(&body).assert_empty_500();
        assert!(bench.sim.alarms().unwrap().is_empty() && bench.sim.events().unwrap().is_empty());
        body["alarm_state"] = json!("log");
        bench.post(&body).uuid();
    };
    a_poison_severity, "200, then every list that contains it is 500; DELETE by uuid repairs.", |bench| {
        for severity in [json!("purple"), json!("Critical"), json!(""), json!(null)] {
            bench.raise("200.001", "vm=x");
            let uuid = bench.post(&alarm_with("host=c0", &json!({"severity": severity}))).uuid();
            bench.get("/v1/alarms").assert_500_with_text();
            bench.get(&format!("/v1/alarms/{uuid}")).assert_500_with_text();
            assert_eq!(bench.get("/v1/alarms?q.field=alarm_id&q.op=eq&q.value=200.001").status, 200);
            assert_eq!(bench.get("/v1/event_log").status, 200);
            assert_eq!(bench.get("/v1/alarms/summary").status, 200);
            assert_eq!(bench.delete(&format!("/v1/alarms/{uuid}")).status, 204);
            assert_eq!(bench.get("/v1/alarms").status, 200);
        }
        for severity in ["critical", "major", "minor", "warning", "none"] {
            bench.post(&alarm_with("host=c0", &json!({"severity": severity}))).uuid();
        }
        assert_eq!(bench.get("/v1/alarms").status, 200);
    };
    a_port_name_without_configuration_service, "200, then list, get and event log are 500 until the event ages out.", |bench| {
        let config = SimConfig { configuration_service: Some(false), event_cap: 5, dialect: bench.dialect, ..SimConfig::default() };
        let bench = Bench::with(config);
        bench.raise("100.101", &format!("host=c0.port={UUID}"));
        bench.raise("100.101", "port=eth0");
        assert_eq!(bench.get("/v1/alarms").status, 200);
        let uuid = bench.raise("100.101", "host=c0.port=eth0");
        for path in ["/v1/alarms", &format!("/v1/alarms/{uuid}"), "/v1/event_log", &format!("/v1/event_log/{uuid}")] {
            bench.get(path).assert_500_with_text();
        }
        assert_eq!(bench.delete(&format!("/v1/alarms/{uuid}")).status, 204);
        assert_eq!(bench.get("/v1/alarms").status, 200);
        bench.get("/v1/event_log").assert_500_with_text();
        for _ in 0..5 {
            bench.post(&alarm_with("host=c0", &json!({"alarm_state": "log"}))).uuid();
        }
        assert_eq!(bench.get("/v1/event_log").status, 200);
    };
    port_names_by_default, "The platform can translate port names, the containerized service cannot.", |bench| {
        bench.raise("100.101", "host=c0.port=eth0");
        assert_eq!(bench.get("/v1/alarms").status, if bench.dialect == Dialect::PostgreSql { 200 } else { 500 });
    };
    text_a_database_cannot_hold, "4-byte UTF-8: MariaDB 500. NUL: PostgreSQL 500. Lone surrogate: both.", |bench| {
        let status = |text: serde_json::Value| bench.post(&alarm_with("host=c0", &json!({"reason_text": text}))).status;
        let postgres = bench.dialect == Dialect::PostgreSql;
        assert_eq!(status(json!("smile 😀")), if postgres { 200 } else { 500 });
        assert_eq!(status(json!("nul \0")), if postgres { 500 } else { 200 });
        let token = bench.token();
        let headers = [("x-auth-token", token.as_str()), ("content-type", "application/json")];
        let body = alarm_with("host=c0", &json!({"reason_text": "@"})).to_string().replace('@', "\\ud800");
        bench.send(Method::POST, &format!("{}/v1/alarms", bench.sim.url()), &headers, Some(body.into_bytes())).unwrap().assert_empty_500();
        let whole = alarm_with("host=c0", &json!({"reason_text": "@"})).to_string().replace('@', "\\ud83d\\ude00");
        let answer = bench.send(Method::POST, &format!("{}/v1/alarms", bench.sim.url()), &headers, Some(whole.into_bytes())).unwrap();
        assert_eq!(answer.status, if postgres { 200 } else { 500 });
    };
    how_keys_compare, "MariaDB ignores case, accents and trailing spaces; PostgreSQL compares exactly.", |bench| {
        for other in ["HOST=C0", "höst=c0", "host=c0  "] {
            bench.raise("100.101", "host=c0");
            let cleared = bench.post(&alarm_with(other, &json!({"alarm_state": "clear"}))).status;
            assert_eq!(cleared, if bench.dialect == Dialect::MariaDb { 200 } else { 500 }, "{other}");
            for alarm in bench.sim.alarms().unwrap() {
                bench.delete(&format!("/v1/alarms/{}", alarm.uuid));
            }
        }
    };
    suppressed_alarms, "Hidden from list and summary; set, clear and GET by uuid work.", |bench| {
        bench.sim.suppress("100.101", true).unwrap();
        let uuid = bench.raise("100.101", "host=c0");
        assert!(bench.listed("").is_empty());
        assert_eq!(bench.get("/v1/alarms/summary").json()["major"], 0);
        assert_eq!(bench.listed("?include_suppress=1"), std::slice::from_ref(&uuid));
        assert_eq!(bench.get("/v1/alarms/summary?include_suppress=1").json()["major"], 1);
        assert_eq!(bench.get(&format!("/v1/alarms/{uuid}")).status, 200);
        assert_eq!(bench.post(&alarm_with("host=c0", &json!({"alarm_state": "clear"}))).uuid(), uuid);
    };
    masked_alarms, "Hidden everywhere, GET 404; clear works.", |bench| {
        let alarm = NewAlarm { masked: true, ..NewAlarm::new("100.101", "host=c0", "major") };
        let uuid = bench.sim.insert_alarm(alarm).unwrap().uuid.clone();
        assert!(bench.listed("?include_suppress=1").is_empty());
        assert_eq!(bench.get("/v1/alarms/summary?include_suppress=1").json()["major"], 0);
        assert_eq!(bench.get(&format!("/v1/alarms/{uuid}")).status, 404);
        assert_eq!(bench.post(&alarm_with("host=c0", &json!({"alarm_state": "clear"}))).uuid(), uuid);
        let shown = bench.raise("100.101", "host=c1");
        bench.sim.mask_alarm(&shown, true).unwrap();
        assert!(bench.listed("").is_empty());
        bench.sim.mask_alarm(&shown, false).unwrap();
        assert_eq!(bench.listed(""), [shown]);
    };
    two_parallel_clears, "Both may say 200, with two clear events.", |bench| {
        bench.sim.set_race_window(Duration::from_millis(500));
        let uuid = bench.raise("100.101", "host=c0");
        let clear = alarm_with("host=c0", &json!({"alarm_state": "clear", "uuid": uuid}));
        let answers = in_parallel(bench, 2, 1, |client, _| client.call(Method::POST, "/v1/alarms", Some(&clear)));
        assert_eq!(failures(&answers, 200), 2);
        assert!(bench.sim.alarms().unwrap().is_empty());
        assert_eq!(bench.sim.events().unwrap().len(), 3);
    };
    the_event_log_keeps_its_cap, "4000 rows by default; one writer never fails there.", |bench| {
        assert_eq!(SimConfig::default().event_cap, 4000);
        let bench = at_the_cap(bench, Duration::ZERO);
        for _ in 0..60 {
            bench.raise("100.101", "host=c0");
        }
        let events = bench.sim.events().unwrap();
        assert_eq!(events.len(), 50);
        assert!(events.iter().all(|event| event.alarm_state.as_deref() == Some("set")));
    };
    sets_at_the_cap, "Concurrent writers get 500; every one of those had stored the alarm.", |bench| {
        let bench = at_the_cap(bench, Duration::from_millis(2));
        let answers = in_parallel(&bench, 4, 25, |client, n| {
            client.call(Method::POST, "/v1/alarms", Some(&alarm("100.101", &format!("host=c{n}"))))
        });
        let failed = failures(&answers, 500);
        assert!(failed > 0 && failed + failures(&answers, 200) == 100, "{failed}");
        answers.iter().filter(|answer| answer.status == 500).for_each(Answer::assert_empty_500);
        assert_eq!(bench.sim.alarms().unwrap().len(), 100);
    };
    logs_at_the_cap, "Concurrent logs get 500; none of those was stored.", |bench| {
        let bench = at_the_cap(bench, Duration::from_millis(2));
        let answers = in_parallel(&bench, 4, 10, |client, n| {
            let body = alarm_with(&format!("host=c{n}"), &json!({"alarm_state": "log"}));
            client.call(Method::POST, "/v1/alarms", Some(&body))
        });
        let failed = failures(&answers, 500);
        assert!(failed > 0, "no writers met");
        let stored = bench.sim.events().unwrap().iter().filter(|event| event.alarm_id.as_deref() == Some("100.101")).count();
        assert_eq!(stored, 40 - failed);
    };
    clears_at_the_cap, "DELETE answers 404, clear 500 for a share of concurrent calls, although all are cleared.", |bench| {
        let bench = at_the_cap(bench, Duration::from_millis(2));
        let uuids: Vec<String> = (0..80).map(|n| bench.sim.insert_alarm(NewAlarm::new("100.101", &format!("host=c{n}"), "major")).unwrap().uuid.clone()).collect();
        let deleted = in_parallel(&bench, 4, 10, |client, n| client.call(Method::DELETE, &format!("/v1/alarms/{}", uuids[n]), None));
        let not_found: Vec<&Answer> = deleted.iter().filter(|answer| answer.status == 404).collect();
        assert!(!not_found.is_empty(), "no writers met");
        assert!(not_found.iter().all(|answer| answer.fault_string().starts_with("Event Log ")), "{not_found:?}");
        let cleared = in_parallel(&bench, 4, 10, |client, n| {
            let body = alarm_with("host=any", &json!({"alarm_state": "clear", "uuid": uuids[40 + n]}));
            client.call(Method::POST, "/v1/alarms", Some(&body))
        });
        assert!(failures(&cleared, 500) > 0, "no writers met");
        assert!(bench.sim.alarms().unwrap().is_empty());
    };
    collisions_by_chance, "A seeded share of event-log writes at the cap fails although nobody else writes.", |bench| {
        let run = |seed| {
            let bench = at_the_cap(bench, Duration::ZERO);
            bench.sim.set_collision_probability(0.4, seed);
            (0..50).map(|n| bench.post(&alarm("100.101", &format!("host=c{n}"))).status).collect::<Vec<_>>()
        };
        let first = run(7);
        assert_eq!(first, run(7));
        let failed = first.iter().filter(|status| **status == 500).count();
        assert!((10..30).contains(&failed), "{failed}");
    };
}
