//! A controller reached over fm-rest-api, version 1.
//!
//! `client` sends, `answer` says what an answer means, `wire` is the JSON, `adapt` the form that the service
//! can hold, `types` what the service knows, `read`, `write` and `memory` are the backend's methods, `around` reads where a
//! list fails. Which behaviour of
//! the service each rule answers is said where the rule is ("observed behaviour of fm-rest-api, 2026-06").
//!
//! Invariants:
//! - Requests of one alarm come one at a time: the caller sees to that.
//! - A raise costs one request when it is told that nothing stands under its key. Else it asks: two requests when
//!   nothing stands there, one when it stands already, one more for each row that has to go and one more when an
//!   earlier attempt is in doubt.
//! - Nothing is remembered of alarms: each method asks the service.

mod adapt;
mod answer;
mod around;
mod client;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod memory;
mod read;
mod types;
mod wire;
mod write;

use std::collections::HashSet;
use std::sync::OnceLock;

use fm_common::{Alarm, AlarmKey};

use self::adapt::Database;
use self::client::Client;
use super::keystone::Refusals;
use super::{Absent, Answer, Backend, Clear, ClearAll, Delivered, Log, Memory, Query, Raise};
use crate::config::FmRestApiConfig;
use crate::seldom::Seldom;

/// One fm-rest-api service.
pub(super) struct FmRestApi {
    client: Client,
    /// The database behind the service, once it has been asked for.
    database: OnceLock<Database>,
    /// That it has no alarm types.
    untyped: Seldom,
    /// That it has alarms which it cannot show.
    unshown: Seldom,
}

impl FmRestApi {
    /// The service that the configuration names. Nothing is connected yet.
    ///
    /// # Errors
    /// A certificate file that cannot be used, an account that cannot prove itself, no endpoint.
    pub(super) fn new(config: &FmRestApiConfig, refusals: &Refusals) -> anyhow::Result<Self> {
        Ok(Self {
            client: Client::new(config, refusals)?,
            database: OnceLock::new(),
            untyped: Seldom::new(),
            unshown: Seldom::new(),
        })
    }
}

impl Backend for FmRestApi {
    fn raise<'a>(&'a self, raise: &'a Raise) -> Answer<'a, Delivered> {
        Box::pin(self.raise_alarm(raise))
    }

    fn clear<'a>(&'a self, clear: &'a Clear) -> Answer<'a, Delivered> {
        Box::pin(self.clear_alarm(clear))
    }

    fn clear_all<'a>(&'a self, clear_all: &'a ClearAll) -> Answer<'a, Delivered> {
        Box::pin(self.clear_matching(clear_all))
    }

    fn log<'a>(&'a self, log: &'a Log) -> Answer<'a, Delivered> {
        Box::pin(self.record_log(log))
    }

    fn list<'a>(&'a self, query: &'a Query) -> Answer<'a, Vec<Alarm>> {
        Box::pin(self.matching(query))
    }

    fn list_raised<'a>(&'a self, query: &'a Query) -> Answer<'a, Vec<Alarm>> {
        Box::pin(async { Ok(self.readable(query).await?.0) })
    }

    fn remove<'a>(&'a self, key: &'a AlarmKey, uuid: &'a str) -> Answer<'a, Delivered> {
        Box::pin(self.remove_one(key, uuid))
    }

    fn absent<'a>(&'a self, keys: &'a [AlarmKey]) -> Answer<'a, HashSet<AlarmKey>> {
        Box::pin(self.not_standing(keys))
    }

    fn recall<'a>(&'a self, absent: &'a [Absent]) -> Answer<'a, Vec<Memory>> {
        Box::pin(self.remembered(absent))
    }

    fn probe(&self) -> Answer<'_, ()> {
        Box::pin(async { self.summary().await.map(|_| ()) })
    }
}
