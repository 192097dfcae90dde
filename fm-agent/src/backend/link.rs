//! Where a domain's alarms are kept, and the way there.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;

use super::fm_manager::FmManager;
use super::fm_rest_api::FmRestApi;
use super::health::Health;
use super::keystone::Refusals;
use super::traffic::Traffic;
use super::{Backend, Failure, FailureKind, Query};
use crate::config::{BackendConfig, Domain, DomainConfig};
use fm_common::Alarm;

/// Where a domain's alarms are kept.
#[derive(Debug, Clone)]
pub enum Link {
    /// Here: the agent's own store is the record, nothing is delivered.
    Standalone,
    /// At a controller.
    Controller(Controller),
}

/// A controller and its health.
#[derive(Clone)]
pub struct Controller {
    /// The way to it.
    pub backend: Arc<dyn Backend>,
    /// Whether it can be used at present.
    pub health: Arc<Health>,
    /// What goes there, in numbers.
    pub traffic: Arc<Traffic>,
}

impl std::fmt::Debug for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Controller").field("health", &self.health).finish_non_exhaustive()
    }
}

impl Link {
    /// The link that a domain's configuration asks for; what Keystone has refused is noted and looked for in
    /// `refusals`, which all links of the process share. Nothing is connected yet.
    ///
    /// # Errors
    /// A certificate file that cannot be used, two backends at once.
    pub fn new(domain: Domain, config: &DomainConfig, refusals: &Refusals) -> anyhow::Result<Self> {
        let backend: Arc<dyn Backend> =
            match config.backend().map_err(|(key, why)| anyhow!("{key}: {why}"))? {
                BackendConfig::Standalone => return Ok(Self::Standalone),
                BackendConfig::FmRestApi(rest) => Arc::new(FmRestApi::new(rest, refusals)?),
                BackendConfig::FmManager(manager) => {
                    Arc::new(FmManager::new(manager, config.max_in_flight.get()))
                }
            };
        let health = Arc::new(Health::new(domain, config.longest_pause_ms.duration()));
        Ok(Self::Controller(Controller { backend, health, traffic: Arc::default() }))
    }

    /// The word for it in logs and in the status.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Controller(_) => "controller",
        }
    }

    /// Whether the record is here.
    pub fn is_here(&self) -> bool {
        matches!(self, Self::Standalone)
    }
}

impl Controller {
    /// Reads alarms for a caller who waits this long. One that answers nothing is not asked, and one
    /// that turns out to be so is noted.
    pub async fn read(&self, query: &Query, limit: Duration) -> Result<Vec<Alarm>, Failure> {
        let unavailable = |reason| Failure { kind: FailureKind::Unavailable, reason, in_doubt: false };
        if let Some(reason) = self.health.unreachable() {
            return Err(unavailable(reason));
        }
        match tokio::time::timeout(limit, self.backend.list(query)).await {
            Ok(Ok(alarms)) => {
                self.health.succeeded();
                Ok(alarms)
            }
            Ok(Err(failure)) => {
                if failure.kind == FailureKind::Unavailable {
                    self.health.failed(&failure.reason);
                }
                Err(failure)
            }
            Err(_) => {
                Err(unavailable(format!("the controller did not answer within {} ms", limit.as_millis())))
            }
        }
    }

    /// Asks on behalf of a write, which waits no longer than `limit`; `None` when it cannot be known.
    pub async fn ask(&self, query: &Query, limit: Duration) -> Option<Vec<Alarm>> {
        if !self.health.may_ask() {
            return None;
        }
        if let Ok(answer) = tokio::time::timeout(limit, self.read(query, Duration::MAX)).await {
            return answer.ok();
        }
        self.health.ask_timed_out();
        None
    }
}
