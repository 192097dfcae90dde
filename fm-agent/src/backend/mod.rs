//! The border to controllers: one trait, one folder for each way to reach one.
//!
//! Invariants:
//! - A backend resolves what it can before it answers: an unclear answer of the controller leads to a
//!   question, not to a guess. What stays open is said by [`Failure::in_doubt`], and comes back with the
//!   next attempt as `in_doubt`.
//! - What a controller cannot hold is adapted here and nowhere else. Alarms given to and taken from a
//!   backend are the callers' own.
//! - Filters are answered exactly, however loosely the controller matches.
//! - No method waits longer than the backend's configured deadlines allow.
//!
//! A backend knows no store, no lanes and no routing. To add one: a folder here, a table with its variant in
//! [`BackendConfig`](crate::config::BackendConfig), a line in [`Link::new`].

mod files;
mod fm_manager;
mod fm_rest_api;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod health;
mod http;
pub mod inspect;
mod keystone;
mod link;
mod naming;
pub mod resync;
pub mod traffic;

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use fm_common::entity::EntityMatch;
use fm_common::{Alarm, AlarmKey, Timestamp};

pub use keystone::Refusals;
pub use link::{Controller, Link};
use naming::uuids_for;

/// What a backend's method gives.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// One controller.
pub trait Backend: Send + Sync {
    /// Makes the alarm stand at the controller as it is given: once, whatever stood there under its key.
    /// An alarm that stands there with the same content is left alone.
    fn raise<'a>(&'a self, raise: &'a Raise) -> Answer<'a, Delivered>;

    /// Removes every alarm with exactly this key. That there is none is a success.
    fn clear<'a>(&'a self, clear: &'a Clear) -> Answer<'a, Delivered>;

    /// Removes every alarm that the filter means and that can be found. That there is none is a success.
    fn clear_all<'a>(&'a self, clear_all: &'a ClearAll) -> Answer<'a, Delivered>;

    /// Records a log, once.
    fn log<'a>(&'a self, log: &'a Log) -> Answer<'a, Delivered>;

    /// Those of these keys under which nothing stands, as far as one question tells; none when one question
    /// cannot tell. What is not given may stand or not.
    fn absent<'a>(&'a self, keys: &'a [AlarmKey]) -> Answer<'a, HashSet<AlarmKey>>;

    /// Alarms the query means, in no particular order. Suppressed ones too where it says so.
    fn list<'a>(&'a self, query: &'a Query) -> Answer<'a, Vec<Alarm>>;

    /// As [`Self::list`], where only alarms matter that an agent has raised: what only others write, and the
    /// controller cannot show, may be missing, and nothing else.
    fn list_raised<'a>(&'a self, query: &'a Query) -> Answer<'a, Vec<Alarm>> {
        self.list(query)
    }

    /// Removes the one alarm that has both this key and this uuid, whatever else stands. That there is none
    /// is a success.
    fn remove<'a>(&'a self, key: &'a AlarmKey, uuid: &'a str) -> Answer<'a, Delivered>;

    /// What the controller remembers of alarms that it held and does not list: one answer each, in their order.
    fn recall<'a>(&'a self, absent: &'a [Absent]) -> Answer<'a, Vec<Memory>>;

    /// Whether the controller can be used at present, credentials included.
    fn probe(&self) -> Answer<'_, ()>;
}

/// An alarm to be raised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raise {
    /// The alarm as the caller wrote it, with a timestamp.
    pub alarm: Alarm,
    /// The uuid for a new alarm at the controller.
    pub uuid: String,
    /// The uuid under which this node last knew the alarm to stand there.
    pub standing: Option<String>,
    /// [`Backend::absent`] has said that nothing stands under its key: until this moment, in which it must have
    /// been sent, it need not be asked for again. Counts only without `standing` and without `in_doubt`.
    pub absent_until: Option<Instant>,
    /// An earlier attempt may have been taken.
    pub in_doubt: bool,
}

impl Raise {
    /// Whether it may be sent now without a question.
    fn is_new(&self) -> bool {
        let is_absent = self.absent_until.is_some_and(|moment| Instant::now() < moment);
        is_absent && self.standing.is_none() && !self.in_doubt
    }
}

/// An alarm to be cleared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clear {
    /// Which.
    pub key: AlarmKey,
    /// The uuid under which this node last knew the alarm to stand there.
    pub standing: Option<String>,
}

/// Alarms to be cleared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClearAll {
    /// The entity and, as the rule says, what lies under it.
    pub entity_instance_id: String,
    /// How the entity matches.
    pub rule: EntityMatch,
    /// The uuids under which this node last knew such alarms to stand there: the controller may hide them.
    pub standing: Vec<String>,
}

/// A log to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The log as the caller wrote it, with a timestamp.
    pub alarm: Alarm,
    /// Its uuid at the controller.
    pub uuid: String,
    /// An earlier attempt may have been taken.
    pub in_doubt: bool,
}

/// An alarm that a controller held and does not list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    /// Which.
    pub key: AlarmKey,
    /// The uuid under which the controller held it.
    pub uuid: String,
    /// Since when.
    pub since: Timestamp,
}

/// What a controller remembers of an alarm that it does not list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// It was removed after it had been raised.
    Removed,
    /// It was raised, and nothing says that it was removed: it may be hidden.
    Raised,
    /// Nothing.
    Nothing,
}

/// Which alarms to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Only this alarm id.
    pub alarm_id: Option<String>,
    /// Only this entity and, unless `exact`, what lies under it.
    pub entity_instance_id: Option<String>,
    /// Only exactly this entity.
    pub exact: bool,
    /// How the entity filter matches.
    pub rule: EntityMatch,
    /// Suppressed alarms too.
    pub include_suppressed: bool,
}

impl Query {
    /// The alarm with exactly this key, suppressed or not.
    pub fn one(key: &AlarmKey) -> Self {
        Self {
            alarm_id: Some(key.alarm_id.clone()),
            entity_instance_id: Some(key.entity_instance_id.clone()),
            exact: true,
            rule: EntityMatch::default(),
            include_suppressed: true,
        }
    }

    /// Whether the query means the alarm with this key, suppression aside.
    pub fn means(&self, key: &AlarmKey) -> bool {
        let entity = self.entity_instance_id.as_deref().is_none_or(|filter| {
            let exactly = filter == key.entity_instance_id;
            exactly || (!self.exact && self.rule.covers(filter, &key.entity_instance_id))
        });
        entity && self.alarm_id.as_ref().is_none_or(|id| *id == key.alarm_id)
    }
}

/// A request that the controller has taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivered {
    /// For a raise: the uuid under which the alarm stands there now. `None` when it does not: it had been raised
    /// and was removed again by somebody, or the alarm that was to be kept in its place is another's.
    pub uuid: Option<String>,
    /// The controller's answer was unclear and had to be resolved by asking.
    pub unclear: bool,
}

/// A request that the controller has not taken, or may not have taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    /// What follows from it.
    pub kind: FailureKind,
    /// What happened, to what, and what to do, for people. Holds no secret.
    pub reason: String,
    /// The request may have been taken all the same.
    pub in_doubt: bool,
}

impl Failure {
    /// The controller cannot be used at present; the request was not taken.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self { kind: FailureKind::Unavailable, reason: reason.into(), in_doubt: false }
    }

    /// The request failed and was not taken; another attempt may succeed.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self { kind: FailureKind::Retry, reason: reason.into(), in_doubt: false }
    }

    /// The controller answered cleanly; the request has to wait for something else there.
    pub fn waits(reason: impl Into<String>) -> Self {
        Self { kind: FailureKind::Waits, reason: reason.into(), in_doubt: false }
    }

    /// The request is refused for good.
    pub fn rejected(reason: impl Into<String>) -> Self {
        Self { kind: FailureKind::Rejected, reason: reason.into(), in_doubt: false }
    }

    /// The same failure of a request that may have been taken all the same, or that certainly was not.
    #[must_use]
    pub fn in_doubt(self, in_doubt: bool) -> Self {
        Self { in_doubt, ..self }
    }
}

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The controller cannot be used at present, whatever the request: connection, deadline, TLS,
    /// authentication, authorization, answers that are none of the service's.
    Unavailable,
    /// The controller works, this request failed; another attempt may succeed.
    Retry,
    /// The controller works and was not asked to do it: something else has to happen there first.
    Waits,
    /// The controller refuses this request for good.
    Rejected,
}
