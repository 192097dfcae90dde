//! Cutting the power at many moments of a recording, and opening what is left with the product's own store.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use fm_agent::config::{Domain, Durability};
use fm_agent::metrics::Metrics;
use fm_agent::store::{KeepRejected, Limits, RequestKind, Store, StoreOptions};
use fm_common::AlarmKey;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::disk::Style;
use crate::log::Operation;
use crate::promise::{Held, Moment, Promise};
use crate::recording::{Phase, Recording};

/// What came of the cuts of one recording.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) cuts: BTreeMap<Phase, usize>,
    pub(crate) lost: usize,
    /// Each image that breaks the promise, in words.
    pub(crate) broken: Vec<String>,
}

/// Makes so many cuts, spread evenly over the phases. Images that break the promise are kept in `keep`.
pub(crate) fn cut(mut recording: Recording, cuts: usize, rng: &mut Rng, keep: &Path) -> Tally {
    let mut tally = Tally::default();
    let moments = choose(&recording, cuts, rng);
    let mut next = moments.into_iter().peekable();
    for at in 0..recording.records.len() {
        recording.disk.apply(&recording.records[at]);
        while next.next_if_eq(&at).is_some() {
            let style = Style::random(rng);
            let image = place();
            recording.disk.cut(style, rng, image.path());
            let record = &recording.records[at];
            let time = recording.records.get(at + 1).map_or(i64::MAX, |next| next.began_at);
            let moment = Moment { log: record.end, time };
            let state = image.path().join(recording.state.strip_prefix(&recording.root).unwrap());
            let phase = recording.phases[at];
            *tally.cuts.entry(phase).or_default() += 1;
            if let Err((lost, wrong)) = look(&state, &recording.promise, moment) {
                tally.lost += lost;
                let kept = keep_image(image.path(), keep, tally.broken.len());
                tally.broken.push(format!(
                    "after record {at} ({}), {phase:?}, {style:?}, {} changes not synced: {lost} lost\n  {wrong}\n  \
                     the image: {}",
                    record.told(),
                    recording.disk.unsynced(),
                    kept.display()
                ));
            }
        }
    }
    tally
}

/// A directory for an image: in memory where there is one, for nothing has to outlive this test.
fn place() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// The records after which the power is cut, in order: for each phase as many around syncs as anywhere.
fn choose(recording: &Recording, cuts: usize, rng: &mut Rng) -> Vec<usize> {
    let mut phases: BTreeMap<Phase, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (at, phase) in recording.phases.iter().enumerate() {
        let (syncs, all) = phases.entry(*phase).or_default();
        all.push(at);
        let is_sync =
            |at: usize| recording.records.get(at).is_some_and(|record| record.operation == Operation::Sync);
        if is_sync(at) || is_sync(at + 1) {
            syncs.push(at);
        }
    }
    let groups: Vec<Vec<usize>> = phases
        .into_values()
        .flat_map(|(syncs, all)| [syncs, all])
        .filter(|group| !group.is_empty())
        .collect();
    let mut chosen: Vec<usize> =
        groups.iter().cycle().take(cuts).map(|group| group[rng.usize(0..group.len())]).collect();
    chosen.sort_unstable();
    chosen
}

fn keep_image(image: &Path, keep: &Path, number: usize) -> PathBuf {
    let to = keep.join(number.to_string());
    copy(image, &to);
    to
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Opens the store as the agent does and compares it with the promise.
fn look(state: &Path, promise: &Promise, moment: Moment) -> Result<(), (usize, String)> {
    let held = open(state, promise).map_err(|wrong| (0, wrong))?;
    let mut wrong = promise.requests.keys().filter_map(|key| {
        let nothing = Held::default();
        promise.check(key, held.get(key).unwrap_or(&nothing), moment).err()
    });
    let Some((mut lost, text)) = wrong.next() else {
        // A cut while the first database is made may leave a part of it: nobody was promised anything yet.
        let promised = promise.requests.values().flatten().any(|request| request.by <= moment.log);
        return if promised { untouched(state).map_err(|wrong| (0, wrong)) } else { Ok(()) };
    };
    let others = wrong.inspect(|(number, _)| lost += number).count();
    Err((lost, format!("{text}\n  and {others} other alarms")))
}

/// Nothing had to be moved aside.
fn untouched(state: &Path) -> Result<(), String> {
    let names = fs::read_dir(state).unwrap().map(|entry| entry.unwrap().file_name());
    let aside: Vec<_> = names.filter(|name| name.to_string_lossy().contains("damaged")).collect();
    if aside.is_empty() { Ok(()) } else { Err(format!("the store had to be repaired: {aside:?}")) }
}

/// What the store holds, alarm by alarm.
fn open(state: &Path, promise: &Promise) -> Result<BTreeMap<AlarmKey, Held>, String> {
    let options = StoreOptions {
        state_dir: state.to_owned(),
        durability: Durability::Power,
        domains: [Domain::Platform, Domain::Openstack].map(|domain| (domain, false)).into(),
        max_events: 100,
        rejected: KeepRejected { most: 100, age: Duration::from_hours(1) },
        limits: Limits { max_bytes: 1 << 40, max_requests: 100_000_000, high_water: 1.0 },
        metrics: Arc::new(Metrics::new().unwrap()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let held = runtime.block_on(async {
        let store = Store::open(&options).map_err(|error| format!("the store does not open: {error}"))?;
        let held = read(&store, promise).await.map_err(|error| format!("the store is not read: {error}"))?;
        store.writer.stop().await.map_err(|error| format!("the store does not close: {error}"))?;
        Ok::<_, String>(held)
    })?;
    let connection = Connection::open(state.join("fm-agent.db")).unwrap();
    let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    if verdict != "ok" {
        return Err(format!("integrity_check: {verdict}"));
    }
    Ok(held)
}

async fn read(
    store: &Store,
    promise: &Promise,
) -> Result<BTreeMap<AlarmKey, Held>, fm_agent::store::StoreError> {
    let mut held: BTreeMap<AlarmKey, Held> = BTreeMap::new();
    for domain in [Domain::Platform, Domain::Openstack] {
        for request in store.reader.waiting(domain, 0, usize::MAX, usize::MAX).await?.0 {
            let key = match &request.kind {
                RequestKind::Raise { alarm, .. } => alarm.key(),
                RequestKind::Log { alarm, .. } => AlarmKey::new("log", &alarm.reason_text),
                RequestKind::Clear { key } | RequestKind::Remove { key, .. } => key.clone(),
                RequestKind::ClearAll { entity_instance_id, .. } => AlarmKey::new("", entity_instance_id),
            };
            held.entry(key).or_default().waiting.push(request.kind);
        }
    }
    for key in promise.requests.keys() {
        if let Some(kept) = store.reader.find(key.clone()).await? {
            held.entry(key.clone()).or_default().kept = Some(kept);
        }
    }
    Ok(held)
}
