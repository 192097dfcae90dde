//! What callers were promised, and whether a store that was found after a cut keeps it.

use std::collections::BTreeMap;

use fm_agent::store::{Kept, RequestKind, Standing};
use fm_common::AlarmKey;

/// A request about one alarm; the text is its reason, which no other request has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Set(String),
    /// Of the alarm with this reason.
    Clear(String),
    Log(String),
}

/// A request that was acknowledged when the recorder's log was so long at most.
#[derive(Debug, Clone)]
pub(crate) struct Acknowledged {
    pub(crate) what: What,
    pub(crate) by: u64,
}

/// All that callers did and all that controllers saw, of one recording.
#[derive(Debug, Default)]
pub(crate) struct Promise {
    /// In the order of the calls. Logs stand under a key of their own.
    pub(crate) requests: BTreeMap<AlarmKey, Vec<Acknowledged>>,
    /// When a controller stored what, in microseconds since the epoch.
    pub(crate) delivered: BTreeMap<What, i64>,
}

/// The moment of a cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// The length of the recorder's log.
    pub(crate) log: u64,
    /// When what came next in the log began, in microseconds since the epoch.
    pub(crate) time: i64,
}

/// Requests before and after the last acknowledged one that are shown when something is wrong.
const SHOWN: usize = 6;

/// What a store holds of one alarm.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) waiting: Vec<RequestKind>,
    pub(crate) kept: Option<Kept>,
}

impl Promise {
    /// How many requests there are.
    pub(crate) fn len(&self) -> usize {
        self.requests.values().map(Vec::len).sum()
    }

    /// Nothing acknowledged before the moment is lost, and what waits for an alarm is what was asked for, in
    /// that order: the requests from the first that may not have been delivered on, at least up to the last
    /// that was acknowledged. Gives how many are lost and what is wrong.
    pub(crate) fn check(&self, key: &AlarmKey, held: &Held, moment: Moment) -> Result<(), (usize, String)> {
        let requests = &self.requests[key];
        let acknowledged = requests.iter().filter(|request| request.by <= moment.log).count();
        let delivered: Vec<bool> = requests
            .iter()
            .map(|request| self.delivered.get(&request.what).is_some_and(|at| *at <= moment.time))
            .collect();
        let waiting = held.waiting.len();
        let may_begin = |first: usize| {
            let last = first + waiting;
            (acknowledged..=requests.len()).contains(&last)
                && delivered[..first].iter().all(|delivered| *delivered)
                && held
                    .waiting
                    .iter()
                    .zip(&requests[first..last])
                    .all(|(kind, request)| is(kind, &request.what))
                && stands_after(&requests[..last], held.kept.as_ref())
        };
        if (0..=requests.len().saturating_sub(waiting)).any(may_begin) {
            return Ok(());
        }
        let lost = requests[..acknowledged].iter().zip(&delivered).filter(|(request, delivered)| {
            !**delivered && !held.waiting.iter().any(|kind| is(kind, &request.what))
        });
        let lost = lost.count();
        // What matters is around the last that was acknowledged.
        let told: Vec<String> = requests
            .iter()
            .zip(&delivered)
            .take(acknowledged + SHOWN)
            .skip(acknowledged.saturating_sub(SHOWN))
            .map(|(request, delivered)| {
                let acknowledged = if request.by <= moment.log { " acknowledged" } else { "" };
                let delivered = if *delivered { " delivered" } else { "" };
                format!("{:?}{acknowledged}{delivered}", request.what)
            })
            .collect();
        let waiting: Vec<&str> = held.waiting.iter().map(reason).collect();
        let text = format!("{key:?}\n  asked for: {told:?}\n  waiting: {waiting:?}\n  kept: {:?}", held.kept);
        Err((lost, text))
    }
}

fn reason(kind: &RequestKind) -> &str {
    match kind {
        RequestKind::Raise { alarm, .. } | RequestKind::Log { alarm, .. } => &alarm.reason_text,
        RequestKind::Clear { .. } => "clear",
        RequestKind::ClearAll { .. } => "clear all",
        RequestKind::Remove { .. } => "remove",
    }
}

fn is(kind: &RequestKind, what: &What) -> bool {
    match (kind, what) {
        (RequestKind::Raise { alarm, .. }, What::Set(reason))
        | (RequestKind::Log { alarm, .. }, What::Log(reason)) => alarm.reason_text == *reason,
        (RequestKind::Clear { .. }, What::Clear(_)) => true,
        _ => false,
    }
}

/// Whether this node's view of the alarm is the one after these requests.
fn stands_after(requests: &[Acknowledged], kept: Option<&Kept>) -> bool {
    let kept = kept.and_then(|kept| match &kept.standing {
        Standing::Raised(alarm) => Some(&alarm.reason_text),
        Standing::Cleared => None,
    });
    let last = requests.last().and_then(|request| match &request.what {
        What::Set(reason) => Some(reason),
        What::Clear(_) | What::Log(_) => None,
    });
    kept == last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::alarm;

    fn raise(reason: &str) -> RequestKind {
        let alarm = fm_common::Alarm { reason_text: reason.to_owned(), ..alarm("e") };
        RequestKind::Raise { alarm: Box::new(alarm), uuid: String::new() }
    }

    fn set(reason: &str, by: u64) -> Acknowledged {
        Acknowledged { what: What::Set(reason.to_owned()), by }
    }

    fn verdict(waiting: Vec<RequestKind>, stands: Option<&str>, log: u64) -> Option<usize> {
        let key = AlarmKey::new("1", "e");
        let clear = Acknowledged { what: What::Clear("a".to_owned()), by: 20 };
        let requests = BTreeMap::from([(key.clone(), vec![set("a", 10), clear, set("b", 30)])]);
        let delivered = BTreeMap::from([(What::Set("a".to_owned()), 100)]);
        let kept = stands.map(|reason| Kept {
            key: key.clone(),
            domain: fm_agent::config::Domain::Platform,
            standing: Standing::Raised(Box::new(fm_common::Alarm {
                reason_text: reason.to_owned(),
                ..alarm("e")
            })),
            pending: true,
            controller_uuid: None,
        });
        let promise = Promise { requests, delivered };
        let checked = promise.check(&key, &Held { waiting, kept }, Moment { log, time: 100 });
        checked.err().map(|(lost, _)| lost)
    }

    #[test]
    fn what_was_acknowledged_is_held_or_delivered() {
        let clear = || RequestKind::Clear { key: AlarmKey::new("1", "e") };
        assert_eq!(verdict(vec![], None, 5), None);
        assert_eq!(verdict(vec![], Some("a"), 10), None, "delivered");
        assert_eq!(verdict(vec![raise("a"), clear()], None, 20), None, "delivered and not noted");
        assert_eq!(verdict(vec![clear(), raise("b")], Some("b"), 20), None, "kept before the answer");
        assert_eq!(verdict(vec![], None, 20), Some(1), "the clear is lost");
        assert_eq!(verdict(vec![clear()], None, 30), Some(1), "the second set is lost");
        assert_eq!(verdict(vec![raise("b"), clear()], Some("b"), 30), Some(0), "out of order");
        assert_eq!(verdict(vec![clear(), raise("b")], None, 30), Some(0), "the view is wrong");
    }
}
