//! What the service remembers of alarms that it does not list.
//!
//! The event log has the raise of an alarm under the alarm's uuid, and its removal as a clear of its key
//! under a new uuid at the service's time. It holds the newest 4000 events, so an old raise is forgotten
//! long before its alarm goes; and a removal may have lost its event, so neither is proof of an absence.
//!
//! Invariant: reading changes nothing at the service.

use fm_common::AlarmKey;

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
        // Without the last, the service leaves out events of alarms whose kind is suppressed at present.
        let mut request = Request::get(&["event_log"]).with("alarms", "1").with("include_suppress", "1");
        let fields = ["event_log_id", "entity_instance_id"];
        let common = Filter::common(&keys);
        for (field, value) in fields.into_iter().zip(common.texts()) {
            if let Some(value) = value {
                request = request.filter(field, value);
            }
        }
        let events = self.read(request, wire::events).await?;
        let held = |key: &AlarmKey| {
            AlarmKey::new(key.alarm_id.as_str(), &adapt::hold_entity(&key.entity_instance_id, database))
        };
        Ok(absent.iter().map(|absent| memory(absent, &held(&absent.key), &events)).collect())
    }
}

/// What the events say about an alarm whose key at the service is this.
fn memory(absent: &Absent, key: &AlarmKey, events: &[Event]) -> Memory {
    let mut own = events.iter().filter(|event| event.key == *key);
    if own.clone().any(|event| event.cleared && event.time.is_some_and(|time| time >= absent.since)) {
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
    use fm_common::Timestamp;

    fn event(uuid: &str, entity: &str, cleared: bool, micros: i64) -> Event {
        let time = Some(Timestamp::from_micros(micros));
        Event { uuid: uuid.to_owned(), key: AlarmKey::new("1.1", entity), cleared, time }
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
