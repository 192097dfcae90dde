//! What callers were told, and whether the controllers hold it: every acknowledged request once and in order, one
//! that was not acknowledged once or not at all.

use std::collections::BTreeMap;

/// Requests and events before and after what is wrong that are shown with it.
const SHOWN: usize = 6;

/// One alarm: the thread that it belongs to, and its number there.
pub(crate) type Alarm = (String, u32);

/// State and reason of an event.
pub(crate) type Event = (String, String);

/// What a caller asked of one alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    /// The reason of a set; `None`: a clear.
    set: Option<String>,
    answer: Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// It will arrive.
    Ok,
    /// There is nothing to clear.
    NoneThere,
    /// It may arrive.
    Failed,
}

/// All requests, in the order of each caller.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    alarms: BTreeMap<Alarm, Vec<Step>>,
    logs: BTreeMap<String, Answer>,
    /// Acknowledged requests.
    pub(crate) acknowledged: usize,
    /// Requests that were not acknowledged, by what the caller was told.
    pub(crate) failed: BTreeMap<String, usize>,
}

/// What the controllers hold, by what the callers said.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) events: BTreeMap<Alarm, Vec<Event>>,
    pub(crate) standing: BTreeMap<Alarm, Vec<String>>,
    /// How often each log was recorded.
    pub(crate) logs: BTreeMap<String, usize>,
}

/// How both compare.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
    /// Everything that differs, in words.
    pub(crate) wrong: Vec<String>,
}

impl Oracle {
    /// Takes a line of a caller; its form is said in `caller.c`.
    pub(crate) fn take(&mut self, line: &str) {
        let mut words = line.split(' ');
        let (thread, result) = (words.next().unwrap(), words.next().unwrap());
        let answer = match result {
            "ok" => Answer::Ok,
            "none" => Answer::NoneThere,
            _ => Answer::Failed,
        };
        let requests: Vec<&str> = words.collect();
        match answer {
            Answer::Ok => self.acknowledged += requests.len(),
            Answer::NoneThere => {}
            Answer::Failed => *self.failed.entry(result.to_owned()).or_default() += requests.len(),
        }
        for request in requests {
            let (kind, rest) = request.split_at(1);
            match kind {
                "S" => {
                    let (alarm, number) = rest.split_once('=').unwrap();
                    let step = Step { set: Some(format!("{thread} {number}")), answer };
                    let alarm = (thread.to_owned(), alarm.parse().unwrap());
                    self.alarms.entry(alarm).or_default().push(step);
                }
                "C" => {
                    let alarm = (thread.to_owned(), rest.parse().unwrap());
                    self.alarms.entry(alarm).or_default().push(Step { set: None, answer });
                }
                "A" => {
                    for (_, steps) in self.alarms.iter_mut().filter(|((owner, _), _)| owner == thread) {
                        steps.push(Step { set: None, answer });
                    }
                }
                "L" => drop(self.logs.insert(format!("{thread} log {rest}"), answer)),
                other => panic!("a caller said {other} in {line}"),
            }
        }
    }

    /// Compares.
    pub(crate) fn judge(&self, found: &Found) -> Verdict {
        let mut verdict = Verdict::default();
        let nothing = (Vec::new(), Vec::new());
        for (alarm, steps) in &self.alarms {
            let events = found.events.get(alarm).unwrap_or(&nothing.0);
            let standing = found.standing.get(alarm).unwrap_or(&nothing.1);
            judge_alarm(alarm, steps, events, standing, &mut verdict);
        }
        for (log, answer) in &self.logs {
            let times = found.logs.get(log).copied().unwrap_or(0);
            if times == 0 && *answer == Answer::Ok {
                verdict.lost += 1;
                verdict.wrong.push(format!("{log}: acknowledged and not recorded"));
            } else if times > 1 {
                verdict.doubled += times - 1;
                verdict.wrong.push(format!("{log}: recorded {times} times"));
            }
        }
        let known = |alarm: &&Alarm| self.alarms.contains_key(*alarm);
        let strange = found.events.keys().chain(found.standing.keys()).filter(|alarm| !known(alarm));
        let strange = strange.map(|alarm| format!("{alarm:?}: nobody asked for it"));
        verdict.wrong.extend(strange);
        let strange = found.logs.keys().filter(|log| !self.logs.contains_key(*log));
        verdict.wrong.extend(strange.map(|log| format!("{log}: nobody asked for it")));
        verdict
    }
}

fn judge_alarm(alarm: &Alarm, steps: &[Step], events: &[Event], standing: &[String], verdict: &mut Verdict) {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (state, reason) in events {
        *counts.entry((state, reason)).or_default() += 1;
    }
    let times = |state: &str, reason: &str| counts.get(&(state, reason)).copied().unwrap_or(0);
    let mut wrong: Vec<String> = Vec::new();
    let mut expected: Vec<Event> = Vec::new();
    // The sets that arrived, each with the steps up to the next one that did.
    let arrived: Vec<usize> = (0..steps.len())
        .filter(|at| steps[*at].set.as_ref().is_some_and(|reason| times("set", reason) > 0))
        .collect();
    for step in steps.iter().filter(|step| step.answer == Answer::Ok) {
        if let Some(reason) = step.set.as_ref().filter(|reason| times("set", reason) == 0) {
            verdict.lost += 1;
            wrong.push(format!("the set '{reason}' is lost"));
        }
    }
    let mut stands = None;
    for (number, at) in arrived.iter().enumerate() {
        let next = arrived.get(number + 1).copied();
        let reason = steps[*at].set.as_ref().unwrap();
        let after = &steps[at + 1..next.unwrap_or(steps.len())];
        // A set that is not there was not acknowledged, or is lost, which has been said.
        let clear = |answer: Answer| after.iter().any(|step| step.set.is_none() && step.answer == answer);
        let cleared = times("clear", reason) > 0;
        expected.push(("set".to_owned(), reason.clone()));
        if cleared {
            expected.push(("clear".to_owned(), reason.clone()));
        } else if clear(Answer::Ok) {
            verdict.lost += 1;
            wrong.push(format!("the clear of '{reason}' is lost"));
        } else if next.is_some() {
            wrong.push(format!("'{reason}' was replaced and not cleared"));
        }
        if cleared && next.is_none() && !clear(Answer::Ok) && !clear(Answer::Failed) {
            wrong.push(format!("'{reason}' was cleared and nobody asked for it"));
        }
        if next.is_none() && !cleared {
            stands = Some(reason.clone());
        }
    }
    for ((state, reason), times) in counts.iter().filter(|(_, times)| **times > 1) {
        verdict.doubled += times - 1;
        wrong.push(format!("{state} '{reason}' is recorded {times} times"));
    }
    if wrong.is_empty() && events != expected {
        wrong.push("the events are not in the order of the calls".to_owned());
    }
    if standing != stands.as_slice() {
        wrong.push(format!("{standing:?} stands, expected is {stands:?}"));
    }
    if let Some(reason) = told_wrong(steps) {
        wrong.push(format!("'{reason}' stood when the answer was that there is none"));
    }
    if !wrong.is_empty() {
        let about = |text: &str| wrong[0].contains(text);
        let told: Vec<String> =
            around(steps, |step| step.set.as_deref().is_some_and(about)).map(tell).collect();
        let seen: Vec<String> = around(events, |(_, reason)| about(reason))
            .map(|(state, reason)| format!("{state} '{reason}'"))
            .collect();
        verdict.wrong.push(format!(
            "{}.disk={}: {}\n  asked for: {}\n  recorded:  {}",
            alarm.0,
            alarm.1,
            wrong.join("; "),
            told.join(", "),
            seen.join(", ")
        ));
    }
}

/// What lies around the first that fits, else the last few.
fn around<T>(all: &[T], fits: impl Fn(&T) -> bool) -> impl Iterator<Item = &T> {
    let at = all.iter().position(fits).unwrap_or(all.len());
    all.iter().skip(at.saturating_sub(SHOWN)).take(2 * SHOWN)
}

/// The set that certainly stood when a clear was told that there is none.
fn told_wrong(steps: &[Step]) -> Option<&String> {
    let mut stands = None;
    for step in steps {
        match (&step.set, step.answer) {
            (Some(reason), Answer::Ok) => stands = Some(reason),
            (None, Answer::NoneThere) if stands.is_some() => return stands,
            (None, _) => stands = None,
            // Whether it stands or the one before it: one of them does.
            (Some(_), _) => {}
        }
    }
    None
}

fn tell(step: &Step) -> String {
    let answer = match step.answer {
        Answer::Ok => "",
        Answer::NoneThere => " (none there)",
        Answer::Failed => " (failed)",
    };
    match &step.set {
        Some(reason) => format!("set '{reason}'{answer}"),
        None => format!("clear{answer}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[&str]) -> Oracle {
        let mut oracle = Oracle::default();
        for line in lines {
            oracle.take(line);
        }
        oracle
    }

    /// The verdict on events `s1` and `c1` and on what stands.
    fn verdict(lines: &[&str], events: &[&str], standing: &[u32]) -> (usize, usize, usize) {
        let oracle = told(lines);
        let event = |text: &&str| {
            let state = if text.starts_with('s') { "set" } else { "clear" };
            (state.to_owned(), format!("t {}", &text[1..]))
        };
        let alarm = ("t".to_owned(), 0);
        let standing = standing.iter().map(|number| format!("t {number}")).collect();
        let found = Found {
            events: BTreeMap::from([(alarm.clone(), events.iter().map(event).collect())]),
            standing: BTreeMap::from([(alarm, standing)]),
            logs: BTreeMap::new(),
        };
        let Verdict { lost, doubled, wrong } = oracle.judge(&found);
        (lost, doubled, wrong.len())
    }

    #[test]
    fn what_was_acknowledged_is_there_once() {
        let lines = ["t ok S0=1", "t ok S0=2", "t ok C0"];
        assert_eq!(verdict(&lines, &["s1", "c1", "s2", "c2"], &[]), (0, 0, 0));
        assert_eq!(verdict(&lines, &["s1", "c1", "s2"], &[2]), (1, 0, 1), "a clear is lost");
        assert_eq!(verdict(&lines, &["s2", "c2"], &[]), (1, 0, 1), "a set is lost");
        assert_eq!(verdict(&lines, &["s1", "c1", "s2", "s2", "c2"], &[]), (0, 1, 1));
        assert_eq!(verdict(&lines, &["s2", "c2", "s1", "c1"], &[]), (0, 0, 1), "out of order");
        assert_eq!(verdict(&lines, &["s1", "c1", "s2", "c2"], &[2]), (0, 0, 1), "it stands");
        assert_eq!(verdict(&["t ok C0", "t ok S0=1"], &["s1", "c1"], &[]), (0, 0, 1), "nobody cleared it");
    }

    #[test]
    fn what_failed_may_be_there_or_not() {
        let lines = ["t ok S0=1", "t failed:3 S0=2", "t failed:3 A"];
        for (events, standing) in [
            (&["s1"][..], &[1][..]),
            (&["s1", "c1"], &[]),
            (&["s1", "c1", "s2"], &[2]),
            (&["s1", "c1", "s2", "c2"], &[]),
        ] {
            assert_eq!(verdict(&lines, events, standing), (0, 0, 0), "{events:?}");
        }
        assert_eq!(verdict(&lines, &["s2", "c2"], &[]), (1, 0, 1), "the first set is lost");
    }

    #[test]
    fn none_there_is_no_answer_while_it_stands() {
        assert_eq!(verdict(&["t ok S0=1", "t none C0"], &["s1"], &[1]), (0, 0, 1));
        assert_eq!(verdict(&["t failed:3 S0=1", "t none A"], &[], &[]), (0, 0, 0));
        assert_eq!(verdict(&["t ok S0=1", "t failed:3 C0", "t none C0"], &["s1", "c1"], &[]), (0, 0, 0));
    }

    #[test]
    fn logs_are_there_once() {
        let oracle = told(&["t ok L1", "t ok L2", "t failed:5 L3", "t failed:5 L4"]);
        let logs = [("t log 2", 2), ("t log 3", 1)].map(|(log, times)| (log.to_owned(), times)).into();
        let verdict = oracle.judge(&Found { logs, ..Found::default() });
        assert_eq!((verdict.lost, verdict.doubled, verdict.wrong.len()), (1, 1, 2));
        assert_eq!((oracle.acknowledged, oracle.failed["failed:5"]), (2, 2));
    }
}
