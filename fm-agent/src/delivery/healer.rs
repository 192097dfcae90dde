//! The task that heals one domain: after the start, after each outage, and when somebody asks for it.
//!
//! Invariants:
//! - Without a complete list nothing is healed. With nothing to compare no list is asked for, but whether the controller
//!   answers is: nobody is told that an unreachable one was compared, and a node that never has an alarm knows soon
//!   after its start whether its controller can be used.
//! - What this node knows is read before the controller is asked: what is delivered in between is seen at
//!   the controller, and what changes in between is passed over by the store.
//! - What cannot be told is left alone: no alarm is raised or forgotten on a guess.

use std::sync::Arc;
use std::time::Duration;

use fm_common::entity::EntityMatch;
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::heal::{Difference, common_entity, compare};
use crate::backend::resync::{Healed, moment};
use crate::backend::{Absent, Controller, Failure, FailureKind, Memory, Query};
use crate::config::Domain;
use crate::store::{Finding, Found, Held, Store, StoreError};

/// Attempts at a list from a controller that answers but fails it.
const ATTEMPTS: u32 = 5;
/// Missing alarms that are asked about at once, and acted on before the next.
const CHUNK: usize = 64;

/// Heals one domain.
#[derive(Debug)]
pub struct Healer {
    domain: Domain,
    store: Arc<Store>,
    controller: Controller,
    spread: Duration,
}

/// Why a domain was not healed.
#[derive(Debug, thiserror::Error)]
enum HealError {
    #[error("{0}")]
    Controller(#[from] Failure),
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl Healer {
    /// A healer for a domain whose alarms a controller keeps. After the start and after an outage it waits a
    /// moment at random within the spread.
    pub fn new(domain: Domain, store: Arc<Store>, controller: Controller, spread: Duration) -> Self {
        Self { domain, store, controller, spread }
    }

    /// Heals whenever it is wanted, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let health = &self.controller.health;
        let healing = async {
            loop {
                let number =
                    health.resync().wanted(|| moment(self.spread, |most| fastrand::u64(..=most))).await;
                let outcome = match health.unreachable() {
                    // It will be wanted again when it is up.
                    Some(reason) => Err(reason),
                    None => self.try_heal().await.map_err(|error| error.to_string()),
                };
                health.resync().ended(number, outcome);
            }
        };
        tokio::select! {
            () = healing => {}
            () = stop.cancelled() => {}
        }
    }

    async fn try_heal(&self) -> Result<Healed, HealError> {
        let mut attempt = 1;
        loop {
            match self.heal().await {
                Err(HealError::Controller(failure))
                    if failure.kind == FailureKind::Retry && attempt < ATTEMPTS =>
                {
                    tracing::debug!(domain = %self.domain, reason = failure.reason, "cannot be compared yet");
                    time::sleep(self.controller.health.pause(attempt)).await;
                    attempt += 1;
                }
                Err(error) => {
                    match &error {
                        HealError::Controller(failure) if failure.kind == FailureKind::Unavailable => {
                            self.controller.health.failed(&failure.reason);
                        }
                        // It answers; a question that fails does not make a controller unusable.
                        HealError::Controller(_) => self.controller.health.succeeded(),
                        HealError::Store(_) => {}
                    }
                    tracing::warn!(
                        domain = %self.domain, %error,
                        "the controller could not be compared with what this node raised; nothing was healed"
                    );
                    return Err(error);
                }
                healed => return healed,
            }
        }
    }

    async fn heal(&self) -> Result<Healed, HealError> {
        let (held, cleared) = self.store.reader.healing(self.domain).await?;
        if held.is_empty() && cleared.is_empty() {
            // There is nothing to compare, with a controller that answers.
            self.controller.backend.probe().await?;
            self.controller.health.succeeded();
            return Ok(Healed::default());
        }
        let keys = held.iter().map(|held| &held.key).chain(cleared.iter().map(|cleared| &cleared.key));
        let query = Query {
            alarm_id: None,
            entity_instance_id: common_entity(keys),
            exact: false,
            rule: EntityMatch::Component,
            include_suppressed: true,
        };
        let listed = self.controller.backend.list_raised(&query).await?;
        self.controller.health.succeeded();
        let Difference { missing, back } = compare(held, cleared, &listed);
        let mut healed = Healed::default();
        let mut findings: Vec<Finding> = back
            .into_iter()
            .map(|cleared| Finding { key: cleared.key, uuid: cleared.uuid, what: Found::Back })
            .collect();
        for chunk in missing.chunks(CHUNK) {
            for (held, what) in chunk.iter().zip(self.look_into(chunk).await?) {
                match what {
                    Some(what) => {
                        findings.push(Finding { key: held.key.clone(), uuid: held.uuid.clone(), what });
                    }
                    None => healed.left += 1,
                }
            }
            self.act(std::mem::take(&mut findings), &mut healed).await?;
        }
        self.act(findings, &mut healed).await?;
        if healed != Healed::default() {
            let Healed { raised, removed, respected, left } = healed;
            tracing::info!(domain = %self.domain, raised, removed, respected, left, "compared with the controller");
        }
        Ok(healed)
    }

    /// What has become of alarms that are not listed; `None` for those of which that cannot be told. All are
    /// asked about at once, for the event log is dear to read; one at a time only when that fails, so that an
    /// event that cannot be shown spoils the answer about its own alarm alone.
    async fn look_into(&self, chunk: &[Held]) -> Result<Vec<Option<Found>>, Failure> {
        let absent: Vec<Absent> = chunk
            .iter()
            .map(|held| Absent { key: held.key.clone(), uuid: held.uuid.clone(), since: held.since })
            .collect();
        match self.controller.backend.recall(&absent).await {
            Ok(memories) => return Ok(memories.into_iter().map(found).collect()),
            Err(failure) if failure.kind == FailureKind::Unavailable => return Err(failure),
            Err(_) => {}
        }
        let mut each = Vec::with_capacity(absent.len());
        for one in &absent {
            each.push(match self.controller.backend.recall(std::slice::from_ref(one)).await {
                Ok(memories) => memories.first().copied().and_then(found),
                Err(failure) if failure.kind == FailureKind::Unavailable => return Err(failure),
                Err(failure) => {
                    tracing::warn!(
                        domain = %self.domain,
                        alarm_id = one.key.alarm_id,
                        entity_instance_id = one.key.entity_instance_id,
                        reason = failure.reason,
                        "the controller does not list an alarm and cannot be asked why; it is left alone"
                    );
                    None
                }
            });
        }
        Ok(each)
    }

    async fn act(&self, findings: Vec<Finding>, healed: &mut Healed) -> Result<(), StoreError> {
        if findings.is_empty() {
            return Ok(());
        }
        let done = self.store.writer.heal(self.domain, findings.clone()).await?;
        for finding in findings.iter().zip(done).filter_map(|(finding, done)| done.then_some(finding)) {
            let said = match finding.what {
                Found::Lost => {
                    healed.raised += 1;
                    "the controller has lost an alarm; it is raised again"
                }
                Found::Removed => {
                    healed.respected += 1;
                    "an alarm was removed at the controller by somebody; it is forgotten here"
                }
                Found::Back => {
                    healed.removed += 1;
                    "an alarm that was cleared stands again; it is removed"
                }
            };
            tracing::info!(
                domain = %self.domain,
                alarm_id = finding.key.alarm_id,
                entity_instance_id = finding.key.entity_instance_id,
                uuid = finding.uuid,
                "{said}"
            );
        }
        Ok(())
    }
}

fn found(memory: Memory) -> Option<Found> {
    match memory {
        Memory::Removed => Some(Found::Removed),
        Memory::Nothing => Some(Found::Lost),
        Memory::Raised => None,
    }
}
