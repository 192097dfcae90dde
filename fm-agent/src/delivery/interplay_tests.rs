//! What is known to be absent, against a controller at which requests take effect at any moment between their start and
//! their end, or though nobody learns of it: a raise that asks nothing never finds that its alarm stands already.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use fm_common::entity::EntityMatch;
use fm_common::{Alarm, AlarmKey, AlarmType, ProbableCause, Severity, Timestamp};
use proptest::prelude::*;

use super::lanes::{Lanes, Next};
use super::survey::Survey;
use crate::store::{Request, RequestKind};

/// Alarms, enough of them to be worth a question.
const ALARMS: u8 = 7;

#[derive(Debug, Clone)]
enum Step {
    Raise(u8),
    Clear(u8),
    ClearAll,
    /// The question is sent, if it is time to.
    Ask,
    /// The controller looks for its answer.
    Look,
    /// The answer arrives; none, when the controller has not looked yet.
    Answer,
    Start,
    /// A request that is under way takes effect.
    TakeEffect(usize),
    /// It ends with a clear answer: taken if it took effect, else to be sent again.
    End(usize),
    /// Its answer is lost.
    Lose(usize),
    /// The agent ends and another one starts.
    Restart,
    Pass(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..ALARMS).prop_map(Step::Raise),
        2 => (0..ALARMS).prop_map(Step::Clear),
        1 => Just(Step::ClearAll),
        4 => Just(Step::Ask),
        4 => Just(Step::Look),
        4 => Just(Step::Answer),
        8 => Just(Step::Start),
        8 => any::<usize>().prop_map(Step::TakeEffect),
        6 => any::<usize>().prop_map(Step::End),
        1 => any::<usize>().prop_map(Step::Lose),
        1 => Just(Step::Restart),
        2 => (1..8u8).prop_map(Step::Pass),
    ]
}

fn key(number: u8) -> AlarmKey {
    AlarmKey::new("1.1", &format!("h={}.p={number}", number % 2))
}

struct World {
    now: Instant,
    /// What waits on disk.
    store: BTreeMap<i64, Request>,
    last: i64,
    /// What may have been sent.
    begun: i64,
    lanes: Lanes,
    survey: Survey,
    /// With the moment until which a raise needs no question, and whether it has taken effect.
    under_way: BTreeMap<i64, (Next, Option<Instant>, bool)>,
    question: Option<Vec<AlarmKey>>,
    looked: Option<HashSet<AlarmKey>>,
    /// What stands at the controller.
    standing: HashSet<AlarmKey>,
    /// Raises that asked nothing.
    unasked: usize,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            now: Instant::now(),
            store: BTreeMap::new(),
            last: 0,
            begun: 0,
            lanes: Lanes::new(0),
            survey: Survey::default(),
            under_way: BTreeMap::new(),
            question: None,
            looked: None,
            standing: HashSet::new(),
            unasked: 0,
        };
        (0..ALARMS).for_each(|number| world.step(&Step::Raise(number)));
        world
    }

    fn append(&mut self, kind: RequestKind) {
        self.last += 1;
        let request = Request { seq: self.last, taken_at: Timestamp::from_micros(0), kind };
        self.store.insert(request.seq, request.clone());
        self.lanes.append(vec![request]);
    }

    fn chosen(&self, index: usize) -> Option<i64> {
        self.under_way.keys().nth(index % self.under_way.len().max(1)).copied()
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Raise(number) => {
                let AlarmKey { alarm_id, entity_instance_id } = key(*number);
                let (alarm_type, cause) = (AlarmType::Unknown, ProbableCause::Unknown);
                let alarm =
                    Alarm::new(&alarm_id, "h", &entity_instance_id, Severity::Major, alarm_type, cause);
                self.append(RequestKind::Raise { alarm: Box::new(alarm), uuid: String::new() });
            }
            Step::Clear(number) => self.append(RequestKind::Clear { key: key(*number) }),
            Step::ClearAll => {
                let (entity_instance_id, rule) = ("h=0".to_owned(), EntityMatch::Component);
                self.append(RequestKind::ClearAll { entity_instance_id, rule });
            }
            Step::Ask => {
                if self.survey.is_due(self.now)
                    && let Some(asked) = self.survey.question(self.lanes.raises_ahead(9), self.now)
                {
                    self.question = Some(asked);
                }
            }
            Step::Look => {
                if let Some(asked) = &self.question {
                    self.looked =
                        Some(asked.iter().filter(|key| !self.standing.contains(key)).cloned().collect());
                }
            }
            Step::Answer => {
                if self.question.take().is_some() {
                    self.survey.answered(self.looked.take(), self.now);
                }
            }
            Step::Start => {
                let Some(next) = self.lanes.next(self.now) else { return };
                self.begun = self.begun.max(next.request.seq);
                let until = match &next.request.kind {
                    RequestKind::Raise { alarm, .. } => self.survey.take(&alarm.key(), self.now),
                    _ => None,
                };
                let until = until.filter(|_| !next.in_doubt);
                self.under_way.insert(next.request.seq, (next, until, false));
            }
            Step::TakeEffect(index) => self.take_effect(*index),
            Step::End(index) => {
                let Some((seq, taken)) = self.ended(*index) else { return };
                if taken {
                    self.lanes.answered(seq);
                    self.lanes.done(seq);
                    self.store.remove(&seq);
                } else {
                    self.lanes.failed(seq, false, |_| self.now);
                }
            }
            Step::Lose(index) => {
                let Some((seq, _)) = self.ended(*index) else { return };
                self.lanes.failed(seq, true, |_| self.now);
            }
            Step::Restart => {
                self.lanes = Lanes::new(self.begun);
                self.lanes.append(self.store.values().cloned().collect());
                self.survey = Survey::default();
                self.under_way.clear();
                (self.question, self.looked) = (None, None);
            }
            Step::Pass(tenths) => self.now += Duration::from_millis(100) * u32::from(*tenths),
        }
    }

    fn ended(&mut self, index: usize) -> Option<(i64, bool)> {
        let seq = self.chosen(index)?;
        self.under_way.remove(&seq).map(|(_, _, taken)| (seq, taken))
    }

    fn take_effect(&mut self, index: usize) {
        let Some(seq) = self.chosen(index) else { return };
        let Some((next, until, taken)) = self.under_way.get_mut(&seq) else { return };
        if std::mem::replace(taken, true) {
            return;
        }
        match &next.request.kind {
            RequestKind::Raise { alarm, .. } => {
                let key = alarm.key();
                if until.is_some_and(|until| self.now < until) {
                    assert!(!self.standing.contains(&key), "{key:?} stands and is raised unasked");
                    self.unasked += 1;
                }
                self.standing.insert(key);
            }
            RequestKind::Clear { key } => {
                self.standing.remove(key);
            }
            RequestKind::ClearAll { entity_instance_id, rule } => {
                self.standing.retain(|key| !rule.covers(entity_instance_id, &key.entity_instance_id));
            }
            RequestKind::Log { .. } | RequestKind::Remove { .. } => {}
        }
    }
}

#[test]
fn a_question_spares_the_questions_of_those_it_is_about() {
    let mut world = World::new();
    for step in [Step::Ask, Step::Look, Step::Answer] {
        world.step(&step);
    }
    for _ in 0..ALARMS {
        world.step(&Step::Start);
    }
    for _ in 0..ALARMS {
        world.step(&Step::TakeEffect(0));
        world.step(&Step::End(0));
    }
    assert_eq!((world.unasked, world.standing.len()), (usize::from(ALARMS), usize::from(ALARMS)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn what_is_raised_unasked_does_not_stand(steps in proptest::collection::vec(step(), 0..150)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
    }
}
