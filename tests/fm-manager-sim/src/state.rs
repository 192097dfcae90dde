//! The manager's tables and what each action does to them.
//!
//! Invariant: alarms are unique by alarm id and entity, as the manager's upsert keeps them. The event log is
//! written by [`State::write_events`] alone, late.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use uuid::Uuid;

use crate::layout::{AlarmRecord, FILTER_BYTES, Filter, TEXT_BYTES, one_text, text_bytes};
use crate::like::like;
use crate::protocol::{Action, Code};
use crate::{ALARM_BYTES, sim::ManagerConfig};

/// Characters of a uuid.
const UUID_CHARS: usize = 36;
/// The state of a log.
const STATE_MSG: u32 = 2;

/// What an event records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventState {
    /// An alarm was raised or changed.
    Set,
    /// An alarm was cleared.
    Clear,
    /// A log.
    Log,
}

/// An entry of the event log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What it records.
    pub state: EventState,
    /// The alarm or the log.
    pub record: AlarmRecord,
}

/// An alarm type: a row of the suppression table.
#[derive(Debug)]
struct AlarmType {
    uuid: String,
    suppressed: bool,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) alarms: Vec<AlarmRecord>,
    pub(crate) events: Vec<Event>,
    queue: VecDeque<(Instant, Event)>,
    types: BTreeMap<String, AlarmType>,
    pub(crate) database_down: bool,
    bare_uuid: bool,
    event_delay: std::time::Duration,
}

/// An answer: its code and its body.
pub(crate) type Answer = (Code, Vec<u8>);

fn only(code: Code) -> Answer {
    (code, Vec::new())
}

impl State {
    pub(crate) fn new(config: &ManagerConfig) -> Self {
        let kind = || AlarmType { uuid: Uuid::new_v4().to_string(), suppressed: false };
        Self {
            alarms: Vec::new(),
            events: Vec::new(),
            queue: VecDeque::new(),
            types: config.alarm_ids.iter().map(|id| (id.clone(), kind())).collect(),
            database_down: false,
            bare_uuid: config.bare_uuid,
            event_delay: config.event_delay,
        }
    }

    /// Carries out a request.
    pub(crate) fn apply(&mut self, action: Action, body: &[u8]) -> Answer {
        if !size_fits(action, body) {
            return only(Code::InvalidRequest);
        }
        if self.database_down {
            return only(Code::Database);
        }
        let answer = match action {
            Action::Create => AlarmRecord::from_bytes(body).map(|alarm| self.create(alarm)),
            Action::CreateList => Some(self.create_list(body)),
            Action::Delete => Filter::from_bytes(body).map(|filter| only(self.delete(&filter))),
            Action::DeleteList => Some(self.delete_list(body)),
            Action::DeleteAll => one_text(body).map(|entity| only(self.delete_all(&entity))),
            Action::Get => Filter::from_bytes(body).map(|filter| self.get(&filter)),
            Action::GetByEntity => one_text(body).map(|entity| self.shown(None, &entity)),
            Action::GetById => one_text(body).map(|alarm_id| self.by_id(&alarm_id)),
            Action::GetByIdAndEntity => Filter::from_bytes(body)
                .map(|filter| self.shown(Some(&filter.alarm_id), &filter.entity_instance_id)),
        };
        answer.unwrap_or_else(|| only(Code::InvalidRequest))
    }

    fn create(&mut self, mut alarm: AlarmRecord) -> Answer {
        if alarm.uuid.len() != UUID_CHARS {
            alarm.uuid = Uuid::new_v4().to_string();
        }
        let uuid = if alarm.alarm_state == STATE_MSG { self.log(alarm) } else { self.upsert(alarm) };
        match uuid {
            Some(uuid) if self.bare_uuid => (Code::Ok, uuid.into_bytes()),
            Some(uuid) => (Code::Ok, text_bytes(&uuid).to_vec()),
            None => only(Code::Database),
        }
    }

    /// A uuid is taken once by the event log.
    fn log(&mut self, log: AlarmRecord) -> Option<String> {
        if self.events.iter().any(|event| event.record.uuid == log.uuid) {
            return None;
        }
        let uuid = log.uuid.clone();
        self.enqueue(EventState::Log, log);
        Some(uuid)
    }

    fn upsert(&mut self, alarm: AlarmRecord) -> Option<String> {
        if quoted(&alarm.entity_instance_id) || quoted(&alarm.alarm_id) {
            return None;
        }
        let same = |row: &&mut AlarmRecord| {
            row.alarm_id == alarm.alarm_id && row.entity_instance_id == stored(&alarm.entity_instance_id)
        };
        let uuid = match self.alarms.iter_mut().find(same) {
            Some(row) if alarm.keep_existing_alarm => row.uuid.clone(),
            Some(row) => {
                *row = AlarmRecord {
                    entity_instance_id: row.entity_instance_id.clone(),
                    keep_existing_alarm: false,
                    ..alarm.clone()
                };
                alarm.uuid.clone()
            }
            None if self.types.contains_key(&alarm.alarm_id) => {
                self.alarms.push(AlarmRecord {
                    entity_instance_id: stored(&alarm.entity_instance_id).to_owned(),
                    keep_existing_alarm: false,
                    ..alarm.clone()
                });
                alarm.uuid.clone()
            }
            None => return None,
        };
        self.enqueue(EventState::Set, AlarmRecord { uuid: uuid.clone(), ..alarm });
        Some(uuid)
    }

    /// One after the other; the first that fails ends it.
    fn create_list(&mut self, body: &[u8]) -> Answer {
        for bytes in body.chunks(ALARM_BYTES) {
            let created = AlarmRecord::from_bytes(bytes).map(|alarm| self.create(alarm).0);
            match created {
                Some(Code::Ok) => {}
                other => return only(other.unwrap_or(Code::InvalidRequest)),
            }
        }
        only(Code::Ok)
    }

    fn delete(&mut self, filter: &Filter) -> Code {
        if quoted(&filter.alarm_id) || quoted(&filter.entity_instance_id) {
            return Code::Database;
        }
        let pattern = prefix(&filter.entity_instance_id);
        self.remove(|row| row.alarm_id == filter.alarm_id && like(&pattern, &row.entity_instance_id))
    }

    /// One after the other; an absent one is no failure.
    fn delete_list(&mut self, body: &[u8]) -> Answer {
        for bytes in body.chunks(FILTER_BYTES) {
            match Filter::from_bytes(bytes).map(|filter| self.delete(&filter)) {
                Some(Code::Ok | Code::NotFound) => {}
                other => return only(other.unwrap_or(Code::InvalidRequest)),
            }
        }
        only(Code::Ok)
    }

    fn delete_all(&mut self, entity: &str) -> Code {
        if quoted(entity) {
            return Code::Database;
        }
        let pattern = prefix(entity);
        self.remove(|row| like(&pattern, &row.entity_instance_id))
    }

    fn remove(&mut self, goes: impl Fn(&AlarmRecord) -> bool) -> Code {
        let gone: Vec<AlarmRecord> = self.alarms.iter().filter(|row| goes(row)).cloned().collect();
        self.alarms.retain(|row| !goes(row));
        let found = !gone.is_empty();
        for row in gone {
            self.enqueue(EventState::Clear, AlarmRecord { uuid: Uuid::new_v4().to_string(), ..row });
        }
        if found { Code::Ok } else { Code::NotFound }
    }

    fn get(&self, filter: &Filter) -> Answer {
        if quoted(&filter.alarm_id) || quoted(&filter.entity_instance_id) {
            return only(Code::Database);
        }
        let entity = stored(&filter.entity_instance_id);
        let same = |row: &&AlarmRecord| row.alarm_id == filter.alarm_id && row.entity_instance_id == entity;
        match self.alarms.iter().find(same) {
            Some(row) => (Code::Ok, outgoing(row).to_bytes()),
            None => only(Code::NotFound),
        }
    }

    fn by_id(&self, alarm_id: &str) -> Answer {
        if quoted(alarm_id) {
            return only(Code::Database);
        }
        list(self.alarms.iter().filter(|row| row.alarm_id == alarm_id).map(outgoing))
    }

    /// Suppressed alarms are hidden, and the uuid is the alarm type's.
    fn shown(&self, alarm_id: Option<&str>, entity: &str) -> Answer {
        if quoted(entity) || alarm_id.is_some_and(quoted) {
            return only(Code::Database);
        }
        let pattern = prefix(entity);
        let rows = self
            .alarms
            .iter()
            .filter(|row| like(&pattern, &row.entity_instance_id))
            .filter(|row| alarm_id.is_none_or(|alarm_id| row.alarm_id == alarm_id));
        list(rows.filter_map(|row| {
            let kind = self.types.get(&row.alarm_id).filter(|kind| !kind.suppressed)?;
            Some(AlarmRecord { uuid: kind.uuid.clone(), ..outgoing(row) })
        }))
    }

    fn enqueue(&mut self, state: EventState, record: AlarmRecord) {
        self.queue.push_back((Instant::now() + self.event_delay, Event { state, record }));
    }

    /// Writes the events that are due.
    pub(crate) fn write_events(&mut self, now: Instant) {
        while let Some((due, _)) = self.queue.front()
            && *due <= now
            && let Some((_, event)) = self.queue.pop_front()
        {
            let taken = self.events.iter().any(|known| known.record.uuid == event.record.uuid);
            if !taken {
                self.events.push(event);
            }
        }
    }

    /// What a death loses.
    pub(crate) fn lose_queue(&mut self) {
        self.queue.clear();
    }

    /// Whether every event is written.
    pub(crate) fn is_settled(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn suppress(&mut self, alarm_id: &str, suppressed: bool) -> bool {
        let kind = self.types.get_mut(alarm_id);
        kind.map(|kind| kind.suppressed = suppressed).is_some()
    }

    /// Adds or replaces an alarm as another program writes it into the tables.
    pub(crate) fn insert(&mut self, alarm: AlarmRecord) {
        self.alarms.retain(|row| {
            row.alarm_id != alarm.alarm_id || row.entity_instance_id != stored(&alarm.entity_instance_id)
        });
        let entity_instance_id = stored(&alarm.entity_instance_id).to_owned();
        self.alarms.push(AlarmRecord { entity_instance_id, ..alarm });
    }
}

fn size_fits(action: Action, body: &[u8]) -> bool {
    match action {
        Action::Create => body.len() == ALARM_BYTES,
        Action::Delete | Action::Get | Action::GetByIdAndEntity => body.len() == FILTER_BYTES,
        Action::DeleteAll | Action::GetByEntity | Action::GetById => body.len() == TEXT_BYTES,
        Action::CreateList => body.len().is_multiple_of(ALARM_BYTES),
        Action::DeleteList => body.len().is_multiple_of(FILTER_BYTES),
    }
}

/// A quote ends the manager's SQL.
fn quoted(text: &str) -> bool {
    text.contains('\'')
}

/// The pattern that the manager makes of a filter.
fn prefix(entity: &str) -> String {
    format!("{entity}%")
}

/// The form in which an entity is kept: the empty one as a single space.
fn stored(entity: &str) -> &str {
    if entity.is_empty() { " " } else { entity }
}

/// The form in which a row travels: a single space is empty again.
fn outgoing(row: &AlarmRecord) -> AlarmRecord {
    let entity = row.entity_instance_id.as_str();
    let entity_instance_id = if entity == " " { String::new() } else { entity.to_owned() };
    AlarmRecord { entity_instance_id, ..row.clone() }
}

fn list(rows: impl Iterator<Item = AlarmRecord>) -> Answer {
    let rows: Vec<AlarmRecord> = rows.collect();
    if rows.is_empty() {
        return only(Code::NotFound);
    }
    let mut body = u32::try_from(rows.len()).unwrap_or(u32::MAX).to_ne_bytes().to_vec();
    for row in rows {
        body.extend(row.to_bytes());
    }
    (Code::Ok, body)
}
