//! A stand-in, a backend that talks to it, and words for what the tests ask of both.

use std::io;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use fm_agent::backend::{Backend, Clear, ClearAll, Failure, FailureKind, Link, Log, Query, Raise, Refusals};
use fm_agent::config::{Domain, DomainConfig};
use fm_common::entity::EntityMatch;
use fm_common::{Alarm, AlarmKey, AlarmState, AlarmType, ProbableCause, Severity, Timestamp};
use fm_rest_sim::{AlarmFields, Apply, Dialect, Fault, NewAlarm, Service, Sim, SimConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const ALARM_ID: &str = "300.010";
pub(crate) const ENTITY: &str = "host=compute-1";

/// Everything that the tests of this program log, at the finest level.
pub(crate) static LOGGED: LazyLock<Logged> = LazyLock::new(|| {
    let logged = Logged::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer({
            let logged = logged.clone();
            move || logged.clone()
        })
        .init();
    logged
});

/// A buffer that a subscriber writes into.
#[derive(Clone, Default)]
pub(crate) struct Logged(Arc<Mutex<Vec<u8>>>);

impl Logged {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A controller and the backend under test.
pub(crate) struct Bench {
    pub(crate) sim: Sim,
    pub(crate) backend: Arc<dyn Backend>,
    raw: reqwest::Client,
}

impl Bench {
    /// The platform's service.
    pub(crate) fn platform() -> Self {
        Self::new(SimConfig::default())
    }

    /// The containerized application's service.
    pub(crate) fn containerized() -> Self {
        Self::new(SimConfig { dialect: Dialect::MariaDb, ..SimConfig::default() })
    }

    pub(crate) fn new(config: SimConfig) -> Self {
        Self::with(config, "", "")
    }

    /// With more keys for the backend's table and for its account.
    pub(crate) fn with(config: SimConfig, rest: &str, account: &str) -> Self {
        LazyLock::force(&LOGGED);
        let sim = Sim::start(config).unwrap();
        let backend = backend(&sim, rest, account);
        Self { sim, backend, raw: reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap() }
    }

    pub(crate) fn fault(&self, fault: Fault) {
        self.sim.add_fault(fault).unwrap();
    }

    /// The alarms that stand, in the order of storing.
    pub(crate) fn alarms(&self) -> Vec<AlarmFields> {
        self.sim.alarms().unwrap().into_iter().map(|row| row.fields).collect()
    }

    /// The uuids of the alarms that stand.
    pub(crate) fn uuids(&self) -> Vec<String> {
        self.alarms().into_iter().map(|alarm| alarm.uuid).collect()
    }

    /// The states of the events, in the order of storing.
    pub(crate) fn events(&self) -> Vec<String> {
        let events = self.sim.events().unwrap();
        events.into_iter().filter_map(|event| event.fields.alarm_state).collect()
    }

    /// The requests to the service since the last call: method and path without query.
    pub(crate) fn requests(&self) -> Vec<String> {
        let requests = self.sim.requests_to(Service::Fm);
        self.sim.clear_requests();
        requests
            .into_iter()
            .map(|request| {
                let path = request.path.split('?').next().unwrap_or_default();
                let path = path.trim_start_matches("/v1/");
                let kind = path.split('/').next().unwrap_or_default();
                let one = if path.contains('/') && path != "alarms/summary" { "/one" } else { "" };
                let what = if path == "alarms/summary" { path } else { kind };
                format!("{} {what}{one}", request.method)
            })
            .collect()
    }

    /// An alarm that another writer has left.
    pub(crate) fn plant(&self, alarm_id: &str, entity: &str, severity: &str) -> String {
        self.sim.insert_alarm(NewAlarm::new(alarm_id, entity, severity)).unwrap().fields.uuid
    }

    /// A request as any client would send it, to show what the service does.
    pub(crate) async fn raw(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let token = token(&self.raw, &self.sim).await;
        let url = format!("{}/v1/{path}", self.sim.url());
        let mut request = self.raw.request(method.parse().unwrap(), url).header("x-auth-token", token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        self.sim.clear_requests();
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// A set whose body is sent in chunks, as some clients do.
    pub(crate) async fn chunked_set(&self) -> String {
        let (token, body) = (token(&self.raw, &self.sim).await, raw_body(&[]).to_string());
        let address = self.sim.url();
        let mut stream =
            tokio::net::TcpStream::connect(address.trim_start_matches("http://").trim_end_matches('/'))
                .await
                .unwrap();
        let head = format!(
            "POST /v1/alarms HTTP/1.1\r\nHost: fm\r\nX-Auth-Token: {}\r\nContent-Type: application/json\r\n\
             Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
            token.to_str().unwrap()
        );
        let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        stream.write_all(format!("{head}{chunks}").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        self.sim.clear_requests();
        answer
    }

    /// A set as any client would send it.
    pub(crate) async fn raw_set(&self, changes: &[(&str, Value)]) -> u16 {
        self.raw("POST", "alarms", Some(raw_body(changes))).await.0
    }

    pub(crate) async fn raise(&self, raise: &Raise) -> Result<Option<String>, Failure> {
        self.backend.raise(raise).await.map(|delivered| delivered.uuid)
    }

    pub(crate) async fn clear(&self, entity: &str) -> Result<(), Failure> {
        let clear = Clear { key: AlarmKey::new(ALARM_ID, entity), standing: None };
        self.backend.clear(&clear).await.map(|_| ())
    }

    /// Clears what is listed: no uuid is known.
    pub(crate) async fn clear_all(&self, entity: &str, rule: EntityMatch) -> Result<(), Failure> {
        let clear_all = ClearAll { entity_instance_id: entity.to_owned(), rule, standing: Vec::new() };
        self.backend.clear_all(&clear_all).await.map(|_| ())
    }

    pub(crate) async fn one(&self, alarm_id: &str, entity: &str) -> Result<Vec<Alarm>, Failure> {
        self.backend.list(&Query::one(&AlarmKey::new(alarm_id, entity))).await
    }

    /// Attempts until the raise is taken, as the delivery makes them; at most so many.
    pub(crate) async fn insist(&self, raise: &Raise, most: usize) -> Option<String> {
        let mut raise = raise.clone();
        for _ in 0..most {
            match self.backend.raise(&raise).await {
                Ok(delivered) => return delivered.uuid,
                Err(failure) => {
                    assert_ne!(failure.kind, FailureKind::Rejected, "{failure}");
                    raise.in_doubt = failure.in_doubt;
                }
            }
        }
        panic!("not taken in {most} attempts");
    }
}

fn backend(sim: &Sim, rest: &str, account: &str) -> Arc<dyn Backend> {
    let config = format!(
        "[fm_rest_api]\nconnect_timeout_ms = 2000\n{}{rest}\n[fm_rest_api.keystone]\nauth_url = '{}'\n{}{account}\n",
        if rest.contains("request_timeout_ms") { "" } else { "request_timeout_ms = 5000\n" },
        sim.keystone_url(),
        if account.contains("password") { "" } else { "username = 'fm'\npassword = 'fm-secret'\n" },
    );
    from_toml(&config).unwrap()
}

/// The backend of a domain's configuration.
pub(crate) fn from_toml(config: &str) -> anyhow::Result<Arc<dyn Backend>> {
    sharing(&Refusals::default(), config)
}

/// One of several that share what Keystone has refused.
pub(crate) fn sharing(refusals: &Refusals, config: &str) -> anyhow::Result<Arc<dyn Backend>> {
    let config: DomainConfig = toml::from_str(config)?;
    match Link::new(Domain::Platform, &config, refusals)? {
        Link::Controller(controller) => Ok(controller.backend),
        Link::Standalone => anyhow::bail!("no controller is configured"),
    }
}

async fn token(client: &reqwest::Client, sim: &Sim) -> reqwest::header::HeaderValue {
    let body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user":
        {"name": "fm", "domain": {"name": "Default"}, "password": "fm-secret"}}},
        "scope": {"project": {"name": "services", "domain": {"name": "Default"}}}}});
    let request = client.post(format!("{}/auth/tokens", sim.keystone_url()));
    let response =
        request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
    response.headers()["x-subject-token"].clone()
}

/// The body of a set, with some attributes changed.
pub(crate) fn raw_body(changes: &[(&str, Value)]) -> Value {
    let mut body = json!({"alarm_id": ALARM_ID, "alarm_state": "set", "entity_type_id": "host.ml2driver",
        "entity_instance_id": ENTITY, "severity": "major", "reason_text": "broken", "alarm_type": "communication",
        "probable_cause": "unknown", "timestamp": "2026-11-22T10:00:00"});
    for (name, value) in changes {
        body[*name] = value.clone();
    }
    body
}

pub(crate) fn alarm(entity: &str, reason: &str) -> Alarm {
    let mut alarm = Alarm::new(
        ALARM_ID,
        "host.ml2driver",
        entity,
        Severity::Major,
        AlarmType::Communication,
        ProbableCause::Unknown,
    );
    reason.clone_into(&mut alarm.reason_text);
    alarm.timestamp = Some(Timestamp::now());
    alarm.service_affecting = true;
    alarm
}

/// A new raise of an alarm.
pub(crate) fn raise(alarm: Alarm) -> Raise {
    Raise {
        alarm,
        uuid: uuid::Uuid::new_v4().to_string(),
        standing: None,
        absent_until: None,
        in_doubt: false,
    }
}

/// A new raise of the usual alarm.
pub(crate) fn usual() -> Raise {
    raise(alarm(ENTITY, "broken"))
}

pub(crate) fn log(alarm: Alarm) -> Log {
    let alarm = Alarm { alarm_state: AlarmState::Log, ..alarm };
    Log { alarm, uuid: uuid::Uuid::new_v4().to_string(), in_doubt: false }
}

pub(crate) fn everything() -> Query {
    Query {
        alarm_id: None,
        entity_instance_id: None,
        exact: false,
        rule: EntityMatch::Component,
        include_suppressed: true,
    }
}

/// An empty 500 to a POST, after so much of it was carried out.
pub(crate) fn post_500(applied: Apply) -> Fault {
    Fault::status(500).applied(applied).on("POST", "/v1/alarms").times(1)
}
