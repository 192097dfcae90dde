//! Whatever is asked and reported, in whatever order, whatever fails and however little it may hold, in requests
//! and in bytes: the store holds what its specification says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::super::{Rank, StoreErrorKind};
use super::disk_full::Disk;
use super::model::{Model, Waits};
use super::steps::{Ask, Said, Step, keys, step, step_on_a_disk};
use super::*;

/// The store, its model, and what makes each call its own.
struct Run {
    bed: Bed,
    disk: Option<Disk>,
    /// What fills the disk.
    ballast: Option<PathBuf>,
    model: Model,
    /// What waited at the last look, with its places in the order.
    waits: BTreeMap<Domain, Waits>,
    /// A domain with a controller.
    away: Domain,
    numbers: u128,
    last: Option<(Batch, bool)>,
    /// Uuids that raises took, and up to which request they were looked at.
    asked: BTreeSet<(Domain, String)>,
    seen: i64,
    /// Pages in use at the last look.
    pages: u64,
}

impl Run {
    fn new(here: Option<Domain>, max_requests: u64, max_pages: u64) -> Self {
        let domains = Domain::ALL.map(|domain| (domain, Some(domain) == here));
        Self::of(Bed::new(&domains), here, max_requests, max_pages)
    }

    /// A store on a disk of its own.
    fn on(disk: Disk, mounted: &Path, here: Option<Domain>) -> Self {
        let directory = TempDir::new_in(mounted).unwrap();
        let domains = Domain::ALL.map(|domain| (domain, Some(domain) == here));
        let options = options(directory.path(), &domains);
        let bed = Bed::over(directory, options, None);
        Self { disk: Some(disk), ..Self::of(bed, here, 1_000_000, 100_000) }
    }

    fn of(mut bed: Bed, here: Option<Domain>, max_requests: u64, max_pages: u64) -> Self {
        // Half of such a small store is for its log.
        let max_bytes = 2 * max_pages * 4096;
        bed.options.limits = Limits { max_bytes, max_requests, high_water: 0.5 };
        bed.reopen();
        let pages = pages(&bed);
        let fails = "CREATE TRIGGER fails BEFORE INSERT ON request WHEN NEW.alarm_id = 'fails'
                     BEGIN SELECT RAISE(ROLLBACK, 'as asked'); END";
        bed.database().execute_batch(fails).unwrap();
        Self {
            bed,
            disk: None,
            ballast: None,
            model: Model::new(here),
            waits: BTreeMap::new(),
            away: if here == Some(Platform) { Openstack } else { Platform },
            numbers: 0,
            last: None,
            asked: BTreeSet::new(),
            seen: 0,
            pages,
        }
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
            Ask::Log(domain, severity) => {
                Op::Log { domain, alarm: Box::new(Alarm { severity, ..self.alarm(&keys()[0], "log") }) }
            }
            Ask::Clear(key, unknown) => Op::Clear { key, unknown },
            Ask::ClearAll(filter, rule, unknown, domains) => {
                Op::ClearAll { entity_instance_id: filter.to_owned(), rule, unknown, domains }
            }
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Batch(asks) => {
                let unchanged = self.model.clone();
                let (ops, outcomes) = self.ops(asks);
                let token = Some(self.number().to_be_bytes());
                let result = self.bed.try_submit(token, ops.clone()).await;
                let is_taken = result.is_ok();
                match result {
                    Ok(found) => assert_eq!(found, outcomes),
                    Err(error) => {
                        self.refused(&error, &ops);
                        self.model = unchanged;
                    }
                }
                self.weigh(&ops, is_taken);
                let changed = is_taken && outcomes.iter().any(|outcome| *outcome != Outcome::Unknown);
                self.look(&ops).await;
                self.last = Some((Batch { token, origin: None, ops }, changed));
            }
            Step::Fail(asks) => {
                let unchanged = self.model.clone();
                let (mut ops, _) = self.ops(asks);
                ops.push(raise(self.away, &alarm("fails", "")));
                let token = Some(self.number().to_be_bytes());
                let error = self.bed.try_submit(token, ops).await.unwrap_err();
                let is_full = error.kind == StoreErrorKind::Full && self.ballast.is_some();
                assert!(is_full || error.kind == StoreErrorKind::Io, "{error}");
                self.model = unchanged;
            }
            Step::Again => {
                let Some((batch, false)) = self.last.clone() else {
                    let Some((batch, _)) = self.last.clone() else { return };
                    // One that was taken is not refused for its size, but like all on a full disk.
                    if let Err(error) = self.bed.try_submit(batch.token, batch.ops.clone()).await {
                        assert!(self.ballast.is_some(), "{error}");
                        self.refused(&error, &batch.ops);
                    }
                    self.look(&batch.ops).await;
                    return;
                };
                // It changed nothing, so it is a call like any other.
                let unchanged = self.model.clone();
                let outcomes: Vec<Outcome> = batch.ops.iter().map(|op| self.model.apply(op)).collect();
                let changed = outcomes.iter().any(|outcome| *outcome != Outcome::Unknown);
                let result = self.bed.try_submit(batch.token, batch.ops.clone()).await;
                if let Err(error) = &result {
                    self.refused(error, &batch.ops);
                    self.model = unchanged;
                }
                self.look(&batch.ops).await;
                self.last = Some((batch, changed && result.is_ok()));
            }
            Step::Begin(domain, index, ahead) => {
                let waits = self.waits.entry(domain).or_default();
                if !waits.lane.is_empty() {
                    let up_to = (waits.lane[index.index(waits.lane.len())].0 + ahead).max(waits.begun);
                    waits.begun = up_to;
                    self.bed.report(Report::Begun { domain, up_to }).await;
                }
            }
            Step::Report(domain, index, said) => self.deliver(domain, index, said).await,
            Step::Reopen => self.bed.reopen(),
            Step::Fill => {
                if self.ballast.is_none() {
                    self.ballast = self.disk.as_ref().map(Disk::fill);
                }
            }
            Step::Room => {
                if let Some(ballast) = self.ballast.take() {
                    std::fs::remove_file(ballast).unwrap();
                    // The reserve is taken again with the next commit.
                    self.bed.store().writer.flush().await.unwrap();
                }
            }
        }
    }

    /// The changes, and what the model makes of them: one by one, for a later one may take the uuid of an
    /// earlier one.
    fn ops(&mut self, asks: Vec<Ask>) -> (Vec<Op>, Vec<Outcome>) {
        let (mut ops, mut outcomes) = (Vec::new(), Vec::new());
        for ask in asks {
            let op = self.op(ask);
            outcomes.push(self.model.apply(&op));
            ops.push(op);
        }
        (ops, outcomes)
    }

    /// Changes were refused, rightly: the disk is full, or with everything given up that can be they are over the
    /// limit. What only clears has the reserve of a full disk.
    fn refused(&self, error: &StoreError, ops: &[Op]) {
        if self.ballast.is_some() && error.kind == StoreErrorKind::Full {
            assert!(ops.iter().any(Op::raises_or_logs), "{error}");
            return;
        }
        assert_eq!(error.kind, StoreErrorKind::Limit, "{error}");
        let (mut least, mut before) = (0, 0);
        for (domain, lane) in &self.model.lanes {
            let mut waits = self.waits.get(domain).cloned().unwrap_or_default();
            before += waits.lane.len();
            let old = waits.lane.len();
            // The mark of what may have been sent runs ahead, and may be past the places that these would get.
            let place = if waits.begun > self.seen { self.seen + 1 } else { i64::MAX };
            waits.lane.extend(lane[old..].iter().map(|request| (place, request.clone())));
            let stays = |place: &usize| {
                let goes =
                    waits.must_be_folded_first(*place) || *place < old && waits.may_be_shed(*place).is_some();
                !goes
            };
            least += (0..waits.lane.len()).filter(stays).count();
        }
        let stages = self.bed.options.limits.requests();
        let clears = ops.iter().all(|op| !op.raises_or_logs());
        let limit = if clears { stages.clears } else { stages.sets };
        let in_bytes = self.pages + growth(ops) > self.page_limit(ops);
        assert!(
            least as u64 > limit || in_bytes,
            "refused without need: {least} of {before} would wait, {limit} may, {} pages were in use",
            self.pages
        );
    }

    /// Pages that may be in use after these changes.
    fn page_limit(&self, ops: &[Op]) -> u64 {
        let stages = self.bed.options.limits.pages(4096);
        if ops.iter().all(|op| !op.raises_or_logs()) { stages.clears } else { stages.sets }
    }

    /// What takes more room than there was before fits into the limit; what is refused takes none.
    fn weigh(&self, ops: &[Op], is_taken: bool) {
        let (now, limit) = (pages(&self.bed), self.page_limit(ops));
        let limit = if is_taken { limit } else { 0 };
        assert!(now <= self.pages || now <= limit, "{now} pages after {}, {limit} may be in use", self.pages);
    }

    /// Looks at what waits after these changes: it is what the model has, less what may have been given up.
    async fn look(&mut self, ops: &[Op]) {
        let stages = self.bed.options.limits.requests();
        let total =
            |waits: &BTreeMap<Domain, Waits>| -> usize { waits.values().map(|waits| waits.lane.len()).sum() };
        let before = std::mem::take(&mut self.waits);
        let mut shed: Vec<(Rank, i64)> = Vec::new();
        let mut left: Vec<(Rank, i64)> = Vec::new();
        let (mut must_have_gone, mut stayed) = (Vec::new(), 0);
        let mut given_up = 0;
        for domain in Domain::ALL {
            let old = before.get(&domain).cloned().unwrap_or_default();
            let found = self.bed.waiting(domain).await;
            let is_there = |seq: i64| found.iter().any(|request| request.seq == seq);
            let kinds = |after: i64| -> Vec<RequestKind> {
                found
                    .iter()
                    .filter(|request| request.seq > after)
                    .map(|request| request.kind.clone())
                    .collect()
            };
            for (place, (seq, request)) in old.lane.iter().enumerate() {
                let rank = old.may_be_shed(place);
                if is_there(*seq) {
                    stayed += 1;
                    left.extend(rank.map(|rank| (rank, *seq)));
                    must_have_gone.extend(old.must_be_folded_first(place).then(|| request.clone()));
                    continue;
                }
                given_up += 1;
                match rank {
                    Some(rank) => shed.push((rank, *seq)),
                    None => assert!(old.may_be_folded(place, &kinds(*seq)), "{request:?} is gone"),
                }
            }
            // What is new, from the latest on, for an earlier one may be folded already.
            let lane = self.model.lanes.entry(domain).or_default();
            let mut new_found = found.iter().rev().filter(|request| request.seq > self.seen).peekable();
            let mut kept = Vec::new();
            for modelled in lane.split_off(old.lane.len()).into_iter().rev() {
                if new_found.next_if(|request| same(&modelled, &request.kind)).is_some() {
                    kept.push(modelled);
                    continue;
                }
                given_up += 1;
                let waits = Waits { lane: vec![(i64::MAX, modelled)], begun: 0 };
                assert!(waits.may_be_folded(0, &kept), "{waits:?} is not there");
            }
            assert_eq!(new_found.next(), None, "more than the model has");
            let old_kept = lane.drain(..).zip(&old.lane).filter(|(_, (seq, _))| is_there(*seq));
            let lane: Vec<RequestKind> =
                old_kept.map(|(kind, _)| kind).chain(kept.into_iter().rev()).collect();
            self.model.lanes.insert(domain, lane);
            let lane = found.into_iter().map(|request| (request.seq, request.kind)).collect();
            self.waits.insert(domain, Waits { lane, begun: old.begun });
        }
        let coming = ops.len();
        let high = usize::try_from(stages.high).unwrap();
        let is_low = self.pages + growth(ops) <= self.bed.options.limits.pages(4096).high;
        if total(&before) + coming <= high && is_low {
            assert_eq!(given_up, 0, "given up below high water");
        } else if stayed + coming > high {
            assert_eq!(must_have_gone, [], "above high water, these could have been folded");
            assert_eq!(left, [], "above high water, these could have been shed");
        }
        if let Some(worst) = shed.iter().max() {
            assert_eq!(must_have_gone, [], "logs went, although these could have been folded");
            assert!(left.iter().all(|left| left > worst), "{shed:?} went, {left:?} stayed");
        }
        let clears = ops.iter().all(|op| !op.raises_or_logs());
        let limit = if clears { stages.clears } else { stages.sets };
        let now = total(&self.waits);
        assert!(now as u64 <= limit || now <= total(&before), "{now} wait, {limit} may");
    }

    async fn deliver(&mut self, domain: Domain, index: Index, said: Said) {
        let ready = self.model.ready(domain);
        if ready.is_empty() {
            return;
        }
        let place = ready[index.index(ready.len())];
        let (seq, _) = self.waits.entry(domain).or_default().lane.remove(place);
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
            let counted = self.bed.store().reader.count_waiting(domain).await.unwrap();
            assert_eq!(counted.requests, waiting.len() as u64, "counted for {domain}");
        }
        let reader = &self.bed.store().reader;
        self.seen = newest;
        self.pages = pages(&self.bed);
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

/// Pages in use.
fn pages(bed: &Bed) -> u64 {
    let database = bed.database();
    let number = |pragma: &str| -> i64 {
        database.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).unwrap()
    };
    (number("page_count") - number("freelist_count")).unsigned_abs()
}

/// Pages that these changes can add at most: three copies of each text, and splits of what they are put into.
fn growth(ops: &[Op]) -> u64 {
    let of = |op: &Op| match op {
        Op::Raise { alarm, .. } | Op::Log { alarm, .. } => {
            8 + 3 * (1 + (alarm.reason_text.len() as u64 + 1000) / 4096)
        }
        // It writes to each alarm that it covers.
        _ => 8 + keys().len() as u64,
    };
    ops.iter().map(of).sum()
}

/// Whether two requests are the same, but for the uuid that the store chose.
fn same(one: &RequestKind, other: &RequestKind) -> bool {
    match (one, other) {
        (RequestKind::Raise { alarm: one, .. }, RequestKind::Raise { alarm: other, .. }) => one == other,
        (one, other) => one == other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_store_is_its_specification(
        here in select(vec![None, Some(Platform), Some(Openstack)]),
        max_requests in select(vec![4, 8, 12, 1_000_000]),
        max_pages in select(vec![48, 64, 96, 100_000]),
        steps in vec(step(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut run = Run::new(here, max_requests, max_pages);
            for step in steps {
                run.step(step).await;
                run.check().await;
            }
        });
    }

    #[test]
    fn a_full_disk_refuses_whole_batches_and_nothing_else(
        here in select(vec![None, Some(Platform), Some(Openstack)]),
        steps in vec(step_on_a_disk(), 1..60),
    ) {
        let parent = TempDir::new().unwrap();
        let Some(disk) = Disk::new(parent.path(), 16) else { return Ok(()) };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut run = Run::on(disk, parent.path(), here);
            for step in steps {
                run.step(step).await;
                run.check().await;
            }
        });
    }
}
