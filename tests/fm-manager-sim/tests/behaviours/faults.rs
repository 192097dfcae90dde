//! Failing on demand.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use fm_manager_sim::{Action, Fault, FaultKind};

use crate::bench::{Peer, alarm, sim};

/// What stands after a create that met this fault, and whether it was answered in full.
fn met(fault: Fault) -> (usize, bool) {
    let sim = sim();
    sim.add_fault(fault.on(Action::Create).times(1));
    let mut peer = Peer::new(&sim);
    peer.0.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    peer.send(Action::Create, &alarm("host=a").to_bytes());
    let answered = peer.receive().is_ok_and(|(header, _)| header.version == 1);
    (sim.alarms().len(), answered)
}

#[test]
fn a_hang_answers_nothing_and_applies_on_demand() {
    assert_eq!(met(Fault::new(FaultKind::Hang)), (0, false));
    assert_eq!(met(Fault::new(FaultKind::Hang).applied()), (1, false));
}

#[test]
fn a_reset_answers_nothing_and_applies_on_demand() {
    assert_eq!(met(Fault::new(FaultKind::Reset)), (0, false));
    assert_eq!(met(Fault::new(FaultKind::Reset).applied()), (1, false));
}

#[test]
fn garbage_is_no_answer() {
    assert_eq!(met(Fault::new(FaultKind::Garbage)), (0, false));
    assert_eq!(met(Fault::new(FaultKind::Garbage).applied()), (1, false));
}

#[test]
fn half_an_answer_ends_the_connection() {
    assert_eq!(met(Fault::new(FaultKind::HalfAnswer)), (0, false));
    assert_eq!(met(Fault::new(FaultKind::HalfAnswer).applied()), (1, false));
}

#[test]
fn a_code_is_an_answer_and_applies_on_demand() {
    assert_eq!(met(Fault::new(FaultKind::Code(11))), (0, true));
    assert_eq!(met(Fault::new(FaultKind::Code(11)).applied()), (1, true));
}

#[test]
fn slow_is_late_and_otherwise_well() {
    let started = Instant::now();
    assert_eq!(met(Fault::new(FaultKind::Slow(Duration::from_millis(150)))), (1, true));
    assert!(started.elapsed() >= Duration::from_millis(150));
}

#[test]
fn a_death_may_come_after_the_tables_were_written() {
    assert_eq!(met(Fault::new(FaultKind::Die)), (0, false));
    assert_eq!(met(Fault::new(FaultKind::Die).applied()), (1, false));
}

#[test]
fn a_dead_manager_refuses_until_it_is_started_again() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    peer.create(&alarm("host=a"));
    sim.kill();
    assert!(TcpStream::connect(sim.address()).is_err());
    peer.0.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert!(peer.receive().is_err(), "its connections are gone");
    sim.restart().unwrap();
    assert_eq!(Peer::new(&sim).create(&alarm("host=b")), 0);
    assert_eq!(sim.alarms().len(), 2);
}

#[test]
fn a_fault_ends_with_its_count_or_on_demand() {
    let sim = sim();
    let mut peer = Peer::new(&sim);
    sim.add_fault(Fault::new(FaultKind::Code(8)).times(1));
    assert_eq!((peer.create(&alarm("host=a")), peer.create(&alarm("host=a"))), (8, 0));
    sim.add_fault(Fault::new(FaultKind::Code(8)));
    assert_eq!(peer.create(&alarm("host=a")), 8);
    sim.clear_faults();
    assert_eq!(peer.create(&alarm("host=a")), 0);
}
