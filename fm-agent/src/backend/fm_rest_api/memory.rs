//! What the service remembers of alarms that it does not list.
//!
//! The event log has the raise of an alarm under the alarm's uuid, and its removal as a clear of its key
//! under a new uuid at the service's time. It holds the newest 4000 events, so an old raise is forgotten
//! long before its alarm goes; and a removal may have lost its event, so neither is proof of an absence.
//!
//! Invariant: reading changes nothing at the service.

use fm_common::{Alarm, AlarmKey, AlarmState};

use super::client::Request;
use super::read::Filter;
use super::wire::Event;
use super::{FmRestApi, adapt, wire};
use crate::backend::{Absent, Failure, Memory};

impl FmRestApi {
    /// One read of the event log for all of them: each read may cost the service a database connection.
    pub(super) async fn remembered(&self, absent: &[Absent]) -> Result<Vec<Memory>, Failure> {
        let keys: Vec<AlarmKey> = absent.iter().map(|absent| absent.key.clone()).collect();
        let by_database = keys.iter().any(|key| adapt::entity_depends_on_database(&key.entity_instance_id));
        let database = self.database_if(by_database).await?;
        let events = self.events(&keys).await?;
        let held = |key: &AlarmKey| {
            AlarmKey::new(key.alarm_id.as_str(), &adapt::hold_entity(&key.entity_instance_id, database))
        };
        Ok(absent.iter().map(|absent| memory(absent, &held(&absent.key), &events)).collect())
    }

    /// Whether an alarm that was raised as this was removed since. What is not shown may be hidden only.
    pub(super) async fn is_removed(&self, held: &Alarm) -> Result<bool, Failure> {
        Ok(self.events(&[held.key()]).await?.iter().any(|event| removes(event, held)))
    }

    /// Events of these alarms, and what else the service takes for theirs.
    async fn events(&self, keys: &[AlarmKey]) -> Result<Vec<Event>, Failure> {
        // Without the last, the service leaves out events of alarms whose kind is suppressed at present.
        let mut request = Request::get(&["event_log"]).with("alarms", "1").with("include_suppress", "1");
        let fields = ["event_log_id", "entity_instance_id"];
        let common = Filter::common(keys);
        for (field, value) in fields.into_iter().zip(common.texts()) {
            if let Some(value) = value {
                request = request.filter(field, value);
            }
        }
        self.read(request, wire::events).await
    }
}

/// Whether this is the removal of an alarm raised as this. A removal says what the alarm said: that of the alarm
/// that had to go before, for this one to be raised, says something else or is older.
fn removes(event: &Event, held: &Alarm) -> bool {
    event.state == AlarmState::Clear && event.tells_of(held) && event.time >= held.timestamp
}

/// What the events say about an alarm whose key at the service is this.
fn memory(absent: &Absent, key: &AlarmKey, events: &[Event]) -> Memory {
    let mut own = events.iter().filter(|event| event.key == *key);
    if own
        .clone()
        .any(|event| event.state == AlarmState::Clear && event.time.is_some_and(|time| time >= absent.since))
    {
        return Memory::Removed;
    }
    if own.any(|event| event.uuid.eq_ignore_ascii_case(&absent.uuid)) {
        return Memory::Raised;
    }
    Memory::Nothing
}

#[cfg(test)]
mod tests {
    use super::*;
    use fm_common::{AlarmType, ProbableCause, Severity, Timestamp};

    fn event(uuid: &str, entity: &str, cleared: bool, micros: i64) -> Event {
        Event {
            uuid: uuid.to_owned(),
            key: AlarmKey::new("1.1", entity),
            state: if cleared { AlarmState::Clear } else { AlarmState::Set },
            time: Some(Timestamp::from_micros(micros)),
            severity: Severity::Minor,
            reason_text: "broken".to_owned(),
        }
    }

    #[test]
    fn the_removal_of_an_alarm_says_what_the_alarm_said_and_is_no_older() {
        let cause = ProbableCause::Unknown;
        let held = Alarm {
            reason_text: "broken".to_owned(),
            timestamp: Some(Timestamp::from_micros(100)),
            ..Alarm::new("1.1", "host", "host=a", Severity::Minor, AlarmType::Equipment, cause)
        };
        let removal = event("x", "host=a", true, 100);
        assert!(removes(&removal, &held));
        assert!(!removes(&event("x", "host=a", true, 99), &held));
        assert!(!removes(&event("x", "host=a", false, 100), &held));
        assert!(!removes(&event("x", "host=b", true, 100), &held));
        assert!(!removes(&Event { severity: Severity::Major, ..removal.clone() }, &held));
        assert!(!removes(&Event { reason_text: "worse".to_owned(), ..removal.clone() }, &held));
        assert!(!removes(&Event { time: None, ..removal }, &held));
    }

    #[test]
    fn only_a_later_clear_of_the_same_alarm_is_a_removal() {
        let key = AlarmKey::new("1.1", "host=a");
        let absent = Absent { key: key.clone(), uuid: "u".to_owned(), since: Timestamp::from_micros(100) };
        let said = |events: &[Event]| memory(&absent, &key, events);
        let raised = event("U", "host=a", false, 90);
        assert_eq!(said(&[]), Memory::Nothing);
        assert_eq!(said(std::slice::from_ref(&raised)), Memory::Raised);
        // The removal of what stood before it.
        assert_eq!(said(&[event("x", "host=a", true, 99), raised.clone()]), Memory::Raised);
        assert_eq!(said(&[event("x", "host=a", true, 99)]), Memory::Nothing);
        assert_eq!(said(&[event("x", "host=a.b=1", true, 200), raised.clone()]), Memory::Raised);
        assert_eq!(said(&[raised, event("x", "host=a", true, 100)]), Memory::Removed);
        assert_eq!(said(&[event("x", "host=a", true, 200)]), Memory::Removed);
    }
}
