//! The store as its specification reads: what callers have said, what waits for each controller in
//! order, and what controllers were heard to hold. What is pending is not kept, it follows.
//!
//! What a store above high water gives up is its own choice; the model says which choices it has
//! ([`Waits::may_be_folded`], [`Waits::may_be_shed`]) and which it must have made.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::store::{Rank, WaitingClearAll};

/// What callers have said about an alarm, and where.
#[derive(Debug, Clone)]
struct Said {
    domain: Domain,
    standing: Option<Alarm>,
}

/// The requests that wait for a domain: place in the order and kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Waits {
    pub(super) lane: Vec<(i64, RequestKind)>,
    /// Requests up to this place may have been sent.
    pub(super) begun: i64,
}

impl Waits {
    /// Whether this one may have been sent: it was begun, and nothing about the same alarm is before it.
    fn may_have_been_sent(&self, place: usize) -> bool {
        let (seq, request) = &self.lane[place];
        // One that covers several is not sent either before what is ahead of it about one of them.
        let concerned = match key_of(request) {
            Some(key) => vec![key],
            None => super::steps::keys().into_iter().filter(|key| concerns(request, key)).collect(),
        };
        let about_the_same =
            |earlier: &RequestKind| earlier == request || concerned.iter().any(|key| concerns(earlier, key));
        *seq <= self.begun && !self.lane[..place].iter().any(|(_, earlier)| about_the_same(earlier))
    }

    /// Whether it may go because one of `later` is behind it.
    pub(super) fn may_be_folded(&self, place: usize, later: &[RequestKind]) -> bool {
        !self.may_have_been_sent(place) && later.iter().any(|later| supersedes(later, &self.lane[place].1))
    }

    /// Whether it goes before anything worse happens. (A clear may be left, where an alarm moved to and fro.)
    pub(super) fn must_be_folded_first(&self, place: usize) -> bool {
        let (seq, request) = &self.lane[place];
        let later = self.lane[place + 1..].iter().any(|(_, later)| supersedes(later, request));
        *seq > self.begun && later && !matches!(request, RequestKind::Clear { .. })
    }

    /// Whether it is a log that may go, and how severe.
    pub(super) fn may_be_shed(&self, place: usize) -> Option<Rank> {
        match &self.lane[place] {
            (seq, RequestKind::Log { alarm, .. }) if *seq > self.begun => Some(Rank::of(&alarm.severity)),
            _ => None,
        }
    }
}

/// Whether the later request leaves the alarm as it would be without the earlier one.
fn supersedes(later: &RequestKind, earlier: &RequestKind) -> bool {
    match (earlier, later) {
        (RequestKind::Raise { alarm, .. }, _) if !matches!(later, RequestKind::Log { .. }) => {
            concerns(later, &alarm.key())
        }
        (RequestKind::Clear { key }, RequestKind::Clear { .. } | RequestKind::ClearAll { .. }) => {
            concerns(later, key)
        }
        (RequestKind::ClearAll { .. }, RequestKind::ClearAll { .. }) => earlier == later,
        _ => false,
    }
}

fn key_of(request: &RequestKind) -> Option<AlarmKey> {
    match request {
        RequestKind::Raise { alarm, .. } => Some(alarm.key()),
        RequestKind::Clear { key } => Some(key.clone()),
        _ => None,
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    here: BTreeSet<Domain>,
    said: BTreeMap<AlarmKey, Said>,
    pub(super) lanes: BTreeMap<Domain, Vec<RequestKind>>,
    /// Under which uuid the alarm's controller holds it.
    held: BTreeMap<AlarmKey, String>,
    /// What it holds there, of alarms with a change that waits.
    accepted: BTreeMap<AlarmKey, Alarm>,
}

/// Whether a request is about this alarm.
fn concerns(request: &RequestKind, key: &AlarmKey) -> bool {
    match request {
        RequestKind::Raise { alarm, .. } => alarm.key() == *key,
        RequestKind::Clear { key: cleared } => cleared == key,
        RequestKind::ClearAll { entity_instance_id, rule } => {
            rule.covers(entity_instance_id, &key.entity_instance_id)
        }
        // A removal is about one uuid, whatever this node makes of the alarm since.
        RequestKind::Log { .. } | RequestKind::Remove { .. } => false,
    }
}

impl Model {
    /// Nothing was said yet; one domain's record may be here.
    pub(super) fn new(here: Option<Domain>) -> Self {
        Self { here: here.into_iter().collect(), ..Self::default() }
    }

    fn pending(&self, key: &AlarmKey) -> bool {
        self.said.get(key).is_some_and(|said| {
            self.lanes.get(&said.domain).is_some_and(|lane| lane.iter().any(|request| concerns(request, key)))
        })
    }

    /// What the store should hold of the alarm.
    pub(super) fn kept(&self, key: &AlarmKey) -> Option<Kept> {
        self.said.get(key).map(|said| Kept {
            key: key.clone(),
            domain: said.domain,
            standing: match &said.standing {
                Some(alarm) => Standing::Raised(Box::new(alarm.clone())),
                None => Standing::Cleared,
            },
            pending: self.pending(key),
            controller_uuid: self.held.get(key).cloned(),
        })
    }

    pub(super) fn all_kept(&self) -> Vec<Kept> {
        self.said.keys().filter_map(|key| self.kept(key)).collect()
    }

    /// The clear-alls that wait.
    pub(super) fn clear_alls(&self) -> Vec<WaitingClearAll> {
        let waiting =
            self.lanes.iter().flat_map(|(domain, lane)| lane.iter().map(move |kind| (*domain, kind)));
        waiting
            .filter_map(|(domain, kind)| match kind {
                RequestKind::ClearAll { entity_instance_id, rule } => Some(WaitingClearAll {
                    domain,
                    entity_instance_id: entity_instance_id.clone(),
                    rule: *rule,
                }),
                _ => None,
            })
            .collect()
    }

    /// The uuid by which callers know an alarm of this domain that stands.
    pub(super) fn standing_uuid(&self, domain: Domain, key: &AlarmKey) -> Option<String> {
        let said = self.said.get(key).filter(|said| said.domain == domain)?;
        said.standing.as_ref().and_then(|alarm| alarm.uuid.clone())
    }

    fn send(&mut self, domain: Domain, request: RequestKind) {
        self.lanes.entry(domain).or_default().push(request);
    }

    fn say(&mut self, key: &AlarmKey, domain: Domain, standing: Option<&Alarm>) {
        self.said.insert(key.clone(), Said { domain, standing: standing.cloned() });
    }

    fn forget(&mut self, key: &AlarmKey) {
        self.said.remove(key);
        self.held.remove(key);
        self.accepted.remove(key);
    }

    /// What the controller holds now is what stands if what comes is refused.
    fn accept_present(&mut self, key: &AlarmKey) {
        let standing = self.said.get(key).and_then(|said| said.standing.clone());
        if let Some(standing) = standing
            && self.held.contains_key(key)
            && !self.pending(key)
        {
            self.accepted.insert(key.clone(), standing);
        }
    }

    pub(super) fn apply(&mut self, op: &Op) -> Outcome {
        match op {
            Op::Raise { domain, alarm } => Outcome::Raised(self.raise(*domain, alarm)),
            Op::Log { domain, alarm } => {
                if !self.here.contains(domain) {
                    self.send(*domain, RequestKind::Log { alarm: alarm.clone(), uuid: uuid(alarm) });
                }
                Outcome::Logged(uuid(alarm))
            }
            Op::Clear { key, unknown } => self.clear(key, *unknown),
            Op::ClearAll { entity_instance_id, rule, unknown, domains } => {
                let covered: Vec<(AlarmKey, Domain)> = self
                    .said
                    .iter()
                    .filter(|(key, said)| {
                        domains.contains(&said.domain)
                            && rule.covers(entity_instance_id, &key.entity_instance_id)
                    })
                    .map(|(key, said)| (key.clone(), said.domain))
                    .collect();
                let away: Vec<&Domain> =
                    domains.iter().filter(|domain| !self.here.contains(domain)).collect();
                if covered.is_empty() && (*unknown == Unknown::Tell || away.is_empty()) {
                    return Outcome::Unknown;
                }
                for domain in away {
                    let entity_instance_id = entity_instance_id.clone();
                    self.send(*domain, RequestKind::ClearAll { entity_instance_id, rule: *rule });
                }
                for (key, domain) in covered {
                    if self.here.contains(&domain) {
                        self.forget(&key);
                    } else {
                        self.say(&key, domain, None);
                    }
                }
                Outcome::Cleared
            }
            // What was refused is no part of what it holds.
            Op::Replay { .. } | Op::Drop { .. } => Outcome::Unknown,
        }
    }

    fn raise(&mut self, domain: Domain, alarm: &Alarm) -> String {
        let key = alarm.key();
        let request = RequestKind::Raise { alarm: Box::new(alarm.clone()), uuid: uuid(alarm) };
        let here = self.here.contains(&domain);
        if !alarm.keep_existing_alarm {
            self.accept_present(&key);
        }
        if let Some(Said { domain: stands_in, standing: Some(standing) }) = self.said.get(&key).cloned() {
            if alarm.keep_existing_alarm {
                return uuid(&standing);
            }
            if stands_in == domain && standing.same_content(alarm) {
                if !self.pending(&key) && !here {
                    self.send(domain, request);
                }
                return uuid(&standing);
            }
            if stands_in != domain && !self.here.contains(&stands_in) {
                self.send(stands_in, RequestKind::Clear { key: key.clone() });
            }
        }
        if self.said.get(&key).is_some_and(|said| said.domain != domain) {
            self.forget(&key);
        }
        if !here {
            self.send(domain, request);
        }
        self.say(&key, domain, Some(alarm));
        uuid(alarm)
    }

    fn clear(&mut self, key: &AlarmKey, unknown: Unknown) -> Outcome {
        let domain = match (self.said.get(key), unknown) {
            (Some(Said { standing: None, .. }), _) => return Outcome::Cleared,
            (Some(said), _) => said.domain,
            (None, Unknown::Deliver(domain)) if !self.here.contains(&domain) => domain,
            (None, _) => return Outcome::Unknown,
        };
        if self.here.contains(&domain) {
            self.forget(key);
        } else {
            self.send(domain, RequestKind::Clear { key: key.clone() });
            self.say(key, domain, None);
        }
        Outcome::Cleared
    }

    /// The places in a lane whose turn it is: nothing before them concerns the same alarm.
    pub(super) fn ready(&self, domain: Domain) -> Vec<usize> {
        let Some(lane) = self.lanes.get(&domain) else { return Vec::new() };
        let keys: Vec<AlarmKey> = super::steps::keys();
        let free = |place: usize| {
            let mut concerned = keys.iter().filter(|key| concerns(&lane[place], key));
            !concerned.any(|key| lane[..place].iter().any(|earlier| concerns(earlier, key)))
        };
        (0..lane.len()).filter(|place| free(*place)).collect()
    }

    /// The request at this place of a lane is through: with which uuid, or refused.
    pub(super) fn report(&mut self, domain: Domain, place: usize, report: Result<Option<&str>, ()>) {
        let request = self.lanes.entry(domain).or_default().remove(place);
        let concerned: Vec<AlarmKey> = self
            .said
            .iter()
            .filter(|(key, said)| said.domain == domain && concerns(&request, key))
            .map(|(key, _)| key.clone())
            .collect();
        for key in concerned {
            let uuid_now = match (&request, report) {
                (_, Err(())) => self.held.get(&key).cloned(),
                (RequestKind::Raise { .. }, Ok(uuid)) => uuid.map(str::to_owned),
                (_, Ok(_)) => None,
            };
            match &uuid_now {
                Some(uuid) => self.held.insert(key.clone(), uuid.clone()),
                None => self.held.remove(&key),
            };
            if uuid_now.is_none() {
                self.accepted.remove(&key);
            }
            if self.pending(&key) {
                if let (RequestKind::Raise { alarm, .. }, Ok(Some(_))) = (&request, report)
                    && !self.accepted.get(&key).is_some_and(|accepted| accepted.same_content(alarm))
                {
                    self.accepted.insert(key.clone(), (**alarm).clone());
                }
                continue;
            }
            // Nothing more is to come about it.
            let accepted = self.accepted.remove(&key);
            let Some(said) = self.said.get_mut(&key) else { continue };
            let Some(standing) = said.standing.as_mut().filter(|_| uuid_now.is_some()) else {
                self.forget(&key);
                continue;
            };
            if let (Err(()), Some(accepted)) = (report, accepted) {
                *standing = accepted;
            }
            if let RequestKind::Raise { alarm, uuid: asked } = &request
                && report == Ok(Some(asked.as_str()))
            {
                // Raised anew: its time is the new one, its uuid the one that is known.
                *standing = Alarm { uuid: standing.uuid.clone(), ..(**alarm).clone() };
            }
        }
    }
}
