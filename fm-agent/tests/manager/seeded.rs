//! Chance, by seed: raises and clears over entities that begin alike, with faults in between. Nobody else's
//! alarm ever goes, and in the end this node's stand as a model says.

use std::collections::BTreeMap;
use std::time::Duration;

use fm_agent::backend::{Clear, Delivered, FailureKind, Raise};
use fm_common::entity::EntityMatch;
use fm_manager_sim::{Fault, FaultKind, ManagerConfig, like};

use crate::support::{ALARM_ID, Bench, alarm, key, raise};

const OURS: [&str; 8] = ["s=1", "s=10", "s=1.x", "s=_", "s=a%", "s=2", "s=2.x", "s=22"];
const THEIRS: [&str; 4] = ["s=11", "s=1.y", "s=ab", "s=3"];
const ROUNDS: usize = 60;

fn fault(chance: &mut fastrand::Rng) -> Fault {
    let kinds =
        [FaultKind::Reset, FaultKind::Garbage, FaultKind::HalfAnswer, FaultKind::Code(11), FaultKind::Die];
    let fault = Fault::new(kinds[chance.usize(..kinds.len())]).times(chance.u32(1..4));
    if chance.bool() { fault.applied() } else { fault }
}

/// Attempts until the raise is taken, as the delivery makes them.
async fn insist(bench: &Bench, mut raise: Raise) {
    for _ in 0..50 {
        match bench.backend.raise(&raise).await {
            Ok(_) => return,
            Err(failure) => {
                assert_ne!(failure.kind, FailureKind::Rejected, "{failure}");
                raise.in_doubt = failure.in_doubt;
                bench.sim.restart().unwrap();
            }
        }
    }
    panic!("not taken in 50 attempts");
}

/// Attempts until the alarm is cleared, or its clear waits for others to go.
async fn insist_clear(bench: &Bench, entity: &str) -> bool {
    for _ in 0..50 {
        match bench.backend.clear(&Clear { key: key(entity), standing: None }).await {
            Ok(_) => return true,
            Err(failure) if failure.reason.contains("is not deleted while") => return false,
            Err(failure) => {
                assert_ne!(failure.kind, FailureKind::Rejected, "{failure}");
                bench.sim.restart().unwrap();
            }
        }
    }
    panic!("not cleared in 50 attempts");
}

async fn run(seed: u64) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let poll = Duration::from_millis(2);
    let bench = Bench::with(ManagerConfig { poll, ..ManagerConfig::default() }, "");
    for entity in THEIRS {
        bench.plant(ALARM_ID, entity);
    }
    let mut ours: BTreeMap<&str, String> = BTreeMap::new();
    for round in 0..ROUNDS {
        if chance.u8(..3) == 0 {
            bench.fault(fault(&mut chance));
        }
        let entity = OURS[chance.usize(..OURS.len())];
        match chance.u8(..8) {
            0..4 => {
                let reason = format!("round {round}");
                insist(&bench, raise(alarm(entity, &reason))).await;
                ours.insert(entity, reason);
            }
            4..7 => {
                let waits = ours.contains_key(entity)
                    && ours
                        .keys()
                        .chain(&THEIRS)
                        .any(|other| *other != entity && like(&format!("{entity}%"), other));
                assert_eq!(
                    insist_clear(&bench, entity).await,
                    !waits,
                    "seed {seed}, round {round}, {entity}"
                );
                if !waits {
                    ours.remove(entity);
                }
            }
            _ => {
                // Nothing of others lies under it, so all of it goes.
                bench.sim.clear_faults();
                bench.sim.restart().unwrap();
                bench.clear_all("s=2").await.unwrap_or_else(|failure| {
                    assert!(ours.contains_key("s=22") && failure.kind == FailureKind::Rejected, "{failure}");
                    Delivered::default()
                });
                let left = ours.contains_key("s=22");
                ours.retain(|entity, _| {
                    !EntityMatch::Component.covers("s=2", entity) || (left && *entity == "s=2")
                });
            }
        }
        let mut standing: BTreeMap<String, String> =
            bench.sim.alarms().into_iter().map(|row| (row.entity_instance_id, row.reason_text)).collect();
        for entity in THEIRS {
            assert!(
                standing.remove(entity).is_some(),
                "seed {seed}, round {round}: {entity} of another is gone"
            );
        }
        let expected: BTreeMap<String, String> =
            ours.iter().map(|(entity, reason)| ((*entity).to_owned(), reason.clone())).collect();
        assert_eq!(standing, expected, "seed {seed}, round {round}");
    }
}

#[tokio::test]
async fn nobody_elses_alarm_goes_whatever_fails() {
    for seed in 0..8 {
        run(seed).await;
    }
}
