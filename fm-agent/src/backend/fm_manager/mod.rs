//! A controller reached over the socket protocol of the central manager, fm-manager, version 1.
//!
//! `layout` and `enums` are the C structures, `message` the frames, `connection` and `client` the way there,
//! `adapt` the form that the manager can hold, `removal` which deletes are safe, `read` and `write` are the
//! backend's methods. Which behaviour of the manager each rule answers is said where the rule is ("observed
//! behaviour of fm-manager, 2026-06").
//!
//! Invariants:
//! - Requests of one alarm come one at a time: the caller sees to that.
//! - No delete is sent that removes an alarm which was not meant, as far as a list taken just before tells.
//! - Nothing of a caller reaches the manager's SQL as more than the text it is: what has a quote or a
//!   backslash is never sent, a wildcard only where it widens nothing.
//! - Nothing is remembered of alarms but which clears wait: each method asks the manager. A raise costs a
//!   question and a create, a clear a question and a delete; questions are answered up to 100 ms late.

mod adapt;
mod client;
mod connection;
mod enums;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod layout;
mod message;
mod read;
mod removal;
mod write;

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fm_common::{Alarm, AlarmKey};

use self::client::Client;
use super::{Absent, Answer, Backend, Clear, ClearAll, Delivered, Log, Memory, Query, Raise};
use crate::config::FmManagerConfig;

/// One manager.
#[derive(Debug)]
pub(super) struct FmManager {
    client: Client,
    /// Clears that wait for other alarms to go: each is told once.
    waiting: Mutex<BTreeSet<AlarmKey>>,
}

impl FmManager {
    /// The manager that the configuration names; at most so many connections are kept. Nothing is connected
    /// yet.
    pub(super) fn new(config: &FmManagerConfig, most_idle: usize) -> Self {
        Self { client: Client::new(config, most_idle), waiting: Mutex::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeSet<AlarmKey>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for FmManager {
    fn raise<'a>(&'a self, raise: &'a Raise) -> Answer<'a, Delivered> {
        Box::pin(self.raise_alarm(raise))
    }

    fn clear<'a>(&'a self, clear: &'a Clear) -> Answer<'a, Delivered> {
        Box::pin(self.clear_alarm(clear))
    }

    /// The protocol removes by key: no uuid helps.
    fn clear_all<'a>(&'a self, clear_all: &'a ClearAll) -> Answer<'a, Delivered> {
        Box::pin(self.clear_matching(&clear_all.entity_instance_id, clear_all.rule))
    }

    fn log<'a>(&'a self, log: &'a Log) -> Answer<'a, Delivered> {
        Box::pin(self.record_log(log))
    }

    fn list<'a>(&'a self, query: &'a Query) -> Answer<'a, Vec<Alarm>> {
        Box::pin(self.matching(query))
    }

    fn remove<'a>(&'a self, key: &'a AlarmKey, uuid: &'a str) -> Answer<'a, Delivered> {
        Box::pin(self.remove_one(key, uuid))
    }

    /// Nothing is told: a raise asks for itself, and the manager makes no second alarm of it in any case.
    fn absent<'a>(&'a self, _: &'a [AlarmKey]) -> Answer<'a, HashSet<AlarmKey>> {
        Box::pin(async { Ok(HashSet::new()) })
    }

    /// The protocol has no way to the event log, so what the manager lost cannot be told from what a person
    /// removed: it is left alone, until its caller raises it again.
    fn recall<'a>(&'a self, absent: &'a [Absent]) -> Answer<'a, Vec<Memory>> {
        Box::pin(async { Ok(vec![Memory::Raised; absent.len()]) })
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(self.probe_database())
    }
}
