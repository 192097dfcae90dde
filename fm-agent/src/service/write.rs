//! Sets, clears and logs: checked, routed, put on disk, answered.

use std::sync::Arc;

use fm_common::alarm::Intent;
use fm_common::entity::canonical;
use fm_common::protocol::{Answer, Refusal};
use fm_common::{Alarm, AlarmKey, Timestamp};
use futures_util::future::join_all;
use uuid::Uuid;

use super::{Call, Pending, Service, invalid, later, not_found};
use crate::backend::Query;
use crate::store::{Batch, Op, Outcome, Standing, StoreError, Submitted, Unknown};

impl Service {
    pub(super) async fn set(self: &Arc<Self>, call: Call, mut alarm: Alarm) -> Result<Pending, Refusal> {
        alarm.validate().map_err(invalid)?;
        complete(&mut alarm);
        match alarm.intent() {
            Intent::Clear => self.clear(call, alarm.key()).await,
            Intent::Raise if alarm.keep_existing_alarm && !call.header.detached => {
                let service = Arc::clone(self);
                later(async move { service.raise_unless_standing(call, alarm).await })
            }
            Intent::Raise | Intent::Log => {
                let op = self.op(alarm);
                let submitted = self.submit(&call, vec![op]).await?;
                later(async move {
                    match submitted.committed().await?.pop() {
                        Some(Outcome::Raised(uuid) | Outcome::Logged(uuid)) => Ok(Answer::Uuid(uuid)),
                        Some(Outcome::Cleared | Outcome::Unknown | Outcome::Done) | None => Ok(Answer::Done),
                    }
                })
            }
        }
    }

    pub(super) async fn set_list(
        self: &Arc<Self>,
        call: Call,
        mut alarms: Vec<Alarm>,
    ) -> Result<Pending, Refusal> {
        for (index, alarm) in alarms.iter_mut().enumerate() {
            alarm.validate().map_err(|error| invalid(format!("alarms[{index}].{error}")))?;
            complete(alarm);
        }
        let ops = alarms.into_iter().map(|alarm| self.op(alarm)).collect();
        let submitted = self.submit(&call, ops).await?;
        later(async move {
            let uuids = submitted.committed().await?.into_iter().map(|outcome| match outcome {
                Outcome::Raised(uuid) | Outcome::Logged(uuid) => uuid,
                Outcome::Cleared | Outcome::Unknown | Outcome::Done => String::new(),
            });
            Ok(Answer::Uuids(uuids.collect()))
        })
    }

    pub(super) async fn clear(self: &Arc<Self>, call: Call, key: AlarmKey) -> Result<Pending, Refusal> {
        let key = AlarmKey::new(key.alarm_id, &key.entity_instance_id);
        key.validate().map_err(invalid)?;
        // Nobody looks at the answer of a detached call, so nobody has to be asked for it.
        let unknown = if call.header.detached { self.deliver(&key) } else { Unknown::Tell };
        let op = Op::Clear { key: key.clone(), unknown };
        let submitted = self.submit(&call, vec![op]).await?;
        let service = Arc::clone(self);
        later(async move {
            if submitted.committed().await? != [Outcome::Unknown] {
                return Ok(Answer::Done);
            }
            service.clear_unknown(call, key).await
        })
    }

    /// Clears an alarm that this node does not know: its controller may.
    async fn clear_unknown(&self, call: Call, key: AlarmKey) -> Result<Answer, Refusal> {
        let nothing = || not_found(format!("{} on '{}'", key.alarm_id, key.entity_instance_id));
        let Some(controller) = self.controller(self.router.owner_of_key(&key).domain) else {
            return Err(nothing());
        };
        let answer = controller.ask(&Query::one(&key), self.ask_limit.min(call.left())).await;
        if answer.is_some_and(|found| found.is_empty()) {
            return Err(nothing());
        }
        let op = Op::Clear { unknown: self.deliver(&key), key };
        self.submit(&call, vec![op]).await?.committed().await?;
        Ok(Answer::Done)
    }

    pub(super) async fn clear_all(
        self: &Arc<Self>,
        call: Call,
        entity_instance_id: String,
    ) -> Result<Pending, Refusal> {
        let entity = canonical(&entity_instance_id).to_owned();
        if entity.is_empty() {
            return Err(invalid("entity_instance_id: is empty; clear-all needs the entity to clear"));
        }
        AlarmKey::new("any", &entity).validate().map_err(invalid)?;
        // As for a clear: a detached one keeps its place in the order and asks nobody.
        let unknown = if call.header.detached {
            Unknown::Deliver(crate::config::Domain::Platform)
        } else {
            Unknown::Tell
        };
        let submitted = self.submit_clear_all(&call, &entity, unknown).await?;
        let service = Arc::clone(self);
        later(async move {
            if submitted.committed().await? != [Outcome::Unknown] {
                return Ok(Answer::Done);
            }
            service.clear_all_unknown(call, entity).await
        })
    }

    /// Clears an entity of which this node knows no alarm: the controllers may.
    async fn clear_all_unknown(&self, call: Call, entity: String) -> Result<Answer, Refusal> {
        let query = Query {
            alarm_id: None,
            entity_instance_id: Some(entity.clone()),
            exact: false,
            rule: self.rule,
            include_suppressed: true,
        };
        let limit = self.ask_limit.min(call.left());
        let answers = join_all(self.controllers().map(|(_, controller)| controller.ask(&query, limit))).await;
        if answers.iter().all(|answer| answer.as_ref().is_some_and(Vec::is_empty)) {
            return Err(not_found(format!("'{entity}' or what lies under it")));
        }
        let unknown = Unknown::Deliver(crate::config::Domain::Platform);
        self.submit_clear_all(&call, &entity, unknown).await?.committed().await?;
        Ok(Answer::Done)
    }

    async fn submit_clear_all(
        &self,
        call: &Call,
        entity: &str,
        unknown: Unknown,
    ) -> Result<Submitted, Refusal> {
        let op = Op::ClearAll {
            entity_instance_id: entity.to_owned(),
            rule: self.rule,
            unknown,
            domains: self.links.keys().copied().collect(),
        };
        Ok(self.submit(call, vec![op]).await?)
    }

    pub(super) async fn clear_list(
        self: &Arc<Self>,
        call: Call,
        keys: Vec<AlarmKey>,
    ) -> Result<Pending, Refusal> {
        let mut ops = Vec::with_capacity(keys.len());
        for (index, key) in keys.into_iter().enumerate() {
            let key = AlarmKey::new(key.alarm_id, &key.entity_instance_id);
            key.validate().map_err(|error| invalid(format!("filters[{index}].{error}")))?;
            ops.push(Op::Clear { unknown: self.deliver(&key), key });
        }
        let submitted = self.submit(&call, ops).await?;
        later(async move {
            submitted.committed().await?;
            Ok(Answer::Done)
        })
    }

    /// A raise that leaves an alarm which stands as it is, uuid and time included.
    async fn raise_unless_standing(&self, call: Call, alarm: Alarm) -> Result<Answer, Refusal> {
        let key = alarm.key();
        let kept = self.store.reader.find(key.clone()).await?;
        match kept.map(|kept| kept.standing) {
            Some(Standing::Raised(standing)) => {
                return Ok(Answer::Uuid(standing.uuid.clone().unwrap_or_default()));
            }
            // Its clear waits: what stands at the controller is about to go.
            Some(Standing::Cleared) => {}
            None => {
                if let Some(uuid) = self.stands_elsewhere(&call, &alarm).await? {
                    return Ok(Answer::Uuid(uuid));
                }
            }
        }
        let op = self.op(alarm);
        match self.submit(&call, vec![op]).await?.committed().await?.pop() {
            Some(Outcome::Raised(uuid) | Outcome::Logged(uuid)) => Ok(Answer::Uuid(uuid)),
            Some(Outcome::Cleared | Outcome::Unknown | Outcome::Done) | None => Ok(Answer::Done),
        }
    }

    /// The uuid of an alarm that this node does not know, if it stands at its controller and is to stay.
    async fn stands_elsewhere(&self, call: &Call, alarm: &Alarm) -> Result<Option<String>, Refusal> {
        let (key, domain) = (alarm.key(), self.router.owner(alarm).domain);
        let Some(controller) = self.controller(domain) else { return Ok(None) };
        if self.clear_all_waits(domain, &key).await? {
            return Ok(None);
        }
        let asked = controller.ask(&Query::one(&key), self.ask_limit.min(call.left())).await;
        Ok(asked.and_then(|found| found.into_iter().find_map(|alarm| alarm.uuid)))
    }

    /// The change that an alarm's intent asks for.
    fn op(&self, alarm: Alarm) -> Op {
        let domain = self.router.owner(&alarm).domain;
        match alarm.intent() {
            Intent::Raise => Op::Raise { domain, alarm: Box::new(alarm) },
            Intent::Log => Op::Log { domain, alarm: Box::new(alarm) },
            Intent::Clear => {
                let key = alarm.key();
                Op::Clear { unknown: self.deliver(&key), key }
            }
        }
    }

    /// Gives changes their place in the order.
    pub(super) async fn submit(&self, call: &Call, ops: Vec<Op>) -> Result<Submitted, StoreError> {
        // More would hold the thread that serves sockets for longer than the way to the writer's takes.
        const FEW: usize = 4;
        let are_few = ops.len() <= FEW && !ops.iter().any(|op| matches!(op, Op::ClearAll { .. }));
        let batch = Batch { token: Some(call.header.token), origin: Some(Arc::clone(&call.origin)), ops };
        if call.alone && are_few {
            self.store.writer.submit_at_once(batch).await
        } else {
            self.store.writer.submit(batch).await
        }
    }

    fn deliver(&self, key: &AlarmKey) -> Unknown {
        Unknown::Deliver(self.router.owner_of_key(key).domain)
    }
}

/// What every stored alarm has: a uuid, a time, one form of the empty entity.
fn complete(alarm: &mut Alarm) {
    alarm.uuid.get_or_insert_with(|| Uuid::new_v4().to_string());
    alarm.timestamp.get_or_insert_with(Timestamp::now);
    if canonical(&alarm.entity_instance_id).is_empty() {
        alarm.entity_instance_id.clear();
    }
}
