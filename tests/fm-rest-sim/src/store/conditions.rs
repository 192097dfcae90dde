//! The WHERE of a list, built with its parameters.

use rusqlite::types::Value;

/// Conditions joined by AND. Column names are the program's own; texts are always parameters.
#[derive(Debug)]
pub(super) struct Conditions {
    sql: String,
    values: Vec<Value>,
}

impl Conditions {
    /// A query that ends before its WHERE.
    pub(super) fn of(select: String) -> Self {
        Self { sql: select + " WHERE 1", values: Vec::new() }
    }

    /// A condition without a parameter.
    pub(super) fn plain(&mut self, condition: &str) {
        self.sql += " AND ";
        self.sql += condition;
    }

    /// A condition in which `??` stands for `wanted`.
    pub(super) fn with(&mut self, condition: &str, wanted: &str) {
        self.values.push(Value::Text(wanted.to_owned()));
        let place = self.place();
        self.plain(&condition.replace("??", &place));
    }

    /// The column contains `wanted`, wildcards live.
    pub(super) fn contains(&mut self, column: &str, wanted: &str) {
        self.with(&format!("fm_contains({column}, ??)"), wanted);
    }

    /// The column equals `wanted` as the dialect compares.
    pub(super) fn equals(&mut self, column: &str, wanted: &str) {
        self.with(&format!("fm_fold({column}) = fm_fold(??)"), wanted);
    }

    /// The order, and how many rows at most.
    pub(super) fn order_and_limit(&mut self, order: &str, limit: Option<i64>) {
        self.sql += " ORDER BY ";
        self.sql += order;
        if let Some(limit) = limit {
            self.values.push(Value::Integer(limit));
            self.sql += " LIMIT ";
            self.sql += &self.place();
        }
    }

    fn place(&self) -> String {
        format!("?{}", self.values.len())
    }

    /// The statement and its parameters.
    pub(super) fn into_parts(self) -> (String, Vec<Value>) {
        (self.sql, self.values)
    }
}
