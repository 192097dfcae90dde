//! Faults on demand: each kind, its restrictions, and that it ends.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure ends the test")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use fm_rest_sim::{Apply, Fault, FaultKind, Service};
use reqwest::Method;

use crate::bench::{Bench, alarm, behaviours, wait_until};

/// The bytes of a set of `entity`, sent on a connection of their own.
fn send_set(bench: &Bench, entity: &str) -> TcpStream {
    let body = alarm("100.101", entity).to_string();
    let mut stream = bench.connect();
    let head = bench.head("POST /v1/alarms");
    write!(stream, "{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .unwrap();
    stream
}

fn stored(bench: &Bench) -> usize {
    bench.sim.alarms().unwrap().len()
}

behaviours! {
    refuse_and_come_back, "The port refuses, keeps its number and comes back; open connections are reset.", |bench| {
        let uuid = bench.raise("100.101", "host=c0");
        let (url, mut open) = (bench.sim.url(), bench.connect());
        bench.sim.stop().unwrap();
        let refused = TcpStream::connect(bench.address()).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        let broken = open.read(&mut [0; 1]);
        assert!(broken.is_err() || broken.unwrap() == 0);
        assert!(bench.try_call(Method::GET, "/v1/alarms", None).unwrap_err().is_connect());
        bench.sim.restart().unwrap();
        assert_eq!(bench.sim.url(), url);
        assert_eq!(bench.listed(""), [uuid]);
    };
    refuse_many_times, "Closing and opening again works as often as wanted.", |bench| {
        bench.token();
        for _ in 0..20 {
            let id = bench.sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
            assert!(TcpStream::connect(bench.address()).is_err());
            assert!(bench.sim.remove_fault(id).unwrap());
            assert_eq!(bench.get("/v1/alarms").status, 200);
        }
    };
    hang, "The request is read and never answered, applied or not.", |bench| {
        bench.token();
        for (applied, rows) in [(Apply::Nothing, 0), (Apply::All, 1)] {
            bench.sim.add_fault(Fault::new(FaultKind::Hang).applied(applied).times(1)).unwrap();
            let before = bench.sim.requests().len();
            let mut stream = send_set(bench, "host=c0");
            wait_until("the request is read", || bench.sim.requests().len() > before);
            wait_until("it is applied", || stored(bench) == rows);
            stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        }
        assert_eq!(bench.get("/v1/alarms").status, 200);
    };
    slow, "The answer comes as late as told.", |bench| {
        bench.token();
        bench.sim.add_fault(Fault::slow(150)).unwrap();
        bench.sim.add_fault(Fault::slow(150).on("GET", "/v1/alarms")).unwrap();
        let start = Instant::now();
        assert_eq!(bench.get("/v1/alarms").status, 200);
        assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());
    };
    reset_before_and_after_applying, "The connection is reset, with and without the alarm stored.", |bench| {
        bench.token();
        for (applied, rows) in [(Apply::Nothing, 0), (Apply::All, 1)] {
            bench.sim.add_fault(Fault::new(FaultKind::Reset).applied(applied).times(1)).unwrap();
            let error = send_set(bench, "host=c0").read(&mut [0; 1]).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
            assert_eq!((stored(bench), bench.sim.events().unwrap().len()), (rows, rows));
        }
    };
    statuses, "Any status, with and without having applied.", |bench| {
        bench.token();
        for (code, applied) in [(500, Apply::Nothing), (500, Apply::All), (502, Apply::All), (503, Apply::Nothing), (504, Apply::AlarmOnly), (429, Apply::Nothing)] {
            let before = stored(bench);
            let fault = Fault { body: if code == 502 { "<h1>Bad Gateway</h1>".to_owned() } else { String::new() }, ..Fault::status(code) };
            bench.sim.add_fault(fault.applied(applied).times(1)).unwrap();
            let answer = bench.post(&alarm("100.101", "host=c0"));
            assert_eq!(answer.status, code);
            assert_eq!(stored(bench) - before, usize::from(applied != Apply::Nothing), "{code}");
            assert_eq!(answer.body.is_empty(), code != 502);
            if code == 500 {
                answer.assert_empty_500();
            }
        }
    };
    unauthorized_and_forbidden, "401 and 403 in the service's own shapes, nothing applied.", |bench| {
        bench.sim.add_fault(Fault::new(FaultKind::Unauthorized).times(1)).unwrap();
        let answer = bench.post(&alarm("100.101", "host=c0"));
        assert_eq!((answer.status, answer.json()["error"]["code"].as_u64()), (401, Some(401)));
        bench.sim.add_fault(Fault::new(FaultKind::Forbidden).times(1)).unwrap();
        let answer = bench.post(&alarm("100.101", "host=c0"));
        assert_eq!((answer.status, answer.error()["code"].as_u64()), (403, Some(403)));
        assert_eq!(stored(bench), 0);
        bench.raise("100.101", "host=c0");
    };
    broken_json, "200 with a body that is no JSON.", |bench| {
        bench.sim.add_fault(Fault::new(FaultKind::BrokenJson).applied(Apply::All).times(3)).unwrap();
        for answer in [bench.post(&alarm("100.101", "host=c0")), bench.get("/v1/alarms"), bench.delete("/v1/alarms/x")] {
            assert_eq!(answer.status, 200);
            assert!(serde_json::from_str::<serde_json::Value>(&answer.body).is_err(), "{answer:?}");
        }
        assert_eq!(stored(bench), 1);
    };
    half_an_answer, "A length that is promised, half of the body, then the end.", |bench| {
        bench.token();
        bench.sim.add_fault(Fault::new(FaultKind::HalfAnswer).applied(Apply::All).times(2)).unwrap();
        let mut text = String::new();
        send_set(bench, "host=c0").read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let promised: usize = head.to_lowercase().split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
        assert!(head.starts_with("HTTP/1.1 200") && body.len() == promised / 2 && promised > 2, "{text}");
        assert_eq!(stored(bench), 1);
        assert!(bench.try_call(Method::GET, "/v1/alarms", None).is_err());
        assert_eq!(bench.get("/v1/alarms").status, 200);
    };
    restricted_by_method_path_and_count, "A fault spares what it is not for, and ends.", |bench| {
        bench.sim.add_fault(Fault::status(503).on("POST", "/v1/alarms").times(2)).unwrap();
        assert_eq!(bench.get("/v1/alarms").status, 200);
        // Whatever the base URL, a fault sees one /v1.
        assert_eq!(bench.call(Method::POST, "/alarms", Some(&alarm("100.101", "host=c0"))).status, 503);
        assert_eq!(bench.call(Method::POST, "/v1/v1/alarms", Some(&alarm("100.101", "host=c0"))).status, 503);
        bench.raise("100.101", "host=c0");
    };
    restricted_by_probability, "A seeded share of requests suffers, the same ones each time.", |bench| {
        let run = |seed| {
            let id = bench.sim.add_fault(Fault::status(503).with_probability(0.3, seed)).unwrap();
            let statuses: Vec<u16> = (0..60).map(|_| bench.get("/v1/alarms").status).collect();
            bench.sim.remove_fault(id).unwrap();
            statuses
        };
        let first = run(5);
        assert_eq!(first, run(5));
        let hit = first.iter().filter(|status| **status == 503).count();
        assert!((8..32).contains(&hit), "{hit}");
        assert_eq!(bench.get("/v1/alarms").status, 200);
    };
    clearing_ends_everything, "Clearing ends states and answers alike.", |bench| {
        bench.token();
        for fault in [Fault::status(503), Fault::new(FaultKind::DatabaseDown), Fault::new(FaultKind::Refuse), Fault::new(FaultKind::KeystoneDown)] {
            bench.sim.add_fault(fault).unwrap();
        }
        bench.sim.clear_faults().unwrap();
        assert_eq!(bench.get("/v1/alarms").status, 200);
    };
    requests_are_logged, "Each request with method, path, body, status, fault and time; no secret in it.", |bench| {
        let token = bench.token();
        bench.raise("100.101", "host=c0");
        bench.sim.add_fault(Fault::status(502).times(1)).unwrap();
        bench.get("/v1/alarms?expand=1");
        let requests = bench.sim.requests();
        let seen: Vec<_> = requests.iter().map(|r| (r.service, r.method.as_str(), r.path.as_str(), r.status, r.fault)).collect();
        assert_eq!(seen, [
            (Service::Keystone, "POST", "/v3/auth/tokens", Some(201), None),
            (Service::Fm, "POST", "/v1/alarms", Some(200), None),
            (Service::Fm, "GET", "/v1/alarms?expand=1", Some(502), Some(FaultKind::Status)),
        ]);
        assert!(requests.iter().all(|r| r.answered_at >= Some(r.received_at)));
        assert!(requests[1].body.contains("host=c0"));
        let text = format!("{requests:?}");
        assert!(!text.contains(&token) && !text.contains(fm_rest_sim::DEFAULT_PASSWORD));
        bench.sim.clear_requests();
        assert!(bench.sim.requests().is_empty());
    };
}
