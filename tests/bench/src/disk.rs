//! The disk's limits: SQLite without an agent committing what the agent writes, and bare flushes.
//!
//! The tables, their indices and the rows are those that a real agent has written, read back from its database:
//! whatever the store's schema is, the limit is measured on it. The pragmas are the store's.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, ensure};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, TransactionBehavior, params_from_iter};

use crate::load::alone;
use crate::programs;
use crate::stats::Run;

/// The rows that an agent has written for a number of calls, ready to be written again.
#[derive(Debug)]
pub(crate) struct Rows {
    schema: Vec<String>,
    tables: Vec<Table>,
    calls: usize,
}

#[derive(Debug)]
struct Table {
    insert: String,
    rows: Vec<Vec<Value>>,
    each_call: usize,
}

impl Rows {
    /// What is in the database of an agent that has stopped, after so many equal calls and nothing else. A table
    /// that holds fewer rows than calls (its slots are used in turn) is gone through again; one with only a few
    /// rows has nothing to do with calls.
    pub(crate) fn of(database: &Path, calls: usize) -> anyhow::Result<Self> {
        const A_FEW: usize = 20;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = Connection::open_with_flags(database, flags)
            .with_context(|| format!("opening {}", database.display()))?;
        let mut schema = Vec::new();
        let mut tables = Vec::new();
        let objects =
            "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'";
        let mut statement = connection.prepare(objects)?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            schema.push(row.get(2)?);
            if row.get::<_, String>(0)? != "table" {
                continue;
            }
            let name: String = row.get(1)?;
            let rows = all(&connection, &name)?;
            if rows.len() >= calls.min(A_FEW) {
                let places = vec!["?"; rows[0].len()].join(", ");
                let insert = format!("INSERT OR REPLACE INTO {name} VALUES ({places})");
                tables.push(Table { insert, each_call: (rows.len() / calls).max(1), rows });
            }
        }
        ensure!(!tables.is_empty(), "{}: no table has rows of the calls", database.display());
        Ok(Self { schema, tables, calls })
    }

    /// How many calls there are rows of.
    pub(crate) fn calls(&self) -> usize {
        self.calls
    }

    /// Tables with rows of a call, for the report.
    pub(crate) fn rows_of_a_call(&self) -> usize {
        self.tables.iter().map(|table| table.each_call).sum()
    }
}

/// All rows of a table in the order of their keys.
fn all(connection: &Connection, table: &str) -> anyhow::Result<Vec<Vec<Value>>> {
    let mut statement = connection.prepare(&format!("SELECT * FROM {table}"))?;
    let columns = statement.column_count();
    let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
    Ok(statement.query_map([], row)?.collect::<Result<_, _>>()?)
}

/// A database of the agent's shape without an agent.
#[derive(Debug)]
pub(crate) struct Plain<'a> {
    rows: &'a Rows,
    connection: Connection,
    next: usize,
    path: PathBuf,
    // Below the connection, so that it is removed after it is closed.
    _directory: tempfile::TempDir,
}

impl<'a> Plain<'a> {
    /// An empty one; `synchronous` is `FULL` or `NORMAL`.
    pub(crate) fn open(rows: &'a Rows, synchronous: &str) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("plain-").tempdir_in(programs::directory()?)?;
        let path = directory.path().join("plain.db");
        let connection = Connection::open(&path)?;
        // Holds for a database without tables only, so it comes before all else.
        connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?;
        let mode: String = connection.query_row("PRAGMA journal_mode = wal", [], |row| row.get(0))?;
        ensure!(mode == "wal", "the journal mode is {mode}, needed is wal");
        connection.execute_batch(&format!(
            "PRAGMA synchronous = {synchronous}; PRAGMA cache_size = -4096; PRAGMA temp_store = 2;
             PRAGMA journal_size_limit = 16777216;"
        ))?;
        for statement in &rows.schema {
            connection.execute_batch(statement)?;
        }
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Self { rows, connection, next: 0, path, _directory: directory })
    }

    /// So many transactions of the rows of so many calls each.
    pub(crate) fn commits(&mut self, commits: usize, calls: usize) -> anyhow::Result<Run> {
        alone(commits, |_| {
            let end = self.next + calls;
            ensure!(end <= self.rows.calls, "there are rows of {} calls, needed are {end}", self.rows.calls);
            self.commit(self.next..end)?;
            self.next = end;
            Ok(())
        })
    }

    fn commit(&mut self, calls: Range<usize>) -> anyhow::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for table in &self.rows.tables {
            let mut insert = transaction.prepare_cached(&table.insert)?;
            for place in calls.start * table.each_call..calls.end * table.each_call {
                insert.execute(params_from_iter(&table.rows[place % table.rows.len()]))?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// Bytes that the commit of one call adds to the WAL.
    pub(crate) fn wal_bytes(&mut self) -> anyhow::Result<usize> {
        const COMMITS: usize = 20;
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        self.commits(COMMITS, 1)?;
        let mut wal = self.path.clone().into_os_string();
        wal.push("-wal");
        Ok(usize::try_from(fs::metadata(wal)?.len())? / COMMITS)
    }
}

/// Writes so many bytes to a file that has its length already and flushes them, again and again, as a WAL that is
/// written over is.
pub(crate) fn flushes(count: usize, bytes: usize) -> anyhow::Result<Run> {
    const LENGTH: usize = 4 * 1024 * 1024;
    let mut file: File = tempfile::tempfile_in(programs::directory()?)?;
    file.write_all(&vec![1; LENGTH])?;
    file.sync_all()?;
    let page = vec![2; bytes];
    let mut place = 0;
    let started = Instant::now();
    let mut run = alone(count, |_| {
        file.seek(SeekFrom::Start(u64::try_from(place)?))?;
        file.write_all(&page)?;
        place = (place + bytes) % (LENGTH - bytes);
        Ok(file.sync_data()?)
    })?;
    run.elapsed = started.elapsed();
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_of_each_call_are_found_and_written_again() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("a.db");
        let connection = Connection::open(&database).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE request (seq INTEGER PRIMARY KEY, text TEXT);
                 CREATE INDEX request_text ON request (text);
                 CREATE TABLE slot (slot INTEGER PRIMARY KEY, number INTEGER);
                 CREATE TABLE settled (domain TEXT);
                 INSERT INTO settled VALUES ('platform');
                 WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 120)
                 INSERT INTO request SELECT n, 'text' || n FROM n;
                 INSERT INTO slot SELECT seq, seq FROM request WHERE seq <= 25;",
            )
            .unwrap();
        let rows = Rows::of(&database, 60).unwrap();
        assert_eq!(rows.rows_of_a_call(), 3, "two requests and one slot");
        let mut plain = Plain::open(&rows, "FULL").unwrap();
        assert!(plain.wal_bytes().unwrap() >= 4096);
        assert_eq!(plain.commits(4, 10).unwrap().latencies.len(), 4);
        let count = |table: &str| -> i64 {
            let sql = format!("SELECT count(*) FROM {table}");
            plain.connection.query_row(&sql, [], |row| row.get(0)).unwrap()
        };
        assert_eq!((count("request"), count("slot"), count("settled")), (120, 25, 0));
        let too_many = plain.commits(1, 1).unwrap_err().to_string();
        assert!(too_many.contains("rows of 60 calls"), "{too_many}");
    }

    #[test]
    fn flushes_are_counted() {
        assert_eq!(flushes(3, 8192).unwrap().latencies.len(), 3);
    }
}
