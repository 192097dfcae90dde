//! Raising, clearing and logging, once each.
//!
//! The rules, and why (observed behaviour of fm-manager, 2026-06):
//! - A create makes an alarm or changes the one that stands under its key, in place. So a raise is one
//!   create, and the same create sent again changes nothing but leaves a second event. To send it once, and
//!   not at all for an alarm that stands already, a raise asks first.
//! - A request whose answer got lost may still be carried out. The manager takes requests one after the
//!   other, so an answer to a later question says that what was sent before has been taken or never will be.
//!   Hence every attempt begins with a question.
//! - A uuid proves nothing by itself, for a caller may send one that it has read. An alarm that stands is the one
//!   to be raised only when it says the same; what is refused because its uuid may be another's goes under a second one.
//! - The event log cannot be read. An alarm raised in doubt that does not stand is raised again, even if
//!   somebody may have removed it meanwhile. A log in doubt is sent again: the event log takes a uuid once.
//! - The manager says 11 for what it refuses and for what fails. What it is, is decided by asking: see
//!   [`FmManager::refused`].
//! - A delete is sent only if it removes nothing else: see `removal`. A clear that would is kept waiting
//!   until it does not; a clear-all removes what it can and is then refused, for while it waited, it would
//!   hold up every alarm of its entity.
//! - An event is written some 200 ms after the answer, and is lost with the manager if that dies.

use std::collections::BTreeSet;

use fm_common::catalogue::{self, Kind};
use fm_common::entity::EntityMatch;
use fm_common::{Alarm, AlarmKey, ErrorCode};

use super::FmManager;
use super::adapt::{self, Held};
use super::connection::Broken;
use super::message::{Answer, Request};
use super::removal::{Removal, removal};
use crate::backend::{Clear, Delivered, Failure, FailureKind, Log, Query, Raise, uuids_for};

/// Attempts at one request after answers that say nothing.
const ATTEMPTS: usize = 2;
/// Attempts at a log that may be recorded already: refused each time, it is.
const LOG_ATTEMPTS: usize = 3;
/// Deletes in one message.
const DELETES: usize = 500;
/// The code for refusals and failures alike.
const DATABASE: u32 = ErrorCode::DatabaseOperation.number();

impl FmManager {
    pub(super) async fn raise_alarm(&self, raise: &Raise) -> Result<Delivered, Failure> {
        let held = adapt::hold(&raise.alarm, &raise.uuid).map_err(Failure::rejected)?;
        let key = held.alarm.key();
        let mut lost = None;
        for _ in 0..ATTEMPTS {
            // Until the question is answered, what was sent stays doubtful.
            let in_doubt = raise.in_doubt || lost.is_some();
            let row = self.one(&key).await.map_err(|failure| failure.in_doubt(in_doubt))?;
            if let Some(kept) = row.filter(|row| is_to_stay(row, raise, &held)) {
                return Ok(found(kept, &held, lost.is_some()));
            }
            match self.client.tell(&Request::create(&held.alarm, &held.uuid)).await {
                Ok(answer) => return self.created(&answer, raise, &held, lost.is_some()).await,
                Err(Broken::Unsent(words)) => return Err(Failure::unavailable(words)),
                Err(Broken::Lost(words)) => lost = Some(words),
            }
        }
        Err(Failure::unavailable(lost.unwrap_or_default()).in_doubt(true))
    }

    async fn created(
        &self,
        answer: &Answer,
        raise: &Raise,
        held: &Held,
        unclear: bool,
    ) -> Result<Delivered, Failure> {
        tell(held);
        match answer.code {
            0 => {
                let uuid = answer.uuid().unwrap_or_else(|| held.uuid.clone());
                // It kept another's, which has come in the meantime.
                let is_this = !raise.alarm.keep_existing_alarm || uuid == held.uuid;
                Ok(delivered(Some(uuid).filter(|_| is_this), unclear))
            }
            DATABASE => self.refused(raise, held).await,
            code => Err(failed("create", code)),
        }
    }

    /// What a create's 11 means: the manager says it of an alarm id that it does not know, and of a database
    /// that fails.
    ///
    /// - If the database does not answer a question either, the manager cannot be used.
    /// - If the uuid is another alarm's, it goes under its second one.
    /// - If the catalogue or an alarm that stands has the id, the manager knows it, or will once it is as new
    ///   as this node: the request goes again. To refuse it would lose an alarm to a moment's failure.
    /// - Else it is sent once more, and refused for good when the manager says the same, for its database
    ///   has answered in between.
    async fn refused(&self, raise: &Raise, held: &Held) -> Result<Delivered, Failure> {
        let alarm_id = held.alarm.alarm_id.as_str();
        if let Some(row) = self.one(&held.alarm.key()).await?.filter(|row| is_to_stay(row, raise, held)) {
            return Ok(found(row, held, true));
        }
        let standing = self.of_ids([alarm_id]).await?;
        if standing.iter().any(|row| row.uuid.as_deref() == Some(&held.uuid)) {
            let [_, second] = uuids_for(&raise.uuid, &raise.alarm);
            return match self.client.tell(&Request::create(&held.alarm, &second)).await {
                Ok(answer) if answer.code == 0 => Ok(delivered(answer.uuid().or(Some(second)), true)),
                Ok(answer) => Err(failed("create", answer.code)),
                Err(Broken::Unsent(words)) => Err(Failure::unavailable(words)),
                Err(Broken::Lost(words)) => Err(Failure::unavailable(words).in_doubt(true)),
            };
        }
        let listed = catalogue::find(alarm_id).is_some_and(|entry| entry.kind == Kind::Alarm);
        if listed || !standing.is_empty() {
            return Err(Failure::retry(format!(
                "create: fm-manager refuses {alarm_id} (11) though its database answers; is its release older than \
                 this node's, its disk full?"
            )));
        }
        match self.client.tell(&Request::create(&held.alarm, &held.uuid)).await {
            Ok(answer) if answer.code == 0 => {
                Ok(delivered(answer.uuid().or_else(|| Some(held.uuid.clone())), true))
            }
            Ok(answer) if answer.code == DATABASE => Err(Failure::rejected(format!(
                "create: fm-manager refuses {alarm_id} (11): it has no such alarm type"
            ))),
            Ok(answer) => Err(failed("create", answer.code)),
            Err(Broken::Unsent(words)) => Err(Failure::unavailable(words)),
            Err(Broken::Lost(words)) => Err(Failure::unavailable(words).in_doubt(true)),
        }
    }

    /// Clears an alarm if it still is the one with this uuid: the manager has one at most under a key.
    pub(super) async fn remove_one(&self, key: &AlarmKey, uuid: &str) -> Result<Delivered, Failure> {
        let uuid = adapt::hold_uuid(uuid);
        let found = self.matching(&Query::one(key)).await?;
        if !found.iter().any(|alarm| alarm.uuid.as_deref() == Some(uuid.as_str())) {
            return Ok(delivered(None, false));
        }
        self.clear_alarm(&Clear { key: key.clone(), standing: Some(uuid) }).await
    }

    pub(super) async fn clear_alarm(&self, clear: &Clear) -> Result<Delivered, Failure> {
        adapt::check_id(&clear.key.alarm_id).map_err(Failure::rejected)?;
        let key = adapt::hold_key(&clear.key);
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let rows = self.of_ids([key.alarm_id.as_str()]).await?;
            let standing: BTreeSet<AlarmKey> = rows.iter().map(Alarm::key).collect();
            if !standing.contains(&key) {
                self.waiting().remove(&key);
                return Ok(delivered(None, last.is_some()));
            }
            match removal(&key, &standing, |other| *other == key) {
                Removal::Safe => {}
                Removal::Takes(other) => return Err(Failure::waits(self.waits(&key, other))),
                Removal::Inexpressible => return Err(Failure::rejected(inexpressible(&key))),
            }
            match self.client.tell(&Request::delete(&key.alarm_id, &key.entity_instance_id)).await {
                Ok(answer) if answer.code == 0 => {
                    self.waiting().remove(&key);
                    return Ok(delivered(None, last.is_some()));
                }
                // Whatever it says, the list tells whether the alarm is gone.
                Ok(answer) => last = Some(failed("delete", answer.code)),
                Err(Broken::Unsent(words)) => return Err(Failure::unavailable(words)),
                Err(Broken::Lost(words)) => last = Some(Failure::unavailable(words)),
            }
        }
        Err(last.unwrap_or_else(|| Failure::retry(format!("delete: {} still stands", named(&key)))))
    }

    pub(super) async fn clear_matching(&self, entity: &str, rule: EntityMatch) -> Result<Delivered, Failure> {
        let held = adapt::hold_entity(entity);
        let goes =
            |key: &AlarmKey| rule.covers(entity, &key.entity_instance_id) || key.entity_instance_id == held;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let standing: BTreeSet<AlarmKey> = self.around(entity).await?.iter().map(Alarm::key).collect();
            let (mut safe, mut left) = (Vec::new(), Vec::new());
            for key in standing.iter().filter(|key| goes(key)) {
                match removal(key, &standing, goes) {
                    Removal::Safe => safe.push(key),
                    Removal::Takes(other) => left.push(takes(key, other)),
                    Removal::Inexpressible => left.push(inexpressible(key)),
                }
            }
            match self.delete(&safe).await {
                Ok(()) if left.is_empty() => return Ok(delivered(None, last.is_some())),
                Ok(()) => return Err(Failure::rejected(left.join("; "))),
                Err(Broken::Unsent(words)) => return Err(Failure::unavailable(words)),
                Err(Broken::Lost(words)) => last = Some(words),
            }
        }
        Err(Failure::unavailable(last.unwrap_or_default()))
    }

    pub(super) async fn record_log(&self, log: &Log) -> Result<Delivered, Failure> {
        let mut held = adapt::hold(&log.alarm, &log.uuid).map_err(Failure::rejected)?;
        let [_, second] = uuids_for(&log.uuid, &log.alarm);
        let doubtful = |failure: Failure| failure.in_doubt(log.in_doubt);
        for attempt in 1..=LOG_ATTEMPTS {
            match self.client.tell(&Request::create(&held.alarm, &held.uuid)).await {
                Ok(answer) if answer.code == 0 => {
                    tell(&held);
                    return Ok(delivered(answer.uuid().or_else(|| Some(held.uuid.clone())), attempt > 1));
                }
                Ok(answer) if answer.code == DATABASE => {
                    self.probe_database().await.map_err(doubtful)?;
                    if !log.in_doubt {
                        if held.uuid == second {
                            return Err(failed("create", DATABASE));
                        }
                        // Its own may be another event's.
                        held.uuid.clone_from(&second);
                    }
                }
                Ok(answer) => return Err(doubtful(failed("create", answer.code))),
                Err(Broken::Unsent(words)) => return Err(doubtful(Failure::unavailable(words))),
                Err(Broken::Lost(words)) => return Err(Failure::unavailable(words).in_doubt(true)),
            }
        }
        // Refused again and again by a database that answers: it has the uuid.
        Ok(delivered(Some(held.uuid), true))
    }

    /// Removes these, as many at once as go into a message.
    async fn delete(&self, keys: &[&AlarmKey]) -> Result<(), Broken> {
        for some in keys.chunks(DELETES) {
            let filters = some.iter().map(|key| (key.alarm_id.as_str(), key.entity_instance_id.as_str()));
            let answer = self.client.tell(&Request::delete_list(filters)).await?;
            if answer.code != 0 {
                // Some of them may be gone.
                return Err(Broken::Lost(failed("delete list", answer.code).reason));
            }
        }
        Ok(())
    }

    /// Notes that a clear waits, and says so in the log once.
    fn waits(&self, key: &AlarmKey, other: &AlarmKey) -> String {
        let reason = takes(key, other);
        if self.waiting().insert(key.clone()) {
            tracing::warn!(reason, "a clear waits");
        }
        reason
    }
}

/// Whether the alarm to be raised is this one, or this one is to be kept in its place.
fn is_to_stay(row: &Alarm, raise: &Raise, held: &Held) -> bool {
    raise.alarm.keep_existing_alarm || row.same_content(&held.view)
}

/// It stands already. One that says something else is not this node's, though it is to stay.
fn found(row: Alarm, held: &Held, unclear: bool) -> Delivered {
    let is_this = row.same_content(&held.view);
    delivered(row.uuid.filter(|_| is_this), unclear)
}

fn delivered(uuid: Option<String>, unclear: bool) -> Delivered {
    Delivered { uuid, unclear }
}

/// Said when the alarm has been sent, not at each attempt to reach the manager.
fn tell(held: &Held) {
    if !held.changes.is_empty() {
        tracing::warn!(
            alarm_id = held.alarm.alarm_id,
            entity_instance_id = held.alarm.entity_instance_id,
            fields = held.changes.join(","),
            "fm-manager cannot hold the alarm as it was raised; it was adapted"
        );
    }
}

fn named(key: &AlarmKey) -> String {
    format!("{} on '{}'", key.alarm_id, key.entity_instance_id)
}

fn takes(key: &AlarmKey, other: &AlarmKey) -> String {
    format!(
        "{} is not deleted while '{}' has an alarm with the same id: fm-manager deletes by prefix and would \
         delete that too",
        named(key),
        other.entity_instance_id
    )
}

fn inexpressible(key: &AlarmKey) -> String {
    format!(
        "{} is not deleted: fm-manager cannot be asked for an entity with a quote or a backslash; use \
         fm-rest-api",
        named(key)
    )
}

/// What a return code other than 'done' means for a write.
fn failed(what: &str, code: u32) -> Failure {
    let kind = match ErrorCode::from_number(code) {
        Some(ErrorCode::InvalidAttribute | ErrorCode::InvalidParameter) => FailureKind::Rejected,
        Some(
            ErrorCode::DatabaseOperation
            | ErrorCode::AlarmExists
            | ErrorCode::EntityNotFound
            | ErrorCode::RequestPending,
        ) => FailureKind::Retry,
        // Not about this request: out of memory, no database, another version of the protocol.
        Some(_) | None => FailureKind::Unavailable,
    };
    let name = ErrorCode::from_number(code).map_or("no code that there is", ErrorCode::name);
    Failure { kind, reason: format!("{what}: fm-manager answers {code}, {name}"), in_doubt: false }
}
