//! Reads: from the controllers, with this node's pending changes laid over.

use std::sync::Arc;

use fm_common::entity::canonical;
use fm_common::protocol::{Answer, Refusal, Response};
use fm_common::{AlarmKey, ErrorCode};
use futures_util::future::join_all;

use super::merge::{Local, as_written, best};
use super::{Call, Pending, Service, invalid, later, not_found};
use crate::backend::{Failure, Query};
use crate::config::Domain;
use crate::store::{Kept, Standing};

impl Service {
    pub(super) fn get(self: &Arc<Self>, call: Call, key: AlarmKey) -> Result<Pending, Refusal> {
        let key = AlarmKey::new(key.alarm_id, &key.entity_instance_id);
        key.validate().map_err(invalid)?;
        let service = Arc::clone(self);
        later(async move { service.get_one(call, key).await })
    }

    async fn get_one(&self, mut call: Call, key: AlarmKey) -> Response {
        let nothing = || not_found(format!("{} on '{}'", key.alarm_id, key.entity_instance_id));
        let kept = self.store.reader.find(key.clone()).await?;
        let domain = kept.as_ref().map_or_else(|| self.router.owner_of_key(&key).domain, |kept| kept.domain);
        let controller = self.controller(domain);
        // What waits decides at once, and what stands here when the record is here.
        if let Some(kept) = kept.as_ref().filter(|kept| kept.pending || controller.is_none()) {
            return match &kept.standing {
                Standing::Raised(alarm) => Ok(Answer::Alarm(alarm.clone())),
                Standing::Cleared => Err(nothing()),
            };
        }
        let Some(controller) = controller else { return Err(nothing()) };
        if kept.is_none() && self.clear_all_waits(domain, &key).await? {
            return Err(nothing());
        }
        call.using = None;
        match (controller.read(&Query::one(&key), call.left()).await, kept) {
            (Ok(rows), kept) => match (best(rows, kept.as_ref()), kept) {
                (Some(found), Some(kept)) => Ok(Answer::Alarm(Box::new(as_written(&kept, found)))),
                (Some(found), None) => Ok(Answer::Alarm(Box::new(found))),
                (None, _) => Err(nothing()),
            },
            (Err(_), Some(Kept { standing: Standing::Raised(alarm), .. })) => Ok(Answer::Alarm(alarm)),
            (Err(failure), _) => Err(could_not_ask(domain, &failure)),
        }
    }

    /// Whether an alarm that this node does not know is about to be cleared with all of its entity's.
    pub(super) async fn clear_all_waits(&self, domain: Domain, key: &AlarmKey) -> Result<bool, Refusal> {
        let waiting = self.store.reader.clear_alls().await?;
        Ok(waiting.iter().any(|clear_all| clear_all.covers(domain, &key.entity_instance_id)))
    }

    pub(super) fn list(
        self: &Arc<Self>,
        call: Call,
        alarm_id: Option<String>,
        entity: Option<String>,
        include_suppressed: bool,
    ) -> Result<Pending, Refusal> {
        if alarm_id.as_ref().is_some_and(|id| id.trim().is_empty()) {
            return Err(invalid("alarm_id: is required and is empty"));
        }
        let query = Query {
            alarm_id,
            entity_instance_id: entity.map(|entity| canonical(&entity).to_owned()),
            exact: false,
            rule: self.rule,
            include_suppressed,
        };
        let service = Arc::clone(self);
        later(async move { service.list_all(call, query).await })
    }

    async fn list_all(&self, mut call: Call, query: Query) -> Response {
        // What waits here is looked at before the controllers are asked: a request that is delivered in
        // between is then seen twice, never missed.
        let prefix = query.entity_instance_id.clone().unwrap_or_default();
        let (mut kept, clear_alls) = self.store.reader.overlay(query.alarm_id.clone(), prefix).await?;
        kept.retain(|kept| query.means(&kept.key));
        call.using = None;
        let asked = self.controllers().map(|(domain, controller)| {
            let (query, call) = (&query, &call);
            async move { (domain, controller.read(query, call.left()).await) }
        });
        let mut lists = Vec::new();
        for (domain, answer) in join_all(asked).await {
            lists.push((domain, answer.map_err(|failure| could_not_ask(domain, &failure))?));
        }
        let local = Local {
            kept,
            clear_alls,
            here: self.links.iter().filter(|(_, link)| link.is_here()).map(|(domain, _)| *domain).collect(),
        };
        let alarms = local.over(lists);
        if alarms.is_empty() { Err(not_found(described(&query))) } else { Ok(Answer::Alarms(alarms)) }
    }
}

fn could_not_ask(domain: Domain, failure: &Failure) -> Refusal {
    let reason = format!("the {domain} controller cannot be asked: {failure}");
    Refusal::new(ErrorCode::NoConnect, reason)
}

fn described(query: &Query) -> String {
    match (&query.alarm_id, &query.entity_instance_id) {
        (Some(id), Some(entity)) => format!("{id} on '{entity}' or what lies under it"),
        (Some(id), None) => id.clone(),
        (None, entity) => format!("'{}' or what lies under it", entity.as_deref().unwrap_or_default()),
    }
}
