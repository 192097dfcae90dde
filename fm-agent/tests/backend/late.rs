//! What is known to be absent is relied on for a moment, counted to the sending: whatever is in the way of a raise, a
//! row that another writer has brought meanwhile does not stand beside it.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use fm_agent::backend::Raise;
use fm_rest_sim::{Fault, FaultKind, Service};

use crate::support::{ALARM_ID, Bench, ENTITY, usual};

/// Another writer raises the usual alarm as soon as something has been asked so often.
async fn meanwhile(bench: &Bench, service: Service, method: &str, times: usize) {
    let asked = || bench.sim.requests_to(service).iter().filter(|request| request.method == method).count();
    while asked() < times {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bench.plant(ALARM_ID, ENTITY, "minor");
}

/// The usual alarm, which the service has been asked for and does not have.
async fn absent(bench: &Bench, relied_on_for: Duration) -> Raise {
    let asked_at = Instant::now();
    let given = usual();
    let keys = [given.alarm.key()];
    assert_eq!(bench.backend.absent(&keys).await.unwrap(), HashSet::from(keys));
    bench.sim.clear_requests();
    Raise { absent_until: Some(asked_at + relied_on_for), ..given }
}

#[tokio::test]
async fn a_token_that_takes_its_time_makes_a_raise_ask_first() {
    let bench = Bench::platform();
    let given = absent(&bench, Duration::from_millis(800)).await;
    bench.sim.invalidate_tokens();
    bench.fault(Fault::slow(1500).at_keystone());
    let (raised, ()) = tokio::join!(bench.raise(&given), meanwhile(&bench, Service::Keystone, "POST", 1));
    assert_eq!(raised.unwrap(), Some(given.uuid.clone()));
    assert_eq!(bench.uuids(), [given.uuid]);
}

#[tokio::test]
async fn a_token_refused_after_the_question_makes_a_raise_ask_again() {
    let bench = Bench::platform();
    bench.backend.probe().await.unwrap();
    bench.sim.clear_requests();
    bench.fault(Fault::new(FaultKind::Unauthorized).on("POST", "/v1/alarms").times(1));
    bench.fault(Fault::slow(1500).at_keystone());
    let given = usual();
    let (raised, ()) = tokio::join!(bench.raise(&given), meanwhile(&bench, Service::Keystone, "POST", 1));
    assert_eq!(raised.unwrap(), Some(given.uuid.clone()));
    assert_eq!(bench.uuids(), [given.uuid]);
}

#[tokio::test]
async fn a_raise_whose_sending_took_too_long_removes_what_came_before_it() {
    let bench = Bench::platform();
    let given = absent(&bench, Duration::from_millis(800)).await;
    bench.fault(Fault::slow(1500).on("POST", "/v1/alarms").times(1));
    let (raised, ()) = tokio::join!(bench.raise(&given), meanwhile(&bench, Service::Fm, "POST", 1));
    assert_eq!(raised.unwrap(), Some(given.uuid.clone()));
    assert_eq!(bench.uuids(), [given.uuid]);
}

#[tokio::test]
async fn a_raise_that_goes_in_time_asks_nothing() {
    let bench = Bench::platform();
    let given = absent(&bench, Duration::from_mins(1)).await;
    assert_eq!(bench.raise(&given).await.unwrap(), Some(given.uuid.clone()));
    assert_eq!(bench.requests(), ["POST alarms"]);
    let late = Raise { absent_until: Some(Instant::now()), ..usual() };
    assert_eq!(bench.raise(&late).await.unwrap(), Some(given.uuid.clone()), "it stands");
    assert_eq!(bench.requests(), ["GET alarms"]);
}
