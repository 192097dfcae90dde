//! What each request means: one function a request.
//!
//! Invariants:
//! - A write is answered after its commit; it never waits for a controller longer than the configured
//!   question limit, and not at all for one that failed lately.
//! - [`Entry::begin`] returns once a request has its place in the store's order, so requests begun one
//!   after the other take effect in that order, whenever their answers come. What a controller has to be
//!   asked about first (a clear of an unknown alarm, a set that keeps what stands) gets its place later,
//!   before its answer; detached, it asks nobody and gets its place at once.
//! - 'There is none' and 'could not ask' are never mixed.
//!
//! It knows no SQL and no HTTP: it asks the store and the controllers.

mod admin;
mod border;
mod desk;
mod listing;
mod measure;
mod merge;
mod passage;
mod read;
mod status;
mod write;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fm_common::ErrorCode;
use fm_common::entity::EntityMatch;
use fm_common::protocol::{Answer, Refusal, Request, RequestHeader, Response};
use tokio_util::task::TaskTracker;

use crate::backend::{Controller, Link};
use crate::caller::{Caller, Origin};
use crate::config::{AgentConfig, Domain, Durability};
use crate::metrics::Metrics;
use crate::passing::Passing;
use crate::route::Router;
use crate::store::{Op, Store, StoreError, StoreErrorKind};

pub use self::border::Border;
pub use self::desk::{Desk, Entry, Using};
pub use self::measure::store_counts;

/// The answer to a request that has its place in the order.
pub type Pending = Pin<Box<dyn Future<Output = Response> + Send>>;

/// What the requests of all connections are served with.
#[derive(Debug)]
pub struct Service {
    store: Arc<Store>,
    router: Router,
    links: BTreeMap<Domain, Link>,
    rule: EntityMatch,
    ask_limit: Duration,
    durability: Durability,
    border: Border,
    passing: Arc<Passing>,
    metrics: Arc<Metrics>,
    /// The caller of the latest request, by where it is in memory: only ever compared.
    latest: AtomicUsize,
    /// Calls that may look at the store.
    in_store: TaskTracker,
}

/// One call: who waits for it, and for how long.
#[derive(Debug, Clone)]
struct Call {
    header: RequestHeader,
    deadline: Instant,
    origin: Arc<Origin>,
    /// Nobody else has asked for anything since its caller did before, and it waits for the answer.
    alone: bool,
    /// Let go when the store is not looked at any more.
    using: Option<Using>,
}

impl Call {
    /// The part of the caller's deadline that is left, less what the answer needs to travel.
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

impl Service {
    /// A service over this store and these controllers.
    pub fn new(
        store: Arc<Store>,
        router: Router,
        links: BTreeMap<Domain, Link>,
        config: &AgentConfig,
        border: Border,
        metrics: Arc<Metrics>,
        passing: Arc<Passing>,
    ) -> Self {
        Self {
            store,
            router,
            links,
            rule: config.entity_match,
            ask_limit: config.ask_timeout_ms.duration(),
            durability: config.durability,
            border,
            metrics,
            passing,
            latest: AtomicUsize::new(0),
            in_store: TaskTracker::new(),
        }
    }

    /// Gives a request of this caller its place in the order; what is returned becomes its answer. A read gets
    /// what it lets go when it does not look at the store any more.
    async fn begin(
        self: &Arc<Self>,
        header: RequestHeader,
        request: Request,
        caller: &Arc<Caller>,
        using: Option<Using>,
    ) -> Pending {
        if let Err(refusal) = self.border.admit(&request, caller).await {
            return Box::pin(std::future::ready(Err(refusal)));
        }
        let note = self.border.note(&request, caller, &self.router);
        let who = Arc::as_ptr(caller) as usize;
        let alone = self.latest.swap(who, Ordering::Relaxed) == who && !header.detached;
        let timeout = Duration::from_millis(header.timeout_ms.into());
        // The answer has to be with the caller by its deadline.
        let deadline = Instant::now() + timeout.mul_f64(0.9);
        let call = Call { header, deadline, origin: Arc::clone(&caller.origin), alone, using };
        let pending = self.start(call, request).await;
        match note {
            None => pending,
            Some(note) => Box::pin(async move {
                let response = pending.await;
                note.write(&response);
                response
            }),
        }
    }

    async fn start(self: &Arc<Self>, call: Call, request: Request) -> Pending {
        let uid = call.origin.uid;
        let to_tell = self.to_tell(&request);
        let begun = match request {
            Request::Set(alarm) => self.set(call, alarm).await,
            Request::SetList(alarms) => self.set_list(call, alarms).await,
            Request::Clear(key) => self.clear(call, key).await,
            Request::ClearAll { entity_instance_id } => self.clear_all(call, entity_instance_id).await,
            Request::ClearList(keys) => self.clear_list(call, keys).await,
            Request::Get(key) => self.get(call, key),
            Request::ListByEntity { entity_instance_id } => {
                self.list(call, None, Some(entity_instance_id), false)
            }
            Request::ListById { alarm_id } => self.list(call, Some(alarm_id), None, true),
            Request::ListByIdAndEntity(key) => {
                self.list(call, Some(key.alarm_id), Some(key.entity_instance_id), false)
            }
            Request::Ping => {
                let service = Arc::clone(self);
                later(async move { Ok(service.store.writer.flush().await.map(|()| Answer::Done)?) })
            }
            Request::Status => {
                let service = Arc::clone(self);
                later(async move { Ok(Answer::Status(service.status().await?)) })
            }
            Request::Rejected { after, most } => self.rejected(after, most),
            Request::Replay { seq } => self.on_rejected(call, Op::Replay { seq }, seq).await,
            Request::Drop { seq } => self.on_rejected(call, Op::Drop { seq }, seq).await,
            Request::Explain { alarm_id, entity_type_id, entity_instance_id } => {
                self.explain(alarm_id, entity_type_id, &entity_instance_id)
            }
            Request::Resync { domain } => self.resync(call, &domain),
            Request::Queue { domain, after, most } => self.queue(&domain, after, most),
            Request::View { alarm_id, entity_instance_id, after, most } => {
                self.view(alarm_id, &entity_instance_id, after, most)
            }
            Request::Watch { run, after, most } => self.watch(call, run, after, most),
        };
        let pending = begun.unwrap_or_else(|refusal| Box::pin(std::future::ready(Err(refusal))));
        self.telling(to_tell, uid, pending)
    }

    /// The controller of a domain; `None` when the record is here.
    fn controller(&self, domain: Domain) -> Option<&Controller> {
        match self.links.get(&domain) {
            Some(Link::Controller(controller)) => Some(controller),
            Some(Link::Standalone) | None => None,
        }
    }

    /// Every controller, with its domain.
    fn controllers(&self) -> impl Iterator<Item = (Domain, &Controller)> {
        self.links.keys().filter_map(|domain| Some((*domain, self.controller(*domain)?)))
    }
}

/// A request that has its place in the order, or needs none.
#[expect(
    clippy::unnecessary_wraps,
    reason = "so that it reads like the requests that can be refused at once"
)]
fn later(answer: impl Future<Output = Response> + Send + 'static) -> Result<Pending, Refusal> {
    Ok(Box::pin(answer))
}

impl From<StoreError> for Refusal {
    /// A fault of the store is temporary for callers: they try again rather than drop the alarm.
    fn from(error: StoreError) -> Self {
        let code = match error.kind {
            StoreErrorKind::Full | StoreErrorKind::Limit => ErrorCode::NotEnoughSpace,
            StoreErrorKind::Damaged
            | StoreErrorKind::Gone
            | StoreErrorKind::Unreadable
            | StoreErrorKind::Newer
            | StoreErrorKind::InUse
            | StoreErrorKind::Stopped
            | StoreErrorKind::Io => ErrorCode::ResourceUnavailable,
        };
        Self::new(code, error.to_string())
    }
}

fn not_found(what: impl std::fmt::Display) -> Refusal {
    Refusal::new(ErrorCode::EntityNotFound, format!("no alarm matches {what}"))
}

fn invalid(reason: impl std::fmt::Display) -> Refusal {
    Refusal::new(ErrorCode::InvalidParameter, reason.to_string())
}
