//! Reading alarms exactly from a manager that matches by prefix, hides some and names others wrongly.
//!
//! The rules, and why (observed behaviour of fm-manager, 2026-06):
//! - 'Get' and 'get by id' are exact and show suppressed alarms: everything that is given comes from them.
//! - 'Get by entity' and 'get by id and entity' give the uuid of another table and hide suppressed alarms:
//!   they only tell which keys are shown, and which alarm ids there are.
//! - There is no read of all alarms with suppressed ones. They are found by id: each of the catalogue, and
//!   each that 'get by entity' shows. All questions go at once, so they cost one poll of 100 ms. What is
//!   suppressed under an id that the catalogue lacks is not found.
//! - What a filter has behind the first wildcard is not sent: the manager then gives more, and what is meant
//!   is decided here.

use std::collections::BTreeSet;

use fm_common::catalogue::{self, Kind};
use fm_common::{Alarm, AlarmKey, ErrorCode};

use super::message::{Answer, Request};
use super::{FmManager, adapt};
use crate::backend::{Failure, Query};

impl FmManager {
    /// The alarm with exactly this key, suppressed or not. The key is in the manager's form.
    pub(super) async fn one(&self, key: &AlarmKey) -> Result<Option<Alarm>, Failure> {
        if adapt::check_id(&key.alarm_id).is_err() {
            return Ok(None);
        }
        if !adapt::is_plain(&key.entity_instance_id) {
            let rows = self.of_ids([key.alarm_id.as_str()]).await?;
            return Ok(rows.into_iter().find(|row| row.key() == *key));
        }
        let request = Request::get(&key.alarm_id, &key.entity_instance_id);
        let answer = self.question(request).await?;
        found(&answer, "get", Answer::alarm)
    }

    /// Every alarm with one of these ids, suppressed or not.
    pub(super) async fn of_ids<'a>(
        &self,
        alarm_ids: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Alarm>, Failure> {
        let ids = alarm_ids.into_iter().filter(|id| adapt::check_id(id).is_ok());
        let requests: Vec<Request> = ids.map(Request::get_by_id).collect();
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let mut rows = Vec::new();
        for answer in self.client.ask(&requests).await? {
            rows.extend(found(&answer, "get by id", Answer::alarms)?.unwrap_or_default());
        }
        Ok(rows)
    }

    /// Every alarm that may be on the entity or under it, suppressed or not, and every other one with the
    /// id of such an alarm.
    pub(super) async fn around(&self, entity: &str) -> Result<Vec<Alarm>, Failure> {
        let shown = self.shown(None, entity).await?;
        let known = catalogue::entries().iter().filter(|entry| entry.kind == Kind::Alarm);
        let mut ids: BTreeSet<&str> = known.map(|entry| entry.id).collect();
        ids.extend(shown.iter().map(|key| key.alarm_id.as_str()));
        self.of_ids(ids).await
    }

    /// The alarms that the query means.
    pub(super) async fn matching(&self, query: &Query) -> Result<Vec<Alarm>, Failure> {
        let entity = query.entity_instance_id.as_deref();
        if let (true, Some(alarm_id), Some(entity)) = (query.exact, &query.alarm_id, entity) {
            return self.exactly(&AlarmKey::new(alarm_id.as_str(), entity), query.include_suppressed).await;
        }
        let beginning = entity.unwrap_or_default();
        let mut rows = match (&query.alarm_id, query.include_suppressed) {
            (Some(alarm_id), true) => self.of_ids([alarm_id.as_str()]).await?,
            (Some(alarm_id), false) => {
                let (rows, shown) = tokio::try_join!(
                    self.of_ids([alarm_id.as_str()]),
                    self.shown(Some(alarm_id), beginning)
                )?;
                only(rows, &shown)
            }
            (None, true) => self.around(beginning).await?,
            (None, false) => {
                let shown = self.shown(None, beginning).await?;
                let ids: BTreeSet<&str> = shown.iter().map(|key| key.alarm_id.as_str()).collect();
                only(self.of_ids(ids).await?, &shown)
            }
        };
        rows.retain(|row| query.means(&row.key()));
        Ok(rows)
    }

    /// Whether the database behind the manager answers.
    pub(super) async fn probe_database(&self) -> Result<(), Failure> {
        // No alarm has this key; that the manager says so is the answer.
        self.one(&AlarmKey::new("000.000", "fm-agent=probe")).await.map(drop)
    }

    async fn exactly(&self, key: &AlarmKey, include_suppressed: bool) -> Result<Vec<Alarm>, Failure> {
        let held = adapt::hold_key(key);
        let mut found: Vec<Alarm> = self.one(&held).await?.into_iter().collect();
        if !include_suppressed && !found.is_empty() {
            let shown = self.shown(Some(&held.alarm_id), &held.entity_instance_id).await?;
            found = only(found, &shown);
        }
        for alarm in &mut found {
            alarm.entity_instance_id.clone_from(&key.entity_instance_id);
        }
        Ok(found)
    }

    /// The keys of the alarms that are not suppressed, of this id or any, whose entity may begin so.
    async fn shown(&self, alarm_id: Option<&str>, entity: &str) -> Result<BTreeSet<AlarmKey>, Failure> {
        let stem = adapt::stem(entity);
        let (request, what) = match alarm_id {
            Some(alarm_id) if adapt::check_id(alarm_id).is_err() => return Ok(BTreeSet::new()),
            Some(alarm_id) => (Request::get_by_id_and_entity(alarm_id, stem), "get by id and entity"),
            None => (Request::get_by_entity(stem), "get by entity"),
        };
        let rows = found(&self.question(request).await?, what, Answer::alarms)?;
        Ok(rows.unwrap_or_default().iter().map(Alarm::key).collect())
    }

    async fn question(&self, request: Request) -> Result<Answer, Failure> {
        let what = request.what();
        let answer = self.client.ask(&[request]).await?.pop();
        answer.ok_or_else(|| Failure::unavailable(format!("fm-manager has not answered: {what}")))
    }
}

/// Those of the rows whose keys are among these.
fn only(mut rows: Vec<Alarm>, keys: &BTreeSet<AlarmKey>) -> Vec<Alarm> {
    rows.retain(|row| keys.contains(&row.key()));
    rows
}

/// What the answer to a read holds; `None` when nothing matches.
fn found<T>(answer: &Answer, what: &str, parse: fn(&Answer) -> Option<T>) -> Result<Option<T>, Failure> {
    match ErrorCode::from_number(answer.code) {
        None if answer.code == 0 => match parse(answer) {
            Some(document) => Ok(Some(document)),
            None => Err(Failure::unavailable(format!("{what}: the body of the answer is not fm-manager's"))),
        },
        Some(ErrorCode::EntityNotFound) => Ok(None),
        // Nothing that the manager could refuse is asked: it fails whatever the question.
        Some(code) => Err(Failure::unavailable(format!(
            "{what}: fm-manager answers {code} ({}); is its database up?",
            answer.code
        ))),
        None => {
            Err(Failure::unavailable(format!("{what}: fm-manager answers {}, which is no code", answer.code)))
        }
    }
}
