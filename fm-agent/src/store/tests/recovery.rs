//! Damage of every kind, and what is left after it: of what was acknowledged and can be read nothing is lost, and
//! the order stays.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::super::StoreErrorKind;
use super::*;

const PAGE: u64 = 4096;

/// The files of a store that was killed.
struct Killed {
    directory: TempDir,
    /// What waited, in short.
    queue: Vec<String>,
}

impl Killed {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn open(&self) -> Result<Bed, StoreError> {
        let options = options(self.directory.path(), &[(Platform, false), (Openstack, true)]);
        let store = Store::open(&options)?;
        Ok(Bed { directory: TempDir::new().unwrap(), options, store: Some(store) })
    }

    /// The damaged files that were kept.
    fn damaged(&self) -> Vec<String> {
        let names = fs::read_dir(self.directory.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut damaged: Vec<String> = names.filter(|name| name.contains(".damaged-") && !name.ends_with("-wal")).collect();
        damaged.sort();
        damaged
    }

    /// Writes garbage over a page.
    fn spoil(&self, page: u64) {
        let file = fs::File::options().write(true).open(self.path("fm-agent.db")).unwrap();
        file.write_all_at(&[0xA5; PAGE as usize], (page - 1) * PAGE).unwrap();
    }
}

/// A store with rows enough for every table and index to have inner pages, and long alarms on pages of their own,
/// killed after its last commit. With a log, the newest commits are there only.
async fn killed(with_log: bool) -> Killed {
    let bed = Bed::new(&[(Platform, false), (Openstack, true)]);
    let long = |id: &str| Alarm { reason_text: "long ".repeat(2000), ..alarm(id, "") };
    for round in 0..3 {
        let ops = (0..200).map(|number| raise(Platform, &alarm(&format!("{round}.{number:03}"), "hot")));
        bed.all(ops.collect()).await;
        bed.all((0..20).map(|number| raise(Platform, &long(&format!("long.{round}.{number}")))).collect()).await;
        bed.all((0..100).map(|number| raise(Openstack, &alarm(&format!("o.{round}.{number}"), "hot"))).collect())
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
    bed.all((60..120).map(|number| clear(&format!("0.{number:03}"), Unknown::Deliver(Platform))).collect()).await;
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
async fn copy(bed: &Bed) -> Killed {
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
async fn goes_on(bed: &Bed) {
    bed.one(raise(Platform, &alarm("new", "hot"))).await;
    assert_eq!(bed.queue(Platform).await.last().unwrap(), "raise new hot");
    let found: String = bed.database().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(found, "ok");
}

/// Every page of the database and what it is for: table or index, and whether inner, leaf or overflow.
fn pages(path: &std::path::Path) -> BTreeMap<(String, String), Vec<u64>> {
    let database = Connection::open(path).unwrap();
    let mut statement = database.prepare("SELECT name, pagetype, pageno FROM dbstat ORDER BY pageno").unwrap();
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
        "request internal", "request leaf", "request overflow", "request_by_domain internal",
        "request_by_domain leaf", "alarm internal", "alarm leaf", "alarm overflow", "rejected leaf",
        "rejected internal", "event leaf", "token leaf", "begun leaf", "settled leaf", "cleared leaf",
        "request_clear_all leaf", "sqlite_sequence leaf",
    ] {
        assert!(kinds.iter().any(|kind| kind == wanted), "{wanted} is not among {kinds:?}");
    }
    let mut report = Vec::new();
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
        report.push(format!("{case}: {} of {} wait", left.len(), whole.queue.len()));
        let lost = whole.queue.len() - left.len();
        match (name.as_str(), kind.as_str()) {
            // What hangs under an inner page or is on the page itself: the latest state of each alarm is left.
            ("request", _) => {}
            ("sqlite_schema", _) => {}
            _ => assert_eq!((lost, &left), (0, &whole.queue), "{case}"),
        }
        goes_on(&bed).await;
    }
    println!("{}", report.join("\n"));
}
