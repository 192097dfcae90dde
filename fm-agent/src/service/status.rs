//! How the agent and its domains are, as a JSON object.
//!
//! Keys, all stable: `version`, `pid`, `uptime_s` (of the agent's process), `durability`, `connections` (open ones),
//! `quarantines` (databases or logs that were damaged and moved aside since the start), `unreadable` (rows that could
//! not be read and were set aside since the start), `put_back` (databases that were deleted or replaced under the agent
//! and written anew since the start), `metrics`, `audit`, `store`, and `domains`.
//!
//! `metrics` is an object with `listen` (`off`, or where they are to be served) and `reason` (why they are not, or
//! null); `audit` one with `to` (`off`, `log`, or the file), `reason` (why the file could not be opened or written when
//! that was tried last, or null) and `lost` (lines lost since the start).
//!
//! `domains` is an array of objects with `name`, `backend` (`standalone` or `controller`), `state` (`up`, `down`,
//! `unknown` until the controller was asked for the first time; `up` for a record that is here), `reason` and `since`
//! (when down), `waiting`, `oldest_waiting` (time or null), `rejected`, `compared` (what the last comparison with the
//! controller came to, null before the first: see `admin`), `in_flight`, `per_second` (requests that left the queue,
//! over the last minute), `delivered` (since the agent's start); these three are null for a record that is here. Times
//! are UTC.
//!
//! `store` is an object with `state_dir`, `bytes` (of the database and its WAL), `max_bytes`, `free_bytes` (of its file
//! system), `waiting` (requests of all domains), `max_requests`, `high_water` (a share), `disk_full`, and counts since
//! it was opened: `folded`, `shed` (logs given up, by severity), `refused_at_limit`, `refused_disk_full`, `failed`.

use serde_json::{Value, json};

use super::Service;
use super::admin::healed;
use crate::backend::Link;
use crate::backend::health::Condition;
use crate::backend::resync::Healed;
use crate::config::{Domain, Durability};
use crate::metrics::{Served, SocketState};
use crate::store::{Rank, StoreError};

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
            let traffic = match link {
                Link::Standalone => None,
                Link::Controller(controller) => Some(&controller.traffic),
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
                "in_flight": traffic.map(|traffic| traffic.in_flight()),
                "per_second": traffic.map(|traffic| traffic.per_second()),
                "delivered": traffic.map(|_| self.metrics.deliveries(domain.name(), "done")),
                "compared": match link {
                    Link::Standalone => Value::Null,
                    Link::Controller(controller) => compared(controller.health.resync().last()),
                },
            }));
        }
        let status = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "uptime_s": self.metrics.uptime().as_secs(),
            "durability": match self.durability {
                Durability::Power => "power",
                Durability::Process => "process",
            },
            "quarantines": self.store.condition().quarantines(),
            "put_back": self.store.condition().put_back(),
            "unreadable": self.store.condition().unreadable(),
            "connections": self.metrics.open_connections(),
            "metrics": metrics(self.metrics.served()),
            "audit": self.audit_status(),
            "domains": domains,
            "store": self.store_status()?,
        });
        Ok(status.to_string())
    }

    fn audit_status(&self) -> Value {
        // What is lost is counted there, over all configurations.
        self.count(SocketState::default());
        let audit = &self.border.audit;
        json!({
            "to": audit.place(),
            "reason": audit.trouble(),
            "lost": self.metrics.audit_lines_lost(),
        })
    }

    fn store_status(&self) -> Result<Value, StoreError> {
        let reader = &self.store.reader;
        let (meter, limits) = (reader.meter(), reader.limits());
        let shed: serde_json::Map<String, Value> =
            Rank::ALL.iter().map(|rank| (rank.name().to_owned(), meter.shed_logs(*rank).into())).collect();
        Ok(json!({
            "state_dir": self.store.directory().display().to_string(),
            "bytes": reader.bytes()?,
            "free_bytes": reader.free_bytes()?,
            "max_bytes": limits.max_bytes,
            "waiting": Domain::ALL.iter().map(|domain| meter.waiting(*domain)).sum::<u64>(),
            "max_requests": limits.max_requests,
            "high_water": limits.high_water,
            "disk_full": meter.disk_full(),
            "folded": meter.folded(),
            "shed": shed,
            "refused_at_limit": meter.refused_at_limit(),
            "refused_disk_full": meter.refused_disk_full(),
            "failed": meter.failed(),
        }))
    }
}

fn metrics(served: Served) -> Value {
    let (listen, reason) = match served {
        Served::Off => ("off".to_owned(), None),
        Served::At(address) => (address.to_string(), None),
        Served::Not(address, reason) => (address.to_string(), Some(reason)),
    };
    json!({ "listen": listen, "reason": reason })
}

fn compared(last: Option<Result<Healed, String>>) -> Value {
    match last {
        Some(Ok(outcome)) => healed(outcome),
        Some(Err(reason)) => json!({ "failed": reason }),
        None => Value::Null,
    }
}
