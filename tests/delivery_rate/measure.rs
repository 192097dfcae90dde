//! One measurement: how fast a backlog of alarms gets to a stand-in, with the agent's delivery and without.
//!
//! Both sides send the same alarms over as many connections, each to a stand-in of its own that has just been
//! started, with a token and an open connection to begin with. The agent's side is the real store and the real
//! delivery in this process; its time ends when nothing waits on disk any more.
//!
//! Invariant: what is measured is checked: every alarm stands once, raised once, or the measurement panics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fm_agent::backend::{Link, Refusals};
use fm_agent::config::{Domain, DomainConfig, Durability};
use fm_agent::delivery::Worker;
use fm_agent::metrics::Metrics;
use fm_agent::store::{Batch, KeepRejected, Limits, Op, Store, StoreOptions};
use fm_common::{Alarm, AlarmType, ProbableCause, Severity, Timestamp};
use fm_rest_sim::{Fault, Sim, SimConfig};
use futures_util::future::join_all;
use serde_json::json;
use tokio_util::sync::CancellationToken;

const ALARM_ID: &str = "100.103";
const DOMAIN: Domain = Domain::Platform;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Alarms of one measurement.
    pub(crate) alarms: usize,
    /// Measurements of each side; the sides take turns.
    pub(crate) rounds: usize,
    /// How long the stand-in waits before it answers, beyond its own time: the real service takes 16 ms for a
    /// set and 8 ms for a question.
    pub(crate) pace: Option<Pace>,
}

/// How long a service takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) set_ms: u64,
    pub(crate) question_ms: u64,
}

/// Medians over the rounds, in alarms a second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rates {
    pub(crate) plain: f64,
    pub(crate) agent: f64,
    /// Questions that the agent asked, for each alarm.
    pub(crate) questions: f64,
}

impl Rates {
    pub(crate) fn ratio(&self) -> f64 {
        self.agent / self.plain
    }
}

/// Measures both sides in turn, with so many connections.
pub(crate) async fn measure(plan: Plan, in_flight: usize) -> Rates {
    let (mut without, mut agent, mut questions) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        without.push(side(plan, in_flight, Side::Plain).await.0);
        let (rate, asked) = side(plan, in_flight, Side::Agent).await;
        agent.push(rate);
        questions.push(asked);
    }
    Rates { plain: median(without), agent: median(agent), questions: median(questions) }
}

#[derive(Clone, Copy)]
enum Side {
    Plain,
    Agent,
}

/// Alarms a second, and questions for each alarm.
async fn side(plan: Plan, in_flight: usize, side: Side) -> (f64, f64) {
    let sim = Sim::start(SimConfig::default()).unwrap();
    if let Some(Pace { set_ms, question_ms }) = plan.pace {
        sim.add_fault(Fault::slow(set_ms).on("POST", "/v1/alarms")).unwrap();
        sim.add_fault(Fault::slow(question_ms).on("GET", "/v1/alarms")).unwrap();
    }
    let alarms: Vec<Alarm> = (0..plan.alarms).map(alarm).collect();
    let took = match side {
        Side::Plain => post(&sim, &alarms, in_flight).await,
        Side::Agent => deliver(&sim, &alarms, in_flight).await,
    };
    let wanted: BTreeSet<String> = alarms.iter().map(|alarm| alarm.entity_instance_id.clone()).collect();
    let stand = sim.alarms().unwrap();
    let standing = stand.iter().filter_map(|row| row.fields.entity_instance_id.clone());
    assert_eq!(standing.collect::<BTreeSet<_>>(), wanted);
    assert_eq!(stand.len(), plan.alarms, "an alarm stands twice");
    assert_eq!(sim.events().unwrap().len(), plan.alarms, "an alarm was raised twice");
    let asked = sim.requests().iter().filter(|request| request.method == "GET").count();
    (count(plan.alarms) / took.as_secs_f64(), count(asked) / count(plan.alarms))
}

/// As many tasks as connections, each posts one alarm after the other.
async fn post(sim: &Sim, alarms: &[Alarm], connections: usize) -> Duration {
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let token = token(&client, sim).await;
    let url = format!("{}/v1/alarms", sim.url());
    let bodies: Arc<Vec<String>> = Arc::new(alarms.iter().map(body).collect());
    let opened = client.get(format!("{url}/summary")).header("x-auth-token", &token).send().await.unwrap();
    opened.bytes().await.unwrap();
    let started = Instant::now();
    let tasks = (0..connections).map(|first| {
        let (client, token, url) = (client.clone(), token.clone(), url.clone());
        let bodies = Arc::clone(&bodies);
        tokio::spawn(async move {
            for body in bodies.iter().skip(first).step_by(connections) {
                let request = client.post(&url).header("x-auth-token", &token);
                let request = request.header("content-type", "application/json").body(body.clone());
                let answer = request.send().await.unwrap();
                assert_eq!(answer.status().as_u16(), 200);
                answer.bytes().await.unwrap();
            }
        })
    });
    for ended in join_all(tasks).await {
        ended.unwrap();
    }
    started.elapsed()
}

/// The agent's delivery, from a backlog on disk to an empty queue.
async fn deliver(sim: &Sim, alarms: &[Alarm], max_in_flight: usize) -> Duration {
    let directory = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new().unwrap());
    let store = Arc::new(
        Store::open(&StoreOptions {
            state_dir: directory.path().join("state"),
            durability: Durability::Power,
            domains: BTreeMap::from([(DOMAIN, false)]),
            max_events: 100,
            rejected: KeepRejected { most: 100, age: Duration::from_hours(1) },
            limits: Limits { max_bytes: 1 << 40, max_requests: 100_000_000, high_water: 1.0 },
            metrics: Arc::clone(&metrics),
        })
        .unwrap(),
    );
    let ops = alarms.iter().map(|alarm| Op::Raise { domain: DOMAIN, alarm: Box::new(alarm.clone()) });
    let batch = Batch { token: None, origin: None, ops: ops.collect() };
    store.writer.submit(batch).await.unwrap().committed().await.unwrap();
    let config: DomainConfig = toml::from_str(&format!(
        "[fm_rest_api]\nendpoint = '{}'\n[fm_rest_api.keystone]\nauth_url = '{}'\nusername = 'fm'\n\
         password = 'fm-secret'\n",
        sim.url(),
        sim.keystone_url()
    ))
    .unwrap();
    let Link::Controller(controller) = Link::new(DOMAIN, &config, &Refusals::default()).unwrap() else {
        unreachable!("configured")
    };
    controller.backend.probe().await.unwrap();
    let worker = Worker::new(DOMAIN, Arc::clone(&store), controller, max_in_flight, metrics, Arc::default())
        .await
        .unwrap();
    let stop = CancellationToken::new();
    let started = Instant::now();
    let running = tokio::spawn(worker.run(stop.clone()));
    while store.reader.count_waiting(DOMAIN).await.unwrap().requests > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let took = started.elapsed();
    stop.cancel();
    running.await.unwrap();
    assert_eq!(store.reader.count_waiting(DOMAIN).await.unwrap().rejected, 0);
    store.writer.stop().await.unwrap();
    took
}

async fn token(client: &reqwest::Client, sim: &Sim) -> reqwest::header::HeaderValue {
    let body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user":
        {"name": "fm", "domain": {"name": "Default"}, "password": "fm-secret"}}},
        "scope": {"project": {"name": "services", "domain": {"name": "Default"}}}}});
    let request = client.post(format!("{}/auth/tokens", sim.keystone_url()));
    let request = request.header("content-type", "application/json").body(body.to_string());
    request.send().await.unwrap().headers()["x-subject-token"].clone()
}

fn alarm(number: usize) -> Alarm {
    Alarm {
        uuid: Some(uuid::Uuid::new_v4().to_string()),
        timestamp: Some(Timestamp::now()),
        reason_text: "driver out of sync".to_owned(),
        proposed_repair_action: "look at its log".to_owned(),
        ..Alarm::new(
            ALARM_ID,
            "host.process",
            &format!("host=compute-1.process=p{number}"),
            Severity::Major,
            AlarmType::ProcessingError,
            ProbableCause::Unknown,
        )
    }
}

/// The body that a client of the service would send.
fn body(alarm: &Alarm) -> String {
    json!({"uuid": alarm.uuid, "alarm_id": alarm.alarm_id, "alarm_state": "set",
        "entity_type_id": alarm.entity_type_id, "entity_instance_id": alarm.entity_instance_id,
        "timestamp": "2026-11-22T10:00:00.000000", "severity": alarm.severity.as_str(),
        "reason_text": alarm.reason_text, "alarm_type": alarm.alarm_type.as_str(),
        "probable_cause": alarm.probable_cause.as_str(),
        "proposed_repair_action": alarm.proposed_repair_action, "service_affecting": false,
        "suppression": false})
    .to_string()
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
