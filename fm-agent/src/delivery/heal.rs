//! How a controller differs from what this node made of it.
//!
//! Pure: what this node knows and what the controller lists in, the difference out.
//!
//! Invariants:
//! - What is not this node's is never in a difference. An alarm is this node's by its uuid: one under
//!   which the controller was known to hold an alarm of this node.
//! - An alarm that stands under another's uuid stands: it is not missing.
//! - Without a difference there is nothing to heal, and healing leaves none.

use std::collections::HashSet;

use fm_common::{Alarm, AlarmKey};

use crate::store::{Cleared, Held};

/// What has to be looked into.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Difference {
    /// Held by the controller, as far as this node knows, and not listed.
    pub(super) missing: Vec<Held>,
    /// Cleared by this node, and listed.
    pub(super) back: Vec<Cleared>,
}

/// Compares. The list holds every alarm of the controller on the entities in question, suppressed ones
/// too, and was asked for after this node's side was read.
pub(super) fn compare(held: Vec<Held>, cleared: Vec<Cleared>, listed: &[Alarm]) -> Difference {
    let mine: HashSet<String> = held.iter().map(|held| folded(&held.uuid)).collect();
    let dead: HashSet<String> =
        cleared.iter().map(|cleared| folded(&cleared.uuid)).filter(|uuid| !mine.contains(uuid)).collect();
    let there: HashSet<String> = listed.iter().filter_map(uuid_of).collect();
    let standing: HashSet<AlarmKey> = listed
        .iter()
        .filter(|alarm| uuid_of(alarm).is_none_or(|uuid| !dead.contains(&uuid)))
        .map(Alarm::key)
        .collect();
    let missing = held
        .into_iter()
        .filter(|held| !there.contains(&folded(&held.uuid)) && !standing.contains(&held.key))
        .collect();
    let mut seen = HashSet::new();
    let back = cleared
        .into_iter()
        .filter(|cleared| {
            let uuid = folded(&cleared.uuid);
            dead.contains(&uuid) && there.contains(&uuid) && seen.insert(uuid)
        })
        .collect();
    Difference { missing, back }
}

/// The entity under which everything in question lies, if there is one that the controller can be asked
/// for: most nodes have alarms of their own host only, and need not read those of all others.
pub(super) fn common_entity<'a>(keys: impl Iterator<Item = &'a AlarmKey>) -> Option<String> {
    /// More is not worth a filter that a controller may hold cut.
    const MOST_BYTES: usize = 200;
    let common = keys
        .map(|key| key.entity_instance_id.split('.').collect::<Vec<_>>())
        .reduce(|one, other| {
            one.into_iter().zip(other).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
        })?
        .join(".");
    let plain = common.bytes().all(|byte| byte.is_ascii_graphic());
    (plain && !common.is_empty() && common.len() <= MOST_BYTES).then_some(common)
}

fn uuid_of(alarm: &Alarm) -> Option<String> {
    alarm.uuid.as_deref().map(folded)
}

/// Controllers may give a uuid back in the other case.
fn folded(uuid: &str) -> String {
    uuid.to_ascii_lowercase()
}

#[cfg(test)]
#[path = "heal_tests.rs"]
mod tests;
