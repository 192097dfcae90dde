//! A new configuration while callers call: not one of their calls fails for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fm_common::{Alarm, AlarmKey, ErrorCode};
use fm_rest_sim::{Fault, FaultKind, Sim, SimConfig};

use crate::support::{
    Node, OPENSTACK_ALARM_ID, alarm, controller, controller_with, domain, key, standing, wait_for,
};

/// How often each entity's alarm was set at a controller.
fn sets(sim: &Sim) -> BTreeMap<String, u32> {
    let mut sets = BTreeMap::new();
    for row in sim.events().unwrap() {
        if row.fields.alarm_state.as_deref() == Some("set") {
            *sets.entry(row.fields.entity_instance_id.unwrap_or_default()).or_default() += 1;
        }
    }
    sets
}

#[test]
fn no_call_fails_for_twenty_new_configurations_and_all_arrives_once() {
    const PACE: Duration = Duration::from_millis(20);
    // It is to remember all that happens.
    let platform = controller_with(SimConfig { event_cap: 20_000, ..SimConfig::default() });
    let openstack = controller();
    // Each fifth asks for another store.
    let config = |number: u32| {
        format!(
            "max_rejected = {}\n{}{}",
            1000 + number / 5,
            domain("platform", &platform, "labrador"),
            domain("openstack", &openstack, "labrador")
                .replace("request_timeout_ms = 1000", "request_timeout_ms = 60000")
        )
    };
    let mut node = Node::start(&config(0));
    openstack.add_fault(Fault::new(FaultKind::Hang)).unwrap();
    let (stop, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let going = || !stop.load(Ordering::Relaxed);
    let mut wanted = BTreeSet::new();
    thread::scope(|scope| {
        let (node, going, answered) = (&node, &going, &answered);
        let caller = |name: &'static str, call: fn(&fm_common::client::Client, Alarm)| {
            let client = node.hasty_client(20_000, 3000);
            scope.spawn(move || {
                let mut entities = Vec::new();
                while going() {
                    let entity = format!("host={name}.n={}", entities.len());
                    call(&client, alarm(&entity));
                    entities.push(entity);
                    answered.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(PACE);
                }
                // What was sent before this is answered has been taken.
                client.ping().unwrap();
                entities
            })
        };
        let callers = [
            caller("a", |client, alarm| drop(client.set(alarm).unwrap())),
            caller("b", |client, alarm| drop(client.set(alarm).unwrap())),
            caller("lists", |client, alarm| drop(client.set_list(vec![alarm]).unwrap())),
            caller("detached", |client, alarm| drop(client.set_detached(alarm).unwrap())),
            caller("cleared", |client, alarm| {
                let key = alarm.key();
                client.set_detached(alarm).unwrap();
                client.clear_detached(key).unwrap();
            }),
        ];
        for _ in 0..2 {
            let client = node.hasty_client(20_000, 3000);
            scope.spawn(move || {
                while going() {
                    let asked = client.get(AlarmKey::new(OPENSTACK_ALARM_ID, "tenant=none"));
                    let error = asked.unwrap_err();
                    assert_eq!(error.code(), ErrorCode::NoConnect, "{error}");
                    assert!(error.to_string().contains("openstack controller cannot be asked"), "{error}");
                    thread::sleep(PACE);
                }
            });
        }
        for number in 1..=20 {
            let before = answered.load(Ordering::Relaxed);
            node.configure(&config(number));
            node.reload();
            wait_for("calls to go on", || answered.load(Ordering::Relaxed) > before + 10);
        }
        stop.store(true, Ordering::Relaxed);
        for caller in callers {
            wanted.extend(caller.join().unwrap());
        }
    });
    node.wait_delivered();
    let mut sets = sets(&platform);
    let wrong: Vec<_> = wanted.iter().filter(|entity| sets.remove(*entity) != Some(1)).collect();
    assert!(wrong.is_empty() && sets.is_empty(), "not there once: {wrong:?}; not asked for: {sets:?}");
    let stands: Vec<String> = standing(&platform).into_iter().map(|(entity, _)| entity).collect();
    assert!(
        stands.iter().all(|entity| !entity.contains("cleared")),
        "a clear came before its set: {stands:?}"
    );
    assert_eq!(stands.len(), wanted.iter().filter(|entity| !entity.contains("cleared")).count());
    node.terminate();
    assert!(node.wait_end().success(), "{}", node.log());
}

#[test]
fn a_call_that_asks_a_controller_goes_on_and_holds_up_nobody() {
    let sim = controller();
    let config = |rejected: u32| {
        let platform = domain("platform", &sim, "labrador")
            .replace("request_timeout_ms = 1000", "request_timeout_ms = 60000");
        format!("max_rejected = {rejected}\nask_timeout_ms = 2000\n{platform}")
    };
    let node = Node::start(&config(1000));
    node.client.set(alarm("host=standing")).unwrap();
    node.wait_delivered();
    let slow = Fault { delay_ms: 6000, ..Fault::new(FaultKind::Slow) };
    let slow = sim.add_fault(Fault { method: Some("GET".to_owned()), ..slow }).unwrap();
    for (round, rejected) in [1000, 2000].into_iter().enumerate() {
        let asked = sim.requests().last().map_or(0, |request| request.id);
        thread::scope(|scope| {
            let (reader, writer) = (node.hasty_client(20_000, 20_000), node.hasty_client(20_000, 20_000));
            let begun = Instant::now();
            let read = scope.spawn(move || reader.get(key("host=standing")));
            let keep = Alarm { keep_existing_alarm: true, ..alarm(&format!("host=kept{round}")) };
            let kept = scope.spawn(move || writer.set(keep));
            let is_asked = |name: &str| {
                sim.requests().iter().any(|request| request.id > asked && request.path.contains(name))
            };
            wait_for("both questions to be under way", || {
                is_asked("standing") && is_asked(&format!("kept{round}"))
            });
            node.configure(&config(rejected));
            node.reload();
            node.client.set(alarm(&format!("host=new{round}"))).unwrap();
            assert!(!read.is_finished(), "the new configuration waited for {:?}", begun.elapsed());
            kept.join().unwrap().unwrap();
            assert_eq!(read.join().unwrap().unwrap().entity_instance_id, "host=standing");
        });
    }
    sim.remove_fault(slow).unwrap();
    node.wait_delivered();
    let mut entities: Vec<String> = standing(&sim).into_iter().map(|(entity, _)| entity).collect();
    entities.sort();
    assert_eq!(entities, ["host=kept0", "host=kept1", "host=new0", "host=new1", "host=standing"]);
}

#[test]
fn connections_outlive_a_new_configuration_and_its_limits_hold_for_new_ones() {
    let node = Node::start("");
    node.client.ping().unwrap();
    node.configure("max_connections = 1\n");
    node.reload();
    // The connection that is there counts as before; of new ones there is one.
    let one = node.hasty_client(20_000, 20_000);
    one.ping().unwrap();
    node.client.ping().unwrap();
    let refused = node.hasty_client(20_000, 20_000).ping().unwrap_err();
    assert_eq!(refused.code(), ErrorCode::ResourceUnavailable, "{refused}");
}
