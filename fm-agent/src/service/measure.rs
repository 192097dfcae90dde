//! The state of the domains and of the store, for the metrics.

use std::time::Duration;

use fm_common::Timestamp;

use super::Service;
use crate::backend::Link;
use crate::metrics::{DomainState, StoreState};
use crate::store::{Rank, StoreError};

impl Service {
    /// The metrics as text, or why they cannot be had.
    pub async fn scrape(&self) -> Result<String, String> {
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
        self.metrics.text(&domains, store).map_err(|error| error.to_string())
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
