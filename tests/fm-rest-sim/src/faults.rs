//! Faults on demand: what goes wrong, for which requests, how often.
//!
//! The first matching fault that fires decides a request; delays add up before it. Three kinds are
//! states rather than answers to a request: they last until they are removed.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::rng::Rng;

/// Which of the two services a request came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// The fault management service.
    #[default]
    Fm,
    /// Keystone.
    Keystone,
}

/// How much of a write is carried out although the answer is spoilt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Apply {
    /// Nothing.
    #[default]
    Nothing,
    /// The alarm row but not its event: a worker that died in between.
    AlarmOnly,
    /// Everything.
    All,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// State: the port is closed and every connection reset until the fault is removed.
    Refuse,
    /// State: the database does not answer.
    DatabaseDown,
    /// State: Keystone answers 503, and the service cannot check a token it does not know yet.
    KeystoneDown,
    /// The request is read and never answered.
    Hang,
    /// The answer comes `delay_ms` late.
    Slow,
    /// The connection is reset instead of an answer.
    Reset,
    /// The answer is `code` with `body`.
    Status,
    /// The answer is the service's 401; at Keystone that of a wrong password.
    Unauthorized,
    /// The answer is the service's 403.
    Forbidden,
    /// 200 with a body that is no JSON.
    BrokenJson,
    /// Half of the answer, then the connection ends.
    HalfAnswer,
}

impl FaultKind {
    /// Whether it lasts until removed, whatever is requested.
    pub fn is_state(self) -> bool {
        matches!(self, Self::Refuse | Self::DatabaseDown | Self::KeystoneDown)
    }
}

/// One fault and the requests it is for. Also the JSON form of the control port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// Which service suffers.
    #[serde(default)]
    pub service: Service,
    /// How much is carried out nevertheless.
    #[serde(default)]
    pub applied: Apply,
    /// Only requests with this method.
    #[serde(default)]
    pub method: Option<String>,
    /// Only paths that start with this; those of the service are always seen with one `/v1`.
    #[serde(default)]
    pub path: Option<String>,
    /// Only the next so many matching requests.
    #[serde(default)]
    pub count: Option<u32>,
    /// Only this share of matching requests, 0 to 1.
    #[serde(default)]
    pub probability: Option<f64>,
    /// Seed of `probability`; default: the stand-in's.
    #[serde(default)]
    pub seed: Option<u64>,
    /// `slow`: how late, in milliseconds.
    #[serde(default)]
    pub delay_ms: u64,
    /// `status`: the status code.
    #[serde(default = "default_code")]
    pub code: u16,
    /// `status`: the body; none gives an empty one, for 500 the service's own empty 500.
    #[serde(default)]
    pub body: String,
}

fn default_code() -> u16 {
    500
}

impl Fault {
    /// A fault of `kind` for every request to the service, with nothing carried out.
    pub fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            service: Service::Fm,
            applied: Apply::Nothing,
            method: None,
            path: None,
            count: None,
            probability: None,
            seed: None,
            delay_ms: 0,
            code: default_code(),
            body: String::new(),
        }
    }

    /// Answers come `delay_ms` late.
    pub fn slow(delay_ms: u64) -> Self {
        Self { delay_ms, ..Self::new(FaultKind::Slow) }
    }

    /// The answer is `code`.
    pub fn status(code: u16) -> Self {
        Self { code, ..Self::new(FaultKind::Status) }
    }

    /// For Keystone instead of the service.
    #[must_use]
    pub fn at_keystone(self) -> Self {
        Self { service: Service::Keystone, ..self }
    }

    /// The request is carried out as far as `applied` says.
    #[must_use]
    pub fn applied(self, applied: Apply) -> Self {
        Self { applied, ..self }
    }

    /// Only for `method` on paths that start with `path`.
    #[must_use]
    pub fn on(self, method: &str, path: &str) -> Self {
        Self { method: Some(method.to_owned()), path: Some(path.to_owned()), ..self }
    }

    /// Only for the next `count` matching requests.
    #[must_use]
    pub fn times(self, count: u32) -> Self {
        Self { count: Some(count), ..self }
    }

    /// Only for a share of the matching requests, decided by `seed`.
    #[must_use]
    pub fn with_probability(self, probability: f64, seed: u64) -> Self {
        Self { probability: Some(probability), seed: Some(seed), ..self }
    }

    fn matches(&self, service: Service, method: &str, path: &str) -> bool {
        !self.kind.is_state()
            && self.service == service
            && self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.path.as_deref().is_none_or(|prefix| path.starts_with(prefix))
    }
}

/// Names a fault in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct FaultId(pub(crate) u64);

/// A fault in force, as the control port lists it.
#[derive(Debug, Serialize)]
pub(crate) struct Active {
    pub(crate) id: FaultId,
    #[serde(flatten)]
    pub(crate) fault: Fault,
    /// Requests it has decided so far.
    pub(crate) fired: u64,
    #[serde(skip)]
    rng: Rng,
}

/// What a request is to suffer.
#[derive(Debug, Default)]
pub(crate) struct Decision {
    pub(crate) delay: Duration,
    pub(crate) fault: Option<Fault>,
}

#[derive(Debug, Default)]
struct Registry {
    active: Vec<Active>,
    last_id: u64,
}

/// The faults in force.
#[derive(Debug)]
pub(crate) struct Faults {
    registry: Mutex<Registry>,
    seed: u64,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self { registry: Mutex::default(), seed }
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, fault: Fault) -> FaultId {
        let mut registry = self.lock();
        registry.last_id += 1;
        let id = FaultId(registry.last_id);
        let rng = Rng::new(fault.seed.unwrap_or(self.seed.wrapping_add(id.0)));
        registry.active.push(Active { id, fault, fired: 0, rng });
        id
    }

    /// Removes one fault; `false` when it is over already.
    pub(crate) fn remove(&self, id: FaultId) -> bool {
        let active = &mut self.lock().active;
        let before = active.len();
        active.retain(|fault| fault.id != id);
        active.len() != before
    }

    /// Removes the faults for which `wanted` holds.
    pub(crate) fn remove_where(&self, wanted: impl Fn(&Fault) -> bool) {
        self.lock().active.retain(|active| !wanted(&active.fault));
    }

    /// Whether a state fault of this kind and service is in force.
    pub(crate) fn state(&self, kind: FaultKind, service: Service) -> bool {
        self.lock().active.iter().any(|active| active.fault.kind == kind && active.fault.service == service)
    }

    /// The faults in force as JSON.
    pub(crate) fn list(&self) -> serde_json::Value {
        serde_json::json!(self.lock().active)
    }

    /// Decides one request.
    pub(crate) fn decide(&self, service: Service, method: &str, path: &str) -> Decision {
        let mut registry = self.lock();
        let mut decision = Decision::default();
        for active in &mut registry.active {
            let spent = active.fault.count == Some(0);
            if spent || !active.fault.matches(service, method, path) {
                continue;
            }
            if active.fault.probability.is_some_and(|probability| !active.rng.hits(probability)) {
                continue;
            }
            active.fired += 1;
            active.fault.count = active.fault.count.map(|count| count - 1);
            if active.fault.kind == FaultKind::Slow {
                decision.delay += Duration::from_millis(active.fault.delay_ms);
            } else {
                decision.fault = Some(active.fault.clone());
                break;
            }
        }
        registry.active.retain(|active| active.fault.count != Some(0));
        decision
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counted_fault_ends_and_a_restricted_one_spares_the_rest() {
        let faults = Faults::new(1);
        faults.add(Fault::slow(5));
        let id = faults.add(Fault::status(503).on("POST", "/v1/alarms").times(2));
        let code = |method, path| {
            let decision = faults.decide(Service::Fm, method, path);
            assert_eq!(decision.delay, Duration::from_millis(5));
            decision.fault.map(|fault| fault.code)
        };
        assert_eq!(code("GET", "/v1/alarms"), None);
        assert_eq!(code("POST", "/v1/alarms"), Some(503));
        assert_eq!(code("post", "/v1/alarms/x"), Some(503));
        assert_eq!(code("POST", "/v1/alarms"), None);
        assert!(!faults.remove(id));
        assert!(faults.decide(Service::Keystone, "GET", "/").delay.is_zero());
    }

    #[test]
    fn a_state_decides_no_request() {
        let faults = Faults::new(1);
        let id = faults.add(Fault::new(FaultKind::DatabaseDown));
        assert!(faults.state(FaultKind::DatabaseDown, Service::Fm));
        assert!(faults.decide(Service::Fm, "GET", "/v1/alarms").fault.is_none());
        assert!(faults.remove(id));
        assert!(!faults.state(FaultKind::DatabaseDown, Service::Fm));
    }
}
