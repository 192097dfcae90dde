//! Databases of every schema that was released, and of one that is not known yet.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::super::{StoreErrorKind, schema};
use super::*;

/// Each released schema with rows, as text. A new schema appends its own; none is ever edited.
const RELEASED: &[&str] = &[
    include_str!("schemas/v1.sql"),
    include_str!("schemas/v2.sql"),
    include_str!("schemas/v3.sql"),
    include_str!("schemas/v4.sql"),
    include_str!("schemas/v5.sql"),
    include_str!("schemas/v6.sql"),
];

/// A directory with the database of a released schema.
fn released(text: &str) -> TempDir {
    let directory = TempDir::new().unwrap();
    let connection = Connection::open(directory.path().join("fm-agent.db")).unwrap();
    connection.execute_batch(&format!("PRAGMA journal_mode = wal; {text}")).unwrap();
    directory
}

fn tables(connection: &Connection) -> String {
    let sql =
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid";
    let mut statement = connection.prepare(sql).unwrap();
    let tables = statement.query_map([], |row| Ok(row.get::<_, String>(0)? + ";\n")).unwrap();
    tables.collect::<Result<_, _>>().unwrap()
}

/// An edit of a released migration changes what it makes.
#[test]
fn no_released_migration_was_edited() {
    assert_eq!(RELEASED.len(), schema::MIGRATIONS.len(), "a new schema needs its text here");
    for (number, text) in RELEASED.iter().enumerate() {
        let connection = Connection::open_in_memory().unwrap();
        for migration in &schema::MIGRATIONS[..=number] {
            connection.execute_batch(migration).unwrap();
        }
        let (_, text) = text.split_once('\n').unwrap();
        let (released, _) = text.split_once("-- Rows.\n").unwrap();
        assert_eq!(tables(&connection), released, "schema {}", number + 1);
    }
}

const PLATFORM: [&str; 6] = [
    "raise 1 hot",
    "clear 2",
    "log 4 hot",
    "clear_all host=c9",
    "remove 5 00000000-0000-4000-8000-000000000005",
    "raise 6 hot",
];

async fn holds_everything(bed: &Bed) {
    assert_eq!(bed.queue(Platform).await, PLATFORM);
    assert_eq!(bed.queue(Openstack).await, ["raise 3 hot"]);
    let places: Vec<i64> = bed.waiting(Platform).await.iter().map(|request| request.seq).collect();
    assert_eq!(places, [5, 6, 8, 9, 10, 11]);
    for id in ["1", "3", "6", "7"] {
        assert_eq!(raised(bed.find(id).await).reason_text, "hot");
    }
    assert_eq!(bed.find("2").await.unwrap().standing, Standing::Cleared);
    let reader = &bed.store().reader;
    let rejected = reader.rejected(0, 10).await.unwrap();
    assert_eq!((rejected.len(), &*rejected[0].answer), (1, "not so"));
    assert_eq!(reader.begun(Platform).await.unwrap(), 70);
    assert_eq!(bed.events(), ["set 7"]);
    // A call that was taken before is taken once.
    let repeated = bed.try_submit(Some([7; 16]), vec![raise(Platform, &alarm("1", "other"))]).await.unwrap();
    assert_eq!(repeated, [Outcome::Raised("00000000-0000-4000-8000-000000000001".to_owned())]);
}

fn bed(directory: TempDir) -> Bed {
    let options = StoreOptions {
        rejected: KeepRejected { most: 10, age: Duration::from_hours(24 * 36_500) },
        ..options(directory.path(), &[(Platform, false), (Openstack, false)])
    };
    let store = Some(Store::open(&options).unwrap());
    Bed::over(directory, options, store)
}

#[tokio::test]
async fn every_released_schema_is_brought_up_to_date_and_keeps_everything() {
    for text in RELEASED {
        let bed = bed(released(text));
        assert_eq!(bed.store().condition().quarantines(), 0);
        holds_everything(&bed).await;
        let database = bed.database();
        let number = |pragma: &str| -> i64 {
            database.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).unwrap()
        };
        assert_eq!(
            (number("user_version"), number("application_id")),
            (i64::try_from(RELEASED.len()).unwrap(), 0x464d_4147)
        );
        // What the migrations make of it is what they make of nothing.
        let fresh = Bed::delivering();
        let sorted = |connection: &Connection| -> BTreeSet<String> {
            tables(connection).split_inclusive(";\n").map(str::to_owned).collect()
        };
        assert_eq!(sorted(&database), sorted(&fresh.database()));
    }
}

/// The log of the migration, cut at each place where a crash can cut it.
#[tokio::test]
async fn a_migration_that_is_cut_anywhere_loses_nothing() {
    for text in &RELEASED[..RELEASED.len() - 1] {
        let directory = released(text);
        let path = directory.path().join("fm-agent.db");
        let before = fs::read(&path).unwrap();
        let migrated = schema::open(&path, Durability::Power).unwrap();
        let wal = fs::read(directory.path().join("fm-agent.db-wal")).unwrap();
        drop(migrated);
        assert!(wal.len() >= 32 + 2 * 4120, "the migration writes more than one page");
        let frame_parts = [0, 12, 24 + 2048];
        let cuts = (32..wal.len()).step_by(24 + 4096).flat_map(|at| frame_parts.map(|part| at + part));
        for cut in cuts.chain([0, 16, wal.len()]).filter(|cut| *cut <= wal.len()) {
            let killed = TempDir::new().unwrap();
            fs::write(killed.path().join("fm-agent.db"), &before).unwrap();
            fs::write(killed.path().join("fm-agent.db-wal"), &wal[..cut]).unwrap();
            let bed = bed(killed);
            assert_eq!(bed.store().condition().quarantines(), 0, "cut at {cut}");
            holds_everything(&bed).await;
        }
    }
}

/// Every name in a directory with what is in it.
fn everything(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = paths.map(|path| (path.clone(), fs::read(&path).unwrap())).collect();
    all.sort();
    all
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_nothing_touched() {
    let bed = Bed::delivering();
    bed.one(raise(Platform, &alarm("1", "hot"))).await;
    bed.database().pragma_update(None, "user_version", 99).unwrap();
    // As a newer agent leaves it when it is killed, its last commits in the log only; and when it has ended.
    for ended in [false, true] {
        if ended {
            bed.store().writer.stop().await.unwrap();
        }
        let here = TempDir::new().unwrap();
        for entry in fs::read_dir(bed.directory.path()).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if !ended || !(name.ends_with("-wal") || name.ends_with("-shm")) {
                fs::copy(entry.path(), here.path().join(entry.file_name())).unwrap();
            }
        }
        fs::write(here.path().join("fm-agent.lock"), "4711\n").unwrap();
        let before = everything(here.path());
        let error = Store::open(&options(here.path(), &[(Platform, false)])).unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Newer);
        let text = error.to_string();
        assert!(text.contains("99") && text.contains(here.path().to_str().unwrap()), "{text}");
        assert!(before == everything(here.path()), "the directory has changed");
    }
}
