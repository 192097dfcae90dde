//! What a reader sees: the controllers' alarms with this node's pending changes laid over them.
//!
//! Pure: lists in, list out.
//!
//! Invariants:
//! - A pending set or clear of this node decides about its alarm, whatever the controller says.
//! - An alarm that the controller holds as this node raised it is shown as it was written here, before
//!   the controller's limits cut it.
//! - One alarm a key and domain; the order is the time raised.

use std::collections::{BTreeMap, BTreeSet};

use fm_common::{Alarm, AlarmKey};

use crate::config::Domain;
use crate::store::{Kept, Standing, WaitingClearAll};

/// What this node holds of the alarms in question.
#[derive(Debug, Default)]
pub(super) struct Local {
    pub(super) kept: Vec<Kept>,
    pub(super) clear_alls: Vec<WaitingClearAll>,
    /// Domains whose record is here.
    pub(super) here: BTreeSet<Domain>,
}

impl Local {
    /// Whether a clear-all that waits for this domain covers the entity.
    fn clearing(&self, domain: Domain, entity: &str) -> bool {
        self.clear_alls.iter().any(|waiting| waiting.covers(domain, entity))
    }

    /// Lays this node's changes over what the controllers hold. Both sides hold only what the reader
    /// asked for.
    pub(super) fn over(self, controllers: Vec<(Domain, Vec<Alarm>)>) -> Vec<Alarm> {
        let kept: BTreeMap<&AlarmKey, &Kept> = self.kept.iter().map(|kept| (&kept.key, kept)).collect();
        let mut seen: BTreeMap<(Domain, AlarmKey), Alarm> = BTreeMap::new();
        for (domain, alarms) in controllers {
            for alarm in alarms {
                let key = alarm.key();
                let known = kept.get(&key).copied();
                let hidden = match known {
                    Some(kept) => kept.pending,
                    None => self.clearing(domain, &key.entity_instance_id),
                };
                if hidden {
                    continue;
                }
                let own = known.filter(|kept| kept.domain == domain);
                seen.entry((domain, key))
                    .and_modify(|other| {
                        if better(&alarm, other, own) {
                            other.clone_from(&alarm);
                        }
                    })
                    .or_insert(alarm);
            }
        }
        let mut alarms: Vec<Alarm> = seen
            .into_iter()
            .map(|((domain, key), alarm)| match kept.get(&key).filter(|kept| kept.domain == domain) {
                Some(kept) => as_written(kept, alarm),
                None => alarm,
            })
            .collect();
        let local = self.kept.iter().filter(|kept| kept.pending || self.here.contains(&kept.domain));
        alarms.extend(local.filter_map(|kept| match &kept.standing {
            Standing::Raised(alarm) => Some((**alarm).clone()),
            Standing::Cleared => None,
        }));
        alarms.sort_by_cached_key(|alarm| (alarm.timestamp, alarm.key()));
        alarms
    }
}

/// The alarm as its callers wrote it when it is this node's own raise, else as the controller has it.
pub(super) fn as_written(kept: &Kept, found: Alarm) -> Alarm {
    match &kept.standing {
        Standing::Raised(alarm) if kept.controller_uuid == found.uuid => (**alarm).clone(),
        _ => found,
    }
}

/// Which of two rows with one key is shown: this node's own, else the one raised last.
fn better(one: &Alarm, other: &Alarm, own: Option<&Kept>) -> bool {
    let is_own = |alarm: &Alarm| own.is_some_and(|kept| kept.controller_uuid == alarm.uuid);
    (is_own(one), one.timestamp) > (is_own(other), other.timestamp)
}

/// The alarm to show of several rows with one key.
pub(super) fn best(rows: Vec<Alarm>, own: Option<&Kept>) -> Option<Alarm> {
    rows.into_iter().reduce(|best, row| if better(&row, &best, own) { row } else { best })
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
