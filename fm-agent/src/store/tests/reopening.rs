//! A store that cannot be opened again after a repair, for a reason that is no damage, opens when the reason is gone.

use std::fs;
use std::time::{Duration, Instant};

use super::super::StoreErrorKind;
use super::recovery::{goes_on, in_use, spoil_in_use};
use super::*;

/// Names that the repair needs are taken by directories: nothing is salvaged, and SQLite has no place for its index.
const NAMES: [&str; 2] = ["fm-agent.db.salvaging", "fm-agent.db-shm"];

#[tokio::test]
async fn a_store_that_could_not_be_opened_opens_for_the_next_write() {
    let (bed, before) = in_use().await;
    spoil_in_use(&bed, "alarm", "leaf");
    for name in NAMES {
        let path = bed.directory.path().join(name);
        let _absent = fs::remove_file(&path);
        fs::create_dir(&path).unwrap();
    }
    let taken = || bed.try_submit(None, vec![raise(Platform, &alarm("new", "hot"))]);
    // The first has met the damage, the others find no database.
    for _ in 0..3 {
        assert_eq!(taken().await.unwrap_err().kind, StoreErrorKind::Io);
    }
    for name in NAMES {
        fs::remove_dir(bed.directory.path().join(name)).unwrap();
    }
    let started = Instant::now();
    while taken().await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(30), "the store stays closed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // What could not be salvaged then is salvaged now.
    let after = bed.queue(Platform).await;
    assert_eq!((&after[..before.len()], &*after[before.len()]), (&*before, "raise new hot"));
    assert_eq!(bed.store().condition().quarantines(), 1);
    goes_on(&bed).await;
}
