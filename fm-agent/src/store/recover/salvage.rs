//! What can be read of a damaged database, row by row, in a new one.
//!
//! Invariants:
//! - The damaged database is only read.
//! - A page that cannot be read costs the rows on it and no others that can be reached around it: a table is read
//!   from its beginning, from its end, and where both stop, in ever smaller parts.
//! - A row that the new database does not take as it is is set aside with what it holds.
//!
//! It knows no table by name but `request` and `rejected`: a table of a later schema is salvaged like all others.

use std::collections::{BTreeMap, VecDeque};

use rusqlite::types::{ToSqlOutput, Value};
use rusqlite::{Connection, ErrorCode, Row, Statement};

use super::super::error::{StoreError, StoreErrorKind};
use super::super::{schema, unreadable};
use super::create;
use super::quarantine::Files;
use super::restore::{Place, restore};

/// Parts of a table that are tried one after the other in vain before the rest is given up: a tenth of a second.
const MOST_TRIES: u32 = 20_000;
/// How far beyond the last row known a table is looked through when nothing says how far it went.
const BEYOND: i64 = 1_000_000;

/// What a salvage came to.
#[derive(Debug, Default)]
pub(super) struct Salvaged {
    tables: BTreeMap<String, Table>,
    /// Rows that were read and could not be understood; they are among the rejected ones.
    pub(super) set_aside: u64,
    /// Requests and alarms that were lost and could be told from one another.
    pub(super) rebuilt: u64,
    /// Why nothing could be read, if so.
    nothing: Option<String>,
}

#[derive(Debug, Default)]
struct Table {
    rows: u64,
    /// Places at which rows could not be read.
    gaps: u64,
}

impl Salvaged {
    /// Rows of a table that were salvaged.
    pub(super) fn rows(&self, table: &str) -> u64 {
        self.tables.get(table).map_or(0, |found| found.rows)
    }

    /// What could not be read, in words.
    pub(super) fn not_readable(&self) -> String {
        if let Some(reason) = &self.nothing {
            return format!("anything ({reason})");
        }
        let parts: Vec<String> = self
            .tables
            .iter()
            .filter(|(_, table)| table.gaps > 0)
            .map(|(name, table)| format!("{name}: rows at {} places", table.gaps))
            .collect();
        if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
    }
}

/// Fills the growing database with what can be read.
pub(super) fn salvage(files: &Files) -> Result<Salvaged, StoreError> {
    create(&files.growing).map_err(|error| StoreError::path("cannot make", &files.growing, &error))?;
    let mut into = schema::build(&files.growing)?;
    let transaction = into.transaction()?;
    let mut salvaged = Salvaged::default();
    match schema::open_reader(&files.database) {
        Ok(from) => copy_all(&from, &transaction, &mut salvaged)?,
        Err(error) => salvaged.nothing = Some(error.to_string()),
    }
    let restored = restore(&transaction, Place::Same)?;
    salvaged.rebuilt = restored.count;
    salvaged.set_aside += restored.set_aside;
    transaction.commit()?;
    into.close().map_err(|(_, error)| error)?;
    Ok(salvaged)
}

fn copy_all(from: &Connection, into: &Connection, salvaged: &mut Salvaged) -> Result<(), StoreError> {
    let names: Vec<String> = into
        .prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for name in names {
        let wanted = columns(into, &name)?;
        let there = match columns(from, &name) {
            Ok(there) => there,
            Err(error) if is_damage(&error) => {
                salvaged.nothing = Some(error.to_string());
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        // Older schemas have fewer columns, or lack the table.
        let common: Vec<Column> =
            wanted.into_iter().filter(|column| there.iter().any(|it| it.name == column.name)).collect();
        let mut table = Table::default();
        if !common.is_empty() {
            Copy::new(from, into, &name, &common, &mut table, &mut salvaged.set_aside)?.run()?;
        }
        salvaged.tables.insert(name, table);
    }
    Ok(())
}

struct Column {
    name: String,
    type_name: String,
    /// Its place in the primary key, from 1.
    key: u32,
}

fn columns(connection: &Connection, table: &str) -> Result<Vec<Column>, rusqlite::Error> {
    connection
        .prepare("SELECT name, type, pk FROM pragma_table_info(?1)")?
        .query_map([table], |row| Ok(Column { name: row.get(0)?, type_name: row.get(1)?, key: row.get(2)? }))?
        .collect()
}

/// Whether a failure to read says that what is read is damaged; others end the salvage.
fn is_damage(error: &rusqlite::Error) -> bool {
    match StoreError::from_sqlite(error) {
        StoreErrorKind::Damaged | StoreErrorKind::Unreadable => true,
        // A schema that is damaged names columns that are not there.
        _ => error.sqlite_error_code() == Some(ErrorCode::Unknown),
    }
}

/// One table on its way.
struct Copy<'a> {
    from: &'a Connection,
    name: &'a str,
    list: String,
    /// The columns that order the rows, by their places in the list.
    key: Vec<usize>,
    key_names: Vec<&'a str>,
    by_number: bool,
    insert: Statement<'a>,
    into: &'a Connection,
    table: &'a mut Table,
    set_aside: &'a mut u64,
}

/// How far a run came.
enum Run {
    /// To the end.
    Whole,
    /// To damage, after the row with this key.
    Broken(Option<Vec<Value>>),
}

impl<'a> Copy<'a> {
    fn new(
        from: &'a Connection,
        into: &'a Connection,
        name: &'a str,
        common: &'a [Column],
        table: &'a mut Table,
        set_aside: &'a mut u64,
    ) -> Result<Self, StoreError> {
        let names: Vec<&str> = common.iter().map(|column| column.name.as_str()).collect();
        let mut key: Vec<usize> = (0..common.len()).filter(|place| common[*place].key > 0).collect();
        key.sort_by_key(|place| common[*place].key);
        let by_number = matches!(key[..], [only] if common[only].type_name == "INTEGER");
        let list = names.join(", ");
        let marks = vec!["?"; names.len()].join(", ");
        let insert = into.prepare(&format!("INSERT OR IGNORE INTO {name} ({list}) VALUES ({marks})"))?;
        let key_names = key.iter().map(|place| names[*place]).collect();
        Ok(Self { from, name, list, key, key_names, by_number, insert, into, table, set_aside })
    }

    fn run(mut self) -> Result<(), StoreError> {
        if self.by_number { self.numbered() } else { self.keyed() }
    }

    /// A table whose rows have numbers: what lies between can be looked for.
    fn numbered(&mut self) -> Result<(), StoreError> {
        let mut parts = VecDeque::from([(0, i64::MAX)]);
        let mut tries = 0;
        while let Some((mut low, mut high)) = parts.pop_front() {
            let before = self.table.rows;
            match self.between(low, high, "ASC")? {
                Run::Whole => continue,
                Run::Broken(last) => low = number(last.as_ref()).map_or(low, |last| last + 1),
            }
            if low > high {
                continue;
            }
            match self.between(low, high, "DESC")? {
                Run::Whole => continue,
                Run::Broken(last) => high = number(last.as_ref()).map_or(high, |last| last - 1),
            }
            if high == i64::MAX {
                high = self.last_number()?.max(low.saturating_add(BEYOND));
            }
            tries = if self.table.rows > before { 0 } else { tries + 1 };
            if low >= high || tries > MOST_TRIES {
                self.table.gaps += 1;
                continue;
            }
            let middle = low + (high - low) / 2;
            parts.extend([(low, middle), (middle + 1, high)]);
        }
        Ok(())
    }

    fn between(&mut self, low: i64, high: i64, order: &str) -> Result<Run, StoreError> {
        let key = self.key_names[0];
        let condition = format!("{key} >= ?1 AND {key} <= ?2 ORDER BY {key} {order}");
        self.copy(&condition, &[Value::Integer(low), Value::Integer(high)])
    }

    /// The last number that the table has given, as far as SQLite's own record of it can be read.
    fn last_number(&self) -> Result<i64, StoreError> {
        let sql = "SELECT ifnull(max(seq), 0) FROM sqlite_sequence WHERE name = ?1";
        match self.from.query_row(sql, [self.name], |row| row.get(0)) {
            Ok(last) => Ok(last),
            Err(error) if is_damage(&error) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// A table whose rows have names: from both ends, and from where the requests that were salvaged say that
    /// there was something.
    fn keyed(&mut self) -> Result<(), StoreError> {
        let order = |direction: &str| {
            let keys: Vec<String> = self.key_names.iter().map(|key| format!("{key} {direction}")).collect();
            keys.join(", ")
        };
        let (forward, backward) = (order("ASC"), order("DESC"));
        if matches!(self.copy(&format!("true ORDER BY {forward}"), &[])?, Run::Whole) {
            return Ok(());
        }
        if matches!(self.copy(&format!("true ORDER BY {backward}"), &[])?, Run::Whole) {
            return Ok(());
        }
        self.table.gaps += 1;
        if self.name == "alarm" {
            let missing: Vec<[Value; 2]> = self
                .into
                .prepare(
                    "SELECT DISTINCT alarm_id, entity FROM request WHERE kind IN ('raise', 'clear')
                     EXCEPT SELECT alarm_id, entity FROM alarm",
                )?
                .query_map([], |row| Ok([row.get(0)?, row.get(1)?]))?
                .collect::<Result<_, _>>()?;
            for key in missing {
                self.copy("(alarm_id, entity) = (?1, ?2)", &key)?;
            }
        }
        Ok(())
    }

    /// Copies the rows that a condition means, up to damage.
    fn copy(&mut self, condition: &str, parameters: &[Value]) -> Result<Run, StoreError> {
        let sql = format!("SELECT {} FROM {} WHERE {condition}", self.list, self.name);
        let mut last = None;
        let mut statement = match self.from.prepare_cached(&sql) {
            Ok(statement) => statement,
            Err(error) if is_damage(&error) => return Ok(Run::Broken(None)),
            Err(error) => return Err(error.into()),
        };
        let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    last = Some(self.row(row)?);
                }
                Ok(None) => return Ok(Run::Whole),
                Err(error) if is_damage(&error) => return Ok(Run::Broken(last)),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes one row over and gives its key.
    fn row(&mut self, row: &Row<'_>) -> Result<Vec<Value>, StoreError> {
        for place in 0..self.insert.parameter_count() {
            self.insert.raw_bind_parameter(place + 1, ToSqlOutput::Borrowed(row.get_ref(place)?))?;
        }
        match self.insert.raw_execute() {
            Ok(taken) => self.table.rows += taken as u64,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                if matches!(self.name, "request" | "rejected") {
                    unreadable::keep_raw(self.into, row, &error.to_string())?;
                    *self.set_aside += 1;
                } else {
                    self.table.gaps += 1;
                }
            }
            Err(error) => return Err(error.into()),
        }
        self.key.iter().map(|place| Ok(owned(row, *place)?)).collect()
    }
}

fn owned(row: &Row<'_>, place: usize) -> Result<Value, rusqlite::Error> {
    use rusqlite::types::ValueRef;
    Ok(match row.get_ref(place)? {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    })
}

fn number(key: Option<&Vec<Value>>) -> Option<i64> {
    match key.map(Vec::as_slice) {
        Some([Value::Integer(number)]) => Some(*number),
        _ => None,
    }
}
