//! The state of the domains, of the store and of callers, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fm_common::Timestamp;

use super::Service;
use crate::backend::Link;
use crate::backend::health::Condition;
use crate::metrics::{CallerState, DomainState, SocketState, StoreCounts, StoreState};
use crate::store::{Rank, Store, StoreError};

impl Service {
    /// The metrics as text, with what the sockets have counted since the last time, or why they cannot be had.
    pub async fn scrape(&self, sockets: SocketState) -> Result<String, String> {
        self.count(sockets);
        let mut domains = Vec::new();
        for (domain, link) in &self.links {
            let waiting =
                self.store.reader.count_waiting(*domain).await.map_err(|error| error.to_string())?;
            let up = match link {
                Link::Standalone => None,
                Link::Controller(controller) => match controller.health.condition() {
                    Condition::Unknown => None,
                    Condition::Up => Some(true),
                    Condition::Down { .. } => Some(false),
                },
            };
            domains.push(DomainState {
                domain: domain.name(),
                up,
                waiting: waiting.requests,
                oldest: waiting.oldest.map_or(Duration::ZERO, age),
                rejected: waiting.rejected,
            });
        }
        let store = self.store_state().map_err(|error| error.to_string())?;
        self.metrics.text(&domains, store).map_err(|error| error.to_string())
    }

    /// Adds to the metrics what the controllers, the access rules and the audit log have counted since the last
    /// time, and this of the sockets.
    pub(super) fn count(&self, sockets: SocketState) {
        for (domain, controller) in self.controllers() {
            self.metrics.recovered(domain.name(), controller.health.take_recoveries());
        }
        let (access, audit) = (self.border.access.counters(), self.border.audit.counters());
        let taken = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        self.metrics.callers(&CallerState {
            sockets,
            refused_reads: taken(&access.refused_reads),
            refused_writes: taken(&access.refused_writes),
            refused_admin: taken(&access.refused_admin),
            audit_written: taken(&audit.written),
            audit_lost: taken(&audit.lost),
        });
    }

    fn store_state(&self) -> Result<StoreState, StoreError> {
        let reader = &self.store.reader;
        Ok(StoreState {
            bytes: reader.bytes()?,
            max_bytes: reader.limits().max_bytes,
            free_bytes: reader.free_bytes()?,
            counts: store_counts(&self.store),
        })
    }
}

impl Drop for Service {
    /// The last of its calls has ended: nobody asks it for figures any more.
    fn drop(&mut self) {
        self.count(SocketState::default());
    }
}

/// What happened to a store, since it was opened.
pub fn store_counts(store: &Store) -> StoreCounts {
    let meter = store.reader.meter();
    StoreCounts {
        folded: meter.folded(),
        shed: Rank::ALL.iter().map(|rank| meter.shed_logs(*rank)).sum(),
        refused: meter.refused_at_limit() + meter.refused_disk_full(),
        quarantines: store.condition().quarantines(),
        put_back: store.condition().put_back(),
    }
}

/// How long ago it was; a clock that was set back makes nothing older than it is.
fn age(then: Timestamp) -> Duration {
    let micros = Timestamp::now().as_micros().saturating_sub(then.as_micros());
    Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}
