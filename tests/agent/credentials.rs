//! How often an account is offered to Keystone, which locks it after a few wrong passwords for all who use it.

use std::time::{Duration, Instant};

use fm_common::Alarm;
use fm_rest_sim::{Fault, NewAlarm, Service, Sim};

use crate::support::{ALARM_ID, Node, OPENSTACK_ALARM_ID, alarm, controller, domain, key, wait_for};

/// How often Keystone was asked for a token.
fn offers(sim: &Sim) -> usize {
    sim.requests_to(Service::Keystone).iter().filter(|request| request.method == "POST").count()
}

/// A wrong password, and since when it is used.
struct Wrong(Instant);

impl Wrong {
    /// It is offered no more often than its pauses let it: 5 s after the first answer, 35 s after the second.
    fn is_offered_seldom(&self, sim: &Sim) {
        let offers = offers(sim);
        let most = match self.0.elapsed().as_secs() {
            0..5 => 1,
            5..40 => 2,
            _ => 3,
        };
        assert!((1..=most).contains(&offers), "{offers} offers in {:?}", self.0.elapsed());
    }
}

#[test]
fn a_wrong_password_is_offered_seldom_though_no_reader_waits_for_the_answer() {
    let sim = controller();
    let config =
        domain("platform", &sim, "wrong").replace("request_timeout_ms = 1000", "request_timeout_ms = 5000");
    sim.add_fault(Fault::slow(800).at_keystone()).unwrap();
    let node = Node::start(&config);
    let (hasty, wrong) = (node.hasty_client(500, 500), Wrong(Instant::now()));
    while wrong.0.elapsed() < Duration::from_secs(3) {
        hasty.get(key("host=unknown")).unwrap_err();
    }
    wrong.is_offered_seldom(&sim);
    let reason = node.wait_down("platform");
    assert!(reason.contains("refuses user 'fm'"), "{reason}");
}

#[test]
fn a_token_that_takes_longer_than_a_reader_waits_serves_the_next_one() {
    let sim = controller();
    let config = domain("platform", &sim, "labrador").replace("_timeout_ms = 1000", "_timeout_ms = 10000");
    sim.add_fault(Fault::slow(1200).at_keystone()).unwrap();
    sim.insert_alarm(NewAlarm::new(ALARM_ID, "host=x", "minor")).unwrap();
    let node = Node::start(&config);
    let hasty = node.hasty_client(1000, 1000);
    wait_for("a read to be answered", || hasty.get(key("host=x")).is_ok());
    assert_eq!(offers(&sim), 1);
}

#[test]
fn an_account_of_two_domains_is_offered_as_one() {
    let sim = controller();
    // Both ask at the same time.
    sim.add_fault(Fault::slow(500).at_keystone()).unwrap();
    let wrong = Wrong(Instant::now());
    let node = Node::start(&(domain("platform", &sim, "wrong") + &domain("openstack", &sim, "wrong")));
    node.client.set(alarm("host=a")).unwrap();
    let openstack = Alarm { alarm_id: OPENSTACK_ALARM_ID.to_owned(), ..alarm("instance=7") };
    node.client.set(openstack).unwrap();
    for domain in ["platform", "openstack"] {
        let reason = node.wait_down(domain);
        assert!(reason.contains("refuses user 'fm'"), "{reason}");
    }
    wrong.is_offered_seldom(&sim);
}

#[test]
fn a_new_configuration_forgets_no_refusal_and_offers_another_password_at_once() {
    let sim = controller();
    let wrong = Wrong(Instant::now());
    let node = Node::start(&domain("platform", &sim, "wrong"));
    node.client.set(alarm("host=a")).unwrap();
    for _ in 0..4 {
        node.wait_down("platform");
        node.reload();
    }
    node.wait_down("platform");
    wrong.is_offered_seldom(&sim);
    node.configure(&domain("platform", &sim, "labrador"));
    node.reload();
    node.wait_delivered();
}
