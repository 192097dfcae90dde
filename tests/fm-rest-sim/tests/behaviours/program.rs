//! The program, its control port and its database file.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure ends the test")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use fm_rest_sim::{Database, Dialect, Sim, SimConfig};
use reqwest::Method;
use serde_json::{Value, json};

use crate::bench::{Answer, Bench, alarm};

/// The program with its addresses; killed when dropped.
struct Program {
    child: Child,
    addresses: Value,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fm-rest-sim"))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, addresses: serde_json::from_str(&line).unwrap() }
    }

    fn url(&self, name: &str) -> &str {
        self.addresses[name].as_str().unwrap()
    }

    /// SIGTERM, then the exit code.
    fn terminate(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A request to any URL; the bench lends its client only.
fn ask(
    bench: &Bench,
    method: Method,
    url: &str,
    token: &str,
    body: Option<Value>,
) -> reqwest::Result<Answer> {
    let headers = [("content-type", "application/json"), ("x-auth-token", token)];
    bench.send(method, url, &headers, body.map(|body| body.to_string().into_bytes()))
}

#[test]
fn the_program_serves_fails_on_demand_and_goes_on_with_its_database() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fm.db");
    let file = file.to_str().unwrap();
    let bench = Bench::new(Dialect::PostgreSql);
    let arguments = [
        "--database",
        file,
        "--dialect",
        "mariadb",
        "--username",
        "u",
        "--password",
        "p",
        "--roles",
        "configurator",
    ];
    let program = Program::start(&arguments);
    let (url, control) = (program.url("url"), program.url("control_url"));
    let login = crate::bench::password_request("u", "p", "services");
    let tokens = format!("{}/auth/tokens", program.url("keystone_url"));
    let answer = ask(&bench, Method::POST, &tokens, "", Some(login)).unwrap();
    let token = answer.header("x-subject-token").unwrap();
    let alarms = format!("{url}/v1/alarms");
    let uuid = ask(&bench, Method::POST, &alarms, token, Some(alarm("100.101", "host=c0"))).unwrap().uuid();

    let control = |method, path: &str, body| {
        let answer = ask(&bench, method, &format!("{control}{path}"), "", body).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let id = control(Method::POST, "/faults", Some(json!({"kind": "refuse"})))["id"].clone();
    assert!(ask(&bench, Method::GET, &alarms, token, None).unwrap_err().is_connect());
    assert_eq!(control(Method::GET, "/faults", None)["faults"][0]["kind"], "refuse");
    assert_eq!(control(Method::DELETE, &format!("/faults/{id}"), None)["removed"], true);
    let fault = json!({"kind": "status", "code": 502, "applied": "all", "method": "GET", "path": "/v1/alarms", "count": 1});
    control(Method::POST, "/faults", Some(fault));
    assert_eq!(ask(&bench, Method::GET, &alarms, token, None).unwrap().status, 502);
    control(Method::POST, "/tokens/invalidate", None);
    assert_eq!(ask(&bench, Method::GET, &alarms, token, None).unwrap().status, 401);
    let requests = control(Method::GET, "/requests?after=2", None);
    let statuses: Vec<Value> =
        requests["requests"].as_array().unwrap().iter().map(|r| r["status"].clone()).collect();
    assert_eq!(statuses, [json!(502), json!(401)]);
    let added =
        json!({"alarm_id": "100.101", "entity_instance_id": "host=c1", "severity": "minor", "masked": true});
    let other = control(Method::POST, "/alarms", Some(added))["uuid"].clone();
    control(
        Method::POST,
        &format!("/alarms/{}/mask", other.as_str().unwrap()),
        Some(json!({"masked": false})),
    );
    control(Method::POST, "/suppression", Some(json!({"alarm_id": "100.101", "suppressed": true})));
    assert_eq!(
        control(Method::POST, "/settings", Some(json!({"event_cap": 7, "fill_event_log": 7})))["event_cap"],
        7
    );
    assert_eq!(control(Method::GET, "/events", None)["events"].as_array().unwrap().len(), 7);
    control(Method::POST, "/terminate", Some(json!({"hang_ms": 0})));
    control(Method::POST, "/restart", None);
    assert_eq!(program.terminate(), Some(0));

    let config = SimConfig {
        database: Database::File(file.into()),
        dialect: Dialect::MariaDb,
        ..SimConfig::default()
    };
    let sim = Sim::start(config.clone()).unwrap();
    let rows = sim.alarms().unwrap();
    assert_eq!((rows.len(), &rows[0].uuid), (2, &uuid));
    drop(sim);
    let wrong = Sim::start(SimConfig { dialect: Dialect::PostgreSql, ..config }).unwrap_err();
    assert!(wrong.to_string().contains("mariadb"), "{wrong}");
}

#[test]
fn the_control_port_refuses_what_it_does_not_know() {
    let bench = Bench::new(Dialect::PostgreSql);
    let program = Program::start(&[]);
    let ask = |method, path: &str, body| {
        ask(&bench, method, &format!("{}{path}", program.url("control_url")), "", body).unwrap().status
    };
    assert_eq!(ask(Method::POST, "/faults", Some(json!({"kind": "explode"}))), 400);
    assert_eq!(ask(Method::POST, "/faults", Some(json!({"kind": "hang", "cuont": 1}))), 400);
    assert_eq!(ask(Method::GET, "/nothing", None), 404);
    assert_eq!(ask(Method::DELETE, "/alarms/none", None), 404);
    assert_eq!(program.terminate(), Some(0));
}

#[test]
fn another_reader_of_the_file_sees_rows_while_it_runs() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fm.db");
    let bench = Bench::with(SimConfig { database: Database::File(file.clone()), ..SimConfig::default() });
    let uuid = bench.raise("100.101", "host=c0");
    let reader =
        rusqlite::Connection::open_with_flags(&file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let row: (String, i64) = reader
        .query_row(
            "SELECT a.uuid, e.stored_at - a.stored_at FROM alarm a JOIN event_log e USING (uuid)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(row.0, uuid);
    assert!(row.1 >= 0);
    bench.raise("100.101", "host=c1");
    let count: i64 = reader.query_row("SELECT count(*) FROM alarm", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 2);
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    let error = Sim::start(SimConfig { listen, ..SimConfig::default() }).unwrap_err();
    assert!(error.to_string().contains(&listen.to_string()), "{error}");
}
