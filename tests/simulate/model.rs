//! What callers have said, and what the controllers should have heard: alarms by key, events in order.

use std::collections::BTreeMap;

use fm_common::entity::EntityMatch;
use fm_common::{Alarm, AlarmKey};

/// State and reason of an event.
pub(crate) type Event = (String, String);

/// One domain.
#[derive(Debug, Default)]
pub(crate) struct Domain {
    pub(crate) standing: BTreeMap<AlarmKey, Alarm>,
    pub(crate) events: BTreeMap<AlarmKey, Vec<Event>>,
    pub(crate) logs: Vec<String>,
}

impl Domain {
    fn event(&mut self, state: &str, alarm: &Alarm) {
        let event = (state.to_owned(), alarm.reason_text.clone());
        self.events.entry(alarm.key()).or_default().push(event);
    }

    /// A set: the service knows no change, so what stands is cleared and set anew.
    pub(crate) fn set(&mut self, alarm: &Alarm) {
        let before = self.standing.get(&alarm.key()).cloned();
        if before.as_ref().is_some_and(|before| alarm.keep_existing_alarm || before.same_content(alarm)) {
            return;
        }
        if let Some(before) = before {
            self.event("clear", &before);
        }
        self.event("set", alarm);
        self.standing.insert(alarm.key(), alarm.clone());
    }

    pub(crate) fn clear(&mut self, key: &AlarmKey) {
        if let Some(alarm) = self.standing.remove(key) {
            self.event("clear", &alarm);
        }
    }

    pub(crate) fn covered(&self, entity: &str) -> Vec<AlarmKey> {
        let covers = |key: &&AlarmKey| EntityMatch::Component.covers(entity, &key.entity_instance_id);
        self.standing.keys().filter(covers).cloned().collect()
    }

    pub(crate) fn log(&mut self, alarm: &Alarm) {
        self.logs.push(alarm.reason_text.clone());
    }
}
