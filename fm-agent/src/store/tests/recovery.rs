//! Damage of every kind but that of the log, and what is left after it: of what was acknowledged and can be read nothing is lost, and
//! the order stays.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::super::StoreErrorKind;
use super::*;

pub(super) const PAGE: u64 = 4096;

/// The files of a store that was killed.
pub(super) struct Killed {
    pub(super) directory: TempDir,
    /// What waited, in short.
    pub(super) queue: Vec<String>,
}

impl Killed {
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn open(&self) -> Result<Bed, StoreError> {
        let options = options(self.directory.path(), &[(Platform, false), (Openstack, true)]);
        let store = Store::open(&options)?;
        Ok(Bed::over(TempDir::new().unwrap(), options, Some(store)))
    }

    /// Opens it and keeps its directory as long as what is returned.
    pub(super) fn open_kept(self) -> Bed {
        let bed = self.open().unwrap();
        Bed { directory: self.directory, ..bed }
    }

    /// The damaged files that were kept.
    fn damaged(&self) -> Vec<String> {
        let names = fs::read_dir(self.directory.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut damaged: Vec<String> =
            names.filter(|name| name.contains(".damaged-") && !name.ends_with("-wal")).collect();
        damaged.sort();
        damaged
    }

    /// Writes garbage over a page.
    fn spoil(&self, page: u64) {
        let file = fs::File::options().write(true).open(self.path("fm-agent.db")).unwrap();
        file.write_all_at(&[0xA5; 4096], (page - 1) * PAGE).unwrap();
    }
}

/// A store with rows enough for every table and index to have inner pages, and long alarms on pages of their own,
/// killed after its last commit. With a log, the newest commits are there only.
pub(super) async fn killed(with_log: bool) -> Killed {
    let bed = Bed::new(&[(Platform, false), (Openstack, true)]);
    let long = |id: &str| Alarm { reason_text: "long ".repeat(2000), ..alarm(id, "") };
    for round in 0..3 {
        let ops = (0..200).map(|number| raise(Platform, &alarm(&format!("{round}.{number:03}"), "hot")));
        bed.all(ops.collect()).await;
        bed.all((0..20).map(|number| raise(Platform, &long(&format!("long.{round}.{number}")))).collect())
            .await;
        bed.all(
            (0..100).map(|number| raise(Openstack, &alarm(&format!("o.{round}.{number}"), "hot"))).collect(),
        )
        .await;
        for number in 0..60 {
            let op = clear(&format!("{round}.{number:03}"), Unknown::Tell);
            let mut token = [round; 16];
            token[0] = number;
            bed.try_submit(Some(token), vec![op]).await.unwrap();
        }
    }
    let first = bed.waiting(Platform).await;
    for request in &first[..150] {
        let report = if request.seq % 2 == 0 {
            Report::Done { seq: request.seq, uuid: Some(format!("at the controller {}", request.seq)) }
        } else {
            Report::Rejected { seq: request.seq, answer: "not so ".repeat(20) }
        };
        bed.report(report).await;
    }
    bed.report(Report::Begun { domain: Platform, up_to: 100 }).await;
    // Alarms that were held and are cleared are remembered.
    bed.all((60..120).map(|number| clear(&format!("0.{number:03}"), Unknown::Deliver(Platform))).collect())
        .await;
    let database = bed.database();
    let checkpointed: i64 =
        database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    assert_eq!(checkpointed, 0);
    if with_log {
        for number in 0..30 {
            bed.one(raise(Platform, &alarm(&format!("late.{number:02}"), "hot"))).await;
        }
    }
    copy(&bed).await
}

/// As a process finds it that comes after one that was killed now.
pub(super) async fn copy(bed: &Bed) -> Killed {
    let directory = TempDir::new().unwrap();
    for file in ["fm-agent.db", "fm-agent.db-wal"] {
        fs::copy(bed.directory.path().join(file), directory.path().join(file)).unwrap();
    }
    Killed { directory, queue: bed.queue(Platform).await }
}

/// Whether what is left is in the order in which it was.
fn in_order(left: &[String], all: &[String]) -> bool {
    let mut places = all.iter();
    left.iter().all(|wanted| places.any(|found| found == wanted))
}

/// The store goes on: takes a request and gives it out last.
pub(super) async fn goes_on(bed: &Bed) {
    bed.one(raise(Platform, &alarm("new", "hot"))).await;
    assert_eq!(bed.queue(Platform).await.last().unwrap(), "raise new hot");
    let found: String = bed.database().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(found, "ok");
}

/// Every page of the database and what it is for: table or index, and whether inner, leaf or overflow.
fn pages(path: &std::path::Path) -> BTreeMap<(String, String), Vec<u64>> {
    let database = Connection::open(path).unwrap();
    let mut statement =
        database.prepare("SELECT name, pagetype, pageno FROM dbstat ORDER BY pageno").unwrap();
    let mut pages: BTreeMap<(String, String), Vec<u64>> = BTreeMap::new();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?))).unwrap();
    for row in rows {
        let (name, kind, page) = row.unwrap();
        pages.entry((name, kind)).or_default().push(page.unsigned_abs());
    }
    pages
}

#[tokio::test]
async fn a_damaged_page_of_every_table_and_index() {
    let whole = killed(false).await;
    let pages = pages(&whole.path("fm-agent.db"));
    let kinds: Vec<String> = pages.keys().map(|(name, kind)| format!("{name} {kind}")).collect();
    for wanted in [
        "request internal",
        "request leaf",
        "request overflow",
        "request_by_domain internal",
        "request_by_domain leaf",
        "alarm internal",
        "alarm leaf",
        "alarm overflow",
        "rejected leaf",
        "rejected internal",
        "event leaf",
        "token leaf",
        "begun leaf",
        "settled leaf",
        "cleared leaf",
        "request_clear_all leaf",
        "sqlite_sequence leaf",
    ] {
        assert!(kinds.iter().any(|kind| kind == wanted), "{wanted} is not among {kinds:?}");
    }
    for ((name, kind), numbers) in &pages {
        let page = numbers[numbers.len() / 2];
        let case = format!("{name} {kind}, page {page}");
        let here = TempDir::new().unwrap();
        fs::copy(whole.path("fm-agent.db"), here.path().join("fm-agent.db")).unwrap();
        let here = Killed { directory: here, queue: whole.queue.clone() };
        here.spoil(page);
        let bed = here.open().unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(bed.store().condition().quarantines(), 1, "{case}");
        let damaged = here.damaged();
        assert_eq!(damaged.len(), 1, "{case}: {damaged:?}");
        let kept = fs::read(here.path(&damaged[0])).unwrap();
        let at = usize::try_from((page - 1) * PAGE).unwrap();
        assert!(kept[at..at + 4096].iter().all(|byte| *byte == 0xA5), "{case}: the damaged page is not kept");
        let left = bed.queue(Platform).await;
        let lost = whole.queue.len() - left.len();
        match (name.as_str(), kind.as_str()) {
            // What hangs under an inner page or is on the page itself: the latest state of each alarm is left.
            ("request", _) => {
                assert!(in_order(&left, &whole.queue), "{case}");
                let latest = |queue: &[String]| -> BTreeMap<String, String> {
                    queue.iter().map(|it| (it.split(' ').nth(1).unwrap().to_owned(), it.clone())).collect()
                };
                assert_eq!(latest(&left), latest(&whole.queue), "{case}");
            }
            // Without its first page a database has no tables.
            ("sqlite_schema", _) => assert_eq!(left, Vec::<String>::new()),
            _ => assert_eq!((lost, &left), (0, &whole.queue), "{case}"),
        }
        goes_on(&bed).await;
    }
}

/// Spoils the pages of a table under an open store, so that it is read from the disk again.
pub(super) fn spoil_in_use(bed: &Bed, name: &str, kind: &str) {
    let path = bed.directory.path().join("fm-agent.db");
    let database = bed.database();
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    for page in &pages(&path)[&(name.to_owned(), kind.to_owned())] {
        file.write_all_at(&[0xA5; 4096], (page - 1) * PAGE).unwrap();
    }
    // Every connection forgets what it has in memory when another one has written.
    database.execute("INSERT OR REPLACE INTO begun VALUES ('openstack', 0)", []).unwrap();
}

/// An open store like the one that [`killed`] leaves.
pub(super) async fn in_use() -> (Bed, Vec<String>) {
    let here = killed(false).await;
    let options = options(here.directory.path(), &[(Platform, false), (Openstack, true)]);
    let store = Some(Store::open(&options).unwrap());
    (Bed::over(here.directory, options, store), here.queue)
}

#[tokio::test]
async fn damage_that_a_write_meets_is_repaired_before_the_answer() {
    for (name, kind) in [("request_by_domain", "leaf"), ("sqlite_sequence", "leaf"), ("alarm", "internal")] {
        let (bed, before) = in_use().await;
        spoil_in_use(&bed, name, kind);
        let taken = bed.one(raise(Platform, &alarm("new", "hot"))).await;
        assert!(matches!(taken, Outcome::Raised(_)));
        assert_eq!(bed.store().condition().quarantines(), 1, "{name}");
        let after = bed.queue(Platform).await;
        assert_eq!(
            (&after[..after.len() - 1], &*after[after.len() - 1]),
            (&*before, "raise new hot"),
            "{name}"
        );
        // Places in the order are never given twice, whatever was lost.
        let places: Vec<i64> = bed.waiting(Platform).await.iter().map(|request| request.seq).collect();
        assert!(places[places.len() - 1] > places[places.len() - 2] + 100_000);
        goes_on(&bed).await;
    }
}

#[tokio::test]
async fn damage_that_a_look_meets_is_repaired_and_the_look_answered() {
    let (bed, before) = in_use().await;
    spoil_in_use(&bed, "request_by_domain", "internal");
    assert_eq!(bed.queue(Platform).await, before);
    assert_eq!(bed.store().condition().quarantines(), 1);
    goes_on(&bed).await;
}

#[tokio::test]
async fn a_disk_that_spoils_everything_does_not_keep_the_agent_busy() {
    let (bed, _) = in_use().await;
    for quarantines in [1, 1] {
        spoil_in_use(&bed, "request_by_domain", "leaf");
        let all = bed.store().reader.waiting(Platform, 0, usize::MAX, usize::MAX).await;
        assert_eq!(bed.store().condition().quarantines(), quarantines);
        match all {
            Ok((found, _)) => assert!(!found.is_empty()),
            Err(error) => assert_eq!(error.kind, StoreErrorKind::Damaged),
        }
    }
}

#[tokio::test]
async fn what_the_start_had_no_time_to_check_is_checked_beside_the_agent() {
    let here = killed(false).await;
    let path = here.path("fm-agent.db");
    // An inner page that nothing reads at the start.
    let page = pages(&path)[&("event".to_owned(), "leaf".to_owned())][2];
    here.spoil(page);
    let options = options(here.directory.path(), &[(Platform, false), (Openstack, true)]);
    let connection = super::super::schema::open(&path, options.durability).unwrap();
    let held = super::super::lock(here.directory.path()).unwrap();
    let opened = super::super::recover::Opened { connection, checked: false };
    let store = Store::start(&options, opened, held, Arc::default()).unwrap();
    let started = Instant::now();
    while store.condition().quarantines() == 0 {
        assert!(started.elapsed() < Duration::from_mins(1), "the damage is not found");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let bed = Bed::over(TempDir::new().unwrap(), options, Some(store));
    assert_eq!(bed.queue(Platform).await, here.queue);
}

#[tokio::test]
async fn an_emptied_database_is_taken_from_its_log() {
    let bed = Bed::new(&[(Platform, false), (Openstack, true)]);
    bed.all(vec![raise(Platform, &alarm("1", "hot")), raise(Platform, &alarm("2", "hot"))]).await;
    for missing in [false, true] {
        let here = copy(&bed).await;
        if missing {
            fs::remove_file(here.path("fm-agent.db")).unwrap();
        } else {
            fs::write(here.path("fm-agent.db"), "").unwrap();
        }
        let again = here.open().unwrap();
        assert_eq!(again.queue(Platform).await, here.queue);
        goes_on(&again).await;
    }
    // Without a log there is nothing to take.
    let here = copy(&bed).await;
    fs::write(here.path("fm-agent.db"), "").unwrap();
    fs::write(here.path("fm-agent.db-wal"), "").unwrap();
    goes_on(&here.open().unwrap()).await;
}

#[tokio::test]
async fn an_emptied_database_whose_log_does_not_hold_everything() {
    let here = killed(true).await;
    fs::write(here.path("fm-agent.db"), "").unwrap();
    let bed = here.open().unwrap();
    assert_eq!(bed.store().condition().quarantines(), 1);
    assert!(in_order(&bed.queue(Platform).await, &here.queue));
    goes_on(&bed).await;
}

#[tokio::test]
async fn what_is_no_database_or_another_applications_is_moved_aside_whole() {
    let text = "a text, and no database".repeat(300).into_bytes();
    let other = |sql: &str| {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("other.db");
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        fs::read(path).unwrap()
    };
    for bytes in [
        text,
        b"short".to_vec(),
        other(
            "PRAGMA application_id = 77; CREATE TABLE request (seq INTEGER PRIMARY KEY); CREATE TABLE settled (a)",
        ),
        other("CREATE TABLE t (a)"),
        other("CREATE TABLE t (a); PRAGMA user_version = 99"),
    ] {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("fm-agent.db"), &bytes).unwrap();
        let here = Killed { directory, queue: Vec::new() };
        let bed = here.open().unwrap();
        assert_eq!(bed.store().condition().quarantines(), 1);
        assert_eq!(fs::read(here.path(&here.damaged()[0])).unwrap(), bytes);
        goes_on(&bed).await;
    }
}

#[tokio::test]
async fn a_salvage_that_is_killed_at_any_moment() {
    let here = killed(true).await;
    let looked_at = TempDir::new().unwrap().path().join("fm-agent.db");
    fs::create_dir(looked_at.parent().unwrap()).unwrap();
    fs::copy(here.path("fm-agent.db"), &looked_at).unwrap();
    let page = pages(&looked_at)[&("request".to_owned(), "leaf".to_owned())][0];
    let open = |directory: TempDir| Killed { directory, queue: Vec::new() }.open_kept();
    let fresh = || {
        let copy = TempDir::new().unwrap();
        for file in ["fm-agent.db", "fm-agent.db-wal"] {
            fs::copy(here.path(file), copy.path().join(file)).unwrap();
        }
        let copy = Killed { directory: copy, queue: Vec::new() };
        copy.spoil(page);
        copy.directory
    };
    // What a whole salvage makes of it.
    let whole = fresh();
    let database = {
        let bed = open(whole);
        let left = bed.queue(Platform).await;
        bed.store().writer.stop().await.unwrap();
        (left, fs::read(bed.options.state_dir.join("fm-agent.db")).unwrap())
    };
    let (left, salvaged) = database;
    assert!(left.len() > here.queue.len() / 2 && in_order(&left, &here.queue));
    // Half of the new database; the whole of it; the log moved; both moved.
    for step in 0..4 {
        let copy = fresh();
        let path = |name: &str| copy.path().join(name);
        let grown = if step == 0 { "fm-agent.db.salvaging" } else { "fm-agent.db.salvaged" };
        fs::write(path(grown), if step == 0 { &salvaged[..salvaged.len() / 2] } else { &salvaged }).unwrap();
        if step > 1 {
            fs::rename(path("fm-agent.db-wal"), path("fm-agent.db.damaged-20261122T170000Z-wal")).unwrap();
        }
        if step > 2 {
            fs::rename(path("fm-agent.db"), path("fm-agent.db.damaged-20261122T170000Z")).unwrap();
        }
        let bed = open(copy);
        assert_eq!(bed.queue(Platform).await, left, "step {step}");
        assert_eq!(bed.store().condition().quarantines(), 1, "step {step}");
        goes_on(&bed).await;
    }
}

#[tokio::test]
async fn damaged_databases_are_kept_but_not_for_ever() {
    let here = TempDir::new().unwrap();
    for number in 0..6 {
        fs::write(here.path().join("fm-agent.db"), format!("no database {number}")).unwrap();
        drop(Store::open(&options(here.path(), &[(Platform, false)])).unwrap());
    }
    let here = Killed { directory: here, queue: Vec::new() };
    let kept: Vec<String> =
        here.damaged().iter().map(|name| fs::read_to_string(here.path(name)).unwrap()).collect();
    assert_eq!(kept, ["no database 3", "no database 4", "no database 5"]);
    // The one that was just made is the newest, also when the clock was set back.
    for name in here.damaged() {
        fs::rename(here.path(&name), here.path(&name.replace("damaged-2", "damaged-3"))).unwrap();
    }
    fs::write(here.path("fm-agent.db"), "no database 6").unwrap();
    let bed = here.open().unwrap();
    let kept: Vec<String> =
        here.damaged().iter().map(|name| fs::read_to_string(here.path(name)).unwrap()).collect();
    assert_eq!(kept, ["no database 6", "no database 4", "no database 5"]);
    drop(bed);
}

#[tokio::test]
async fn a_request_that_cannot_be_read_stops_no_other_and_its_alarm_is_delivered() {
    let mut bed = Bed::delivering();
    let long = alarm("2", "hot");
    bed.all(vec![
        raise(Platform, &alarm("1", "hot")),
        raise(Platform, &long),
        log(Platform, &alarm("3", "rebooted")),
    ])
    .await;
    bed.one(raise(Platform, &alarm("4", "hot"))).await;
    let spoil = "UPDATE request SET alarm = CAST(x'7B22FF' AS TEXT) WHERE alarm_id IN ('2', '3')";
    for start in [false, true] {
        bed.database().execute(spoil, []).unwrap();
        if start {
            bed.reopen();
        }
        // The log is gone; the alarm is what this node's view still says.
        assert_eq!(bed.queue(Platform).await, ["raise 1 hot", "raise 4 hot", "raise 2 hot"]);
        let rejected = bed.store().reader.rejected(0, 100).await.unwrap();
        let raw = rejected[0].request.as_ref().unwrap_err();
        assert_eq!((&*raw.texts[0], &*raw.texts[1], &*raw.texts[3]), ("raise", "2", "{\"\u{FFFD}"));
        assert!(rejected[0].answer.starts_with("unreadable: "), "{}", rejected[0].answer);
        if !start {
            let lost = rejected[1].request.as_ref().unwrap_err();
            assert_eq!((rejected.len(), &*lost.texts[0]), (2, "log"));
        }
        // It can be dropped, and not replayed.
        let replayed = bed.try_submit(None, vec![Op::Replay { seq: raw.seq }]).await;
        assert_eq!(replayed.unwrap_err().kind, StoreErrorKind::Unreadable);
        for refused in &rejected {
            let seq = refused.request.as_ref().map_or_else(|raw| raw.seq, |request| request.seq);
            assert_eq!(bed.one(Op::Drop { seq }).await, Outcome::Done);
        }
    }
    assert_eq!(bed.store().condition().quarantines(), 0);
}

#[tokio::test]
async fn an_alarm_of_the_view_that_cannot_be_read_is_set_aside() {
    let bed = Bed::delivering();
    bed.all(vec![raise(Platform, &alarm("1", "hot")), raise(Platform, &alarm("2", "hot"))]).await;
    bed.done(Platform, Some("u")).await;
    bed.database().execute("UPDATE alarm SET alarm = '{'", []).unwrap();
    // The one that waits is known from its request, the other one is not known any more.
    assert_eq!(bed.find("1").await, None);
    assert_eq!(raised(bed.find("2").await).reason_text, "hot");
    assert_eq!(bed.store().condition().unreadable(), 2);
    assert_eq!(
        bed.one(raise(Platform, &alarm("1", "again"))).await,
        bed.one(raise(Platform, &alarm("1", "again"))).await
    );
    assert_eq!(bed.queue(Platform).await, ["raise 2 hot", "raise 1 again"]);
    assert_eq!(bed.store().reader.rejected(0, 10).await.unwrap().len(), 2);
}
