//! What administrators ask for: refused requests, routing, healing. Who they are is `access`'s to say.
//!
//! The JSON objects, all keys stable:
//! - refused requests: `rejected`, an array of objects with `seq`, `domain`, `kind` (`raise`, `clear`,
//!   `clear_all`, `log`, `remove`), `alarm_id`, `entity_instance_id`, `alarm` (as the caller wrote it, null
//!   for clears), `taken_at`, `rejected_at`, `answer`, `origin` (who asked for it, or null: an object with
//!   `uid`, `gid`, `pid`, `program`, `executable`); `more`: whether there are later ones. The answer of a row that cannot be read begins with
//!   `unreadable`, and its `alarm` is the text that stands there.
//! - routing: `domain` and `reason` for a set, `decision` (both in words), `instead_of` (a domain that would
//!   own the alarm, were it configured, or null), `recorded` (the domain that holds it now, which a clear
//!   goes to, or null), `raised_by` and `changed_by` (who raised it, and who set or cleared it last, as
//!   `origin` with the time as `at`; null when this node does not know).
//! - healing: `domain`, `state` (`done`, or `running` when the caller's deadline came first), and when done
//!   `raised`, `removed`, `respected`, `left`.

use std::sync::Arc;

use fm_common::entity::canonical;
use fm_common::protocol::{Answer, Refusal, Response};
use fm_common::{AlarmKey, ErrorCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Call, Pending, Service, invalid, later};
use crate::backend::resync::Healed;
use crate::config::Domain;
use crate::route::Reason;
use crate::store::{Op, Outcome, Rejected, Signature, Unreadable};

/// Refused requests in one answer at most; their texts may be long, and an answer is one frame.
const MOST_REJECTED: u32 = 200;
/// Bytes of them in one answer, about; at least one fits always.
const MOST_BYTES: usize = 4 * 1024 * 1024;

impl Service {
    pub(super) fn rejected(self: &Arc<Self>, after: i64, most: u32) -> Result<Pending, Refusal> {
        let service = Arc::clone(self);
        later(async move {
            let most = most.clamp(1, MOST_REJECTED);
            let mut found = service.store.reader.rejected(after, most + 1).await?;
            let mut more = found.len() > most as usize;
            found.truncate(most as usize);
            let mut bytes = 0;
            let mut listed: Vec<Value> = Vec::new();
            for rejected in &found {
                let entry = entry(rejected);
                bytes += entry.to_string().len();
                if bytes > MOST_BYTES && !listed.is_empty() {
                    more = true;
                    break;
                }
                listed.push(entry);
            }
            answer(&json!({ "rejected": listed, "more": more }))
        })
    }

    /// Replays or drops a refused request.
    pub(super) async fn on_rejected(
        self: &Arc<Self>,
        call: Call,
        op: Op,
        seq: i64,
    ) -> Result<Pending, Refusal> {
        let submitted = self.submit(&call, vec![op]).await?;
        later(async move {
            if submitted.committed().await? == [Outcome::Unknown] {
                let message =
                    format!("no refused request has the number {seq}; list them for those that have");
                return Err(Refusal::new(ErrorCode::EntityNotFound, message));
            }
            Ok(Answer::Done)
        })
    }

    pub(super) fn explain(
        self: &Arc<Self>,
        alarm_id: String,
        entity_type: String,
        entity: &str,
    ) -> Result<Pending, Refusal> {
        let key = AlarmKey::new(alarm_id, canonical(entity));
        key.validate().map_err(invalid)?;
        let service = Arc::clone(self);
        later(async move {
            let decision = if entity_type.is_empty() {
                service.router.owner_of_key(&key)
            } else {
                service.router.decide(&key.alarm_id, &entity_type, &key.entity_instance_id)
            };
            let signed = service.store.reader.signed(key.clone()).await?.unwrap_or_default();
            let recorded = service.store.reader.find(key).await?.map(|kept| kept.domain.name());
            answer(&json!({
                "domain": decision.domain.name(),
                "reason": match decision.reason {
                    Reason::Rule(index) => format!("route[{index}]"),
                    Reason::Instance => "instance".to_owned(),
                    Reason::Catalogue => "catalogue".to_owned(),
                    Reason::Default => "default".to_owned(),
                },
                "decision": decision.to_string(),
                "instead_of": decision.instead_of.map(Domain::name),
                "recorded": recorded,
                "raised_by": signature(signed.raised.as_ref()),
                "changed_by": signature(signed.changed.as_ref()),
            }))
        })
    }

    pub(super) fn resync(self: &Arc<Self>, call: Call, name: &str) -> Result<Pending, Refusal> {
        let configured = Domain::from_name(name).filter(|domain| self.links.contains_key(domain));
        let domain = configured.ok_or_else(|| invalid(format!("domain: '{name}' is not configured")))?;
        let Some(controller) = self.controller(domain) else {
            return Err(invalid(format!("domain: the record of {domain} is this node's own")));
        };
        let could_not = move |reason: String| {
            Refusal::new(
                ErrorCode::NoConnect,
                format!("the {domain} controller cannot be compared: {reason}"),
            )
        };
        if let Some(reason) = controller.health.unreachable() {
            return Err(could_not(format!("{reason}; it is done when the controller is up again")));
        }
        let health = Arc::clone(&controller.health);
        let number = health.resync().want_now();
        later(async move {
            match timeout(call.left(), health.resync().outcome(number)).await {
                Ok(Ok(outcome)) => {
                    let mut done = healed(outcome);
                    done["domain"] = domain.name().into();
                    done["state"] = "done".into();
                    answer(&done)
                }
                Ok(Err(reason)) => Err(could_not(reason)),
                Err(_) => answer(&json!({ "domain": domain.name(), "state": "running" })),
            }
        })
    }
}

/// What healing came to, in numbers.
pub(super) fn healed(healed: Healed) -> Value {
    let Healed { raised, removed, respected, left } = healed;
    json!({ "raised": raised, "removed": removed, "respected": respected, "left": left })
}

/// Who did something, and when.
pub(super) fn signature(signature: Option<&Signature>) -> Value {
    let Some(Signature { origin, at }) = signature else { return Value::Null };
    let mut shown = json!(origin);
    shown["at"] = at.to_string().into();
    shown
}

fn entry(rejected: &Rejected) -> Value {
    let request = match &rejected.request {
        Ok(request) => request,
        Err(unreadable) => return unreadable_entry(rejected, unreadable),
    };
    let (key, alarm) = (request.kind.key(), request.kind.alarm());
    json!({
        "seq": request.seq,
        "domain": rejected.domain.name(),
        "kind": request.kind.name(),
        "alarm_id": key.alarm_id,
        "entity_instance_id": key.entity_instance_id,
        "alarm": alarm,
        "taken_at": request.taken_at.to_string(),
        "rejected_at": rejected.rejected_at.to_string(),
        "answer": rejected.answer,
        "origin": rejected.origin,
    })
}

/// A row that cannot be read, with its texts as they stand there.
fn unreadable_entry(rejected: &Rejected, unreadable: &Unreadable) -> Value {
    let [kind, alarm_id, entity, alarm] = &unreadable.texts;
    json!({
        "seq": unreadable.seq,
        "domain": rejected.domain.name(),
        "kind": kind,
        "alarm_id": alarm_id,
        "entity_instance_id": entity,
        "alarm": alarm,
        "taken_at": unreadable.taken_at.to_string(),
        "rejected_at": rejected.rejected_at.to_string(),
        "answer": rejected.answer,
        "origin": rejected.origin,
    })
}

#[expect(clippy::unnecessary_wraps, reason = "it ends what can fail")]
pub(super) fn answer(json: &Value) -> Response {
    Ok(Answer::Json(json.to_string()))
}
