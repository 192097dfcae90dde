//! Transport: headers, connections, base URLs, shutdown, database down.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure ends the test")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use fm_rest_sim::{Apply, Dialect, Fault, FaultKind, SimConfig};
use reqwest::Method;
use serde_json::json;

use crate::bench::{Bench, alarm, alarm_with, behaviours, wait_until};

fn post_with(bench: &Bench, headers: &[(&str, &str)], body: &str) -> crate::bench::Answer {
    let token = bench.token();
    let mut all = vec![("x-auth-token", token.as_str())];
    all.extend_from_slice(headers);
    let url = format!("{}/v1/alarms", bench.sim.url());
    bench.send(Method::POST, &url, &all, Some(body.as_bytes().to_vec())).unwrap()
}

fn status_of(raw: &str) -> &str {
    raw.split(' ').nth(1).unwrap_or_default()
}

behaviours! {
    content_type_must_be_json, "Another content type is a 415, none too, a form a 400.", |bench| {
        let body = alarm("100.101", "host=c0").to_string();
        assert_eq!(post_with(bench, &[("content-type", "text/plain")], &body).status, 415);
        assert_eq!(post_with(bench, &[], &body).status, 415);
        assert_eq!(post_with(bench, &[("content-type", "application/x-www-form-urlencoded")], "a=b").status, 400);
        let ok = post_with(bench, &[("content-type", "application/json; charset=UTF-8")], &body);
        assert_eq!(ok.status, 200);
        assert_eq!(bench.sim.alarms().unwrap().len(), 1);
    };
    a_chunked_body_counts_as_empty, "A chunked body: 400 Missing argument.", |bench| {
        let body = alarm("100.101", "host=c0").to_string();
        let head = bench.head("POST /v1/alarms");
        let answer = bench.raw(&format!(
            "{head}content-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        ));
        assert_eq!(status_of(&answer), "400", "{answer}");
        assert!(answer.contains(r#"Missing argument: \\\"alarm_data\\\""#), "{answer}");
        let empty = bench.raw(&format!("{head}content-type: application/json\r\nconnection: close\r\n\r\n"));
        assert!(empty.contains("Missing argument"), "{empty}");
        assert!(bench.sim.alarms().unwrap().is_empty());
    };
    accept_must_allow_json, "application/json or */* is accepted, others are a 406.", |bench| {
        let token = bench.token();
        let url = format!("{}/v1/alarms", bench.sim.url());
        for (accept, status) in
            [("application/json", 200), ("*/*", 200), ("text/html, application/json;q=0.5", 200), ("text/html", 406)]
        {
            let headers = [("x-auth-token", token.as_str()), ("accept", accept)];
            assert_eq!(bench.send(Method::GET, &url, &headers, None).unwrap().status, status, "{accept}");
        }
    };
    xml_in_accept_makes_errors_a_200, "With XML in Accept errors come as HTTP 200.", |bench| {
        let token = bench.token();
        let url = format!("{}/v1/alarms/00000000-0000-4000-8000-000000000000", bench.sim.url());
        let headers = [("x-auth-token", token.as_str()), ("accept", "application/json, application/xml")];
        let answer = bench.send(Method::GET, &url, &headers, None).unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.body.contains("could not be found"), "{answer:?}");
    };
    keep_alive_and_pipelining_work, "Two requests sent at once are answered in order on one connection.", |bench| {
        let head = bench.head("GET /v1/alarms");
        let summary = bench.head("GET /v1/alarms/summary");
        let answer = bench.raw(&format!("{head}\r\n{summary}connection: close\r\n\r\n"));
        assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{answer}");
        assert!(answer.find("\"alarms\"").unwrap() < answer.find("\"critical\"").unwrap());
        let ports: Vec<u16> = bench.sim.requests_to(fm_rest_sim::Service::Fm).iter().map(|r| r.client_port).collect();
        assert_eq!(ports.len(), 2);
        assert_eq!(ports[0], ports[1]);
    };
    an_empty_500_closes_the_connection, "An empty 500 ends the connection.", |bench| {
        let body = alarm("no.such", "host=c0").to_string();
        let head = bench.head("POST /v1/alarms");
        // raw() returns only because the server ends the connection.
        let answer = bench.raw(&format!(
            "{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()
        ));
        assert_eq!(status_of(&answer), "500");
        assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    };
    long_urls, "6,000 characters work, 9,000 are a 414.", |bench| {
        let url = |length: usize| format!("/v1/alarms?q.field=uuid&q.op=eq&q.value={}", "a".repeat(length));
        assert_eq!(bench.get(&url(5950)).status, 200);
        assert_eq!(bench.get(&url(8960)).status, 414);
    };
    request_id_on_every_answer_but_the_empty_500, "X-Openstack-Request-Id names each answer.", |bench| {
        for path in ["/", "/v1", "/v1/alarms", "/v1/alarms/none", "/v1/nothing"] {
            let answer = bench.get(path);
            assert!(answer.header("x-openstack-request-id").unwrap().starts_with("req-"), "{path}");
        }
        assert!(bench.post(&alarm("100.101", "host=c0")).header("x-openstack-request-id").is_some());
        assert!(bench.post(&json!({})).header("x-openstack-request-id").is_some());
        bench.post(&alarm("no.such", "host=c0")).assert_empty_500();
    };
    head_and_options_are_405, "HEAD and OPTIONS are not allowed.", |bench| {
        for path in ["/v1/alarms", "/v1/event_log"] {
            assert_eq!(bench.call(Method::HEAD, path, None).status, 405, "{path}");
            let options = bench.call(Method::OPTIONS, path, None);
            assert_eq!((options.status, &options.error()["code"]), (405, &json!(405)));
            assert!(options.error()["title"].is_string() && options.error()["description"].is_string());
        }
    };
    an_unknown_path_is_a_titled_404, "A 404 of a path has code, title and description.", |bench| {
        let answer = bench.get("/v1/nothing");
        assert_eq!(answer.status, 404);
        assert_eq!(answer.error()["code"], 404);
        assert_eq!(answer.error()["title"], "Not Found");
    };
    bad_utf8_is_a_titled_error, "Bytes that are no UTF-8 have the titled error body.", |bench| {
        let answer = bench.get("/v1/alarms/%ff");
        assert_eq!((answer.status, &answer.error()["code"]), (400, &json!(400)));
        let token = bench.token();
        let headers = [("x-auth-token", token.as_str()), ("content-type", "application/json")];
        let url = format!("{}/v1/alarms", bench.sim.url());
        let answer = bench.send(Method::POST, &url, &headers, Some(b"{\"a\": \"\xff\"}".to_vec())).unwrap();
        assert_eq!((answer.status, &answer.error()["code"]), (400, &json!(400)));
    };
    the_root_says_nothing_about_health, "/ and /v1 need no token and no database.", |bench| {
        bench.sim.set_database_down(true).unwrap();
        for path in ["/", "/v1", "/v1/"] {
            let answer = bench.send(Method::GET, &format!("{}{path}", bench.sim.url()), &[], None).unwrap();
            assert_eq!(answer.status, 200, "{path}");
        }
        assert!(bench.get("/").body.contains("test equipment"));
    };
    three_base_urls_work, "/alarms, /v1/alarms and /v1/v1/alarms are the same.", |bench| {
        for (at, path) in ["/alarms", "/v1/alarms", "/v1/v1/alarms"].iter().enumerate() {
            bench.call(Method::POST, path, Some(&alarm("100.101", "host=c0"))).uuid();
            assert_eq!(bench.get(path).json()["alarms"].as_array().unwrap().len(), at + 1);
        }
        assert_eq!(bench.get("/v1/v1/v1/alarms").status, 404);
    };
    database_down, "POST is an empty 500, GET and DELETE a 500 with text; the next request recovers.", |bench| {
        let uuid = bench.raise("100.101", "host=c0");
        bench.sim.set_database_down(true).unwrap();
        bench.post(&alarm("100.101", "host=c1")).assert_empty_500();
        bench.get("/v1/alarms").assert_500_with_text();
        bench.delete(&format!("/v1/alarms/{uuid}")).assert_500_with_text();
        bench.sim.set_database_down(false).unwrap();
        assert_eq!(bench.listed(""), [uuid]);
    };
    a_worker_killed_during_post, "Connection closed, alarm stored, event missing.", |bench| {
        bench.token();
        bench.sim.add_fault(Fault::new(FaultKind::Reset).applied(Apply::AlarmOnly).times(1)).unwrap();
        assert!(bench.try_call(Method::POST, "/v1/alarms", Some(&alarm("100.101", "host=c0"))).is_err());
        assert_eq!(bench.sim.alarms().unwrap().len(), 1);
        assert!(bench.sim.events().unwrap().is_empty());
    };
    sigterm, "A POST under way ends with 200, idle sockets break, new connections hang, are reset, are refused.", |bench| {
        bench.token();
        bench.sim.add_fault(Fault::slow(200).times(1)).unwrap();
        let mut idle = bench.connect();
        let body = alarm("100.101", "host=c0").to_string();
        let mut under_way = bench.connect();
        let head = bench.head("POST /v1/alarms");
        write!(under_way, "{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        wait_until("the POST is under way", || bench.sim.requests().iter().any(|r| r.method == "POST" && r.path == "/v1/alarms"));
        bench.sim.terminate(Duration::from_millis(1500));
        let mut hanging = TcpStream::connect(bench.address()).unwrap();
        let mut text = String::new();
        under_way.read_to_string(&mut text).unwrap();
        assert_eq!(status_of(&text), "200", "{text}");
        assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0);
        hanging.write_all(bench.head("GET /v1/alarms").as_bytes()).unwrap();
        hanging.write_all(b"\r\n").unwrap();
        assert_eq!(hanging.read(&mut [0; 1]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
        wait_until("new connections are refused", || TcpStream::connect(bench.address()).is_err());
        bench.sim.restart().unwrap();
        assert_eq!(bench.listed("").len(), 1);
    };
    no_server_side_timeout, "A slow request is answered, however long it takes.", |bench| {
        let config = SimConfig { idle_timeout: Duration::from_millis(500), dialect: bench.dialect, ..SimConfig::default() };
        let bench = Bench::with(config);
        bench.token();
        bench.sim.add_fault(Fault::slow(900)).unwrap();
        let start = Instant::now();
        assert_eq!(bench.get("/v1/alarms").status, 200);
        assert!(start.elapsed() >= Duration::from_millis(900));
    };
    text_is_kept_as_sent, "Non-ASCII text comes back as it was sent.", |bench| {
        let uuid = bench.post(&alarm_with("host=c0", &json!({"reason_text": "Grüße, 漢字"}))).uuid();
        assert_eq!(bench.get(&format!("/v1/alarms/{uuid}")).json()["reason_text"], "Grüße, 漢字");
    };
}

/// An idle connection lives as long as the configured time (900 s by default).
#[test]
fn an_idle_connection_ends() {
    assert_eq!(SimConfig::default().idle_timeout, Duration::from_mins(15));
    let idle_timeout = Duration::from_millis(500);
    let bench = Bench::with(SimConfig { idle_timeout, dialect: Dialect::PostgreSql, ..SimConfig::default() });
    bench.token();
    let mut stream = bench.connect();
    let start = Instant::now();
    write!(stream, "{}\r\n", bench.head("GET /v1/alarms")).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(status_of(&answer), "200", "{answer}");
    assert!(start.elapsed() >= idle_timeout, "{:?}", start.elapsed());
}
