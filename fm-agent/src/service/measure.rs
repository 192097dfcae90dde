//! The state of the domains, of the store and of callers, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fm_common::Timestamp;

use super::Service;
use crate::backend::Link;
use crate::metrics::{CallerState, DomainState, SocketState, StoreState};
use crate::store::{Rank, StoreError};

impl Service {
    /// The metrics as text, with what the sockets have counted, or why they cannot be had.
    pub async fn scrape(&self, sockets: SocketState) -> Result<String, String> {
        let mut domains = Vec::new();
        for (domain, link) in &self.links {
            let waiting =
                self.store.reader.count_waiting(*domain).await.map_err(|error| error.to_string())?;
            let controller = match link {
                Link::Standalone => None,
                Link::Controller(controller) => Some(&controller.health),
            };
            domains.push(DomainState {
                domain: domain.name(),
                up: controller.map(|health| health.down().is_none()),
                recoveries: controller.map_or(0, |health| health.recoveries()),
                waiting: waiting.requests,
                oldest: waiting.oldest.map_or(Duration::ZERO, age),
                rejected: waiting.rejected,
            });
        }
        let store = self.store_state().map_err(|error| error.to_string())?;
        let callers = self.caller_state(sockets, |counter| counter.load(Ordering::Relaxed));
        self.metrics.text(&domains, store, &callers).map_err(|error| error.to_string())
    }

    /// Hands over what was counted about callers, when another service goes on in this one's place.
    pub fn carry(&self, sockets: SocketState) {
        self.metrics.carry(&self.caller_state(sockets, |counter| counter.swap(0, Ordering::Relaxed)));
    }

    fn caller_state(&self, sockets: SocketState, now: impl Fn(&AtomicU64) -> u64) -> CallerState {
        let (access, audit) = (self.border.access.counters(), self.border.audit.counters());
        CallerState {
            sockets,
            refused_reads: now(&access.refused_reads),
            refused_writes: now(&access.refused_writes),
            refused_admin: now(&access.refused_admin),
            audit_written: now(&audit.written),
            audit_lost: now(&audit.lost),
        }
    }

    fn store_state(&self) -> Result<StoreState, StoreError> {
        let reader = &self.store.reader;
        let meter = reader.meter();
        Ok(StoreState {
            bytes: reader.bytes()?,
            max_bytes: reader.limits().max_bytes,
            free_bytes: reader.free_bytes()?,
            folded: meter.folded(),
            shed: Rank::ALL.iter().map(|rank| meter.shed_logs(*rank)).sum(),
            refused: meter.refused_at_limit() + meter.refused_disk_full(),
            quarantines: self.store.condition().quarantines(),
        })
    }
}

/// How long ago it was; a clock that was set back makes nothing older than it is.
fn age(then: Timestamp) -> Duration {
    let micros = Timestamp::now().as_micros().saturating_sub(then.as_micros());
    Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}
