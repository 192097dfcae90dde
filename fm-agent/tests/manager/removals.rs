//! Deletes go by prefix, with live wildcards: no clear may remove somebody else's alarm.

use fm_agent::backend::FailureKind;
use fm_common::entity::EntityMatch;
use fm_manager_sim::Action;

use crate::support::{ALARM_ID, Bench, OTHER_ID, alarm, raise};

/// A bench on which another writer has left these alarms.
fn planted(entities: &[&str]) -> Bench {
    let bench = Bench::new();
    for entity in entities {
        bench.plant(ALARM_ID, entity);
    }
    bench
}

#[tokio::test]
async fn a_clear_of_subcloud1_waits_while_subcloud10_stands() {
    let bench = planted(&["subcloud=subcloud1", "subcloud=subcloud10"]);
    let failure = bench.clear("subcloud=subcloud1").await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Waits, false));
    assert!(failure.reason.contains("while 'subcloud=subcloud10' has an alarm"), "{failure}");
    assert_eq!(bench.entities(), ["subcloud=subcloud1", "subcloud=subcloud10"]);
    assert_eq!(bench.count(Action::Delete), 0, "not sent at all");
    // The longer name can be cleared at any time, and then the shorter one.
    bench.clear("subcloud=subcloud10").await.unwrap();
    bench.clear("subcloud=subcloud1").await.unwrap();
    assert!(bench.entities().is_empty());
}

#[tokio::test]
async fn what_lies_under_an_entity_is_another_alarm() {
    let bench = planted(&["host=a", "host=a.port=1"]);
    let failure = bench.clear("host=a").await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Waits);
    assert_eq!(bench.entities(), ["host=a", "host=a.port=1"]);
}

#[tokio::test]
async fn an_alarm_of_another_id_is_in_nobodys_way() {
    let bench = planted(&["subcloud=subcloud1"]);
    bench.plant(OTHER_ID, "subcloud=subcloud10");
    bench.clear("subcloud=subcloud1").await.unwrap();
    assert_eq!(bench.entities(), ["subcloud=subcloud10"]);
}

#[tokio::test]
async fn a_suppressed_alarm_is_not_cleared_unseen() {
    let bench = planted(&["subcloud=subcloud1", "subcloud=subcloud10"]);
    bench.sim.suppress(ALARM_ID, true);
    assert_eq!(bench.clear("subcloud=subcloud1").await.unwrap_err().kind, FailureKind::Waits);
    assert_eq!(bench.entities().len(), 2);
    // And is cleared when it is meant.
    bench.clear("subcloud=subcloud10").await.unwrap();
    assert_eq!(bench.entities(), ["subcloud=subcloud1"]);
}

#[tokio::test]
async fn a_wildcard_in_an_entity_clears_that_entity_only() {
    let bench = planted(&["site=a_1", "site=ab1", "app=rook_ceph", "load=50%"]);
    for entity in ["app=rook_ceph", "load=50%"] {
        bench.clear(entity).await.unwrap();
    }
    assert_eq!(bench.entities(), ["site=a_1", "site=ab1"]);
    assert_eq!(bench.clear("site=a_1").await.unwrap_err().kind, FailureKind::Waits);
    assert_eq!(bench.entities(), ["site=a_1", "site=ab1"]);
    bench.clear("site=ab1").await.unwrap();
    bench.clear("site=a_1").await.unwrap();
    assert!(bench.entities().is_empty());
}

#[tokio::test]
async fn what_would_spoil_its_sql_is_refused_and_not_sent() {
    let bench = planted(&["host=o'brien", r"path=c:\x", "host=a"]);
    for entity in ["host=o'brien", r"path=c:\x"] {
        let failure = bench.clear(entity).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Rejected);
        assert!(failure.reason.contains("quote or a backslash"), "{failure}");
    }
    // Where there is nothing to clear, there is nothing to refuse.
    bench.clear("host=o'reilly").await.unwrap();
    bench.clear_all("host=o'reilly").await.unwrap();
    assert_eq!(bench.entities().len(), 3);
    assert!(bench.filters().iter().all(|filter| !filter.entity_instance_id.contains(['\'', '\\'])));
}

#[tokio::test]
async fn a_clear_all_takes_the_entity_and_what_lies_under_it() {
    let bench = planted(&["host=compute-1", "host=compute-1.port=eth0", "host=compute-2"]);
    bench.plant(OTHER_ID, "host=compute-1=10.0.0.1");
    bench.plant(OTHER_ID, "host=compute-10");
    let delivered = bench.clear_all("host=compute-1").await.unwrap();
    assert!(!delivered.unclear);
    assert_eq!(bench.entities(), ["host=compute-10", "host=compute-2"]);
    assert_eq!((bench.count(Action::DeleteAll), bench.count(Action::DeleteList)), (0, 1));
    bench.clear_all("host=compute-1").await.unwrap();
    assert_eq!(bench.count(Action::DeleteList), 1, "nothing to delete, nothing sent");
}

#[tokio::test]
async fn a_clear_all_takes_suppressed_alarms_too() {
    let bench = planted(&["host=compute-1", "host=compute-1.port=eth0"]);
    bench.plant(OTHER_ID, "host=compute-1");
    bench.sim.suppress(ALARM_ID, true);
    bench.clear_all("host=compute-1").await.unwrap();
    assert!(bench.entities().is_empty());
}

#[tokio::test]
async fn a_clear_all_removes_what_it_can_and_tells_what_it_cannot() {
    let bench = planted(&["host=compute-1", "host=compute-1.port=eth0", "host=compute-10"]);
    bench.plant(OTHER_ID, "host=compute-1");
    let failure = bench.clear_all("host=compute-1").await.unwrap_err();
    // Refused and kept, not awaited: it would hold up what is raised on the host since.
    assert_eq!(failure.kind, FailureKind::Rejected);
    assert!(failure.reason.contains("100.103 on 'host=compute-1' is not deleted"), "{failure}");
    assert_eq!(bench.entities(), ["host=compute-1", "host=compute-10"]);
    bench.clear("host=compute-10").await.unwrap();
    bench.clear_all("host=compute-1").await.unwrap();
    assert!(bench.entities().is_empty());
}

#[tokio::test]
async fn a_clear_all_by_prefix_takes_all_that_begins_so() {
    let bench = planted(&["host=compute-1", "host=compute-10", "host=compute-2"]);
    bench.clear_all_by("host=compute-1", EntityMatch::Prefix).await.unwrap();
    assert_eq!(bench.entities(), ["host=compute-2"]);
}

#[tokio::test]
async fn a_clear_all_with_a_wildcard_means_the_character() {
    let bench = planted(&["site=a_1.x", "site=ab1.x", "site=a_1"]);
    let failure = bench.clear_all("site=a_1").await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Rejected);
    assert_eq!(bench.entities(), ["site=a_1", "site=a_1.x", "site=ab1.x"], "both would take the third");
    bench.clear("site=ab1.x").await.unwrap();
    bench.clear_all("site=a_1").await.unwrap();
    assert!(bench.entities().is_empty());
}

#[tokio::test]
async fn a_thousand_alarms_are_cleared_at_once() {
    let bench = Bench::new();
    for number in 0..1000 {
        bench.plant(ALARM_ID, &format!("host=a.port={number:04}"));
    }
    bench.clear_all("host=a").await.unwrap();
    assert!(bench.entities().is_empty());
    assert_eq!(bench.count(Action::DeleteList), 2);
}

#[tokio::test]
async fn an_alarm_raised_again_while_its_clear_waits_stands() {
    let bench = planted(&["subcloud=subcloud1", "subcloud=subcloud10"]);
    assert!(bench.clear("subcloud=subcloud1").await.is_err());
    bench.raise(&raise(alarm("subcloud=subcloud1", "again"))).await.unwrap();
    assert_eq!(bench.entities(), ["subcloud=subcloud1", "subcloud=subcloud10"]);
}
