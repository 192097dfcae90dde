//! Connections: kept while they are good, never used again when they are not.

use std::collections::BTreeSet;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use fm_agent::backend::{FailureKind, Query};
use fm_manager_sim::{Action, FaultKind, ManagerConfig};
use futures_util::future::join_all;

use crate::support::{Bench, ENTITY, alarm, from_toml, key, raise, usual};

/// The connections used since, in the order of the requests.
fn used(bench: &Bench) -> Vec<u64> {
    let requests = bench.sim.requests();
    bench.sim.clear_requests();
    requests.into_iter().map(|request| request.connection).collect()
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let bench = Bench::new();
    for _ in 0..3 {
        bench.raise(&usual()).await.unwrap();
        bench.clear(ENTITY).await.unwrap();
    }
    let connections: BTreeSet<u64> = used(&bench).into_iter().collect();
    assert_eq!(connections.len(), 1);
}

#[tokio::test]
async fn a_connection_that_failed_is_not_used_again() {
    for kind in [FaultKind::Hang, FaultKind::Garbage, FaultKind::Reset, FaultKind::HalfAnswer] {
        let bench = Bench::with(ManagerConfig::default(), "read_timeout_ms = 300\n");
        bench.backend.probe().await.unwrap();
        bench.once(Action::Create, kind);
        bench.raise(&usual()).await.unwrap();
        let used = used(&bench);
        // Probe, question, lost create; then the question about it and, where it was lost, the create again.
        assert_eq!(used[..3], [1, 1, 1], "{kind:?}");
        assert!(used[3..].iter().all(|connection| *connection == 2), "{kind:?}: {used:?}");
    }
}

#[tokio::test]
async fn an_answer_too_late_is_nobodys_answer() {
    let bench = Bench::with(ManagerConfig::default(), "read_timeout_ms = 300\n");
    bench.raise(&raise(alarm("host=a", "first"))).await.unwrap();
    bench.once(Action::Get, FaultKind::Slow(Duration::from_millis(600)));
    // The question is asked again on another connection; the late answer finds nobody.
    let rows = bench.list(&Query::one(&key("host=a"))).await;
    assert_eq!(rows[0].reason_text, "first");
    assert!(bench.list(&Query::one(&key("host=b"))).await.is_empty());
}

#[tokio::test]
async fn a_manager_that_was_started_again_costs_nobody_anything() {
    let bench = Bench::new();
    bench.raise(&usual()).await.unwrap();
    for round in 0..5 {
        bench.sim.kill();
        bench.sim.restart().unwrap();
        let delivered = bench.raise(&raise(alarm(&format!("host=c{round}"), "broken"))).await.unwrap();
        assert!(!delivered.unclear);
    }
}

#[tokio::test]
async fn no_more_connections_are_kept_than_configured() {
    let bench = Bench::new();
    let question = Query::one(&key(ENTITY));
    join_all((0..8).map(|_| bench.backend.list(&question))).await;
    let first: BTreeSet<u64> = used(&bench).into_iter().collect();
    join_all((0..8).map(|_| bench.backend.list(&question))).await;
    let second: BTreeSet<u64> = used(&bench).into_iter().collect();
    assert_eq!((first.len(), second.len()), (8, 8), "side by side, one request a connection");
    assert_eq!(first.intersection(&second).count(), 2);
}

#[tokio::test]
async fn the_manager_may_be_at_an_address_of_either_family() {
    let listen = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    let bench = Bench::with(ManagerConfig { listen, ..ManagerConfig::default() }, "");
    bench.raise(&usual()).await.unwrap();
    let bench = Bench::new();
    let port = bench.sim.address().port();
    let by_name = from_toml(&format!("[fm_manager]\nhost = 'localhost'\nport = {port}\n"));
    by_name.raise(&usual()).await.unwrap();
    assert_eq!(bench.entities(), [ENTITY]);
}

#[tokio::test]
async fn what_cannot_be_reached_is_told_with_its_place() {
    let bench = Bench::new();
    bench.sim.kill();
    let failure = bench.raise(&usual()).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, false));
    assert!(failure.reason.contains(&bench.sim.address().to_string()), "{failure}");
    assert!(failure.reason.contains("cannot be reached"), "{failure}");
    let nowhere = from_toml("[fm_manager]\nhost = 'nowhere.invalid'\n");
    let failure = nowhere.probe().await.unwrap_err();
    assert!(failure.reason.contains("nowhere.invalid:8001"), "{failure}");
}
