//! What the service remembers of an alarm that it does not list, and removing one by its uuid.

use fm_agent::backend::{Absent, Clear, Delivered, Failure, FailureKind, Memory};
use fm_common::{AlarmKey, Timestamp};
use fm_rest_sim::{Apply, Fault, FaultKind};

use crate::support::{ALARM_ID, Bench, ENTITY, alarm, raise, usual};

fn absent(entity: &str, uuid: &str, since: Timestamp) -> Absent {
    Absent { key: AlarmKey::new(ALARM_ID, entity), uuid: uuid.to_owned(), since }
}

async fn recall(bench: &Bench, absent: &Absent) -> Result<Memory, Failure> {
    bench.backend.recall(std::slice::from_ref(absent)).await.map(|memories| memories[0])
}

#[tokio::test]
async fn a_removal_is_remembered() {
    let bench = Bench::platform();
    let given = usual();
    bench.raise(&given).await.unwrap();
    let asked = absent(ENTITY, &given.uuid, Timestamp::now());
    assert_eq!(recall(&bench, &asked).await, Ok(Memory::Raised));
    bench.requests();
    bench.clear(ENTITY).await.unwrap();
    bench.requests();
    assert_eq!(recall(&bench, &asked).await, Ok(Memory::Removed));
    assert_eq!(bench.requests(), ["GET event_log"]);
    // The same alarm was removed before this raise of it.
    assert_eq!(recall(&bench, &absent(ENTITY, "another", Timestamp::now())).await, Ok(Memory::Nothing));
}

#[tokio::test]
async fn a_change_is_no_removal() {
    let bench = Bench::platform();
    bench.raise(&usual()).await.unwrap();
    let worse = raise(alarm(ENTITY, "worse"));
    bench.raise(&worse).await.unwrap();
    let asked = absent(ENTITY, &worse.uuid, Timestamp::now());
    assert_eq!(recall(&bench, &asked).await, Ok(Memory::Raised));
}

#[tokio::test]
async fn a_raise_that_left_no_event_is_not_remembered() {
    let bench = Bench::platform();
    bench.fault(Fault::new(FaultKind::Reset).applied(Apply::AlarmOnly).on("POST", "/v1/alarms").times(1));
    let given = usual();
    bench.insist(&given, 3).await;
    assert_eq!(bench.uuids(), std::slice::from_ref(&given.uuid));
    let asked = absent(ENTITY, &given.uuid, Timestamp::now());
    assert_eq!(recall(&bench, &asked).await, Ok(Memory::Nothing));
}

#[tokio::test]
async fn suppressed_kinds_are_remembered_too() {
    let bench = Bench::platform();
    let given = usual();
    bench.raise(&given).await.unwrap();
    bench.sim.suppress(ALARM_ID, true).unwrap();
    // The event log leaves their events out, too, unless it is told not to.
    for (path, shown) in [("event_log?alarms=1", 0), ("event_log?alarms=1&include_suppress=1", 1)] {
        let (status, log) = bench.raw("GET", path, None).await;
        assert_eq!((status, log["event_log"].as_array().map(Vec::len)), (200, Some(shown)), "{path}");
    }
    let asked = absent(ENTITY, &given.uuid, Timestamp::now());
    assert_eq!(recall(&bench, &asked).await, Ok(Memory::Raised));
}

#[tokio::test]
async fn many_are_remembered_in_one_read() {
    let bench = Bench::platform();
    let mut asked = Vec::new();
    for n in 0..12 {
        let given = raise(alarm(&format!("host=c{n}.port=eth0"), "broken"));
        let entity = given.alarm.entity_instance_id.clone();
        // Raised, removed, and never there.
        if n % 3 < 2 {
            bench.raise(&given).await.unwrap();
        }
        asked.push(absent(&entity, &given.uuid, Timestamp::now()));
        if n % 3 == 1 {
            bench.clear(&entity).await.unwrap();
        }
    }
    bench.requests();
    let memories = bench.backend.recall(&asked).await.unwrap();
    let expected = [Memory::Raised, Memory::Removed, Memory::Nothing];
    assert_eq!(memories, expected.repeat(4));
    assert_eq!(bench.requests(), ["GET event_log"]);
}

#[tokio::test]
async fn what_was_adapted_is_recognized() {
    let bench = Bench::containerized();
    let wide = format!("host=compute-1.name={}", "\u{1F525}".repeat(300));
    for entity in ["host=compute-1.port=eth0", wide.as_str(), " "] {
        let given = raise(alarm(entity, "broken"));
        bench.raise(&given).await.unwrap();
        let asked = absent(entity, &given.uuid, Timestamp::now());
        assert_eq!(recall(&bench, &asked).await, Ok(Memory::Raised), "{entity}");
        bench.clear(entity).await.unwrap();
        assert_eq!(recall(&bench, &asked).await, Ok(Memory::Removed), "{entity}");
    }
}

#[tokio::test]
async fn who_cannot_be_asked_says_so() {
    let bench = Bench::platform();
    let asked = absent(ENTITY, "u", Timestamp::now());
    bench.fault(Fault::status(500).on("GET", "/v1/event_log").times(1));
    let failure = recall(&bench, &asked).await.unwrap_err();
    assert_eq!((failure.kind, failure.in_doubt), (FailureKind::Retry, false), "{failure}");
    bench.fault(Fault::new(FaultKind::Refuse));
    assert_eq!(recall(&bench, &asked).await.unwrap_err().kind, FailureKind::Unavailable);
}

#[tokio::test]
async fn one_uuid_is_removed_and_nothing_else() {
    let bench = Bench::platform();
    let key = AlarmKey::new(ALARM_ID, ENTITY);
    let mine = bench.plant(ALARM_ID, ENTITY, "major");
    let theirs = bench.plant(ALARM_ID, ENTITY, "major");
    assert_eq!(bench.backend.remove(&key, &mine).await, Ok(Delivered::default()));
    assert_eq!(bench.uuids(), std::slice::from_ref(&theirs));
    assert_eq!(
        bench.backend.remove(&key, &mine).await,
        Ok(Delivered::default()),
        "there is none: that is fine"
    );
    // An unclear answer is asked about.
    bench.fault(Fault::new(FaultKind::Reset).applied(Apply::All).on("DELETE", "/v1/alarms").times(1));
    assert_eq!(bench.backend.remove(&key, &theirs).await, Ok(Delivered { uuid: None, unclear: true }));
    assert_eq!(bench.uuids(), Vec::<String>::new());
}

/// What a lost alarm that was only masked costs: the raise makes room for itself.
#[tokio::test]
async fn a_masked_alarm_that_is_raised_again_stands_once() {
    let bench = Bench::platform();
    let given = usual();
    bench.raise(&given).await.unwrap();
    bench.sim.mask_alarm(&given.uuid, true).unwrap();
    let again = fm_agent::backend::Raise { standing: Some(given.uuid), ..usual() };
    assert_eq!(bench.raise(&again).await.unwrap(), Some(again.uuid.clone()));
    assert_eq!(bench.uuids(), [again.uuid]);
    let key = AlarmKey::new(ALARM_ID, ENTITY);
    bench.backend.clear(&Clear { key, standing: None }).await.unwrap();
    assert!(bench.uuids().is_empty());
}
