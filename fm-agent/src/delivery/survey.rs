//! What is known to be absent at the controller, so that a raise need not ask for itself.
//!
//! The service makes nothing unique, so a raise has to know what stands under its key. With several that wait,
//! one list answers for all of them: what it does not have is known to be absent, for a moment.
//!
//! Pure: keys, answers and moments in, what may be relied on out.
//!
//! Invariants:
//! - What is relied on was asked for less than [`FRESH`] ago, once for each key, and nothing of this node has
//!   touched the alarm since the question. That holds for the moment of sending: what is given says until when.
//! - Nobody waits for an answer: until it is here, each raise asks for itself.
//! - An answer that tells nothing, or none, is followed by a pause: a controller that cannot be asked so is not
//!   asked so all the time. It ends with an outage.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use fm_common::AlarmKey;

/// How long an answer may be relied on, counted from the question: so long another writer may raise the same
/// alarm unseen, and the two stand until the next change or clear of it.
pub(super) const FRESH: Duration = Duration::from_secs(1);
/// Alarms that one question is about, at most: more than are raised while its answer is fresh.
pub(super) const MOST: usize = 1024;
/// Fewer alarms than these ask for themselves.
const FEWEST: usize = 4;
/// How long after an answer that told nothing.
const PAUSE: Duration = Duration::from_secs(10);

/// What was asked, and what was answered last.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Nothing stands under these keys, as of `asked_at`.
    absent: HashSet<AlarmKey>,
    asked_at: Option<Instant>,
    under_way: Option<UnderWay>,
    not_before: Option<Instant>,
}

#[derive(Debug)]
struct UnderWay {
    asked_at: Instant,
    /// What this node has sent something about since.
    touched: HashSet<AlarmKey>,
}

impl Survey {
    /// Whether a new question is worth its while: the last answer is used up or about to be stale.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let paused = self.not_before.is_some_and(|moment| now < moment);
        let half_stale = self.asked_at.is_none_or(|asked| now.duration_since(asked) * 2 >= FRESH);
        self.under_way.is_none() && !paused && (half_stale || self.absent.is_empty())
    }

    /// The alarms to ask about, of those that wait to be raised, first one first: those with whom the first
    /// shares most, its alarm id or where its entity begins, so that the list is short. None when too few do.
    pub(super) fn question(&mut self, waiting: Vec<AlarmKey>, now: Instant) -> Option<Vec<AlarmKey>> {
        let first = waiting.first()?;
        let root = |key: &AlarmKey| key.entity_instance_id.split('.').next().unwrap_or_default().to_owned();
        let (first_root, first_id) = (root(first), first.alarm_id.clone());
        let (near, alike): (Vec<bool>, Vec<bool>) =
            waiting.iter().map(|key| (root(key) == first_root, key.alarm_id == first_id)).unzip();
        let number = |chosen: &[bool]| chosen.iter().filter(|chosen| **chosen).count();
        let chosen = if number(&near) >= number(&alike) { near } else { alike };
        let keys: Vec<AlarmKey> =
            waiting.into_iter().zip(chosen).filter_map(|(key, chosen)| chosen.then_some(key)).collect();
        if keys.len() < FEWEST {
            return None;
        }
        self.under_way = Some(UnderWay { asked_at: now, touched: HashSet::new() });
        Some(keys)
    }

    /// The controller answers again: what told nothing in its outage may tell something now.
    pub(super) fn resume(&mut self) {
        self.not_before = None;
    }

    /// The question was answered: nothing stands under these keys. `None`: it was not.
    pub(super) fn answered(&mut self, absent: Option<HashSet<AlarmKey>>, now: Instant) {
        let Some(UnderWay { asked_at, touched }) = self.under_way.take() else { return };
        let absent = absent.unwrap_or_default();
        self.not_before = absent.is_empty().then(|| now + PAUSE);
        self.absent = absent.difference(&touched).cloned().collect();
        self.asked_at = Some(asked_at);
    }

    /// Something about this alarm goes now. When nothing is known to stand under its key: until when that may be
    /// relied on.
    pub(super) fn take(&mut self, key: &AlarmKey, now: Instant) -> Option<Instant> {
        if let Some(under_way) = &mut self.under_way {
            under_way.touched.insert(key.clone());
        }
        let until = self.asked_at? + FRESH;
        (self.absent.remove(key) && now < until).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(entities: &[&str]) -> Vec<AlarmKey> {
        entities.iter().map(|entity| AlarmKey::new("1.1", entity)).collect()
    }

    fn four() -> Vec<AlarmKey> {
        keys(&["host=a.p=1", "host=a.p=2", "host=a.p=3", "host=a.p=4"])
    }

    fn answered(now: Instant) -> Survey {
        let mut survey = Survey::default();
        let asked = survey.question(four(), now).unwrap();
        survey.answered(Some(asked.into_iter().collect()), now);
        survey
    }

    #[test]
    fn an_answer_is_relied_on_once_and_not_for_long() {
        let now = Instant::now();
        let mut survey = answered(now);
        assert_eq!(survey.take(&four()[0], now), Some(now + FRESH));
        assert_eq!(survey.take(&four()[0], now), None, "it stands now");
        assert_eq!(survey.take(&four()[1], now + FRESH / 2), Some(now + FRESH), "since the question");
        assert_eq!(survey.take(&four()[2], now + FRESH), None);
        assert_eq!(survey.take(&keys(&["host=b"])[0], now), None);
    }

    #[test]
    fn what_was_sent_since_the_question_is_not_known() {
        let now = Instant::now();
        let mut survey = Survey::default();
        let asked = survey.question(four(), now).unwrap();
        assert_eq!(survey.take(&four()[0], now), None, "not answered yet");
        survey.answered(Some(asked.into_iter().collect()), now);
        assert_eq!(survey.take(&four()[0], now), None);
        assert!(survey.take(&four()[1], now).is_some());
    }

    #[test]
    fn an_old_question_with_a_late_answer_is_old() {
        let now = Instant::now();
        let mut survey = Survey::default();
        let asked = survey.question(four(), now).unwrap();
        survey.answered(Some(asked.into_iter().collect()), now + FRESH);
        assert_eq!(survey.take(&four()[0], now + FRESH), None);
    }

    #[test]
    fn asked_again_before_the_answer_is_stale_or_when_it_is_used_up() {
        let now = Instant::now();
        let mut survey = Survey::default();
        assert!(survey.is_due(now));
        survey.question(four(), now).unwrap();
        assert!(!survey.is_due(now), "one at a time");
        let mut survey = answered(now);
        assert!(!survey.is_due(now));
        assert!(survey.is_due(now + FRESH / 2));
        for key in four() {
            survey.take(&key, now);
        }
        assert!(survey.is_due(now));
    }

    #[test]
    fn a_pause_follows_what_tells_nothing() {
        let now = Instant::now();
        for answer in [None, Some(HashSet::new())] {
            let mut survey = Survey::default();
            survey.question(four(), now).unwrap();
            survey.answered(answer, now);
            assert!(!survey.is_due(now + FRESH));
            assert!(survey.is_due(now + PAUSE));
            survey.resume();
            assert!(survey.is_due(now + FRESH));
        }
    }

    #[test]
    fn those_are_asked_about_that_have_most_in_common_with_the_first() {
        let now = Instant::now();
        let asked = |keys: Vec<AlarmKey>| Survey::default().question(keys, now);
        assert_eq!(asked(keys(&["host=a", "host=a.p=1", "host=a.p=2"])), None, "too few");
        let mut host = four();
        host.insert(1, AlarmKey::new("2.2", "host=a"));
        host.push(AlarmKey::new("2.2", "host=b"));
        assert_eq!(asked(host.clone()).as_deref(), Some(&host[..5]));
        let instances = keys(&["instance=1", "instance=2", "instance=3", "instance=4"]);
        assert_eq!(asked(instances.clone()), Some(instances));
        assert_eq!(asked(Vec::new()), None);
    }
}
