//! A backlog whose raises ask together what stands.

use fm_common::Alarm;
use fm_rest_sim::{Fault, FaultKind, NewAlarm};

use crate::support::{ALARM_ID, Node, alarm, controller, events, standing};

/// A raise that asks for itself names its alarm id and its whole entity.
fn questions(sim: &fm_rest_sim::Sim) -> usize {
    let requests = sim.requests();
    let lists =
        requests.iter().filter(|request| request.method == "GET" && request.path.starts_with("/v1/alarms?"));
    lists.count()
}

#[test]
fn a_backlog_asks_a_few_times_and_finds_what_others_have_raised() {
    let sim = controller();
    let refuse = sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    let node = Node::with_platform(&sim);
    let entity = |n: usize| format!("host=c0.process=p{n}");
    let all: Vec<Alarm> = (0..100).map(|n| alarm(&entity(n))).collect();
    node.client.set_list(all).unwrap();
    // Others have raised some of them meanwhile.
    for n in (0..100).step_by(10) {
        sim.insert_alarm(NewAlarm::new(ALARM_ID, &entity(n), "minor")).unwrap();
    }
    sim.clear_requests();
    sim.remove_fault(refuse).unwrap();
    node.wait_delivered();
    let mut stand = standing(&sim);
    stand.sort();
    let mut wanted: Vec<_> = (0..100).map(|n| (entity(n), alarm(&entity(n)).reason_text)).collect();
    wanted.sort();
    assert_eq!(stand, wanted, "each once, as this node has raised it");
    for n in 0..100 {
        let sets = events(&sim, &entity(n)).into_iter().filter(|(state, _)| state == "set").count();
        assert_eq!(sets, 1, "{}", entity(n));
    }
    let asked = questions(&sim);
    assert!((10..60).contains(&asked), "{asked} questions for 100 raises, 10 of which stood already");
}

#[test]
fn a_question_that_failed_in_an_outage_is_asked_again_when_it_is_over() {
    let sim = controller();
    let refuse = sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    let node = Node::with_platform(&sim);
    node.client.set_list((0..100).map(|n| alarm(&format!("host=c0.process=p{n}"))).collect()).unwrap();
    // The question about all of them was among what failed.
    node.wait_down("platform");
    sim.clear_requests();
    sim.remove_fault(refuse).unwrap();
    node.wait_delivered();
    assert_eq!(standing(&sim).len(), 100);
    let asked = questions(&sim);
    assert!(asked < 30, "{asked} questions for 100 raises");
}
