//! Controllers that refuse, hang, fail, cut the line or reject the account: callers get their answer at
//! once, order per alarm holds, and in the end everything has arrived once.

use std::time::{Duration, Instant};

use fm_common::{Alarm, AlarmState, ErrorCode, Severity};
use fm_rest_sim::{Apply, Dialect, Fault, FaultKind, NewAlarm, Sim, SimConfig, User};

use crate::support::{
    ALARM_ID, Node, OPENSTACK_ALARM_ID, alarm, code, controller, controller_with, domain, events, key,
    standing, wait_for,
};

/// What a caller may wait for an answer of the agent at most, with a machine that is busy in mind. Far
/// under what a caller was held for by an unreachable controller.
const AT_ONCE: Duration = Duration::from_millis(900);

fn worse(entity: &str, reason: &str) -> Alarm {
    Alarm { reason_text: reason.to_owned(), ..alarm(entity) }
}

/// Raises, changes and clears several alarms and records a log while `fault` is in force, takes it away,
/// and checks what has arrived.
fn outage(sim: &Sim, node: &Node, fault: Fault) {
    node.client.set(alarm("host=before")).unwrap();
    node.wait_delivered();
    let id = sim.add_fault(fault).unwrap();
    let started = Instant::now();
    node.client.set(worse("host=a", "1")).unwrap();
    node.client.set(worse("host=a", "2")).unwrap();
    node.client.clear(key("host=a")).unwrap();
    node.client.set(worse("host=a", "3")).unwrap();
    node.client.set(alarm("host=b")).unwrap();
    node.client.clear(key("host=b")).unwrap();
    node.client.clear(key("host=before")).unwrap();
    node.client.set(Alarm { alarm_state: AlarmState::Msg, ..worse("host=log", "logged") }).unwrap();
    let held = started.elapsed();
    assert!(held < AT_ONCE * 8, "eight calls took {held:?}");
    // What is pending decides, so callers see their own writes.
    assert_eq!(node.client.get(key("host=a")).unwrap().reason_text, "3");
    assert_eq!(code(node.client.get(key("host=b"))), ErrorCode::EntityNotFound);
    // Long enough for a first attempt to have failed.
    wait_for("a delivery to be attempted", || {
        node.domain("platform")["state"] == "down" || node.waiting("platform") < 8
    });
    sim.remove_fault(id).unwrap();
    node.wait_delivered();
    assert_eq!(standing(sim), [("host=a".to_owned(), "3".to_owned())], "{}", node.log());
}

/// States of the events of one entity, in the order of storing.
fn states(sim: &Sim, entity: &str) -> Vec<String> {
    events(sim, entity).into_iter().map(|(state, _)| state).collect()
}

/// Every raise, clear and log left one event, in order.
fn assert_once_and_in_order(sim: &Sim) {
    let a: Vec<(String, String)> = events(sim, "host=a");
    let a: Vec<(&str, &str)> = a.iter().map(|(state, reason)| (state.as_str(), reason.as_str())).collect();
    // The second raise takes the place of the first: the service has no other change than delete and set.
    assert_eq!(a, [("set", "1"), ("clear", "1"), ("set", "2"), ("clear", "2"), ("set", "3")]);
    assert_eq!(states(sim, "host=b"), ["set", "clear"]);
    assert_eq!(states(sim, "host=before"), ["set", "clear"]);
    assert_eq!(states(sim, "host=log"), ["log"]);
}

macro_rules! outages {
    ($($name:ident: $fault:expr;)+) => {
        $(#[test]
        fn $name() {
            let sim = controller();
            let node = Node::with_platform(&sim);
            outage(&sim, &node, $fault);
            assert_once_and_in_order(&sim);
        })+
    };
}

outages! {
    refusing: Fault::new(FaultKind::Refuse);
    not_answering: Fault::new(FaultKind::Hang);
    answering_500_to_everything: Fault::status(500);
    answering_500_to_writes: Fault::status(500).on("POST", "/v1/alarms");
    answering_503_with_words: Fault { body: "upstream is away".to_owned(), ..Fault::status(503) };
    answering_garbage: Fault::new(FaultKind::BrokenJson);
    answering_half: Fault::new(FaultKind::HalfAnswer);
    resetting_before_it_applied: Fault::new(FaultKind::Reset);
    resetting_after_it_applied: Fault::new(FaultKind::Reset).applied(Apply::All).on("POST", "/v1/alarms");
    failing_after_it_applied: Fault::status(500).applied(Apply::All).on("POST", "/v1/alarms");
    garbage_after_it_applied: Fault::new(FaultKind::BrokenJson).applied(Apply::All).on("POST", "/v1/alarms");
    half_an_answer_after_it_applied:
        Fault::new(FaultKind::HalfAnswer).applied(Apply::All).on("POST", "/v1/alarms");
    not_answering_after_it_applied: Fault::new(FaultKind::Hang).applied(Apply::All).on("POST", "/v1/alarms");
    database_down: Fault::new(FaultKind::DatabaseDown);
    rejecting_the_token: Fault::new(FaultKind::Unauthorized);
    forbidding: Fault::new(FaultKind::Forbidden);
    keystone_down: Fault::new(FaultKind::KeystoneDown);
}

/// The service's own defect: a worker that dies between the alarm row and the event row leaves an alarm
/// without its set event. The alarm must stand once all the same.
#[test]
fn an_alarm_stored_without_its_event_stands_once() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    let dying = Fault::new(FaultKind::Reset).applied(Apply::AlarmOnly).on("POST", "/v1/alarms");
    outage(&sim, &node, dying);
}

#[test]
fn what_was_answered_survives_a_crash_and_is_delivered_once() {
    let sim = controller();
    let mut node = Node::with_platform(&sim);
    let fault = sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    let mut uuids: Vec<String> =
        (0..20).map(|number| node.client.set(alarm(&format!("host=c{number}"))).unwrap()).collect();
    node.kill();
    sim.remove_fault(fault).unwrap();
    node.run();
    node.wait_delivered();
    let mut there: Vec<String> = sim.alarms().unwrap().into_iter().map(|row| row.fields.uuid).collect();
    uuids.sort();
    there.sort();
    assert_eq!(there, uuids);
    assert_eq!(sim.events().unwrap().len(), 20);
}

#[test]
fn a_crash_after_the_controller_took_it_doubles_nothing() {
    let sim = controller();
    let mut node = Node::with_platform(&sim);
    // Taken, but the agent never hears of it; then the agent dies.
    let taken = Fault::new(FaultKind::Hang).applied(Apply::All).on("POST", "/v1/alarms");
    let fault = sim.add_fault(taken).unwrap();
    node.client.set(alarm("host=c0")).unwrap();
    node.client.set(Alarm { alarm_state: AlarmState::Log, ..alarm("host=log") }).unwrap();
    wait_for("the controller to have taken both", || {
        sim.events().unwrap().len() == 2
            || !events(&sim, "host=c0").is_empty() && node.waiting("platform") == 1
    });
    node.kill();
    sim.remove_fault(fault).unwrap();
    node.run();
    node.wait_delivered();
    assert_eq!(standing(&sim).len(), 1);
    assert_eq!(states(&sim, "host=c0"), ["set"]);
    assert_eq!(states(&sim, "host=log"), ["log"]);
}

#[test]
fn a_wrong_password_is_told_and_the_other_domain_goes_on() {
    let platform = controller();
    let openstack = controller_with(SimConfig { dialect: Dialect::MariaDb, ..SimConfig::default() });
    let config = domain("platform", &platform, "canary-wrong") + &domain("openstack", &openstack, "labrador");
    let node = Node::start(&config);
    let instance = Alarm { alarm_id: OPENSTACK_ALARM_ID.to_owned(), ..alarm("instance=7") };
    node.client.set_list(vec![alarm("host=c0"), instance.clone()]).unwrap();
    wait_for("the other domain's alarm", || node.waiting("openstack") == 0);
    assert_eq!(standing(&openstack).len(), 1);
    let reason = node.wait_down("platform");
    assert!(reason.contains("fm") && reason.contains(&platform.keystone_url()), "{reason}");
    assert_eq!(node.waiting("platform"), 1);
    wait_for("the other domain's answer", || node.domain("openstack")["state"] == "up");
    assert!(node.client.get(instance.key()).is_ok());
    assert!(!node.log().contains("canary") && !reason.contains("canary"), "no secret is shown");
    // The account is put right on the other side: what waited goes.
    platform.set_users(vec![User::new("fm", "canary-wrong", "services", &["admin"])]);
    node.wait_delivered();
    assert_eq!(standing(&platform).len(), 1);
}

#[test]
fn an_account_that_may_not_write_is_told() {
    let sim = controller();
    sim.set_users(vec![User::new("fm", "labrador", "service", &["admin"])]);
    let node = Node::start(
        &domain("platform", &sim, "labrador")
            .replace("password = 'labrador'", "password = 'labrador'\nproject_name = 'service'"),
    );
    node.client.set(alarm("host=c0")).unwrap();
    let reason = node.wait_down("platform");
    assert!(reason.contains("403") || reason.contains("project"), "{reason}");
    assert_eq!(node.waiting("platform"), 1);
}

#[test]
fn a_token_that_ends_is_renewed() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    for number in 0..3 {
        node.client.set(alarm(&format!("host=c{number}"))).unwrap();
        node.wait_delivered();
        sim.invalidate_tokens();
    }
    assert_eq!(standing(&sim).len(), 3);
    assert_eq!(sim.events().unwrap().len(), 3);
}

#[test]
fn reads_while_the_controller_is_down() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    node.client.set(alarm("host=known")).unwrap();
    node.wait_delivered();
    sim.insert_alarm(NewAlarm::new(ALARM_ID, "host=foreign", "major")).unwrap();
    let fault = sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    assert_eq!(code(node.client.get(key("host=foreign"))), ErrorCode::NoConnect);
    node.wait_down("platform");
    assert_eq!(node.client.get(key("host=known")).unwrap().entity_instance_id, "host=known");
    assert_eq!(code(node.client.get(key("host=foreign"))), ErrorCode::NoConnect);
    // Never a partial list that looks whole.
    assert_eq!(code(node.client.list_by_id(ALARM_ID)), ErrorCode::NoConnect);
    assert_eq!(code(node.client.list_by_entity("host=known")), ErrorCode::NoConnect);
    assert_eq!(code(node.client.list_by_id_and_entity(key("host=known"))), ErrorCode::NoConnect);
    // It recovers by itself, with nothing to deliver.
    sim.remove_fault(fault).unwrap();
    wait_for("the controller to be up again", || node.client.list_by_id(ALARM_ID).is_ok());
}

#[test]
fn clears_while_the_controller_is_down() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    for entity in ["host=a", "host=b.p=1", "host=c"] {
        sim.insert_alarm(NewAlarm::new(ALARM_ID, entity, "major")).unwrap();
    }
    let fault = sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    assert_eq!(code(node.client.list_by_id(ALARM_ID)), ErrorCode::NoConnect);
    node.wait_down("platform");
    // What this node does not know cannot be asked for: it is delivered later.
    node.client.clear(key("host=a")).unwrap();
    node.client.clear_all("host=b").unwrap();
    node.client.clear(key("host=nothing")).unwrap();
    let keep = Alarm { keep_existing_alarm: true, ..alarm("host=c") };
    node.client.set(keep).unwrap();
    sim.remove_fault(fault).unwrap();
    node.wait_delivered();
    let left = sim.alarms().unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    // Checked again at delivery: what stood was kept.
    assert_eq!(left[0].fields.reason_text, None);
}

/// The rows of the semantics table that name this node's own alarms, with the controller away.
#[test]
fn own_alarms_while_the_controller_is_down() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    let entities = ["host=keep", "host=all.p=1", "host=list", "host=state", "host=severity"];
    let uuids = node.client.set_list(entities.map(alarm).to_vec()).unwrap();
    node.wait_delivered();
    let before = sim.events().unwrap().len();
    let fault = sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    assert_eq!(code(node.client.list_by_id(ALARM_ID)), ErrorCode::NoConnect);
    node.wait_down("platform");

    let keep = Alarm { keep_existing_alarm: true, ..worse("host=keep", "changed") };
    assert_eq!(node.client.set(keep).unwrap(), uuids[0]);
    assert_eq!(node.waiting("platform"), 0, "nothing is sent for it");
    let new = node.client.set_list(vec![alarm("host=new1"), alarm("host=new2")]).unwrap();
    node.client.clear_all("host=all").unwrap();
    node.client.clear_list(vec![key("host=list"), key("host=nothing")]).unwrap();
    let by_state = Alarm { alarm_state: AlarmState::Clear, ..alarm("host=state") };
    assert_eq!(node.client.set(by_state).unwrap(), "");
    let by_severity = Alarm { severity: Severity::Clear, ..alarm("host=severity") };
    assert_eq!(node.client.set(by_severity).unwrap(), "");
    for gone in ["host=all.p=1", "host=list", "host=nothing", "host=state", "host=severity"] {
        assert_eq!(code(node.client.get(key(gone))), ErrorCode::EntityNotFound, "{gone}");
    }
    assert_eq!(node.client.get(key("host=new2")).unwrap().uuid.as_ref(), Some(&new[1]));

    sim.remove_fault(fault).unwrap();
    node.wait_delivered();
    let mut left: Vec<String> = standing(&sim).into_iter().map(|(entity, _)| entity).collect();
    left.sort();
    assert_eq!(left, ["host=keep", "host=new1", "host=new2"]);
    assert_eq!(sim.events().unwrap().len(), before + 2 + 4, "two were raised and four cleared, once each");
}

#[test]
fn no_call_passes_its_deadline_while_controllers_hang() {
    let sim = controller();
    // What the agent itself waits for is no help: it would wait for a minute.
    let config = domain("platform", &sim, "labrador")
        .replace("request_timeout_ms = 1000", "request_timeout_ms = 60000");
    let node = Node::start(&config);
    node.client.set(alarm("host=known")).unwrap();
    node.wait_delivered();
    sim.add_fault(Fault::new(FaultKind::Hang)).unwrap();
    let caller = node.hasty_client(1000, 1500);
    let slack = Duration::from_millis(250);
    let timed = |what: &str, limit_ms: u64, call: &dyn Fn() -> Result<(), ErrorCode>| {
        let started = Instant::now();
        let result = call();
        let took = started.elapsed();
        assert!(took <= Duration::from_millis(limit_ms) + slack, "{what} took {took:?}");
        result
    };
    for round in 0..3 {
        let entity = format!("host=c{round}");
        // A set asks nobody; a clear of what this node does not know asks for half a second; then writes
        // ask no more for a while.
        let result = timed("set", 0, &|| caller.set(alarm(&entity)).map(drop).map_err(|e| e.code()));
        assert_eq!(result, Ok(()));
        let unknown = key(&format!("host=unknown{round}"));
        let result = timed("clear", 500, &|| caller.clear(unknown.clone()).map_err(|e| e.code()));
        assert_eq!(result, Ok(()));
        let keep = Alarm { keep_existing_alarm: true, ..alarm(&format!("host=k{round}")) };
        let result = timed("keep", 0, &|| caller.set(keep.clone()).map(drop).map_err(|e| e.code()));
        assert_eq!(result, Ok(()));
        let result = timed("get", 1500, &|| caller.get(key("host=known")).map(drop).map_err(|e| e.code()));
        assert_eq!(result, Ok(()), "as last written here");
        let result = timed("list", 1500, &|| caller.list_by_id(ALARM_ID).map(drop).map_err(|e| e.code()));
        assert_eq!(result, Err(ErrorCode::NoConnect));
    }
}

/// A node whose alarm on `host=stuck` cannot be deleted at the controller, whatever is tried.
fn stuck() -> (Sim, Node) {
    let sim = controller();
    let node = Node::with_platform(&sim);
    let uuid = node.client.set(alarm("host=stuck")).unwrap();
    node.wait_delivered();
    sim.add_fault(Fault::status(500).on("DELETE", &format!("/v1/alarms/{uuid}"))).unwrap();
    (sim, node)
}

#[test]
fn one_request_that_fails_for_ever_delays_no_other() {
    let (sim, node) = stuck();
    node.client.clear(key("host=stuck")).unwrap();
    let others: Vec<Alarm> = (0..20).map(|number| alarm(&format!("host=c{number}"))).collect();
    node.client.set_list(others).unwrap();
    wait_for("the others", || node.waiting("platform") == 1);
    assert_eq!(standing(&sim).len(), 21);
    assert_eq!(node.domain("platform")["state"], "up");
}

#[test]
fn one_alarm_of_which_very_much_waits_delays_no_other() {
    let (sim, node) = stuck();
    let flaps: Vec<Alarm> = (0..6000)
        .map(|number| {
            let alarm_state = if number % 2 == 0 { AlarmState::Clear } else { AlarmState::Set };
            Alarm { alarm_state, ..worse("host=stuck", &number.to_string()) }
        })
        .collect();
    node.client.set_list(flaps).unwrap();
    node.client.set(alarm("host=other")).unwrap();
    wait_for("the other", || node.waiting("platform") == 6000);
    assert!(standing(&sim).iter().any(|(entity, _)| entity == "host=other"));
}

#[test]
fn an_alarm_that_a_clear_all_is_about_to_remove_is_not_kept() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    let theirs = sim.insert_alarm(NewAlarm::new(ALARM_ID, "host=a.p=1", "minor")).unwrap().fields.uuid;
    let fault = sim.add_fault(Fault::status(500).on("DELETE", "/v1/alarms")).unwrap();
    node.client.clear_all("host=a").unwrap();
    assert_eq!(node.waiting("platform"), 1);
    let ours = node.client.set(Alarm { keep_existing_alarm: true, ..alarm("host=a.p=1") }).unwrap();
    assert_ne!(ours, theirs);
    sim.remove_fault(fault).unwrap();
    node.wait_delivered();
    let there = sim.alarms().unwrap();
    assert_eq!((there.len(), there[0].fields.uuid.as_str()), (1, ours.as_str()));
}

#[test]
fn the_event_log_at_its_cap_doubles_and_loses_nothing() {
    let sim = controller_with(SimConfig { event_cap: 200, ..SimConfig::default() });
    sim.fill_event_log(200).unwrap();
    sim.set_collision_probability(0.4, 7);
    let node = Node::with_platform(&sim);
    let alarms: Vec<Alarm> = (0..40).map(|number| alarm(&format!("host=c{number}"))).collect();
    node.client.set_list(alarms.clone()).unwrap();
    node.wait_delivered();
    assert_eq!(standing(&sim).len(), 40);
    node.client.clear_list(alarms.iter().map(Alarm::key).collect()).unwrap();
    node.wait_delivered();
    assert!(standing(&sim).is_empty());
}
