//! The state of the domains and of the store, for the metrics.

use std::time::Duration;

use fm_common::Timestamp;

use super::Service;
use crate::backend::Link;
use crate::metrics::{DomainState, StoreState};

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
        let quarantines = self.store.condition().quarantines();
        self.metrics
            .text(&domains, StoreState { quarantines, ..StoreState::default() })
            .map_err(|error| error.to_string())
    }
}

/// How long ago it was; a clock that was set back makes nothing older than it is.
fn age(then: Timestamp) -> Duration {
    let micros = Timestamp::now().as_micros().saturating_sub(then.as_micros());
    Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}
