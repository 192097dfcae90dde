//! Raising, clearing and logging, once each, at a service whose failures do not say what happened.
//!
//! The rules, and why:
//! - The service makes nothing unique but uuids. So a raise asks what stands under its key first, unless a list
//!   has just shown that nothing does, and sends its uuid: sent twice, it stands once.
//! - What stands is known for a moment only, which has not passed when the raise goes, or it is asked again.
//! - A set of an active alarm adds a row. So an alarm is changed by deleting it and raising it anew.
//! - An answer that does not say what happened is followed by questions, at once: does the alarm stand,
//!   and if not, was it recorded?
//! - A uuid proves nothing by itself, for a caller may send one that it has read: what stands or was recorded
//!   under the uuid of a request is that request's only when it says the same. If it is another's, the request
//!   goes under a second uuid, made of the first and of what it says, so that every attempt makes the same.
//! - Alarms are removed by uuid only: by key, the service removes none of two, and on MariaDB one that is
//!   only similar.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use fm_common::{Alarm, AlarmKey, AlarmState};

use super::adapt::{self, Held};
use super::answer::Outcome;
use super::client::Request;
use super::read::Filter;
use super::wire::{Event, Posted, Row};
use super::{FmRestApi, wire};
use crate::backend::{Clear, ClearAll, Delivered, Failure, FailureKind, Log, Query, Raise, uuids_for};

/// Attempts at deleting one alarm that still stands after an unclear answer.
const DELETES: usize = 2;
/// How long the answer to what stands under a key is relied on, to the sending of what follows from it.
const FRESH: Duration = Duration::from_secs(1);
/// How often that is asked in one attempt at a raise.
const QUESTIONS: usize = 3;

/// What became of an alarm posted under a uuid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is there, hidden perhaps.
    There,
    /// It was there, and somebody has removed it.
    Removed,
    /// It was never there, as far as the service remembers.
    Nowhere,
    /// Its alarm stands under this uuid and says something else.
    Differs,
    /// The uuid is another alarm's or another event's.
    Taken,
}

/// What the event log has under the uuid of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Record {
    /// The request.
    Own,
    /// Something else.
    Anothers,
    Nothing,
}

impl FmRestApi {
    pub(super) async fn raise_alarm(&self, raise: &Raise) -> Result<Delivered, Failure> {
        // Until the questions are answered, an earlier attempt stays as doubtful as it was.
        let doubtful = |failure: Failure| failure.in_doubt(raise.in_doubt);
        let held = self.hold(&raise.alarm, Posted::Alarm).await.map_err(doubtful)?;
        let uuids = uuids_for(&raise.uuid, &raise.alarm);
        if raise.is_new()
            && let Some(moment) = raise.absent_until
            && let Some(delivered) = self.post_alarm(&uuids, &held, false, moment).await?
        {
            let late = Instant::now() >= moment;
            return if late { self.alone(raise, &held, delivered).await } else { Ok(delivered) };
        }
        // What has been answered once is not asked again when the sending comes too late.
        let (mut known, mut in_doubt, mut unclear) = (raise.standing.as_deref(), raise.in_doubt, false);
        let mut is_used = false;
        for _ in 0..QUESTIONS {
            let rows = self.standing(&held.alarm.key(), known).await.map_err(|f| f.in_doubt(in_doubt))?;
            // From the answer on: at a service that takes longer to answer, nothing would ever be raised.
            let moment = Instant::now() + FRESH;
            if let Some(kept) = kept(raise, &held, &rows) {
                let others = rows.iter().map(|row| row.uuid.as_str()).filter(|uuid| *uuid != kept.uuid);
                unclear |= !raise.alarm.keep_existing_alarm && self.delete_all(others).await?;
                // One that says something else is not this node's, though it is to stay.
                let is_this = kept.alarm.same_content(&held.alarm);
                return Ok(delivered(is_this.then_some(&kept.uuid), unclear));
            }
            // What stands under its uuid says something else, and goes: a uuid is taken once.
            is_used |= rows.iter().any(|row| row.uuid.eq_ignore_ascii_case(&raise.uuid));
            // It does not stand, as far as a list shows. Was it taken and removed or hidden since?
            if in_doubt
                && !is_used
                && let Some(earlier) = self.earlier(&uuids, &held).await.map_err(doubtful)?
            {
                return Ok(Delivered { unclear, ..earlier });
            }
            in_doubt = false;
            unclear |= self.delete_all(with_known(&rows, known)).await?;
            known = None;
            if let Some(delivered) =
                self.post_alarm(&uuids[usize::from(is_used)..], &held, unclear, moment).await?
            {
                return Ok(delivered);
            }
        }
        Err(Failure::retry(format!(
            "POST alarms: not sent, {QUESTIONS} times more than {} ms had gone since it was asked what stands under \
             its key; is the service or Keystone slow?",
            FRESH.as_millis()
        )))
    }

    /// What came of an earlier attempt at a raise that a list does not show; `None` if it was not taken.
    async fn earlier(&self, uuids: &[String], held: &Held) -> Result<Option<Delivered>, Failure> {
        for uuid in uuids {
            match self.recorded(uuid, &held.alarm, AlarmState::Set).await? {
                Record::Own => {
                    let stands = self.alarm(uuid).await?.is_some() || !self.is_removed(&held.alarm).await?;
                    return Ok(Some(delivered(stands.then_some(uuid), false)));
                }
                Record::Anothers => {}
                Record::Nothing => break,
            }
        }
        Ok(None)
    }

    /// A raise that may have gone later than was known that nothing stands under its key: what somebody else may
    /// have brought in between is removed, as it would have been before.
    async fn alone(&self, raise: &Raise, held: &Held, delivered: Delivered) -> Result<Delivered, Failure> {
        let Some(uuid) = delivered.uuid.as_deref().filter(|_| !raise.alarm.keep_existing_alarm) else {
            return Ok(delivered);
        };
        let stands = |failure: Failure| failure.in_doubt(true);
        let rows = self.standing(&held.alarm.key(), Some(uuid)).await.map_err(stands)?;
        let others =
            rows.iter().map(|row| row.uuid.as_str()).filter(|other| !other.eq_ignore_ascii_case(uuid));
        let unclear = self.delete_all(others).await.map_err(stands)?;
        Ok(Delivered { unclear: delivered.unclear || unclear, ..delivered })
    }

    pub(super) async fn clear_alarm(&self, clear: &Clear) -> Result<Delivered, Failure> {
        let entity = &clear.key.entity_instance_id;
        let database = self.database_if(adapt::entity_depends_on_database(entity)).await?;
        let entity = adapt::hold_entity(entity, database);
        let key = AlarmKey::new(clear.key.alarm_id.as_str(), &entity);
        let known = clear.standing.as_deref();
        let rows = self.standing(&key, known).await?;
        let unclear = self.delete_all(with_known(&rows, known)).await?;
        Ok(delivered(None, unclear))
    }

    pub(super) async fn clear_matching(&self, clear_all: &ClearAll) -> Result<Delivered, Failure> {
        let query = Query {
            alarm_id: None,
            entity_instance_id: Some(clear_all.entity_instance_id.clone()),
            exact: false,
            rule: clear_all.rule,
            include_suppressed: true,
        };
        let rows = self.as_much_as_possible(&Filter::of(&query)).await?;
        let alarms = self.meant(&query, rows).await?;
        let listed: Vec<&str> = alarms.iter().filter_map(|alarm| alarm.uuid.as_deref()).collect();
        let seen: HashSet<&str> = listed.iter().copied().collect();
        let known = clear_all.standing.iter().map(String::as_str);
        // The manager may have masked them.
        let unlisted: Vec<&str> = known.filter(|uuid| !seen.contains(uuid)).collect();
        let unclear = self.delete_all(listed.into_iter().chain(unlisted)).await?;
        Ok(delivered(None, unclear))
    }

    pub(super) async fn remove_one(&self, key: &AlarmKey, uuid: &str) -> Result<Delivered, Failure> {
        let database = self.database_if(adapt::entity_depends_on_database(&key.entity_instance_id)).await?;
        let entity = adapt::hold_entity(&key.entity_instance_id, database);
        let held = AlarmKey::new(key.alarm_id.as_str(), &entity);
        // One that is hidden cannot be looked at.
        if self.alarm(uuid).await?.is_some_and(|row| row.alarm.key() != held) {
            return Ok(delivered(None, false));
        }
        let unclear = self.delete(uuid).await?;
        Ok(delivered(None, unclear))
    }

    pub(super) async fn record_log(&self, log: &Log) -> Result<Delivered, Failure> {
        let doubtful = |failure: Failure| failure.in_doubt(log.in_doubt);
        let held = self.hold(&log.alarm, Posted::Log).await.map_err(doubtful)?;
        for uuid in &uuids_for(&log.uuid, &log.alarm) {
            // A retry costs the service old events, even when it fails.
            if log.in_doubt {
                match self.recorded(uuid, &held.alarm, AlarmState::Log).await.map_err(doubtful)? {
                    Record::Own => return Ok(delivered(Some(uuid), false)),
                    Record::Anothers => continue,
                    Record::Nothing => {}
                }
            }
            let answer = self.client.send(posting(&held, uuid, Posted::Log)?).await?;
            let Some(failure) = not_taken(&held, uuid, answer) else {
                return Ok(delivered(Some(uuid), false));
            };
            match self.recorded(uuid, &held.alarm, AlarmState::Log).await {
                Ok(Record::Own) => return Ok(delivered(Some(uuid), true)),
                Ok(Record::Anothers) => {}
                Ok(Record::Nothing) => return Err(not_stored(&failure)),
                Err(question) => return Err(unresolved(&failure, &question)),
            }
        }
        Err(taken(&log.uuid))
    }

    /// Sends an alarm under whose key nothing stood a moment ago, under the first of these uuids that is nobody
    /// else's. `None`: it could not go before `moment`, until which that may be relied on.
    async fn post_alarm(
        &self,
        uuids: &[String],
        held: &Held,
        unclear: bool,
        moment: Instant,
    ) -> Result<Option<Delivered>, Failure> {
        for uuid in uuids {
            let request = posting(held, uuid, Posted::Alarm)?;
            let Some(answer) = self.client.send_before(request, Some(moment)).await? else { return Ok(None) };
            let Some(failure) = not_taken(held, uuid, answer) else {
                return Ok(Some(delivered(Some(uuid), unclear)));
            };
            match self.fate_of_alarm(uuid, &held.alarm).await {
                Ok(Fate::There) => return Ok(Some(delivered(Some(uuid), true))),
                Ok(Fate::Removed) => return Ok(Some(delivered(None, true))),
                Ok(Fate::Taken) => {}
                Ok(Fate::Differs) => {
                    let reason = format!("{}; its alarm stands there in other words", failure.reason);
                    return Err(Failure::retry(reason).in_doubt(true));
                }
                Ok(Fate::Nowhere) => {
                    let alarm_id = &held.alarm.alarm_id;
                    if failure.kind == FailureKind::Retry && !self.accepts(alarm_id).await? {
                        return Err(Failure::rejected(format!(
                            "fm-rest-api does not know the alarm id {alarm_id}: it is not in its event_suppression \
                             table; add the alarm type there, then replay"
                        )));
                    }
                    return Err(not_stored(&failure));
                }
                Err(question) => return Err(unresolved(&failure, &question)),
            }
        }
        Err(taken(uuids.first().map_or("", String::as_str)))
    }

    /// Removes these alarms. Gives whether any had to be asked for.
    async fn delete_all<'a>(&self, uuids: impl Iterator<Item = &'a str> + Send) -> Result<bool, Failure> {
        let mut unclear = false;
        for uuid in uuids {
            unclear |= self.delete(uuid).await?;
        }
        Ok(unclear)
    }

    /// Removes the alarm with this uuid; that there is none is fine. Gives whether it had to be asked for.
    async fn delete(&self, uuid: &str) -> Result<bool, Failure> {
        let mut unclear = false;
        let mut last = None;
        for _ in 0..DELETES {
            let answer = match self.client.send(Request::delete(&["alarms", uuid])).await {
                // There is nothing in it that could be refused: somebody else speaks.
                Err(failure) if failure.kind == FailureKind::Rejected => {
                    return Err(self.whose_fault(failure).await);
                }
                answer => answer?,
            };
            let failure = match answer {
                // The service says 404 of an event, too, when the alarm is gone and its event got lost.
                Outcome::NotFound => return Ok(unclear),
                // 204 has no body: what has one may be somebody else's page.
                Outcome::Done(body) if body.is_empty() => return Ok(unclear),
                Outcome::Done(_) => None,
                Outcome::Unclear(failure) => Some(failure),
            };
            unclear = true;
            if self.alarm(uuid).await.map_err(|failure| failure.in_doubt(false))?.is_none() {
                return Ok(unclear);
            }
            last = failure;
        }
        let words =
            last.map_or_else(|| "the answers are not fm-rest-api's".to_owned(), |failure| failure.reason);
        Err(Failure::retry(format!(
            "the alarm {uuid} still stands after {DELETES} attempts to delete it: {words}"
        )))
    }

    /// What became of the alarm just sent under this uuid.
    async fn fate_of_alarm(&self, uuid: &str, held: &Alarm) -> Result<Fate, Failure> {
        if let Some(row) = self.alarm(uuid).await? {
            return Ok(if row.alarm.same_content(held) {
                Fate::There
            } else if row.alarm.key() == held.key() {
                Fate::Differs
            } else {
                Fate::Taken
            });
        }
        Ok(match self.recorded(uuid, held, AlarmState::Set).await? {
            Record::Own if self.is_removed(held).await? => Fate::Removed,
            Record::Own => Fate::There,
            Record::Anothers => Fate::Taken,
            Record::Nothing => Fate::Nowhere,
        })
    }

    /// What the event log has under the uuid of a raise or log.
    async fn recorded(&self, uuid: &str, held: &Alarm, state: AlarmState) -> Result<Record, Failure> {
        let is_own =
            |event: &Event| event.state == state && event.time == held.timestamp && event.tells_of(held);
        Ok(match self.event(uuid).await? {
            Some(event) if is_own(&event) => Record::Own,
            Some(_) => Record::Anothers,
            None => Record::Nothing,
        })
    }

    async fn hold(&self, alarm: &fm_common::Alarm, posted: Posted) -> Result<Held, Failure> {
        let database = self.database_if(adapt::depends_on_database(alarm)).await?;
        adapt::hold(alarm, posted, database).map_err(Failure::rejected)
    }
}

/// The request that posts an alarm under a uuid.
fn posting(held: &Held, uuid: &str, posted: Posted) -> Result<Request<'static>, Failure> {
    let body = wire::body(&held.alarm, uuid, posted)
        .map_err(|error| Failure::rejected(format!("the alarm cannot be written as JSON: {error}")))?;
    Ok(Request::post(&["alarms"], body))
}

/// What the answer to a POST means. `None`: it was taken. A failure is in doubt and must be resolved by asking.
fn not_taken(held: &Held, uuid: &str, answer: Outcome) -> Option<Failure> {
    let unclear = |what: &str| Failure {
        kind: FailureKind::Unavailable,
        reason: format!("POST alarms: {what}; check the endpoint and what is before it"),
        in_doubt: true,
    };
    tell(held);
    match answer {
        Outcome::Done(body) if wire::posted_uuid(&body).as_deref() == Some(uuid) => None,
        Outcome::Done(_) => Some(unclear("an answer that is not fm-rest-api's")),
        Outcome::NotFound => Some(unclear("not found (404)")),
        Outcome::Unclear(failure) => Some(failure),
    }
}

/// Which row already is the alarm to be raised: one that says the same, else, if the caller wants it so, any. The
/// one raised under its uuid comes first, then the one that this node knows.
fn kept<'a>(raise: &Raise, held: &Held, rows: &'a [Row]) -> Option<&'a Row> {
    let same = |row: &&Row| row.alarm.same_content(&held.alarm);
    let wanted = |row: &&Row| raise.alarm.keep_existing_alarm || same(row);
    let known = |row: &&Row| Some(row.uuid.as_str()) == raise.standing.as_deref();
    rows.iter()
        .filter(same)
        .find(|row| row.uuid == raise.uuid)
        .or_else(|| rows.iter().filter(wanted).find(known))
        .or_else(|| rows.iter().filter(wanted).min_by_key(|row| row.alarm.timestamp))
}

/// The rows' uuids, and the known one even if it is not listed: the manager may have masked it.
fn with_known<'a>(rows: &'a [Row], known: Option<&'a str>) -> impl Iterator<Item = &'a str> + Send {
    let unlisted = known.filter(|known| !rows.iter().any(|row| row.uuid.eq_ignore_ascii_case(known)));
    rows.iter().map(|row| row.uuid.as_str()).chain(unlisted)
}

fn delivered(uuid: Option<&String>, unclear: bool) -> Delivered {
    Delivered { uuid: uuid.cloned(), unclear }
}

fn taken(uuid: &str) -> Failure {
    Failure::rejected(format!(
        "POST alarms: {uuid}, and the uuid made in its place, are those of other alarms or events; raise it again \
         without a uuid"
    ))
}

/// Said when the alarm has been sent, not at each attempt to reach the service.
fn tell(held: &Held) {
    if !held.changes.is_empty() {
        tracing::warn!(
            alarm_id = held.alarm.alarm_id,
            entity_instance_id = held.alarm.entity_instance_id,
            fields = held.changes.join(","),
            "fm-rest-api cannot hold the alarm as it was raised; it was adapted"
        );
    }
}

/// The service finished the request and has nothing: it is not in doubt. After a lost answer it may still
/// be at it.
fn not_stored(failure: &Failure) -> Failure {
    let in_doubt = failure.kind == FailureKind::Unavailable;
    Failure { kind: failure.kind, reason: format!("{}; it was not stored", failure.reason), in_doubt }
}

fn unresolved(failure: &Failure, question: &Failure) -> Failure {
    Failure {
        kind: question.kind,
        reason: format!("{}; whether it was stored cannot be asked: {}", failure.reason, question.reason),
        in_doubt: true,
    }
}
