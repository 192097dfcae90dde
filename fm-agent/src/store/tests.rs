//! Tests of the store, against real files. What they share is here.

mod bounding;
mod changes;
mod commits;
mod disk_full;
mod files;
mod healing;
mod measure;
mod model;
mod property;
mod recovery;
mod recovery_log;
mod reopening;
mod reports;
mod schemas;
mod settling;
mod steps;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fm_common::entity::EntityMatch;
use fm_common::protocol::Token;
use fm_common::{Alarm, AlarmKey, AlarmType, ProbableCause, Severity, Timestamp};
use rusqlite::Connection;
use tempfile::TempDir;

use super::{
    Batch, KeepRejected, Kept, Limits, Op, Outcome, Report, Request, RequestKind, Standing, Store,
    StoreError, StoreOptions, Unknown,
};
use crate::config::Domain::{Openstack, Platform};
use crate::config::{Domain, Durability};
use crate::metrics::Metrics;

/// A store in a directory of its own.
struct Bed {
    directory: TempDir,
    options: StoreOptions,
    store: Option<Store>,
    alone: AtomicBool,
}

impl Bed {
    /// Each domain, and whether its record is here.
    fn new(domains: &[(Domain, bool)]) -> Self {
        let directory = TempDir::new().unwrap();
        let options = options(directory.path(), domains);
        let store = Some(Store::open(&options).unwrap());
        Self::over(directory, options, store)
    }

    fn over(directory: TempDir, options: StoreOptions, store: Option<Store>) -> Self {
        Self { directory, options, store, alone: AtomicBool::new(true) }
    }

    /// Both domains have a controller.
    fn delivering() -> Self {
        Self::new(&[(Platform, false), (Openstack, false)])
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    /// Closes without a stop, and opens again.
    fn reopen(&mut self) {
        drop(self.store.take());
        self.store = Some(Store::open(&self.options).unwrap());
    }

    /// Opens again with other domains.
    fn reopen_with(&mut self, domains: &[(Domain, bool)]) {
        self.options = options(self.directory.path(), domains);
        self.reopen();
    }

    /// A second connection to the database.
    fn database(&self) -> Connection {
        Connection::open(self.directory.path().join("fm-agent.db")).unwrap()
    }

    /// Every other time by the way for callers that are alone: it has to mean the same.
    async fn try_submit(&self, token: Option<Token>, ops: Vec<Op>) -> Result<Vec<Outcome>, StoreError> {
        let (writer, batch) = (&self.store().writer, Batch { token, origin: None, ops });
        let submitted = if self.alone.fetch_xor(true, Ordering::Relaxed) {
            writer.submit_at_once(batch).await?
        } else {
            writer.submit(batch).await?
        };
        submitted.committed().await
    }

    async fn all(&self, ops: Vec<Op>) -> Vec<Outcome> {
        self.try_submit(None, ops).await.unwrap()
    }

    async fn one(&self, op: Op) -> Outcome {
        self.all(vec![op]).await.remove(0)
    }

    async fn waiting(&self, domain: Domain) -> Vec<Request> {
        self.store().reader.waiting(domain, 0, usize::MAX, usize::MAX).await.unwrap().0
    }

    /// What waits, in short.
    async fn queue(&self, domain: Domain) -> Vec<String> {
        self.waiting(domain).await.iter().map(|request| short(&request.kind)).collect()
    }

    async fn find(&self, id: &str) -> Option<Kept> {
        self.store().reader.find(key(id)).await.unwrap()
    }

    /// Reports that the first request of a domain is done.
    async fn done(&self, domain: Domain, uuid: Option<&str>) {
        let seq = self.waiting(domain).await[0].seq;
        self.report(Report::Done { seq, uuid: uuid.map(str::to_owned) }).await;
    }

    /// Reports that the controller refuses the first request of a domain.
    async fn rejected(&self, domain: Domain) {
        let seq = self.waiting(domain).await[0].seq;
        self.report(Report::Rejected { seq, answer: "no".to_owned() }).await;
    }

    async fn report(&self, report: Report) {
        self.store().writer.report(report).await.unwrap();
    }

    /// The events of the domains whose record is here: state, alarm id, reason.
    fn events(&self) -> Vec<String> {
        let database = self.database();
        let mut statement = database.prepare("SELECT state, alarm_id FROM event ORDER BY seq").unwrap();
        let rows = statement
            .query_map([], |row| Ok(format!("{} {}", row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }
}

fn options(directory: &Path, domains: &[(Domain, bool)]) -> StoreOptions {
    StoreOptions {
        state_dir: directory.to_owned(),
        durability: Durability::Process,
        domains: domains.iter().copied().collect(),
        max_events: 100,
        rejected: KeepRejected { most: 10_000, age: Duration::from_hours(24) },
        limits: Limits { max_bytes: 1 << 30, max_requests: 1_000_000, high_water: 1.0 },
        metrics: Arc::new(Metrics::new().unwrap()),
    }
}

/// The entity of the tests' alarms.
const ENTITY: &str = "host=c1";

fn key(id: &str) -> AlarmKey {
    AlarmKey::new(id, ENTITY)
}

/// An alarm as the service hands it over: with uuid and time.
fn alarm(id: &str, reason: &str) -> Alarm {
    Alarm {
        uuid: Some(uuid::Uuid::new_v4().to_string()),
        timestamp: Some(Timestamp::now()),
        reason_text: reason.to_owned(),
        ..Alarm::new(id, "host", ENTITY, Severity::Major, AlarmType::Equipment, ProbableCause::Unknown)
    }
}

fn uuid(alarm: &Alarm) -> String {
    alarm.uuid.clone().unwrap()
}

fn raise(domain: Domain, alarm: &Alarm) -> Op {
    Op::Raise { domain, alarm: Box::new(alarm.clone()) }
}

fn log(domain: Domain, alarm: &Alarm) -> Op {
    Op::Log { domain, alarm: Box::new(alarm.clone()) }
}

fn clear(id: &str, unknown: Unknown) -> Op {
    Op::Clear { key: key(id), unknown }
}

fn clear_all(entity: &str, unknown: Unknown, domains: &[Domain]) -> Op {
    Op::ClearAll {
        entity_instance_id: entity.to_owned(),
        rule: EntityMatch::Component,
        unknown,
        domains: domains.to_vec(),
    }
}

fn short(kind: &RequestKind) -> String {
    match kind {
        RequestKind::Raise { alarm, .. } => format!("raise {} {}", alarm.alarm_id, alarm.reason_text),
        RequestKind::Log { alarm, .. } => format!("log {} {}", alarm.alarm_id, alarm.reason_text),
        RequestKind::Clear { key } => format!("clear {}", key.alarm_id),
        RequestKind::ClearAll { entity_instance_id, .. } => format!("clear_all {entity_instance_id}"),
        RequestKind::Remove { key, uuid } => format!("remove {} {uuid}", key.alarm_id),
    }
}

/// The uuid that a waiting raise or log takes at the controller.
fn asked(request: &Request) -> String {
    match &request.kind {
        RequestKind::Raise { uuid, .. }
        | RequestKind::Log { uuid, .. }
        | RequestKind::Remove { uuid, .. } => uuid.clone(),
        RequestKind::Clear { .. } | RequestKind::ClearAll { .. } => panic!("{request:?} has no uuid"),
    }
}

fn raised(kept: Option<Kept>) -> Alarm {
    match kept.map(|kept| kept.standing) {
        Some(Standing::Raised(alarm)) => *alarm,
        other => panic!("not raised: {other:?}"),
    }
}
