//! Has the metrics served as soon as their address can be had, and says so while it cannot.
//!
//! Invariants:
//! - Nothing depends on it: an agent whose figures nobody can read takes and delivers alarms all the same.
//! - It is tried for ever, after pauses between a second and half a minute. The log says once what the matter is, and
//!   again when that changes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Metrics;
use super::serve::{Scraped, Server};
use crate::config::MetricsAddress;

/// The pauses between two attempts double from the one to the other.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Where the metrics can be read, and if not, why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Served {
    /// Nobody wants them.
    #[default]
    Off,
    /// They can be read there.
    At(MetricsAddress),
    /// They could be read there, were it not for this reason.
    Not(MetricsAddress, String),
}

/// The way from an address to metrics that are served there.
#[derive(Debug)]
pub struct Serving {
    address: MetricsAddress,
    metrics: Arc<Metrics>,
    server: Option<Server>,
}

impl Serving {
    /// Takes the address, if it can be had at once; `None` when no metrics are wanted.
    pub async fn begin(address: Option<&MetricsAddress>, metrics: &Arc<Metrics>) -> Option<Self> {
        metrics.set_served(Served::Off);
        let mut serving = Self { address: address?.clone(), metrics: Arc::clone(metrics), server: None };
        serving.attempt().await;
        Some(serving)
    }

    /// Serves readers until `stop`, from when the address can be had.
    pub async fn run(
        mut self,
        scrape: impl Fn() -> Scraped + Send + Sync + 'static,
        stop: CancellationToken,
    ) {
        let mut pause = SHORTEST_PAUSE;
        let server = loop {
            if let Some(server) = self.server.take() {
                break server;
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = stop.cancelled() => return,
            }
            pause = LONGEST_PAUSE.min(pause * 2);
            self.attempt().await;
        };
        server.run(scrape, stop).await;
    }

    async fn attempt(&mut self) {
        let bound = async {
            let server = Server::bind(&self.address).await?;
            server.address().map(|address| (server, address))
        };
        match bound.await {
            Ok((server, address)) => {
                tracing::info!(address = address.to_string(), "metrics are served");
                self.metrics.set_served(Served::At(address));
                self.server = Some(server);
            }
            Err(error) => {
                let served = Served::Not(self.address.clone(), error.to_string());
                if self.metrics.served() != served {
                    tracing::error!(
                        address = %self.address,
                        %error,
                        "metrics.listen: the metrics cannot be served; alarms are taken and delivered all the same. \
                         It is tried again and again: free the address, or name another and reload"
                    );
                }
                self.metrics.set_served(served);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_address_is_taken_soon_after_it_can_be_had_however_long_that_takes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("later").join("metrics.sock");
        let address = MetricsAddress::Unix(path.clone());
        let metrics = Arc::new(Metrics::new().unwrap());
        assert!(Serving::begin(None, &metrics).await.is_none());
        assert_eq!(metrics.served(), Served::Off);
        let serving = Serving::begin(Some(&address), &metrics).await.unwrap();
        let is_not = || matches!(metrics.served(), Served::Not(not, _) if not == address);
        assert!(is_not());
        let stop = CancellationToken::new();
        let scrape = || -> Scraped { Box::pin(async { Ok(String::new()) }) };
        let running = tokio::spawn(serving.run(scrape, stop.clone()));
        sleep(Duration::from_hours(1)).await;
        assert!(is_not());
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        sleep(LONGEST_PAUSE).await;
        assert_eq!(metrics.served(), Served::At(address.clone()));
        stop.cancel();
        running.await.unwrap();
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stop_does_not_wait_for_an_address() {
        let address = MetricsAddress::Unix("/nowhere/metrics.sock".into());
        let metrics = Arc::new(Metrics::new().unwrap());
        let serving = Serving::begin(Some(&address), &metrics).await.unwrap();
        let stop = CancellationToken::new();
        stop.cancel();
        serving.run(|| Box::pin(async { Ok(String::new()) }), stop).await;
    }
}
