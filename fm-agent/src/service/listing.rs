//! Pages for people: the requests that wait, this node's view of its alarms; and what passes.
//!
//! The JSON objects, all keys stable, texts as the callers wrote them:
//! - queue: `queue`, an array of objects with `seq`, `domain`, `kind` (`raise`, `clear`, `clear_all`, `log`,
//!   `remove`), `alarm_id`, `entity_instance_id`, `severity`, `reason_text` (null for clears), `taken_at`;
//!   `more`: whether there are later ones; `last`: the number of the last that waits, or null.
//! - view: `alarms`, an array of objects with `alarm_id`, `entity_instance_id`, `domain`, `state` (`standing`,
//!   `raise-waits`, `clear-waits`), `request` (the number of the latest request that waits, or null),
//!   `controller_uuid` (or null), `raised_by` and `changed_by` (as for routing, see `admin`), `alarm` (as last written here, with the uuid that callers know; null once
//!   cleared); `more`.
//! - watch: `run`, `next` (what to ask for behind these), `lost` (how many the watcher was too slow for),
//!   `restarted` (they are of another run of the agent than was asked for), `events`.

use std::sync::Arc;

use fm_common::AlarmKey;
use fm_common::entity::canonical;
use fm_common::protocol::{Answer, Refusal};
use serde_json::{Value, json};

use super::admin::{answer, signature};
use super::{Call, Pending, Service, invalid, later};
use crate::config::Domain;
use crate::store::{Listed, Request, Standing, View};

/// Entries of one answer at most.
const MOST: u32 = 500;
/// Bytes of them, about; at least one fits always. An answer is one frame.
const MOST_BYTES: usize = 4 * 1024 * 1024;

impl Service {
    pub(super) fn queue(self: &Arc<Self>, domain: &str, after: i64, most: u32) -> Result<Pending, Refusal> {
        let domain = self.named(domain)?;
        let service = Arc::clone(self);
        later(async move {
            let most = most.clamp(1, MOST) as usize;
            let last = service.store.reader.last_waiting(domain).await?;
            let found = service.store.reader.queue(domain, after, most + 1).await?;
            let (queue, more) = page(&found, most, |(domain, request)| waiting(*domain, request));
            answer(&json!({ "queue": queue, "more": more, "last": last }))
        })
    }

    pub(super) fn view(
        self: &Arc<Self>,
        alarm_id: String,
        entity: &str,
        after: Option<AlarmKey>,
        most: u32,
    ) -> Result<Pending, Refusal> {
        let entity = canonical(entity);
        let view = View {
            alarm_id: Some(alarm_id).filter(|id| !id.is_empty()),
            entity_instance_id: Some(entity.to_owned()).filter(|entity| !entity.is_empty()),
            rule: self.rule,
            after,
        };
        let service = Arc::clone(self);
        later(async move {
            let most = most.clamp(1, MOST) as usize;
            let found = service.store.reader.view(view, most + 1).await?;
            let (alarms, more) = page(&found, most, listed);
            answer(&json!({ "alarms": alarms, "more": more }))
        })
    }

    pub(super) fn watch(
        self: &Arc<Self>,
        call: Call,
        run: u64,
        after: u64,
        most: u32,
    ) -> Result<Pending, Refusal> {
        let service = Arc::clone(self);
        later(async move {
            let most = most.clamp(1, MOST) as usize;
            let found = service.passing.after(run, after, most, call.left()).await;
            Ok(Answer::Json(found.to_string()))
        })
    }

    /// The configured domain of this name; empty names all.
    fn named(&self, domain: &str) -> Result<Option<Domain>, Refusal> {
        if domain.is_empty() {
            return Ok(None);
        }
        let known = Domain::from_name(domain).filter(|domain| self.links.contains_key(domain));
        known.map(Some).ok_or_else(|| invalid(format!("domain: '{domain}' is not configured")))
    }
}

/// As many as may be in one answer, and whether there are more.
fn page<T>(found: &[T], most: usize, entry: impl Fn(&T) -> Value) -> (Vec<Value>, bool) {
    let mut bytes = 0;
    let mut listed = Vec::new();
    for item in found.iter().take(most) {
        let entry = entry(item);
        bytes += entry.to_string().len();
        if bytes > MOST_BYTES && !listed.is_empty() {
            return (listed, true);
        }
        listed.push(entry);
    }
    (listed, found.len() > most)
}

fn waiting(domain: Domain, request: &Request) -> Value {
    let (key, alarm) = (request.kind.key(), request.kind.alarm());
    json!({
        "seq": request.seq,
        "domain": domain.name(),
        "kind": request.kind.name(),
        "alarm_id": key.alarm_id,
        "entity_instance_id": key.entity_instance_id,
        "severity": alarm.map(|alarm| &alarm.severity),
        "reason_text": alarm.map(|alarm| &alarm.reason_text),
        "taken_at": request.taken_at.to_string(),
    })
}

fn listed(Listed { kept, pending, signed }: &Listed) -> Value {
    let state = match (&kept.standing, pending) {
        (Standing::Raised(_), None) => "standing",
        (Standing::Raised(_), Some(_)) => "raise-waits",
        (Standing::Cleared, _) => "clear-waits",
    };
    json!({
        "alarm_id": kept.key.alarm_id,
        "entity_instance_id": kept.key.entity_instance_id,
        "domain": kept.domain.name(),
        "state": state,
        "request": pending,
        "controller_uuid": kept.controller_uuid,
        "raised_by": signature(signed.raised.as_ref()),
        "changed_by": signature(signed.changed.as_ref()),
        "alarm": match &kept.standing {
            Standing::Raised(alarm) => json!(alarm),
            Standing::Cleared => Value::Null,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_bounded_by_number_and_by_bytes() {
        let texts = ["a", "b", "c"];
        assert_eq!(page(&texts, 3, |text| json!(text)), (vec![json!("a"), json!("b"), json!("c")], false));
        assert_eq!(page(&texts, 2, |text| json!(text)), (vec![json!("a"), json!("b")], true));
        let long = |_: &&str| json!("x".repeat(MOST_BYTES));
        assert_eq!(page(&texts, 3, long).0.len(), 1, "one fits always");
        assert!(page(&texts, 3, long).1);
    }
}
