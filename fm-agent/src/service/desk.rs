//! Where a request finds the service of the configuration that holds, over all configurations.
//!
//! Invariants:
//! - A request is served by one service from its beginning to its end. While there is none, because the store is
//!   opened anew, requests wait; none is refused for that.
//! - Requests of one connection come to one store in their order, whichever services they come to.
//! - After [`Desk::pause`] no call looks at the store any more; one that asks a controller goes on without it.
//!
//! It knows neither configurations nor stores: it is told when they change.

use std::sync::Arc;

use fm_common::protocol::{Request, RequestHeader};
use tokio::sync::watch;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{Pending, Service};
use crate::caller::Caller;
use crate::metrics::Metrics;

/// Held by a call as long as it may look at the store.
pub type Using = TaskTrackerToken;

/// The way to the service that holds now.
#[derive(Debug)]
pub struct Desk {
    service: watch::Sender<Option<Arc<Service>>>,
    metrics: Arc<Metrics>,
}

/// One request's place at a service, whose store stays open until it is begun and answered.
#[derive(Debug)]
pub struct Entry {
    service: Arc<Service>,
    using: Using,
}

impl Desk {
    /// Without a service yet.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { service: watch::Sender::new(None), metrics }
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Requests come to this service from now on. Those that have begun stay with the one before.
    pub fn put(&self, service: Arc<Service>) {
        self.service.send_replace(Some(service));
    }

    /// Lets requests wait from now on, and returns when no call looks at the store any more.
    pub async fn pause(&self) {
        if let Some(service) = self.service.send_replace(None) {
            service.in_store.close();
            service.in_store.wait().await;
        }
    }

    /// A place for one request, as soon as there is a service.
    pub async fn enter(&self) -> Entry {
        if let Some(entry) = entry(self.service.borrow().as_ref()) {
            return entry;
        }
        let mut services = self.service.subscribe();
        loop {
            if let Some(entry) = entry(services.borrow_and_update().as_ref()) {
                return entry;
            }
            if services.changed().await.is_err() {
                // The sender is this value's own: it cannot be gone.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Taken while the service cannot be exchanged, so that whoever pauses it waits for this.
fn entry(service: Option<&Arc<Service>>) -> Option<Entry> {
    service.map(|service| Entry { service: Arc::clone(service), using: service.in_store.token() })
}

impl Entry {
    /// Begins the request, as [`Service::begin`]; what comes with the pending answer is to be held until that
    /// is there.
    pub async fn begin(
        self,
        header: RequestHeader,
        request: Request,
        caller: &Arc<Caller>,
    ) -> (Pending, Option<Using>) {
        let (with_call, with_answer) = match &request {
            // These look at what the agent has in memory.
            Request::Watch { .. } | Request::Resync { .. } => (None, None),
            // These let it go before they wait for a controller.
            Request::Get(_)
            | Request::ListByEntity { .. }
            | Request::ListById { .. }
            | Request::ListByIdAndEntity(_) => (Some(self.using), None),
            _ => (None, Some(self.using)),
        };
        (self.service.begin(header, request, caller, with_call).await, with_answer)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use fm_common::AlarmKey;
    use futures_util::FutureExt;
    use tokio::time::timeout;

    use super::*;
    use crate::access::Access;
    use crate::audit::Audit;
    use crate::backend::Link;
    use crate::caller::{Door, Origin};
    use crate::config::{AuditConfig, Config, Domain};
    use crate::route::Router;
    use crate::service::Border;
    use crate::store::{KeepRejected, Limits, Store, StoreOptions};

    fn service(directory: &std::path::Path, metrics: &Arc<Metrics>) -> Arc<Service> {
        let config = Config::default();
        let options = StoreOptions {
            state_dir: directory.to_owned(),
            durability: config.agent.durability,
            domains: BTreeMap::from([(Domain::Platform, true)]),
            max_events: 10,
            rejected: KeepRejected { most: 10, age: Duration::from_hours(1) },
            limits: Limits { max_bytes: 1 << 30, max_requests: 1000, high_water: 0.8 },
            metrics: Arc::clone(metrics),
        };
        let border = Border {
            access: Arc::new(Access::new(config.access.clone())),
            audit: Arc::new(Audit::new(&AuditConfig::default()).unwrap()),
        };
        Arc::new(Service::new(
            Arc::new(Store::open(&options).unwrap()),
            Router::new(Vec::new(), [Domain::Platform].into()),
            BTreeMap::from([(Domain::Platform, Link::Standalone)]),
            &config.agent,
            border,
            Arc::clone(metrics),
            Arc::default(),
        ))
    }

    #[tokio::test]
    async fn requests_wait_while_there_is_no_service_and_a_pause_waits_for_those_that_have_begun() {
        let directory = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::new().unwrap());
        let desk = Desk::new(Arc::clone(&metrics));
        let mut early = Box::pin(desk.enter());
        assert!((&mut early).now_or_never().is_none());
        let service = service(directory.path(), &metrics);
        desk.put(Arc::clone(&service));
        let entry = timeout(Duration::from_mins(1), early).await.unwrap();

        let mut pause = Box::pin(desk.pause());
        assert!((&mut pause).now_or_never().is_none(), "a request has its place");
        assert!(desk.enter().now_or_never().is_none(), "no other gets one");
        let caller = Arc::new(Caller {
            origin: Arc::new(Origin {
                uid: nix::unistd::geteuid().as_raw(),
                gid: 0,
                pid: 1,
                program: "test".to_owned(),
                executable: None,
            }),
            groups: Vec::new(),
            door: Door::Main,
        });
        let header = RequestHeader { id: 1, timeout_ms: 60_000, detached: false, token: [1; 16] };
        let clear = Request::Clear(AlarmKey::new("1", "host=a"));
        let (pending, using) = entry.begin(header, clear, &caller).await;
        assert!((&mut pause).now_or_never().is_none(), "it is not answered yet");
        pending.await.unwrap_err();
        drop(using);
        timeout(Duration::from_mins(1), pause).await.unwrap();

        desk.put(service);
        assert!(desk.enter().now_or_never().is_some());
    }
}
