//! Migrations that are killed: the real agent is started over a database of each older schema and dies by SIGKILL
//! before and after the commit of each step. The next start finds everything that was there.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use fm_rest_sim::{Fault, FaultKind};
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::support::{Node, controller, domain};
use crate::world;

/// Each released schema with rows, oldest first.
const RELEASED: [&str; 6] = [
    include_str!("../../fm-agent/src/store/tests/schemas/v1.sql"),
    include_str!("../../fm-agent/src/store/tests/schemas/v2.sql"),
    include_str!("../../fm-agent/src/store/tests/schemas/v3.sql"),
    include_str!("../../fm-agent/src/store/tests/schemas/v4.sql"),
    include_str!("../../fm-agent/src/store/tests/schemas/v5.sql"),
    include_str!("../../fm-agent/src/store/tests/schemas/v6.sql"),
];

/// How the agent that wrote the old database has ended.
#[derive(Debug, Clone, Copy)]
enum Ended {
    /// In order: everything is in the database.
    Well,
    /// Killed: everything is in the log.
    Killed,
}

/// Puts a database of a released schema there.
fn release(text: &str, ended: Ended, state: &Path) {
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("fm-agent.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(&format!("PRAGMA journal_mode = wal; {text}")).unwrap();
    let connection = match ended {
        Ended::Killed => Some(connection),
        Ended::Well => connection.close().map(|()| None).unwrap(),
    };
    if state.exists() {
        fs::remove_dir_all(state).unwrap();
    }
    copy(elsewhere.path(), state);
    drop(connection);
}

/// The database and its log, as they are.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in ["fm-agent.db", "fm-agent.db-wal"] {
        let file = from.join(name);
        if file.exists() {
            fs::copy(file, to.join(name)).unwrap();
        }
    }
}

/// What is in a database that a killed agent has left, without touching it.
struct Content {
    version: usize,
    sound: String,
    tables: Vec<Table>,
}

struct Table {
    name: String,
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl Content {
    /// Every row is there as it was. Beside them may be what the agent notes when it tries to deliver.
    fn has_all_of(&self, before: &Self, case: &str) {
        for (table, old) in self.tables.iter().zip(&before.tables) {
            let name = &old.name;
            for row in &old.rows {
                assert!(table.rows.contains(row), "{case}: {name} has lost {row:?}");
            }
            let added = table.rows.len() - old.rows.len();
            assert!(added == 0 || name == "begun", "{case}: {name} has {added} rows more");
        }
    }
}

/// The tables of a database, those with these columns when given.
fn content(state: &Path, like: Option<&Content>) -> Content {
    let elsewhere = tempfile::tempdir().unwrap();
    copy(state, elsewhere.path());
    let connection = Connection::open(elsewhere.path().join("fm-agent.db")).unwrap();
    let texts = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let wanted = match like {
        Some(like) => like.tables.iter().map(|table| (table.name.clone(), table.columns.clone())).collect(),
        None => texts("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
            .into_iter()
            .map(|name| {
                let columns = texts(&format!("SELECT name FROM pragma_table_info('{name}')"));
                (name, columns)
            })
            .collect::<Vec<_>>(),
    };
    let tables = wanted.into_iter().map(|(name, columns)| {
        let list = columns.join(", ");
        let mut statement =
            connection.prepare(&format!("SELECT {list} FROM {name} ORDER BY {list}")).unwrap();
        let rows = statement
            .query_map([], |row| (0..columns.len()).map(|column| row.get(column)).collect())
            .unwrap()
            .map(Result::unwrap)
            .collect();
        Table { name, columns, rows }
    });
    let tables = tables.collect();
    let version = connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).unwrap();
    let sound = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    Content { version: version.try_into().unwrap(), sound, tables }
}

#[test]
fn a_migration_that_is_killed_at_any_step_loses_nothing() {
    let sim = controller();
    // Nothing is delivered: what was there stays where it was.
    sim.add_fault(Fault::new(FaultKind::Refuse)).unwrap();
    let domains = ["platform", "openstack"].map(|name| domain(name, &sim, "labrador")).concat();
    let mut node = Node::prepare(&format!("rejected_days = 36500\n{domains}"));
    world::agent().clone_into(&mut node.program);
    let state = node.state_dir();
    let mut deaths = 0;
    for (version, text) in (1..).zip(&RELEASED[..RELEASED.len() - 1]) {
        for ended in [Ended::Well, Ended::Killed] {
            for step in 1..=RELEASED.len() - version {
                for (moment, committed) in [("before-migration", step - 1), ("after-migration", step)] {
                    let case = format!("schema {version}, {ended:?}, {moment} {step}");
                    release(text, ended, &state);
                    let before = content(&state, None);
                    assert!(before.version == version && before.tables.iter().any(|it| it.rows.len() > 5));

                    let mut command = node.command();
                    command.env("FM_FAIL_POINT", format!("{moment}:{step}"));
                    assert_eq!(command.status().unwrap().signal(), Some(9), "{case}");
                    let dead = content(&state, Some(&before));
                    assert_eq!((dead.version, &*dead.sound), (version + committed, "ok"), "{case}");
                    dead.has_all_of(&before, &case);

                    node.run();
                    let status: serde_json::Value =
                        serde_json::from_str(&node.client.status().unwrap()).unwrap();
                    assert_eq!(
                        (&status["quarantines"], &status["unreadable"]),
                        (&0.into(), &0.into()),
                        "{case}"
                    );
                    node.kill();
                    let after = content(&state, Some(&before));
                    assert_eq!((after.version, &*after.sound), (RELEASED.len(), "ok"), "{case}");
                    after.has_all_of(&before, &case);
                    deaths += 1;
                }
            }
        }
    }
    assert_eq!(deaths, 60);
}
