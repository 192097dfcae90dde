//! A stand-in, a backend that talks to it, and words for what the tests ask of both.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fm_agent::backend::{Backend, Clear, ClearAll, Delivered, Failure, Link, Log, Query, Raise, Refusals};
use fm_agent::config::{Domain, DomainConfig};
use fm_common::entity::EntityMatch;
use fm_common::{Alarm, AlarmKey, AlarmState, AlarmType, ProbableCause, Severity, Timestamp};
use fm_manager_sim::{Action, AlarmRecord, EventState, Fault, FaultKind, Filter, ManagerConfig, ManagerSim};

/// Of the catalogue.
pub(crate) const ALARM_ID: &str = "100.103";
pub(crate) const OTHER_ID: &str = "100.101";
pub(crate) const ENTITY: &str = "host=compute-1";

/// A manager and the backend under test.
pub(crate) struct Bench {
    pub(crate) sim: ManagerSim,
    pub(crate) backend: Arc<dyn Backend>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(ManagerConfig::default(), "")
    }

    /// With a manager of its own kind and more keys for its table. The poll is quicker than the
    /// manager's.
    pub(crate) fn with(config: ManagerConfig, keys: &str) -> Self {
        let poll = config.poll.min(Duration::from_millis(20));
        let sim = ManagerSim::start(ManagerConfig { poll, ..config }).unwrap();
        Self::of(sim, keys)
    }

    pub(crate) fn of(sim: ManagerSim, keys: &str) -> Self {
        let (host, port) = (sim.address().ip(), sim.address().port());
        let timeouts = if keys.contains("read_timeout_ms") { "" } else { "read_timeout_ms = 1500\n" };
        let backend = from_toml(&format!(
            "max_in_flight = 2\n[fm_manager]\nhost = '{host}'\nport = {port}\nconnect_timeout_ms = 1500\n{timeouts}{keys}"
        ));
        Self { sim, backend }
    }

    pub(crate) fn fault(&self, fault: Fault) {
        self.sim.add_fault(fault);
    }

    /// The next request with this action meets this.
    pub(crate) fn once(&self, action: Action, kind: FaultKind) {
        self.fault(Fault::new(kind).on(action).times(1));
    }

    /// The same for one that is carried out nevertheless.
    pub(crate) fn once_applied(&self, action: Action, kind: FaultKind) {
        self.fault(Fault::new(kind).applied().on(action).times(1));
    }

    /// The actions since the last call.
    pub(crate) fn actions(&self) -> Vec<Action> {
        let requests = self.sim.requests();
        self.sim.clear_requests();
        requests.into_iter().map(|request| request.action).collect()
    }

    /// How many requests with this action there have been since.
    pub(crate) fn count(&self, action: Action) -> usize {
        self.sim.requests().iter().filter(|request| request.action == action).count()
    }

    /// The entities of the alarms that stand, sorted.
    pub(crate) fn entities(&self) -> Vec<String> {
        let mut entities: Vec<String> =
            self.sim.alarms().into_iter().map(|row| row.entity_instance_id).collect();
        entities.sort();
        entities
    }

    /// The events, once all are written.
    pub(crate) fn events(&self) -> Vec<EventState> {
        let started = Instant::now();
        while !self.sim.is_settled() {
            assert!(started.elapsed() < Duration::from_secs(30), "waited in vain for the event log");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.sim.events().into_iter().map(|event| event.state).collect()
    }

    /// An alarm that another writer has left.
    pub(crate) fn plant(&self, alarm_id: &str, entity: &str) {
        self.sim.insert(AlarmRecord {
            uuid: uuid::Uuid::new_v4().to_string(),
            alarm_id: alarm_id.to_owned(),
            alarm_state: 1,
            entity_type_id: "host".to_owned(),
            entity_instance_id: entity.to_owned(),
            timestamp: 1_795_341_600_500_000,
            severity: 3,
            ..AlarmRecord::default()
        });
    }

    pub(crate) async fn raise(&self, raise: &Raise) -> Result<Delivered, Failure> {
        self.backend.raise(raise).await
    }

    pub(crate) async fn clear(&self, entity: &str) -> Result<Delivered, Failure> {
        self.backend.clear(&Clear { key: key(entity), standing: None }).await
    }

    pub(crate) async fn clear_all(&self, entity: &str) -> Result<Delivered, Failure> {
        self.clear_all_by(entity, EntityMatch::Component).await
    }

    pub(crate) async fn clear_all_by(&self, entity: &str, rule: EntityMatch) -> Result<Delivered, Failure> {
        let clear_all = ClearAll { entity_instance_id: entity.to_owned(), rule, standing: Vec::new() };
        self.backend.clear_all(&clear_all).await
    }

    pub(crate) async fn list(&self, query: &Query) -> Vec<Alarm> {
        let mut alarms = self.backend.list(query).await.unwrap();
        alarms.sort_by_key(Alarm::key);
        alarms
    }

    /// The filters with which alarms were deleted, and the texts of every other filter sent.
    pub(crate) fn filters(&self) -> Vec<Filter> {
        let requests = self.sim.requests();
        let filters = requests.iter().filter(|request| {
            matches!(
                request.action,
                Action::Delete | Action::Get | Action::GetByIdAndEntity | Action::DeleteList
            )
        });
        filters
            .flat_map(|request| request.body.chunks(510).map(|bytes| Filter::from_bytes(bytes).unwrap()))
            .chain(requests.iter().filter(|request| request.body.len() == 255).map(|request| {
                let text = request.body.split(|byte| *byte == 0).next().unwrap_or_default();
                Filter {
                    alarm_id: String::new(),
                    entity_instance_id: String::from_utf8_lossy(text).into_owned(),
                }
            }))
            .collect()
    }
}

/// The backend of a domain's configuration.
pub(crate) fn from_toml(config: &str) -> Arc<dyn Backend> {
    let config: DomainConfig = toml::from_str(config).unwrap();
    match Link::new(Domain::Platform, &config, &Refusals::default()).unwrap() {
        Link::Controller(controller) => controller.backend,
        Link::Standalone => panic!("no controller is configured"),
    }
}

pub(crate) fn key(entity: &str) -> AlarmKey {
    AlarmKey::new(ALARM_ID, entity)
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

pub(crate) fn log(entity: &str) -> Log {
    let alarm = Alarm { alarm_state: AlarmState::Log, ..alarm(entity, "noted") };
    Log { alarm, uuid: uuid::Uuid::new_v4().to_string(), in_doubt: false }
}

pub(crate) fn query(alarm_id: Option<&str>, entity: Option<&str>, include_suppressed: bool) -> Query {
    Query {
        alarm_id: alarm_id.map(str::to_owned),
        entity_instance_id: entity.map(str::to_owned),
        exact: false,
        rule: EntityMatch::Component,
        include_suppressed,
    }
}

pub(crate) fn entities(alarms: &[Alarm]) -> Vec<&str> {
    alarms.iter().map(|alarm| alarm.entity_instance_id.as_str()).collect()
}
