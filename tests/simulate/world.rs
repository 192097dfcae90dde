//! A node, its two controllers, the model of both, and what a step does.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::{Duration, Instant};

use fastrand::Rng;
use fm_common::client::{Client, ClientError};
use fm_common::{Alarm, AlarmKey, AlarmState, ErrorCode, Severity};
use fm_rest_sim::{Dialect, NewAlarm, Sim, SimConfig};
use serde_json::Value;

use crate::faults::{Losses, strike};
use crate::model::{Domain, Event};
use crate::support::{
    ALARM_ID, Node, OPENSTACK_ALARM_ID, alarm, controller_with, domain, replaced, wait_for,
};

const WRITE_MS: u64 = 1000;
const READ_MS: u64 = 1500;
/// What a busy machine may add to a deadline.
const SLACK: Duration = Duration::from_millis(400);
/// Events kept in the seeds whose controllers are at the cap.
const CAP: u32 = 60;
/// An alarm of another writer stands here.
const FOREIGN: &str = "host=foreign";

/// The domains with the alarm id that each owns.
const DOMAINS: [(&str, &str); 2] = [("platform", ALARM_ID), ("openstack", OPENSTACK_ALARM_ID)];
const ENTITIES: [&str; 5] = ["host=n1", "host=n1.disk=1", "host=n1.port=eth0", "host=n10", "host=n2"];

pub(crate) struct World {
    rng: Rng,
    losses: Losses,
    sims: [Sim; 2],
    node: Node,
    caller: Client,
    /// An agent of another node, that keeps the event logs busy where they are at their cap.
    other: Option<Node>,
    model: [Domain; 2],
    /// Alarms that were read, which callers set again, changed.
    read: Vec<Alarm>,
    numbers: u32,
    calls: u32,
    strikes: u32,
    kills: u32,
    slowest: Duration,
}

impl World {
    pub(crate) fn new(seed: u64, losses: Losses) -> Self {
        let cap = if losses == Losses::Events { CAP } else { 4000 };
        let sims = [Dialect::PostgreSql, Dialect::MariaDb].map(|dialect| {
            controller_with(SimConfig { dialect, seed, event_cap: cap, ..SimConfig::default() })
        });
        for ((_, id), sim) in DOMAINS.iter().zip(&sims) {
            sim.insert_alarm(NewAlarm::new(id, FOREIGN, "minor")).unwrap();
            if losses == Losses::Events {
                sim.fill_event_log(cap).unwrap();
                sim.set_collision_probability(0.3, seed);
            }
        }
        let parts = DOMAINS.iter().zip(&sims).flat_map(|((name, _), sim)| {
            let hasty = domain(name, sim, "labrador").replace("_ms = 1000", "_ms = 300");
            [format!("[{name}]\nlongest_pause_ms = 400\ncompare_spread_ms = 200\n"), hasty]
        });
        let config = parts.collect::<String>();
        let node = Node::start(&config);
        let other = (losses == Losses::Events).then(|| Node::start(&config));
        let caller = node.hasty_client(WRITE_MS, READ_MS);
        Self {
            rng: Rng::with_seed(seed),
            losses,
            sims,
            node,
            caller,
            other,
            model: Default::default(),
            read: Vec::new(),
            numbers: 0,
            calls: 0,
            strikes: 0,
            kills: 0,
            slowest: Duration::ZERO,
        }
    }

    /// One call or one fault, and a moment for the agent.
    pub(crate) fn step(&mut self) {
        if self.rng.u32(0..4) == 0 {
            self.others_write();
        }
        match self.rng.u32(0..100) {
            0..20 => {
                let sim = &self.sims[self.rng.usize(0..2)];
                strike(sim, &mut self.rng, self.losses);
                self.strikes += 1;
            }
            20..30 => {
                let sim = &self.sims[self.rng.usize(0..2)];
                sim.clear_faults().unwrap();
                sim.restart().unwrap();
            }
            30..32 => {
                self.node.kill();
                self.node.run();
                self.kills += 1;
            }
            32..50 => self.set(),
            50..56 => self.set_list(),
            56..70 => self.clear(),
            70..73 => self.clear_all(),
            73..76 => self.clear_list(),
            76..81 => self.log(),
            81..92 => self.get(),
            _ => self.list(),
        }
        sleep(Duration::from_millis(self.rng.u64(0..45)));
    }

    /// Makes a call and sees to its deadline.
    fn timed<T>(
        &mut self,
        what: &str,
        limit_ms: u64,
        call: impl FnOnce(&Client) -> Result<T, ClientError>,
    ) -> Result<T, ErrorCode> {
        let started = Instant::now();
        let result = call(&self.caller);
        let took = started.elapsed();
        assert!(took <= Duration::from_millis(limit_ms) + SLACK, "{what} took {took:?}");
        self.slowest = self.slowest.max(took);
        self.calls += 1;
        result.map_err(|error| error.code())
    }

    fn key(&mut self) -> (usize, AlarmKey) {
        let domain = self.rng.usize(0..2);
        let entity = ENTITIES[self.rng.usize(0..ENTITIES.len())];
        (domain, AlarmKey::new(DOMAINS[domain].1, entity))
    }

    /// An alarm that says something new, or what stands already.
    fn alarm(&mut self) -> (usize, Alarm) {
        let (domain, key) = self.key();
        if let Some(standing) = self.model[domain].standing.get(&key)
            && self.rng.u32(0..4) == 0
        {
            return (domain, Alarm { uuid: None, timestamp: None, ..standing.clone() });
        }
        self.numbers += 1;
        let severity = [Severity::Critical, Severity::Major, Severity::Minor][self.rng.usize(0..3)].clone();
        // What a caller reads and changes keeps its uuid and its time, wherever it is set then.
        let read = if self.rng.bool() { self.rng.choice(&self.read) } else { None };
        let fresh = Alarm {
            uuid: read.and_then(|alarm| alarm.uuid.clone()),
            timestamp: read.and_then(|alarm| alarm.timestamp),
            alarm_id: key.alarm_id,
            reason_text: format!("number {}", self.numbers),
            severity,
            ..alarm(&key.entity_instance_id)
        };
        (domain, fresh)
    }

    /// Whether an older library sends this, which passes a uuid on as it is. A used one costs the event of a raise.
    fn sends_as_older(&mut self) -> bool {
        self.losses == Losses::Events && self.rng.bool()
    }

    fn set(&mut self) {
        let (domain, mut alarm) = self.alarm();
        alarm.keep_existing_alarm = self.rng.u32(0..5) == 0;
        let sent = alarm.clone();
        if self.sends_as_older() {
            self.node.older_set(sent).unwrap();
        } else {
            let uuid = self.timed("set", WRITE_MS, |caller| caller.set(sent)).unwrap();
            assert!(!uuid.is_empty());
        }
        self.model[domain].set(&alarm);
    }

    fn set_list(&mut self) {
        let alarms: Vec<(usize, Alarm)> = (0..self.rng.usize(1..5)).map(|_| self.alarm()).collect();
        let sent: Vec<Alarm> = alarms.iter().map(|(_, alarm)| alarm.clone()).collect();
        let uuids = self.timed("set list", WRITE_MS, |caller| caller.set_list(sent)).unwrap();
        assert_eq!(uuids.len(), alarms.len());
        for (domain, alarm) in alarms {
            self.model[domain].set(&alarm);
        }
    }

    fn clear(&mut self) {
        let (domain, key) = self.key();
        let sent = key.clone();
        let result = self.timed("clear", WRITE_MS, |caller| caller.clear(sent));
        let stands = self.model[domain].standing.contains_key(&key);
        assert!(
            result.is_ok() || (!stands && result == Err(ErrorCode::EntityNotFound)),
            "{key:?}: {result:?}"
        );
        self.model[domain].clear(&key);
    }

    fn clear_list(&mut self) {
        let keys: Vec<(usize, AlarmKey)> = (0..self.rng.usize(1..4)).map(|_| self.key()).collect();
        let sent = keys.iter().map(|(_, key)| key.clone()).collect();
        self.timed("clear list", WRITE_MS, |caller| caller.clear_list(sent)).unwrap();
        for (domain, key) in keys {
            self.model[domain].clear(&key);
        }
    }

    fn clear_all(&mut self) {
        let entity = ENTITIES[self.rng.usize(0..ENTITIES.len())];
        let result = self.timed("clear all", WRITE_MS, |caller| caller.clear_all(entity));
        let covered = [0, 1].map(|domain: usize| self.model[domain].covered(entity));
        let stands = covered.iter().any(|keys| !keys.is_empty());
        assert!(
            result.is_ok() || (!stands && result == Err(ErrorCode::EntityNotFound)),
            "{entity}: {result:?}"
        );
        for (domain, keys) in covered.iter().enumerate() {
            for key in keys {
                self.model[domain].clear(key);
            }
        }
    }

    fn log(&mut self) {
        let (domain, alarm) = self.alarm();
        self.numbers += 1;
        let reason_text = format!("log {}", self.numbers);
        let log = Alarm { alarm_state: AlarmState::Log, reason_text, ..alarm };
        let sent = log.clone();
        if self.sends_as_older() {
            self.node.older_set(sent).unwrap();
        } else {
            self.timed("log", WRITE_MS, |caller| caller.set(sent)).unwrap();
        }
        self.model[domain].log(&log);
    }

    /// Another node logs, in both domains: events of others push each other and this node's out of the log.
    fn others_write(&mut self) {
        let Some(other) = &self.other else { return };
        let logs = DOMAINS.map(|(_, id)| {
            self.numbers += 1;
            Alarm {
                alarm_id: id.to_owned(),
                alarm_state: AlarmState::Log,
                reason_text: format!("log {} of another node", self.numbers),
                ..alarm("host=other")
            }
        });
        for (domain, log) in self.model.iter_mut().zip(&logs) {
            domain.log(log);
        }
        other.client.set_list(logs.to_vec()).unwrap();
    }

    /// A caller reads what it wrote, whatever has been delivered.
    fn get(&mut self) {
        let (domain, key) = self.key();
        let sent = key.clone();
        let result = self.timed("get", READ_MS, |caller| caller.get(sent));
        match (self.model[domain].standing.get(&key), result) {
            (Some(standing), Ok(found)) => {
                assert!(found.same_content(standing), "{found:?} for {standing:?}");
                self.read.push(found);
            }
            (None, Err(ErrorCode::EntityNotFound | ErrorCode::NoConnect)) => {}
            (standing, result) => panic!("get {key:?} gave {result:?}, stands: {standing:?}"),
        }
    }

    /// A list is whole, or an error.
    fn list(&mut self) {
        let domain = self.rng.usize(0..2);
        let id = DOMAINS[domain].1;
        let listed = self.timed("list", READ_MS, |caller| caller.list_by_id(id));
        let found: BTreeSet<(String, String)> = match listed {
            Ok(alarms) => {
                alarms.into_iter().map(|alarm| (alarm.entity_instance_id, alarm.reason_text)).collect()
            }
            Err(ErrorCode::NoConnect) => return,
            Err(other) => panic!("list: {other}"),
        };
        let mut expected: BTreeSet<(String, String)> = self.model[domain]
            .standing
            .values()
            .map(|alarm| (alarm.entity_instance_id.clone(), alarm.reason_text.clone()))
            .collect();
        expected.insert((FOREIGN.to_owned(), String::new()));
        assert_eq!(found, expected, "list of {id}");
    }

    /// Ends the faults, waits until everything is delivered, and checks both controllers. Then one of them
    /// loses all it had.
    pub(crate) fn end(self) -> String {
        for sim in &self.sims {
            sim.clear_faults().unwrap();
            sim.restart().unwrap();
        }
        for node in [&self.node].into_iter().chain(&self.other) {
            node.wait_delivered();
        }
        for (name, _) in DOMAINS {
            let healed = compared(&self.node, name);
            for what in ["raised", "removed", "respected", "left"] {
                assert_eq!(healed[what], 0, "{name}: {healed}");
            }
            assert_eq!(self.node.domain(name)["rejected"], 0, "{name}");
        }
        // Nothing was ever lost, so there never was anything to heal: what delivery gets wrong must not hide
        // behind a comparison that puts it right.
        let log = self.node.log();
        let healed = log.lines().filter(|line| line.contains("compared with the controller"));
        let wrong: Vec<&str> =
            healed.filter(|line| !line.contains("raised=0 removed=0 respected=0")).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        for (index, sim) in self.sims.iter().enumerate() {
            check_alarms(&self.model[index], true, sim);
            check_events(&self.model[index], sim, self.losses);
        }
        let [lost, _keeps] = self.sims;
        let lost = replaced(lost, SimConfig::default());
        let healed = compared(&self.node, DOMAINS[0].0);
        assert_eq!(healed["removed"], 0, "{healed}");
        self.node.wait_delivered();
        check_alarms(&self.model[0], false, &lost);
        let Self { calls, strikes, kills, slowest, .. } = self;
        format!("{calls} calls, {strikes} faults, {kills} crashes, slowest call {} ms", slowest.as_millis())
    }
}

/// Lets a controller be compared, and gives what came of it.
fn compared(node: &Node, domain: &str) -> Value {
    let mut answer = None;
    wait_for("the comparison", || {
        answer = node.client.resync(domain).ok();
        answer.is_some()
    });
    serde_json::from_str(&answer.unwrap()).unwrap()
}

/// The entity as callers know it, whatever the controller had to make of it.
fn entity(held: Option<String>) -> String {
    held.unwrap_or_default().replace(".port:", ".port=")
}

/// What stands is what the model says, and another's alarm if it has not been lost.
fn check_alarms(model: &Domain, foreign: bool, sim: &Sim) {
    let mut found: Vec<(String, String, String)> = sim
        .alarms()
        .unwrap()
        .into_iter()
        .map(|row| row.fields)
        .map(|alarm| {
            let severity = alarm.severity.unwrap_or_default();
            (entity(alarm.entity_instance_id), severity, alarm.reason_text.unwrap_or_default())
        })
        .collect();
    let mut expected: Vec<(String, String, String)> = model
        .standing
        .values()
        .map(|alarm| {
            let severity = alarm.severity.as_str().to_owned();
            (alarm.entity_instance_id.clone(), severity, alarm.reason_text.clone())
        })
        .collect();
    if foreign {
        expected.push((FOREIGN.to_owned(), "minor".to_owned(), String::new()));
    }
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "what stands");
}

fn check_events(model: &Domain, sim: &Sim, losses: Losses) {
    let mut found: BTreeMap<AlarmKey, Vec<Event>> = BTreeMap::new();
    let mut logs: Vec<String> = Vec::new();
    for event in sim.events().unwrap().into_iter().map(|row| row.fields) {
        let id = event.alarm_id.unwrap_or_default();
        if id.starts_with("fill") {
            continue;
        }
        let (state, reason) = (event.alarm_state.unwrap_or_default(), event.reason_text.unwrap_or_default());
        if state == "log" {
            logs.push(reason);
        } else {
            let key = AlarmKey::new(id, &entity(event.entity_instance_id));
            found.entry(key).or_default().push((state, reason));
        }
    }
    let mut expected_logs = model.logs.clone();
    logs.sort();
    expected_logs.sort();
    match losses {
        Losses::None => {
            assert_eq!(found, model.events);
            assert_eq!(logs, expected_logs);
        }
        Losses::Events => {
            for (key, events) in &found {
                let mut expected = model.events.get(key).into_iter().flatten();
                assert!(
                    events.iter().all(|event| expected.any(|expected| expected == event)),
                    "{key:?}: {events:?} is not in the order of {:?}",
                    model.events.get(key)
                );
            }
            let once: BTreeSet<&String> = logs.iter().collect();
            assert_eq!(once.len(), logs.len(), "a log is doubled");
            assert!(logs.iter().all(|log| expected_logs.contains(log)));
        }
    }
}
