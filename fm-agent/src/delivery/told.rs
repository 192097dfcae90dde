//! An attempt, told to those who watch.
//!
//! The event, all keys stable: `event` is `delivery`; with `alarm_id`, `entity_instance_id`, `domain`, `seq`,
//! `kind` as in the queue, `outcome` (`done`; `rejected`: refused for good; `given_up`: a later one made it
//! superfluous; `again`: goes again; `waits`: for what is in its way; `down`: the controller cannot be used, it
//! waits), `reason` (null when done or given up), `ms`.

use std::sync::Arc;
use std::time::Instant;

use fm_common::AlarmKey;
use serde_json::json;

use super::outcome::Outcome;
use crate::config::Domain;
use crate::passing::{Passing, event};
use crate::store::{Report, Request};

/// An attempt that somebody watches.
#[derive(Debug)]
pub(super) struct Told {
    passing: Arc<Passing>,
    domain: Domain,
    seq: i64,
    kind: &'static str,
    key: AlarmKey,
    begun: Instant,
}

impl Told {
    /// The attempt at this request that begins now, if anybody watches.
    pub(super) fn new(domain: Domain, request: &Request, passing: &Arc<Passing>) -> Option<Self> {
        passing.wants(1).then(|| Self {
            passing: Arc::clone(passing),
            domain,
            seq: request.seq,
            kind: request.kind.name(),
            key: request.kind.key(),
            begun: Instant::now(),
        })
    }

    /// Tells what became of it.
    pub(super) fn tell(self, outcome: &Outcome) {
        let reason = match outcome {
            Outcome::Finished { report: Report::Rejected { answer, .. }, .. } => Some(answer),
            Outcome::Finished { .. } | Outcome::GivenUp => None,
            Outcome::Again(failure) | Outcome::Waits(failure) | Outcome::Down(failure) => {
                Some(&failure.reason)
            }
        };
        let more = json!({
            "domain": self.domain.name(),
            "seq": self.seq,
            "kind": self.kind,
            "outcome": outcome.name(),
            "reason": reason,
            "ms": u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        self.passing.record(event("delivery", &self.key.alarm_id, &self.key.entity_instance_id, more));
    }
}
