//! How the agent and its domains are, as a JSON object.
//!
//! Keys, all stable: `version`, `pid`, `uptime_s`, `durability`, `quarantines` (databases
//! or logs that were damaged and moved aside since the start), `unreadable` (rows that could not be read and were
//! set aside since the start), and `domains`, an array of objects with
//! `name`, `backend` (`standalone` or `controller`), `state` (`up`, `down`, `unknown`; `up` for a record
//! that is here), `reason` and `since` (when down), `waiting`, `oldest_waiting` (time or null),
//! `rejected`, `compared` (what the last comparison with the controller came to, null before the first:
//! see `admin`). Times are UTC.

use serde_json::{Value, json};

use super::Service;
use super::admin::healed;
use crate::backend::Link;
use crate::backend::health::Condition;
use crate::backend::resync::Healed;
use crate::config::Durability;
use crate::store::StoreError;

impl Service {
    pub(super) async fn status(&self) -> Result<String, StoreError> {
        let mut domains = Vec::new();
        for (domain, link) in &self.links {
            let waiting = self.store.reader.count_waiting(*domain).await?;
            let condition = match link {
                Link::Standalone => Condition::Up,
                Link::Controller(controller) => controller.health.condition(),
            };
            let (state, reason, since) = match condition {
                Condition::Unknown => ("unknown", Value::Null, Value::Null),
                Condition::Up => ("up", Value::Null, Value::Null),
                Condition::Down { since, reason } => ("down", reason.into(), since.to_string().into()),
            };
            domains.push(json!({
                "name": domain.name(),
                "backend": link.name(),
                "state": state,
                "reason": reason,
                "since": since,
                "waiting": waiting.requests,
                "oldest_waiting": waiting.oldest.map(|time| time.to_string()),
                "rejected": waiting.rejected,
                "compared": match link {
                    Link::Standalone => Value::Null,
                    Link::Controller(controller) => compared(controller.health.resync().last()),
                },
            }));
        }
        let status = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "uptime_s": self.started.elapsed().as_secs(),
            "durability": match self.durability {
                Durability::Power => "power",
                Durability::Process => "process",
            },
            "quarantines": self.store.condition().quarantines(),
            "unreadable": self.store.condition().unreadable(),
            "domains": domains,
        });
        Ok(status.to_string())
    }
}

fn compared(last: Option<Result<Healed, String>>) -> Value {
    match last {
        Some(Ok(outcome)) => healed(outcome),
        Some(Err(reason)) => json!({ "failed": reason }),
        None => Value::Null,
    }
}
