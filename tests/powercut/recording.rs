//! A few lives of the real agent with real callers, written down by the recorder.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fastrand::Rng;
use fm_common::client::Client;
use fm_common::{Alarm, AlarmKey, AlarmState};
use fm_rest_sim::{Fault, Sim};

use crate::disk::Disk;
use crate::log::{self, Record};
use crate::promise::{Acknowledged, Promise, What};
use crate::support::{ALARM_ID, Node, OPENSTACK_ALARM_ID, alarm, controller, domain};
use crate::{recorder, version1};

/// Callers at the same time.
const CALLERS: usize = 4;
/// Calls of each in each life: together enough commits for several checkpoints.
const CALLS: usize = 120;
/// Alarms of each caller.
const ALARMS: u32 = 3;

/// What the agent was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// The first start, in an empty place.
    Creation,
    /// The first start, on a database of the first schema.
    Migration,
    /// A start after an orderly end.
    Start,
    /// A start after a kill.
    Recovery,
    /// Calls and deliveries.
    Load,
    /// The write-ahead log goes into the database.
    Checkpoint,
    /// The write-ahead log begins anew.
    Restart,
    /// An orderly end.
    Close,
}

/// What happened.
pub(crate) struct Recording {
    pub(crate) root: PathBuf,
    pub(crate) state: PathBuf,
    /// The disk before the first record.
    pub(crate) disk: Disk,
    pub(crate) records: Vec<Record>,
    /// What the agent was doing at each record.
    pub(crate) phases: Vec<Phase>,
    pub(crate) promise: Promise,
    _node: Node,
}

struct Studio {
    node: Node,
    root: PathBuf,
    state: PathBuf,
    log: PathBuf,
    sims: [Sim; 2],
    promise: Promise,
    /// Up to which length of the log the agent was doing what.
    until: Vec<(u64, Phase)>,
}

/// Records three lives: they end by a stop, a kill and a stop.
pub(crate) fn record(seed: u64, durability: &str, first: Phase) -> Recording {
    let sims = [controller(), controller()];
    // So slow that requests always wait.
    sims[0].add_fault(Fault::slow(5)).unwrap();
    let domains = domain("platform", &sims[0], "labrador") + &domain("openstack", &sims[1], "labrador");
    let node = Node::prepare(&format!("durability = '{durability}'\n{domains}"));
    let base = node.socket().parent().unwrap().canonicalize().unwrap();
    let root = base.join("disk");
    let state = root.join("lib/fm");
    fs::create_dir(&root).unwrap();
    let mut promise = Promise::default();
    if first == Phase::Migration {
        fs::create_dir_all(&state).unwrap();
        version1::create(&state, &mut promise);
    }
    let disk = Disk::of(&root);
    let log = base.join("record.log");
    let mut studio = Studio { node, root, state, log, sims, promise, until: Vec::new() };
    studio.live(first, seed, 1);
    studio.stop();
    studio.live(Phase::Start, seed, 2);
    studio.node.kill();
    studio.note(Phase::Load);
    studio.reconcile(&disk);
    studio.live(Phase::Recovery, seed, 3);
    studio.stop();
    studio.finish(disk)
}

impl Studio {
    fn length(&self) -> u64 {
        fs::metadata(&self.log).unwrap().len()
    }

    fn note(&mut self, phase: Phase) {
        let length = self.length();
        self.until.push((length, phase));
    }

    fn live(&mut self, start: Phase, seed: u64, life: u64) {
        let mut command: Command = self.node.command();
        command
            .env("FM_AGENT__AGENT__STATE_DIR", &self.state)
            .env("FM_RECORD_DIR", &self.root)
            .env("FM_RECORD_LOG", &self.log)
            .env("LD_PRELOAD", recorder::library());
        self.node.run_command(&mut command);
        self.note(start);
        let said: Mutex<Vec<(AlarmKey, Acknowledged)>> = Mutex::default();
        std::thread::scope(|scope| {
            for number in 0..CALLERS {
                let rng = Rng::with_seed(seed.wrapping_mul(1000) + life * 100 + number as u64);
                let caller = Caller { name: format!("{number}-{life}"), rng, studio: self, said: &said };
                scope.spawn(move || caller.call());
            }
        });
        for (key, acknowledged) in said.into_inner().unwrap() {
            self.promise.requests.entry(key).or_default().push(acknowledged);
        }
        // What was answered last is delivered for a while.
        std::thread::sleep(Duration::from_millis(100));
        self.note(Phase::Load);
    }

    fn stop(&mut self) {
        self.node.terminate();
        assert!(self.node.wait_end().success(), "{}", self.node.log());
        self.note(Phase::Close);
    }

    /// Notes what a killed agent did and could not note any more.
    fn reconcile(&mut self, first: &Disk) {
        let bytes = fs::read(&self.log).unwrap();
        let (records, whole) = log::parse(&bytes);
        let file = File::options().write(true).open(&self.log).unwrap();
        file.set_len(whole as u64).unwrap();
        let mut disk = first.clone();
        for record in &records {
            disk.apply(record);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
        let mut log = File::options().append(true).open(&self.log).unwrap();
        for name in ["fm-agent.db", "fm-agent.db-wal"] {
            let path = self.state.join(name);
            let found = fs::read(&path).unwrap();
            if disk.content(&path).as_ref() != Some(&found) {
                log.write_all(&log::write_record(&path, &found, i64::try_from(now).unwrap())).unwrap();
            }
        }
        self.note(Phase::Load);
    }

    fn finish(mut self, disk: Disk) -> Recording {
        let bytes = fs::read(&self.log).unwrap();
        let (records, whole) = log::parse(&bytes);
        assert_eq!(whole, bytes.len(), "the recorder's log is torn");
        for sim in &self.sims {
            for event in sim.events().unwrap() {
                let reason = event.fields.reason_text.unwrap_or_default();
                let what = match event.fields.alarm_state.as_deref() {
                    Some("set") => What::Set(reason),
                    Some("clear") => What::Clear(reason),
                    _ => What::Log(reason),
                };
                self.promise.delivered.insert(what, event.stored_at);
            }
        }
        let phases = phases(&records, &self.until);
        let Self { node, root, state, promise, .. } = self;
        Recording { root, state, disk, records, phases, promise, _node: node }
    }
}

/// What the agent was doing at each record.
fn phases(records: &[Record], until: &[(u64, Phase)]) -> Vec<Phase> {
    let mut checkpoint = false;
    records
        .iter()
        .map(|record| {
            let phase = until.iter().find(|(length, _)| record.end <= *length).unwrap().1;
            if phase != Phase::Load {
                return phase;
            }
            let database = record.is_about(".db");
            checkpoint = (checkpoint || database) && !(database && record.operation == log::Operation::Sync);
            match &record.operation {
                log::Operation::Write { offset: 0, .. } if record.is_about("-wal") => Phase::Restart,
                _ if checkpoint || database => Phase::Checkpoint,
                _ => Phase::Load,
            }
        })
        .collect()
}

struct Caller<'a> {
    name: String,
    rng: Rng,
    studio: &'a Studio,
    said: &'a Mutex<Vec<(AlarmKey, Acknowledged)>>,
}

impl Caller<'_> {
    fn call(mut self) {
        let client: &Client = &self.studio.node.client;
        let mut standing: BTreeMap<AlarmKey, String> = BTreeMap::new();
        for number in 0..CALLS {
            let which = self.rng.u32(0..ALARMS);
            let id = [ALARM_ID, OPENSTACK_ALARM_ID][which as usize % 2];
            // Each life has alarms of its own: none is known from before.
            let entity = format!("host=c{}.disk={which}", self.name);
            let reason = format!("{}: {number}", self.name);
            let raised = Alarm { alarm_id: id.to_owned(), reason_text: reason.clone(), ..alarm(&entity) };
            let key = raised.key();
            match self.rng.u32(0..10) {
                0..6 => {
                    client.set(raised).unwrap();
                    standing.insert(key.clone(), reason.clone());
                    self.note(key, What::Set(reason));
                }
                6..9 => {
                    let Some(reason) = standing.remove(&key) else { continue };
                    client.clear(key.clone()).unwrap();
                    self.note(key, What::Clear(reason));
                }
                _ => {
                    let key = AlarmKey::new("log", &reason);
                    client.set(Alarm { alarm_state: AlarmState::Log, ..raised }).unwrap();
                    self.note(key, What::Log(reason));
                }
            }
        }
    }

    /// Everything that the answer rests on is in the recorder's log by now.
    fn note(&self, key: AlarmKey, what: What) {
        let by = self.studio.length();
        self.said.lock().unwrap().push((key, Acknowledged { what, by }));
    }
}
