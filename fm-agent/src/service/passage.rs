//! What callers ask for, told to those who watch.
//!
//! Events, all keys stable: `event` is `set`, `clear`, `clear_all` or `log`; with `alarm_id`,
//! `entity_instance_id`, `severity` and `reason_text` (sets and logs), `uid` of the caller, `outcome` (`ok`, or
//! the error's name) and `reason` when it failed; `n` and `at` as every event.

use std::sync::Arc;

use fm_common::alarm::Intent;
use fm_common::protocol::{Request, Response};
use fm_common::{Alarm, AlarmKey};
use serde_json::{Value, json};

use super::{Pending, Service};
use crate::passing::event;

/// The events that a request comes to, but for its outcome.
fn events(request: &Request) -> Vec<Value> {
    match request {
        Request::Set(alarm) => vec![of_alarm(alarm)],
        Request::SetList(alarms) => alarms.iter().map(of_alarm).collect(),
        Request::Clear(key) => vec![of_key(key)],
        Request::ClearList(keys) => keys.iter().map(of_key).collect(),
        Request::ClearAll { entity_instance_id } => {
            vec![event("clear_all", "", entity_instance_id, Value::Null)]
        }
        _ => Vec::new(),
    }
}

/// How many they are.
fn count(request: &Request) -> usize {
    match request {
        Request::Set(_) | Request::Clear(_) | Request::ClearAll { .. } => 1,
        Request::SetList(alarms) => alarms.len(),
        Request::ClearList(keys) => keys.len(),
        _ => 0,
    }
}

fn of_key(key: &AlarmKey) -> Value {
    event("clear", &key.alarm_id, &key.entity_instance_id, Value::Null)
}

fn of_alarm(alarm: &Alarm) -> Value {
    let kind = match alarm.intent() {
        Intent::Raise => "set",
        Intent::Log => "log",
        Intent::Clear => return of_key(&alarm.key()),
    };
    let more = json!({ "severity": alarm.severity, "reason_text": alarm.reason_text });
    event(kind, &alarm.alarm_id, &alarm.entity_instance_id, more)
}

fn ended(mut event: Value, uid: u32, response: &Response) -> Value {
    event["uid"] = uid.into();
    match response {
        Ok(_) => event["outcome"] = "ok".into(),
        Err(refusal) => {
            event["outcome"] = refusal.code.name().into();
            event["reason"] = refusal.message.as_str().into();
        }
    }
    event
}

impl Service {
    /// What is to be told of a request, if anybody watches.
    pub(super) fn to_tell(&self, request: &Request) -> Vec<Value> {
        let count = count(request);
        if count > 0 && self.passing.wants(count) { events(request) } else { Vec::new() }
    }

    /// Tells the events once their request is answered.
    pub(super) fn telling(self: &Arc<Self>, events: Vec<Value>, uid: u32, pending: Pending) -> Pending {
        if events.is_empty() {
            return pending;
        }
        let service = Arc::clone(self);
        Box::pin(async move {
            let response = pending.await;
            for event in events {
                service.passing.record(ended(event, uid, &response));
            }
            response
        })
    }
}

#[cfg(test)]
mod tests {
    use fm_common::protocol::{Answer, Refusal};
    use fm_common::{AlarmState, AlarmType, ErrorCode, ProbableCause, Severity};

    use super::*;

    #[test]
    fn each_alarm_of_a_request_is_an_event_and_reads_are_none() {
        let alarm =
            Alarm::new("1", "host", "host=a", Severity::Major, AlarmType::Unknown, ProbableCause::Unknown);
        let clear = Alarm { alarm_state: AlarmState::Clear, ..alarm.clone() };
        let log = Alarm { alarm_state: AlarmState::Log, ..alarm.clone() };
        let request = Request::SetList(vec![alarm.clone(), clear, log]);
        let kinds: Vec<Value> = events(&request).iter().map(|event| event["event"].clone()).collect();
        assert_eq!(kinds, ["set", "clear", "log"]);
        assert_eq!(count(&request), 3);
        assert_eq!((events(&Request::Ping), count(&Request::Ping)), (Vec::new(), 0));
    }

    #[test]
    fn an_event_says_who_and_what_came_of_it() {
        let event = || events(&Request::Clear(AlarmKey::new("1", "host=a"))).remove(0);
        let done = ended(event(), 7, &Ok(Answer::Done));
        assert_eq!((&done["uid"], &done["outcome"]), (&json!(7), &json!("ok")));
        let refused = ended(event(), 7, &Err(Refusal::new(ErrorCode::EntityNotFound, "none")));
        assert_eq!(
            (&refused["outcome"], &refused["reason"]),
            (&json!("FM_ERR_ENTITY_NOT_FOUND"), &json!("none"))
        );
    }
}
