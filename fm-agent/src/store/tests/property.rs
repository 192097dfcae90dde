//! Whatever is asked and reported, in whatever order: the store holds what its specification says.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::model::Model;
use super::*;

#[derive(Debug, Clone)]
enum Step {
    Batch(Vec<Ask>),
    /// The last batch again, as a caller repeats it that got no answer.
    Again,
    Report(Domain, Index, Said),
    Reopen,
}

#[derive(Debug, Clone)]
enum Ask {
    Raise { key: AlarmKey, domain: Domain, text: &'static str, keep: bool, same_uuid: bool },
    Log(Domain),
    Clear(AlarmKey, Unknown),
    ClearAll(&'static str, EntityMatch, Unknown, Vec<Domain>),
}

/// What is said of a delivery: for a raise, done under its own uuid, under another, or gone again.
#[derive(Debug, Clone, Copy)]
enum Said {
    Own,
    Other,
    Gone,
    Refused,
}

/// The alarms in play.
pub(super) fn keys() -> Vec<AlarmKey> {
    [("1", "host=a"), ("2", "host=a.p=1"), ("1", "host=ab"), ("1", "host=b")]
        .map(|(id, entity)| AlarmKey::new(id, entity))
        .to_vec()
}

fn ask() -> impl Strategy<Value = Ask> {
    let domain = || select(Domain::ALL.to_vec());
    let unknown = || prop_oneof![Just(Unknown::Tell), domain().prop_map(Unknown::Deliver)];
    let raise = (select(keys()), domain(), select(vec!["hot", "cold"]), any::<[bool; 2]>(), any::<bool>());
    let rule = select(vec![EntityMatch::Component, EntityMatch::Prefix]);
    let filter = select(vec!["host=a", "host=", "host=b"]);
    let domains = prop_oneof![3 => Just(Domain::ALL.to_vec()), 1 => subsequence(Domain::ALL.to_vec(), 1)];
    prop_oneof![
        6 => raise.prop_map(|(key, domain, text, keep, same_uuid)| Ask::Raise {
            key, domain, text, keep: keep == [true; 2], same_uuid
        }),
        1 => domain().prop_map(Ask::Log),
        3 => (select(keys()), unknown()).prop_map(|(key, unknown)| Ask::Clear(key, unknown)),
        2 => (filter, rule, unknown(), domains)
            .prop_map(|(filter, rule, unknown, domains)| Ask::ClearAll(filter, rule, unknown, domains)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let said = select(vec![Said::Own, Said::Own, Said::Own, Said::Other, Said::Gone, Said::Refused]);
    prop_oneof![
        8 => vec(ask(), 1..3).prop_map(Step::Batch),
        8 => (select(Domain::ALL.to_vec()), any::<Index>(), said)
            .prop_map(|(domain, index, said)| Step::Report(domain, index, said)),
        1 => Just(Step::Again),
        1 => Just(Step::Reopen),
    ]
}

/// The store, its model, and what makes each call its own.
struct Run {
    bed: Bed,
    model: Model,
    numbers: u128,
    last: Option<(Batch, bool)>,
    /// Uuids that raises took, and up to which request they were looked at.
    asked: BTreeSet<(Domain, String)>,
    seen: i64,
}

impl Run {
    fn new(here: Option<Domain>) -> Self {
        let domains = Domain::ALL.map(|domain| (domain, Some(domain) == here));
        let model = Model::new(here);
        Self { bed: Bed::new(&domains), model, numbers: 0, last: None, asked: BTreeSet::new(), seen: 0 }
    }

    fn number(&mut self) -> u128 {
        self.numbers += 1;
        self.numbers
    }

    fn alarm(&mut self, key: &AlarmKey, text: &str) -> Alarm {
        let number = self.number();
        Alarm {
            uuid: Some(uuid::Uuid::from_u128(number).to_string()),
            timestamp: Some(Timestamp::from_micros(i64::try_from(number).unwrap())),
            entity_instance_id: key.entity_instance_id.clone(),
            ..super::alarm(&key.alarm_id, text)
        }
    }

    fn op(&mut self, ask: Ask) -> Op {
        match ask {
            Ask::Raise { key, domain, text, keep, same_uuid } => {
                let mut alarm = self.alarm(&key, text);
                alarm.keep_existing_alarm = keep;
                if same_uuid && let Some(uuid) = self.model.standing_uuid(domain, &key) {
                    alarm.uuid = Some(uuid);
                }
                Op::Raise { domain, alarm: Box::new(alarm) }
            }
            Ask::Log(domain) => Op::Log { domain, alarm: Box::new(self.alarm(&keys()[0], "log")) },
            Ask::Clear(key, unknown) => Op::Clear { key, unknown },
            Ask::ClearAll(filter, rule, unknown, domains) => {
                Op::ClearAll { entity_instance_id: filter.to_owned(), rule, unknown, domains }
            }
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Batch(asks) => {
                // One by one through the model, for a later one may take the uuid of an earlier one.
                let (mut ops, mut outcomes) = (Vec::new(), Vec::new());
                for ask in asks {
                    let op = self.op(ask);
                    outcomes.push(self.model.apply(&op));
                    ops.push(op);
                }
                let token = Some(self.number().to_be_bytes());
                let changed = outcomes.iter().any(|outcome| *outcome != Outcome::Unknown);
                assert_eq!(self.bed.try_submit(token, ops.clone()).await.unwrap(), outcomes);
                self.last = Some((Batch { token, origin: None, ops }, changed));
            }
            Step::Again => {
                let Some((batch, changed)) = self.last.clone() else { return };
                if !changed {
                    let outcomes: Vec<Outcome> = batch.ops.iter().map(|op| self.model.apply(op)).collect();
                    let changed = outcomes.iter().any(|outcome| *outcome != Outcome::Unknown);
                    self.last = Some((batch.clone(), changed));
                }
                self.bed.try_submit(batch.token, batch.ops).await.unwrap();
            }
            Step::Report(domain, index, said) => self.deliver(domain, index, said).await,
            Step::Reopen => self.bed.reopen(),
        }
    }

    async fn deliver(&mut self, domain: Domain, index: Index, said: Said) {
        let ready = self.model.ready(domain);
        if ready.is_empty() {
            return;
        }
        let place = ready[index.index(ready.len())];
        let seq = self.bed.waiting(domain).await[place].seq;
        let own = match &self.model.lanes[&domain][place] {
            RequestKind::Raise { uuid, .. } => Some(uuid.clone()),
            _ => None,
        };
        let uuid = match (said, own) {
            (Said::Refused, _) => {
                self.model.report(domain, place, Err(()));
                self.bed.report(Report::Rejected { seq, answer: "no".to_owned() }).await;
                return;
            }
            (Said::Own, own) => own,
            (Said::Other, Some(_)) => Some(format!("other {}", self.number())),
            (Said::Other | Said::Gone, _) => None,
        };
        self.model.report(domain, place, Ok(uuid.as_deref()));
        self.bed.report(Report::Done { seq, uuid }).await;
    }

    async fn check(&mut self) {
        let mut newest = self.seen;
        for domain in Domain::ALL {
            let waiting = self.bed.waiting(domain).await;
            newest = newest.max(waiting.last().map_or(0, |request| request.seq));
            let lane = self.model.lanes.entry(domain).or_default();
            for (modelled, waits) in lane.iter_mut().zip(&waiting) {
                let (RequestKind::Raise { uuid, .. }, RequestKind::Raise { uuid: asked, .. }) =
                    (modelled, &waits.kind)
                else {
                    continue;
                };
                if waits.seq > self.seen {
                    assert!(self.asked.insert((domain, asked.clone())), "{asked} for a second time");
                }
                // Which uuid a raise takes that may not take its own is for the store to choose.
                uuid.clone_from(asked);
            }
            let kinds: Vec<&RequestKind> = waiting.iter().map(|request| &request.kind).collect();
            assert_eq!(kinds, lane.iter().collect::<Vec<_>>(), "what waits for {domain}");
        }
        let reader = &self.bed.store().reader;
        self.seen = newest;
        for key in keys() {
            assert_eq!(reader.find(key.clone()).await.unwrap(), self.model.kept(&key));
        }
        let (mut kept, mut clear_alls) = reader.overlay(None, String::new()).await.unwrap();
        kept.sort_by(|one, other| one.key.cmp(&other.key));
        clear_alls.sort_by_key(|waiting| waiting.domain);
        assert_eq!(kept, self.model.all_kept());
        assert_eq!(clear_alls, self.model.clear_alls());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_store_is_its_specification(
        here in select(vec![None, Some(Platform), Some(Openstack)]),
        steps in vec(step(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut run = Run::new(here);
            for step in steps {
                run.step(step).await;
                run.check().await;
            }
        });
    }
}
