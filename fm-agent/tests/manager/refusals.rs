//! Return codes: refused for good, failing for a moment, not usable at all.

use fm_agent::backend::{FailureKind, Raise};
use fm_common::{Alarm, Severity};
use fm_manager_sim::{Action, Fault, FaultKind, ManagerConfig};

use crate::support::{ALARM_ID, Bench, ENTITY, alarm, log, query, raise, usual};

fn of_id(alarm_id: &str) -> Raise {
    raise(Alarm { alarm_id: alarm_id.to_owned(), ..alarm(ENTITY, "broken") })
}

#[tokio::test]
async fn an_unknown_alarm_id_is_refused_for_good_after_asking() {
    let bench = Bench::new();
    let failure = bench.raise(&of_id("999.999")).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Rejected, false));
    assert!(failure.reason.contains("999.999") && failure.reason.contains("11"), "{failure}");
    assert_eq!(bench.count(Action::Create), 2);
    // A log may have any id.
    let mut logged = log(ENTITY);
    logged.alarm.alarm_id = "999.999".to_owned();
    bench.backend.log(&logged).await.unwrap();
}

#[tokio::test]
async fn a_moments_failure_of_the_database_refuses_no_alarm() {
    let bench = Bench::new();
    // Of the catalogue: the manager knows it.
    bench.once(Action::Create, FaultKind::Code(11));
    let raised = usual();
    let failure = bench.raise(&raised).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Retry, false));
    assert_eq!(bench.raise(&raised).await.unwrap().uuid, Some(raised.uuid));
    // Of nobody's list: sent once more before it is refused.
    let config = ManagerConfig { alarm_ids: vec!["999.001".into()], ..ManagerConfig::default() };
    let bench = Bench::with(config, "");
    bench.once(Action::Create, FaultKind::Code(11));
    assert!(bench.raise(&of_id("999.001")).await.unwrap().unclear);
    // Of an alarm that stands: the manager knows it.
    bench.fault(Fault::new(FaultKind::Code(11)).on(Action::Create).times(5));
    let failure = bench.raise(&raise(Alarm { alarm_id: "999.001".into(), ..alarm("host=b", "") })).await;
    assert_eq!(failure.unwrap_err().kind, FailureKind::Retry);
}

#[tokio::test]
async fn an_alarm_id_that_an_older_manager_lacks_waits() {
    let config = ManagerConfig { alarm_ids: Vec::new(), ..ManagerConfig::default() };
    let bench = Bench::with(config, "");
    let failure = bench.raise(&usual()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Retry);
    assert!(failure.reason.contains("older"), "{failure}");
}

#[tokio::test]
async fn a_refusal_that_was_none_is_found_out() {
    let bench = Bench::new();
    bench.once_applied(Action::Create, FaultKind::Code(11));
    let raised = usual();
    let delivered = bench.raise(&raised).await.unwrap();
    assert_eq!((delivered.uuid, delivered.unclear), (Some(raised.uuid), true));
    bench.once_applied(Action::Delete, FaultKind::Code(11));
    assert!(bench.clear(ENTITY).await.unwrap().unclear);
    bench.once(Action::Delete, FaultKind::Code(11));
    bench.raise(&usual()).await.unwrap();
    assert!(bench.clear(ENTITY).await.unwrap().unclear);
    assert!(bench.sim.alarms().is_empty());
}

#[tokio::test]
async fn a_database_that_is_down_makes_the_manager_unusable() {
    let bench = Bench::new();
    bench.plant(ALARM_ID, "host=b");
    bench.sim.set_database_down(true);
    let unavailable = |failure: fm_agent::backend::Failure| {
        assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Unavailable, false), "{failure}");
    };
    unavailable(bench.raise(&usual()).await.unwrap_err());
    unavailable(bench.clear("host=b").await.unwrap_err());
    unavailable(bench.clear_all("host=b").await.unwrap_err());
    unavailable(bench.backend.log(&log(ENTITY)).await.unwrap_err());
    unavailable(bench.backend.list(&query(None, None, true)).await.unwrap_err());
    unavailable(bench.backend.probe().await.unwrap_err());
    bench.sim.set_database_down(false);
    bench.raise(&usual()).await.unwrap();
}

#[tokio::test]
async fn other_codes_are_told_apart() {
    let bench = Bench::new();
    for (code, kind) in [
        (1, FailureKind::Retry),
        (2, FailureKind::Rejected),
        (7, FailureKind::Unavailable),
        (8, FailureKind::Unavailable),
        (12, FailureKind::Unavailable),
        (13, FailureKind::Rejected),
        (14, FailureKind::Unavailable),
        (99, FailureKind::Unavailable),
    ] {
        bench.once(Action::Create, FaultKind::Code(code));
        let failure = bench.raise(&usual()).await.unwrap_err();
        assert_eq!((failure.kind, failure.in_doubt), (kind, false), "{failure}");
        assert!(failure.reason.contains(&code.to_string()), "{failure}");
        bench.once(Action::Get, FaultKind::Code(code));
        assert_eq!(bench.raise(&usual()).await.unwrap_err().kind, FailureKind::Unavailable);
    }
    assert!(bench.sim.alarms().is_empty());
}

#[tokio::test]
async fn what_it_cannot_take_is_refused_here() {
    let bench = Bench::new();
    for bad in [
        alarm("host=o'brien", "broken"),
        alarm(r"path=c:\x", "broken"),
        Alarm { alarm_id: "1'".into(), ..alarm(ENTITY, "broken") },
        Alarm { severity: Severity::Unranked, ..alarm(ENTITY, "broken") },
    ] {
        assert_eq!(bench.raise(&raise(bad)).await.unwrap_err().kind, FailureKind::Rejected);
    }
    assert!(bench.actions().is_empty());
}
