//! The table `event_suppression`: the alarm ids the service accepts, and which are hidden.

use rusqlite::{OptionalExtension, Row, params};

use super::conditions::Conditions;
use super::{Result, Store};
use crate::rows::SuppressionRow;
use crate::text;

/// Column and wanted text, meaning 'equals'.
pub(crate) type SuppressionFilter = Vec<(&'static str, String)>;

const COLUMNS: &str = "id, uuid, alarm_id, description, suppression_status = 'suppressed', mgmt_affecting, \
     degrade_affecting";

fn suppression_row(row: &Row<'_>) -> rusqlite::Result<SuppressionRow> {
    Ok(SuppressionRow {
        id: row.get(0)?,
        uuid: row.get(1)?,
        alarm_id: row.get(2)?,
        description: row.get(3)?,
        suppressed: row.get(4)?,
        mgmt_affecting: row.get(5)?,
        degrade_affecting: row.get(6)?,
    })
}

fn status(suppressed: bool) -> &'static str {
    if suppressed { "suppressed" } else { "unsuppressed" }
}

impl Store {
    /// The rows that match, by alarm id.
    pub(crate) fn list_suppression(&self, filter: &SuppressionFilter) -> Result<Vec<SuppressionRow>> {
        let mut query = Conditions::of(format!("SELECT {COLUMNS} FROM event_suppression"));
        for (column, wanted) in filter {
            query.equals(column, wanted);
        }
        query.order_and_limit("alarm_key", None);
        let (sql, values) = query.into_parts();
        let connection = self.lock()?;
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map(rusqlite::params_from_iter(values), suppression_row)?;
        Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
    }

    /// The row with this uuid.
    pub(crate) fn suppression(&self, uuid: &str) -> Result<Option<SuppressionRow>> {
        Ok(self
            .lock()?
            .prepare_cached(&format!("SELECT {COLUMNS} FROM event_suppression WHERE uuid = ?1"))?
            .query_row([text::fold_uuid(self.dialect, uuid)], suppression_row)
            .optional()?)
    }

    /// Hides or shows the alarms of the row with this uuid.
    pub(crate) fn set_suppressed(&self, uuid: &str, suppressed: bool) -> Result<()> {
        self.lock()?.execute(
            "UPDATE event_suppression SET suppression_status = ?2 WHERE uuid = ?1",
            params![text::fold_uuid(self.dialect, uuid), status(suppressed)],
        )?;
        Ok(())
    }

    /// The same by alarm id, as another administrator would; `false` for an unknown id.
    pub(crate) fn suppress_alarm_id(&self, alarm_id: &str, suppressed: bool) -> Result<bool> {
        let changed = self.lock_always().execute(
            "UPDATE event_suppression SET suppression_status = ?2 WHERE alarm_key = ?1",
            params![text::fold(self.dialect, alarm_id), status(suppressed)],
        )?;
        Ok(changed == 1)
    }
}
