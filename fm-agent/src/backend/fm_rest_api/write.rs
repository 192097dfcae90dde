//! Raising, clearing and logging, once each, at a service whose failures do not say what happened.
//!
//! The rules, and why:
//! - The service makes nothing unique but uuids. So a raise asks what stands under its key first, unless a list
//!   has just shown that nothing does, and sends its uuid: sent twice, it stands once.
//! - What stands is known for a moment only, which has not passed when the raise goes, or it is asked again.
//! - A set of an active alarm adds a row. So an alarm is changed by deleting it and raising it anew.
//! - An answer that does not say what happened is followed by questions, at once: does the alarm stand,
//!   and if not, was it recorded?
//! - Alarms are removed by uuid only: by key, the service removes none of two, and on MariaDB one that is
//!   only similar.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use fm_common::{AlarmKey, Timestamp};

use super::adapt::{self, Held};
use super::answer::Outcome;
use super::client::Request;
use super::read::Filter;
use super::wire::{Posted, Row};
use super::{FmRestApi, wire};
use crate::backend::{Clear, ClearAll, Delivered, Failure, FailureKind, Log, Query, Raise};

/// Attempts at deleting one alarm that still stands after an unclear answer.
const DELETES: usize = 2;
/// How long the answer to what stands under a key is relied on, to the sending of what follows from it.
const FRESH: Duration = Duration::from_secs(1);
/// How often that is asked in one attempt at a raise.
const QUESTIONS: usize = 3;

/// What became of an alarm posted under a uuid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is there.
    There,
    /// It was there, and somebody has removed it.
    Removed,
    /// It was never there, as far as the service remembers.
    Nowhere,
}

impl FmRestApi {
    pub(super) async fn raise_alarm(&self, raise: &Raise) -> Result<Delivered, Failure> {
        // Until the questions are answered, an earlier attempt stays as doubtful as it was.
        let doubtful = |failure: Failure| failure.in_doubt(raise.in_doubt);
        let held = self.hold(&raise.alarm, Posted::Alarm).await.map_err(doubtful)?;
        if raise.is_new()
            && let Some(moment) = raise.absent_until
            && let Some(delivered) = self.post_alarm(raise, &held, false, moment).await?
        {
            let late = Instant::now() >= moment;
            return if late { self.alone(raise, &held, delivered).await } else { Ok(delivered) };
        }
        // What has been answered once is not asked again when the sending comes too late.
        let (mut known, mut in_doubt, mut unclear) = (raise.standing.as_deref(), raise.in_doubt, false);
        for _ in 0..QUESTIONS {
            let rows = self.standing(&held.alarm.key(), known).await.map_err(|f| f.in_doubt(in_doubt))?;
            let moment = Instant::now() + FRESH;
            if let Some(kept) = kept(raise, &held, &rows) {
                let others = rows.iter().map(|row| row.uuid.as_str()).filter(|uuid| *uuid != kept.uuid);
                unclear |= !raise.alarm.keep_existing_alarm && self.delete_all(others).await?;
                return Ok(delivered(Some(&kept.uuid), unclear));
            }
            // It does not stand, as far as a list shows. Was it taken and removed since?
            if in_doubt && self.is_recorded(&raise.uuid, held.alarm.timestamp).await.map_err(doubtful)? {
                let stands = self.alarm(&raise.uuid).await.map_err(doubtful)?.is_some();
                return Ok(delivered(stands.then_some(raise.uuid.as_str()), unclear));
            }
            in_doubt = false;
            unclear |= self.delete_all(with_known(&rows, known)).await?;
            known = None;
            if let Some(delivered) = self.post_alarm(raise, &held, unclear, moment).await? {
                return Ok(delivered);
            }
        }
        Err(Failure::retry(format!(
            "POST alarms: not sent, {QUESTIONS} times more than {} ms had gone since it was asked what stands under \
             its key; is the service or Keystone slow?",
            FRESH.as_millis()
        )))
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

    pub(super) async fn remove_one(&self, uuid: &str) -> Result<Delivered, Failure> {
        let unclear = self.delete(uuid).await?;
        Ok(delivered(None, unclear))
    }

    pub(super) async fn record_log(&self, log: &Log) -> Result<Delivered, Failure> {
        let doubtful = |failure: Failure| failure.in_doubt(log.in_doubt);
        let held = self.hold(&log.alarm, Posted::Log).await.map_err(doubtful)?;
        // A retry costs the service old events, even when it fails.
        if log.in_doubt && self.event_time(&log.uuid).await.map_err(doubtful)?.is_some() {
            return Ok(delivered(Some(&log.uuid), false));
        }
        let answer = self.client.send(posting(&held, &log.uuid, Posted::Log)?).await?;
        let Some(failure) = not_taken(&held, &log.uuid, answer) else {
            return Ok(delivered(Some(&log.uuid), false));
        };
        match self.event_time(&log.uuid).await {
            Ok(Some(_)) => Ok(delivered(Some(&log.uuid), true)),
            Ok(None) => Err(not_stored(&failure)),
            Err(question) => Err(unresolved(&failure, &question)),
        }
    }

    /// Sends an alarm under whose key nothing stood a moment ago. `None`: it could not go before `moment`, until which
    /// that may be relied on.
    async fn post_alarm(
        &self,
        raise: &Raise,
        held: &Held,
        unclear: bool,
        moment: Instant,
    ) -> Result<Option<Delivered>, Failure> {
        let request = posting(held, &raise.uuid, Posted::Alarm)?;
        let Some(answer) = self.client.send_before(request, Some(moment)).await? else { return Ok(None) };
        let Some(failure) = not_taken(held, &raise.uuid, answer) else {
            return Ok(Some(delivered(Some(&raise.uuid), unclear)));
        };
        match self.fate_of_alarm(&raise.uuid, held.alarm.timestamp).await {
            Ok(Fate::There) => Ok(Some(delivered(Some(&raise.uuid), true))),
            Ok(Fate::Removed) => Ok(Some(delivered(None, true))),
            Ok(Fate::Nowhere) => {
                let alarm_id = &held.alarm.alarm_id;
                if failure.kind == FailureKind::Retry && !self.accepts(alarm_id).await? {
                    return Err(Failure::rejected(format!(
                        "fm-rest-api does not know the alarm id {alarm_id}: it is not in its event_suppression \
                         table; add the alarm type there, then replay"
                    )));
                }
                Err(not_stored(&failure))
            }
            Err(question) => Err(unresolved(&failure, &question)),
        }
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
    async fn fate_of_alarm(&self, uuid: &str, raised: Option<Timestamp>) -> Result<Fate, Failure> {
        if self.alarm(uuid).await?.is_some() {
            return Ok(Fate::There);
        }
        Ok(if self.is_recorded(uuid, raised).await? { Fate::Removed } else { Fate::Nowhere })
    }

    /// Whether the event log has the raise of this uuid. Another time is another event: somebody has used
    /// the uuid before.
    async fn is_recorded(&self, uuid: &str, raised: Option<Timestamp>) -> Result<bool, Failure> {
        let recorded = self.event_time(uuid).await?;
        Ok(recorded.is_some_and(|recorded| raised.is_none() || recorded == raised))
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

/// Which row already is the alarm to be raised: the one raised under its uuid, else one that says the
/// same, else, if the caller wants it so, any. The one that this node knows comes first.
fn kept<'a>(raise: &Raise, held: &Held, rows: &'a [Row]) -> Option<&'a Row> {
    let same = |row: &&Row| raise.alarm.keep_existing_alarm || row.alarm.same_content(&held.alarm);
    let known = |row: &&Row| Some(row.uuid.as_str()) == raise.standing.as_deref();
    rows.iter()
        .find(|row| row.uuid == raise.uuid)
        .or_else(|| rows.iter().filter(same).find(known))
        .or_else(|| rows.iter().filter(same).min_by_key(|row| row.alarm.timestamp))
}

/// The rows' uuids, and the known one even if it is not listed: the manager may have masked it.
fn with_known<'a>(rows: &'a [Row], known: Option<&'a str>) -> impl Iterator<Item = &'a str> + Send {
    let unlisted = known.filter(|known| !rows.iter().any(|row| row.uuid.eq_ignore_ascii_case(known)));
    rows.iter().map(|row| row.uuid.as_str()).chain(unlisted)
}

fn delivered(uuid: Option<&str>, unclear: bool) -> Delivered {
    Delivered { uuid: uuid.map(str::to_owned), unclear }
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
