//! What outlives a configuration: the store, callers' connections and their shares, what Keystone has refused, the
//! figures.
//!
//! Invariants:
//! - One store is open at a time. It stays open as long as the configurations ask for it as it is; else it is closed
//!   when no call looks at it any more, and opened anew, and requests wait meanwhile.
//! - A connection ends when its caller closes it, when it fails, or with the agent: never for a new configuration.
//! - Figures only grow.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use nix::unistd::geteuid;
use tokio::time::timeout;

use crate::backend::Refusals;
use crate::config::Config;
use crate::listener::{Connections, ListenerCounters, Shares};
use crate::metrics::Metrics;
use crate::passing::Passing;
use crate::service::{Desk, store_counts};
use crate::store::{Store, StoreOptions};

/// What outlives a configuration.
#[derive(Debug)]
pub(crate) struct Lasting {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) connections: Connections,
    pub(crate) passing: Arc<Passing>,
    pub(crate) counters: Arc<ListenerCounters>,
    pub(crate) refusals: Refusals,
    shares: Option<Arc<Shares>>,
    store: Option<(StoreOptions, Arc<Store>)>,
}

impl Lasting {
    /// Nothing is open yet.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::new().context("cannot make the metrics")?);
        Ok(Self {
            desk: Arc::new(Desk::new(Arc::clone(&metrics))),
            metrics,
            connections: Connections::default(),
            passing: Arc::default(),
            counters: Arc::default(),
            refusals: Refusals::default(),
            shares: None,
            store: None,
        })
    }

    /// The store with these options. Calls that look at one with others have this long to end.
    ///
    /// # Errors
    /// A store that does not close or open.
    pub(crate) async fn store(
        &mut self,
        options: &StoreOptions,
        grace: Duration,
    ) -> anyhow::Result<Arc<Store>> {
        if let Some((kept, store)) = &self.store
            && kept.do_for(options)
        {
            return Ok(Arc::clone(store));
        }
        if timeout(grace, self.desk.pause()).await.is_err() {
            tracing::warn!("the grace period is over; calls that are under way fail");
        }
        self.close_store().await?;
        let store = Arc::new(Store::open(options)?);
        self.store = Some((options.clone(), Arc::clone(&store)));
        Ok(store)
    }

    /// Closes the store, if one is open. Calls that look at it from now on fail.
    ///
    /// # Errors
    /// A store that does not close cleanly.
    pub(crate) async fn close_store(&mut self) -> anyhow::Result<()> {
        let Some((_, store)) = self.store.take() else { return Ok(()) };
        let closed = store.writer.stop().await;
        self.metrics.store_closed(&store_counts(&store));
        closed.context("the store did not close cleanly; nothing acknowledged is lost")
    }

    /// The shares of callers. Those of other limits go on for the connections that have them.
    pub(crate) fn shares(&mut self, config: &Config) -> Arc<Shares> {
        let most = config.agent.max_connections.get();
        let kept = self.shares.take().filter(|shares| shares.are_for(&config.limits, most));
        let shares = kept.unwrap_or_else(|| {
            let (limits, own_uid) = (config.limits.clone(), geteuid().as_raw());
            Arc::new(Shares::new(limits, most, own_uid, Arc::clone(&self.counters)))
        });
        self.shares = Some(Arc::clone(&shares));
        shares
    }
}
