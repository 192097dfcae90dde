//! What passes through the agent, for those who watch: a ring of the newest events.
//!
//! Invariants:
//! - Nobody waits for a watcher: an event takes the place of the oldest, and who was too slow, or away for
//!   longer than [`LEASE`], is told how many were lost.
//! - Nothing is recorded, or copied for it, while nobody has watched for [`LEASE`].
//! - An event's texts are cut to [`LONGEST`] characters: the ring's size is bounded.
//!
//! It knows neither requests nor controllers: it is told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fm_common::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

/// Events kept.
const CAPACITY: usize = 2048;
/// How long after a watcher asked last events are recorded still.
const LEASE: Duration = Duration::from_secs(30);
/// Characters of one text.
const LONGEST: usize = 255;

/// The newest events of this run of the agent.
#[derive(Debug)]
pub struct Passing {
    /// Tells this run from those before: the numbers of events begin anew with each.
    run: u64,
    started: Instant,
    /// Milliseconds after `started` up to which events are recorded.
    recorded_until: AtomicU64,
    /// Events that came while nobody watched, since somebody did.
    skipped: AtomicU64,
    ring: Mutex<Ring>,
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Value>,
    /// The number of the newest event; the first has 1.
    newest: u64,
}

impl Default for Passing {
    fn default() -> Self {
        Self {
            run: fastrand::u64(1..=u64::from(u32::MAX)),
            started: Instant::now(),
            recorded_until: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            ring: Mutex::default(),
            newest: watch::Sender::new(0),
        }
    }
}

impl Passing {
    /// Whether so many events are to be recorded; they need not be put together otherwise.
    pub fn wants(&self, events: usize) -> bool {
        let watched = self.is_watched();
        if !watched {
            self.skipped.fetch_add(events as u64, Ordering::Relaxed);
        }
        watched
    }

    fn is_watched(&self) -> bool {
        let until = self.recorded_until.load(Ordering::Relaxed);
        until > 0 && self.millis() < until
    }

    /// Records an event, an object; it gets its number as `n` and the time as `at`.
    pub fn record(&self, event: Value) {
        let Value::Object(mut event) = event else { return };
        event.values_mut().for_each(cut);
        let mut ring = self.ring();
        ring.newest += 1;
        event.insert("n".to_owned(), ring.newest.into());
        event.insert("at".to_owned(), Timestamp::now().to_string().into());
        if ring.events.len() == CAPACITY {
            ring.events.pop_front();
        }
        ring.events.push_back(Value::Object(event));
        let newest = ring.newest;
        drop(ring);
        self.newest.send_modify(|told| *told = newest.max(*told));
    }

    /// The events after this one of this run, so many at most, as soon as there are any, or when `limit` is
    /// over or the agent stops. Of another run: all that are kept. Of run 0: those from now on.
    pub async fn after(&self, run: u64, after: u64, most: usize, limit: Duration) -> Value {
        self.watched();
        let after = match run {
            0 => self.ring().newest,
            run if run == self.run => after,
            _ => 0,
        };
        let mut newest = self.newest.subscribe();
        // Neither its time nor its end is a failure: there is nothing new then.
        let _over = tokio::time::timeout(limit, newest.wait_for(|newest| *newest > after)).await;
        self.watched();
        let ring = self.ring();
        let oldest = ring.newest - ring.events.len() as u64 + 1;
        let from = after.saturating_add(1).max(oldest);
        let skip = usize::try_from(from - oldest).unwrap_or(usize::MAX);
        let events: Vec<&Value> = ring.events.iter().skip(skip).take(most).collect();
        json!({
            "run": self.run,
            "next": from - 1 + events.len() as u64,
            "lost": from - 1 - after.min(from - 1),
            "restarted": run != 0 && run != self.run,
            "events": events,
        })
    }

    /// Lets every watcher go, those who come from now on too.
    pub fn close(&self) {
        self.newest.send_replace(CLOSED);
    }

    fn watched(&self) {
        let lease = u64::try_from(LEASE.as_millis()).unwrap_or(u64::MAX);
        if !self.is_watched() {
            // What was recorded for earlier watchers has a gap behind it.
            let mut ring = self.ring();
            ring.events = VecDeque::new();
            ring.newest += self.skipped.swap(0, Ordering::Relaxed);
        }
        self.recorded_until.fetch_max(self.millis().saturating_add(lease), Ordering::Relaxed);
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In the place of the newest event's number: no more will come.
const CLOSED: u64 = u64::MAX;

fn cut(value: &mut Value) {
    if let Value::String(text) = value
        && let Some((end, _)) = text.char_indices().nth(LONGEST)
    {
        text.truncate(end);
        text.push('…');
    }
}

/// An event with what is known of the alarm it is about.
pub fn event(kind: &str, alarm_id: &str, entity_instance_id: &str, more: Value) -> Value {
    let mut event = Map::new();
    event.insert("event".to_owned(), kind.into());
    event.insert("alarm_id".to_owned(), alarm_id.into());
    event.insert("entity_instance_id".to_owned(), entity_instance_id.into());
    if let Value::Object(more) = more {
        event.extend(more);
    }
    Value::Object(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    fn numbers(answer: &Value) -> Vec<u64> {
        answer["events"].as_array().unwrap().iter().map(|event| event["n"].as_u64().unwrap()).collect()
    }

    #[tokio::test]
    async fn nothing_is_recorded_while_nobody_watches_and_all_in_order_while_somebody_does() {
        let passing = Passing::default();
        assert!(!passing.wants(3));
        let first = passing.after(0, 0, 10, SOON).await;
        assert!(passing.wants(1));
        assert_eq!((numbers(&first), &first["lost"], &first["next"]), (vec![], &json!(0), &json!(3)));
        let run = first["run"].as_u64().unwrap();
        for _ in 0..3 {
            passing.record(json!({"event": "set"}));
        }
        let page = passing.after(run, first["next"].as_u64().unwrap(), 2, SOON).await;
        assert_eq!(numbers(&page), [4, 5]);
        let rest = passing.after(run, page["next"].as_u64().unwrap(), 2, SOON).await;
        assert_eq!((numbers(&rest), &rest["next"]), (vec![6], &json!(6)));
    }

    #[tokio::test]
    async fn who_is_slow_loses_the_oldest_and_is_told_how_many() {
        let passing = Passing::default();
        let run = passing.after(0, 0, 1, SOON).await["run"].as_u64().unwrap();
        for _ in 0..CAPACITY + 5 {
            passing.record(json!({"event": "set"}));
        }
        let answer = passing.after(run, 0, 1, SOON).await;
        assert_eq!((numbers(&answer), &answer["lost"]), (vec![6], &json!(5)));
        assert_eq!(answer["restarted"], false);
        let answer = passing.after(run + 1, 77, 1, SOON).await;
        assert_eq!((numbers(&answer), &answer["restarted"]), (vec![6], &json!(true)));
    }

    #[tokio::test]
    async fn a_watcher_is_woken_by_news_and_by_the_end() {
        let passing = std::sync::Arc::new(Passing::default());
        let long = Duration::from_mins(5);
        let watcher = tokio::spawn({
            let passing = std::sync::Arc::clone(&passing);
            async move { passing.after(0, 0, 9, long).await }
        });
        while !passing.is_watched() {
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
        passing.record(json!({"event": "set", "reason_text": "x".repeat(2 * LONGEST)}));
        let answer = watcher.await.unwrap();
        assert_eq!(numbers(&answer), [1]);
        assert_eq!(answer["events"][0]["reason_text"].as_str().unwrap().chars().count(), LONGEST + 1);
        passing.close();
        assert_eq!(numbers(&passing.after(answer["run"].as_u64().unwrap(), 1, 9, long).await), [0; 0]);
    }
}
