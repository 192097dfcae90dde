//! A stand-in and a client for it.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests: a failure ends the test")]

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use fm_rest_sim::{DEFAULT_PASSWORD, DEFAULT_PROJECT, DEFAULT_USER, Dialect, Sim, SimConfig};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

/// Names each behaviour: `name, "statement", |bench| { … }`, one test each, with both dialects.
macro_rules! behaviours {
    ($($name:ident, $statement:literal, $check:expr;)*) => {
        $(
            #[test]
            fn $name() {
                let check: fn(&$crate::bench::Bench) = $check;
                for dialect in [fm_rest_sim::Dialect::PostgreSql, fm_rest_sim::Dialect::MariaDb] {
                    // Shown when the test fails.
                    println!("with {}: {}", dialect.name(), $statement);
                    check(&$crate::bench::Bench::new(dialect));
                }
            }
        )*
    };
}
pub(crate) use behaviours;

/// A running stand-in with a client that has a token.
pub(crate) struct Bench {
    pub(crate) sim: Sim,
    pub(crate) dialect: Dialect,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    token: RefCell<Option<String>>,
}

/// An answer, read completely.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect(&self.body)
    }

    /// The uuid of a POST's answer: JSON inside a JSON text.
    pub(crate) fn uuid(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        let inner: Value = serde_json::from_str(self.json().as_str().unwrap()).unwrap();
        inner["uuid"].as_str().unwrap().to_owned()
    }

    /// The JSON inside `error_message`.
    pub(crate) fn error(&self) -> Value {
        serde_json::from_str(self.json()["error_message"].as_str().unwrap()).unwrap()
    }

    pub(crate) fn fault_string(&self) -> String {
        self.error()["faultstring"].as_str().unwrap().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The failure of POST and PUT: empty, text/plain, the connection closes.
    #[track_caller]
    pub(crate) fn assert_empty_500(&self) {
        assert_eq!(self.status, 500, "{self:?}");
        assert_eq!(self.body, "");
        assert_eq!(self.header("content-type"), Some("text/plain"));
        assert_eq!(self.header("content-length"), Some("0"));
        assert_eq!(self.header("connection"), Some("close"));
        assert_eq!(self.header("x-openstack-request-id"), None);
    }

    /// A 500 with the parser's text.
    #[track_caller]
    pub(crate) fn assert_500_with_text(&self) {
        assert_eq!(self.status, 500, "{self:?}");
        assert_eq!(self.error()["faultcode"], "Server");
    }
}

impl Bench {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self::with(SimConfig { dialect, ..SimConfig::default() })
    }

    pub(crate) fn with(config: SimConfig) -> Self {
        let dialect = config.dialect;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // A connection per request: one kept open would be found reset only at the next request.
        let client = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        Self { sim: Sim::start(config).unwrap(), dialect, runtime, client, token: RefCell::new(None) }
    }

    /// Any request, exactly with these headers.
    pub(crate) fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> reqwest::Result<Answer> {
        let mut request = self.client.request(method, url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        self.runtime.block_on(async {
            let response = request.send().await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Ok(Answer { status, headers, body: response.text().await? })
        })
    }

    /// A request to the service with the token, `path` as it is.
    pub(crate) fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.try_call(method, path, body).unwrap()
    }

    /// The same when the transport may fail.
    pub(crate) fn try_call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<Answer> {
        let token = self.token();
        let mut headers = vec![("x-auth-token", token.as_str())];
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        let body = body.map(|body| body.to_string().into_bytes());
        self.send(method, &format!("{}{path}", self.sim.url()), &headers, body)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None)
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None)
    }

    pub(crate) fn post(&self, body: &Value) -> Answer {
        self.call(Method::POST, "/v1/alarms", Some(body))
    }

    /// Raises an alarm and returns its uuid.
    pub(crate) fn raise(&self, alarm_id: &str, entity: &str) -> String {
        self.post(&alarm(alarm_id, entity)).uuid()
    }

    /// The uuids of a list, in its order.
    pub(crate) fn listed(&self, query: &str) -> Vec<String> {
        let answer = self.get(&format!("/v1/alarms{query}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        let alarms = answer.json();
        let alarms = alarms["alarms"].as_array().unwrap();
        alarms.iter().map(|alarm| alarm["uuid"].as_str().unwrap().to_owned()).collect()
    }

    /// The token of the default user, taken once.
    pub(crate) fn token(&self) -> String {
        let mut token = self.token.borrow_mut();
        token
            .get_or_insert_with(|| {
                let answer = self.authenticate(DEFAULT_USER, DEFAULT_PASSWORD, DEFAULT_PROJECT);
                answer.header("x-subject-token").expect(&answer.body).to_owned()
            })
            .clone()
    }

    pub(crate) fn set_token(&self, token: &str) {
        *self.token.borrow_mut() = Some(token.to_owned());
    }

    /// Takes a new token for the following requests.
    pub(crate) fn new_token(&self) -> String {
        self.token.borrow_mut().take();
        self.token()
    }

    /// Asks Keystone for a token by password.
    pub(crate) fn authenticate(&self, user: &str, password: &str, project: &str) -> Answer {
        self.ask_keystone(&password_request(user, password, project)).unwrap()
    }

    pub(crate) fn ask_keystone(&self, body: &Value) -> reqwest::Result<Answer> {
        let url = format!("{}/auth/tokens", self.sim.keystone_url());
        let body = body.to_string().into_bytes();
        self.send(Method::POST, &url, &[("content-type", "application/json")], Some(body))
    }

    /// A connection to the service.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// `host:port` of the service.
    pub(crate) fn address(&self) -> String {
        self.sim.url().strip_prefix("http://").unwrap().to_owned()
    }

    /// Sends `text` as it is and reads until the server ends the connection.
    pub(crate) fn raw(&self, text: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The head of a raw request with the token.
    pub(crate) fn head(&self, request_line: &str) -> String {
        format!("{request_line} HTTP/1.1\r\nhost: sim\r\nx-auth-token: {}\r\n", self.token())
    }
}

/// The body of a password request.
pub(crate) fn password_request(user: &str, password: &str, project: &str) -> Value {
    let domain = json!({"name": "Default"});
    json!({"auth": {
        "identity": {"methods": ["password"],
            "password": {"user": {"name": user, "password": password, "domain": domain}}},
        "scope": {"project": {"name": project, "domain": domain}}}})
}

/// The body of a set with every attribute.
pub(crate) fn alarm(alarm_id: &str, entity: &str) -> Value {
    json!({"alarm_id": alarm_id, "alarm_state": "set", "entity_type_id": "host",
        "entity_instance_id": entity, "timestamp": "2026-06-01T10:20:30.123456", "severity": "major",
        "reason_text": "because", "alarm_type": "equipment", "probable_cause": "unknown",
        "proposed_repair_action": "repair", "service_affecting": true, "suppression": false})
}

/// The same with one attribute changed; null removes nothing, it is sent.
pub(crate) fn alarm_with(entity: &str, changes: &Value) -> Value {
    let mut body = alarm("100.101", entity);
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// Waits until `done`, at most ten seconds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
