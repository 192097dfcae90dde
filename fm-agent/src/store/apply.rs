//! What each change means for the tables. Runs inside the writer's transaction.
//!
//! Invariants:
//! - An alarm is known when the view has it raised, or a request about it waits.
//! - A change and the request that carries it to the controller are written together.
//! - A set that changes nothing sends nothing new while an equal one waits; once delivered, the
//!   controller is asked whether it still has the alarm.

use std::collections::BTreeSet;

use fm_common::{Alarm, AlarmKey};
use rusqlite::Connection;
use uuid::Uuid;

use super::error::StoreError;
use super::meter::Counts;
use super::model::{Batch, Kept, Op, Outcome, RequestKind, Standing, Unknown};
use super::tables::{self, AlarmRow, By, NewAlarm, NewRequest};
use super::{accepted, fold, healing, rejected, signed};
use crate::config::Domain;
use fm_common::entity::EntityMatch;

/// What a change is applied to.
pub(super) struct Apply<'a> {
    /// Inside a transaction.
    pub(super) connection: &'a Connection,
    /// Domains whose record is here: nothing of theirs is delivered.
    pub(super) here: &'a BTreeSet<Domain>,
    /// Events kept for them.
    pub(super) max_events: u32,
    /// Domains that got a request.
    pub(super) woken: &'a mut BTreeSet<Domain>,
    /// Who asks for the change, as it is kept.
    pub(super) origin: Option<String>,
    /// What waits.
    pub(super) counts: &'a mut Counts,
}

impl Apply<'_> {
    /// Applies a batch, one outcome a change.
    pub(super) fn batch(&mut self, batch: &Batch) -> Result<Vec<Outcome>, StoreError> {
        self.origin = batch.origin.as_deref().map(signed::written).transpose()?;
        batch.ops.iter().map(|op| self.op(op)).collect()
    }

    /// The outcomes of a batch that was taken before, from what is kept of it.
    pub(super) fn taken(&self, batch: &Batch) -> Result<Vec<Outcome>, StoreError> {
        batch
            .ops
            .iter()
            .map(|op| match op {
                Op::Raise { alarm, .. } => {
                    let standing = tables::find_alarm(self.connection, &alarm.key())?;
                    Ok(Outcome::Raised(match standing.map(|row| row.kept.standing) {
                        Some(Standing::Raised(kept)) => uuid_of(&kept),
                        _ => uuid_of(alarm),
                    }))
                }
                Op::Log { alarm, .. } => Ok(Outcome::Logged(uuid_of(alarm))),
                Op::Clear { .. } | Op::ClearAll { .. } => Ok(Outcome::Cleared),
                Op::Replay { .. } | Op::Drop { .. } => Ok(Outcome::Done),
            })
            .collect()
    }

    fn op(&mut self, op: &Op) -> Result<Outcome, StoreError> {
        match op {
            Op::Raise { domain, alarm } => self.raise(*domain, alarm),
            Op::Log { domain, alarm } => self.log(*domain, alarm),
            Op::Clear { key, unknown } => self.clear(key, *unknown),
            Op::ClearAll { entity_instance_id, rule, unknown, domains } => {
                self.clear_all(entity_instance_id, *rule, *unknown, domains)
            }
            Op::Replay { seq } => match rejected::take(self.connection, *seq)? {
                Some((domain, request, origin)) => {
                    // It is its first caller's still, whoever lets it go again.
                    let replayer = self.origin.take();
                    self.origin = origin.or_else(|| replayer.clone());
                    let outcome = self.replay(domain, &request.kind);
                    self.origin = replayer;
                    outcome
                }
                None => Ok(Outcome::Unknown),
            },
            Op::Drop { seq } => {
                let dropped = rejected::forget(self.connection, *seq)?;
                Ok(if dropped { Outcome::Done } else { Outcome::Unknown })
            }
        }
    }

    /// Takes a request that was refused again, with what it means by now.
    fn replay(&mut self, domain: Domain, kind: &RequestKind) -> Result<Outcome, StoreError> {
        match kind {
            RequestKind::Raise { alarm, .. } => self.raise(domain, alarm).map(drop)?,
            RequestKind::Log { alarm, .. } => self.log(domain, alarm).map(drop)?,
            RequestKind::Clear { key } => self.clear(key, Unknown::Deliver(domain)).map(drop)?,
            RequestKind::ClearAll { entity_instance_id, rule } => {
                self.clear_all(entity_instance_id, *rule, Unknown::Deliver(domain), &[domain]).map(drop)?;
            }
            RequestKind::Remove { .. } if self.here.contains(&domain) => {}
            RequestKind::Remove { .. } => self.request(domain, kind, None).map(drop)?,
        }
        Ok(Outcome::Done)
    }

    fn raise(&mut self, domain: Domain, alarm: &Alarm) -> Result<Outcome, StoreError> {
        let row = tables::find_alarm(self.connection, &alarm.key())?;
        if let Some(AlarmRow { kept, pending }) = &row
            && let Standing::Raised(standing) = &kept.standing
        {
            let uuid = uuid_of(standing);
            if alarm.keep_existing_alarm {
                return Ok(Outcome::Raised(uuid));
            }
            if kept.domain == domain && standing.same_content(alarm) {
                if pending.is_none() && !self.here.contains(&domain) {
                    self.note_held(kept)?;
                    let check = fresh_uuid(alarm, Some(kept));
                    let seq = self.request(domain, &raise_request(alarm, check), None)?;
                    tables::update_alarm(self.connection, &AlarmRow::new(kept.clone(), Some(seq)))?;
                }
                return Ok(Outcome::Raised(uuid));
            }
        }
        if let Some(row) = row.as_ref().filter(|row| row.kept.domain != domain) {
            self.leave(row)?;
        }
        let found = row.is_some();
        let row = row.filter(|row| row.kept.domain == domain);
        let waits = row.as_ref().and_then(|row| row.pending);
        let previous = row.map(|row| row.kept);
        if let Some(kept) = &previous {
            self.note_held(kept)?;
        }
        let (key, json) = (alarm.key(), serde_json::to_string(alarm)?);
        let pending = if self.here.contains(&domain) {
            self.event("set", alarm, &uuid_of(alarm))?;
            None
        } else {
            let uuid = fresh_uuid(alarm, previous.as_ref());
            let request = NewRequest::raise(domain, &key, &json, &uuid);
            let seq = self.append(request, waits)?;
            if let Some(earlier) = waits {
                fold::raised_after(self.connection, earlier, seq)?;
            }
            Some(seq)
        };
        let origin = self.origin.as_deref();
        let by = match &previous {
            Some(Kept { standing: Standing::Raised(_), .. }) => By::Changed(origin),
            _ => By::Raised(origin),
        };
        let controller_uuid = previous.as_ref().and_then(|kept| kept.controller_uuid.as_deref());
        NewAlarm { key: &key, domain, json: Some(&json), pending, controller_uuid, by }
            .put(self.connection, found)?;
        Ok(Outcome::Raised(uuid_of(alarm)))
    }

    /// Notes what the controller holds of an alarm before a change of it is written.
    fn note_held(&self, kept: &Kept) -> Result<(), StoreError> {
        match kept {
            Kept { standing: Standing::Raised(_), pending: false, controller_uuid: Some(_), key, .. } => {
                accepted::note_present(self.connection, key)
            }
            _ => Ok(()),
        }
    }

    fn log(&mut self, domain: Domain, alarm: &Alarm) -> Result<Outcome, StoreError> {
        let uuid = uuid_of(alarm);
        if self.here.contains(&domain) {
            self.event("log", alarm, &uuid)?;
        } else {
            let kind = RequestKind::Log { alarm: Box::new(alarm.clone()), uuid: uuid.clone() };
            self.request(domain, &kind, None)?;
        }
        Ok(Outcome::Logged(uuid))
    }

    fn clear(&mut self, key: &AlarmKey, unknown: Unknown) -> Result<Outcome, StoreError> {
        let row = tables::find_alarm(self.connection, key)?;
        match (row, unknown) {
            (Some(AlarmRow { kept, pending }), _) => {
                match &kept.standing {
                    Standing::Raised(_) => self.clear_kept(&kept, pending, true)?,
                    // A clear of it waits already.
                    Standing::Cleared => {}
                }
                Ok(Outcome::Cleared)
            }
            (None, Unknown::Deliver(domain)) if !self.here.contains(&domain) => {
                let kept = Kept {
                    key: key.clone(),
                    domain,
                    standing: Standing::Cleared,
                    pending: true,
                    controller_uuid: None,
                };
                self.clear_kept(&kept, None, false)?;
                Ok(Outcome::Cleared)
            }
            (None, _) => Ok(Outcome::Unknown),
        }
    }

    /// Clears an alarm in the domain recorded for it; `pending` is the request about it that waits.
    fn clear_kept(&mut self, kept: &Kept, pending: Option<i64>, found: bool) -> Result<(), StoreError> {
        if self.here.contains(&kept.domain) {
            return self.forget(kept);
        }
        let seq = self.send_clear(kept, pending)?;
        let cleared = NewAlarm {
            key: &kept.key,
            domain: kept.domain,
            json: None,
            pending: Some(seq),
            controller_uuid: kept.controller_uuid.as_deref(),
            by: By::Changed(self.origin.as_deref()),
        };
        cleared.put(self.connection, found)
    }

    fn send_clear(&mut self, kept: &Kept, pending: Option<i64>) -> Result<i64, StoreError> {
        let seq = self.request(kept.domain, &RequestKind::Clear { key: kept.key.clone() }, pending)?;
        if let Some(earlier) = pending {
            fold::cleared_after(self.connection, earlier, seq)?;
        }
        Ok(seq)
    }

    /// Ends an alarm whose record is here.
    fn forget(&self, kept: &Kept) -> Result<(), StoreError> {
        if let Standing::Raised(alarm) = &kept.standing {
            let uuid = Uuid::new_v4().to_string();
            self.event("clear", alarm, &uuid)?;
        }
        tables::delete_alarm(self.connection, &kept.key)
    }

    /// Clears an alarm where it stood before it moved to another domain.
    fn leave(&mut self, AlarmRow { kept, pending }: &AlarmRow) -> Result<(), StoreError> {
        if self.here.contains(&kept.domain) {
            return self.forget(kept);
        }
        if kept.standing == Standing::Cleared {
            // A clear of it waits there already.
            return Ok(());
        }
        healing::bury(self.connection, &kept.key)?;
        self.send_clear(kept, *pending).map(drop)
    }

    fn clear_all(
        &mut self,
        entity: &str,
        rule: EntityMatch,
        unknown: Unknown,
        domains: &[Domain],
    ) -> Result<Outcome, StoreError> {
        let (here, away): (Vec<Domain>, Vec<Domain>) =
            domains.iter().partition(|domain| self.here.contains(domain));
        let mut covered = tables::covered(self.connection, entity, rule)?;
        covered.retain(|place| domains.contains(&place.domain));
        if covered.is_empty() && (unknown == Unknown::Tell || away.is_empty()) {
            return Ok(Outcome::Unknown);
        }
        for place in covered.iter().filter(|place| here.contains(&place.domain)) {
            if let Some(row) = tables::find_alarm(self.connection, &place.key)? {
                self.forget(&row.kept)?;
            }
        }
        for domain in away {
            let kind = RequestKind::ClearAll { entity_instance_id: entity.to_owned(), rule };
            let same = fold::same_clear_all(self.connection, domain, entity, rule)?;
            let seq = self.request(domain, &kind, same)?;
            if let Some(earlier) = same {
                fold::clear_all_again(self.connection, earlier, seq)?;
            }
            for place in covered.iter().filter(|place| place.domain == domain) {
                if let Some(earlier) = place.pending {
                    fold::cleared_after(self.connection, earlier, seq)?;
                }
                tables::put_cleared(self.connection, &place.key, seq)?;
                signed::cleared(self.connection, &place.key, self.origin.as_deref())?;
            }
        }
        Ok(Outcome::Cleared)
    }

    /// Sends a request; `previous` is the latest about the same alarm in this domain that waits.
    pub(super) fn request(
        &mut self,
        domain: Domain,
        kind: &RequestKind,
        previous: Option<i64>,
    ) -> Result<i64, StoreError> {
        let seq = tables::insert_request(self.connection, domain, kind, previous, self.origin.as_deref())?;
        self.sent(domain);
        Ok(seq)
    }

    /// As [`Self::request`].
    fn append(&mut self, request: NewRequest<'_>, previous: Option<i64>) -> Result<i64, StoreError> {
        let seq = request.append(self.connection, previous, self.origin.as_deref())?;
        self.sent(request.domain);
        Ok(seq)
    }

    fn sent(&mut self, domain: Domain) {
        self.counts.came(domain);
        self.woken.insert(domain);
    }

    /// Records what happened where the record is here.
    fn event(&self, state: &str, alarm: &Alarm, uuid: &str) -> Result<(), StoreError> {
        let origin = self.origin.as_deref();
        tables::insert_event(self.connection, state, alarm, uuid, self.max_events, origin)
    }
}

pub(super) fn raise_request(alarm: &Alarm, uuid: String) -> RequestKind {
    RequestKind::Raise { alarm: Box::new(alarm.clone()), uuid }
}

/// The uuid that callers know an alarm by. The service gives every alarm one before it comes here.
pub(super) fn uuid_of(alarm: &Alarm) -> String {
    alarm.uuid.clone().unwrap_or_default()
}

/// The uuid for a new raise at the controller: the alarm's own, unless it is one again that the alarm had
/// before. The controller takes a uuid once in its life. That it is new is not certain, for older libraries send
/// what their callers have read: a controller's backend sees to a uuid that is another's.
fn fresh_uuid(alarm: &Alarm, previous: Option<&Kept>) -> String {
    let own = uuid_of(alarm);
    let used = previous.is_some_and(|kept| {
        let standing = match &kept.standing {
            Standing::Raised(standing) => standing.uuid.as_deref() == Some(own.as_str()),
            Standing::Cleared => false,
        };
        standing || kept.controller_uuid.as_deref() == Some(own.as_str())
    });
    if used { Uuid::new_v4().to_string() } else { own }
}
