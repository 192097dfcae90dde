//! The table `alarm`.

use rusqlite::{OptionalExtension, Row, params};
use uuid::Uuid;

use super::conditions::Conditions;
use super::schema::ALARM_COLUMNS;
use super::{Result, Store, StoreError, duplicate, fields_from};
use crate::rows::{AlarmFields, AlarmRow};
use crate::text;
use crate::timestamp::now_us;

/// An alarm with what the suppression table says about its id.
#[derive(Debug)]
pub(crate) struct ListedAlarm {
    pub(crate) row: AlarmRow,
    pub(crate) suppression_status: String,
    pub(crate) mgmt_affecting: String,
    pub(crate) degrade_affecting: String,
}

/// What a list asks for; each text means 'contains'.
#[derive(Debug, Default)]
pub(crate) struct AlarmFilter {
    /// Column and wanted text.
    pub(crate) contains: Vec<(&'static str, String)>,
    pub(crate) include_suppressed: bool,
    pub(crate) limit: Option<i64>,
}

fn alarm_row(row: &Row<'_>) -> rusqlite::Result<AlarmRow> {
    Ok(AlarmRow {
        fields: fields_from(row, 0)?,
        id: row.get(13)?,
        masked: row.get(14)?,
        stored_at: row.get(15)?,
    })
}

fn listed(row: &Row<'_>) -> rusqlite::Result<ListedAlarm> {
    Ok(ListedAlarm {
        row: alarm_row(row)?,
        suppression_status: row.get(16)?,
        mgmt_affecting: row.get(17)?,
        degrade_affecting: row.get(18)?,
    })
}

/// The inner join every read of the service goes through: an alarm without an id is never found.
const JOINED: &str = "s.suppression_status, s.mgmt_affecting, s.degrade_affecting
     FROM alarm a JOIN event_suppression s ON a.alarm_key = s.alarm_key";

impl Store {
    /// Adds a row, as a request does; an empty uuid is replaced by a new one.
    pub(crate) fn insert_alarm(&self, fields: AlarmFields, masked: bool) -> Result<AlarmRow> {
        let connection = self.lock()?;
        self.check(&fields)?;
        let mut fields = fields;
        if fields.uuid.is_empty() {
            fields.uuid = Uuid::new_v4().to_string();
        }
        let alarm_key = self.fold(fields.alarm_id.as_deref());
        if let Some(key) = &alarm_key {
            let known = connection
                .prepare_cached("SELECT 1 FROM event_suppression WHERE alarm_key = ?1")?
                .exists([key])?;
            if !known {
                return Err(StoreError::UnknownAlarmId(key.clone()));
            }
        }
        let stored_at = now_us();
        connection
            .prepare_cached(
                "INSERT INTO alarm (uuid, alarm_id, alarm_state, entity_type_id, entity_instance_id, timestamp,
                    severity, reason_text, alarm_type, probable_cause, proposed_repair_action,
                    service_affecting, suppression, masked, stored_at, alarm_key, entity_key)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
            )?
            .execute(params![
                fields.uuid,
                fields.alarm_id,
                fields.alarm_state,
                fields.entity_type_id,
                fields.entity_instance_id,
                fields.timestamp,
                fields.severity,
                fields.reason_text,
                fields.alarm_type,
                fields.probable_cause,
                fields.proposed_repair_action,
                fields.service_affecting,
                fields.suppression,
                masked,
                stored_at,
                alarm_key,
                self.fold(fields.entity_instance_id.as_deref()),
            ])
            .map_err(|error| duplicate(error, &fields.uuid))?;
        Ok(AlarmRow { id: connection.last_insert_rowid(), fields, masked, stored_at })
    }

    /// The alarm with this uuid, masked and suppressed ones too.
    pub(crate) fn alarm(&self, uuid: &str) -> Result<ListedAlarm> {
        self.lock()?
            .prepare_cached(&format!("SELECT {ALARM_COLUMNS}, {JOINED} WHERE a.uuid = ?1"))?
            .query_row([text::fold_uuid(self.dialect, uuid)], listed)
            .optional()?
            .ok_or_else(|| StoreError::AlarmNotFound(uuid.to_owned()))
    }

    /// The one alarm with this key; an error when there is none or more than one.
    pub(crate) fn alarm_by_key(&self, alarm_id: &str, entity: &str) -> Result<AlarmRow> {
        let connection = self.lock()?;
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {ALARM_COLUMNS}, {JOINED} WHERE a.alarm_key = ?1 AND a.entity_key = ?2 LIMIT 2"
        ))?;
        let key = params![text::fold(self.dialect, alarm_id), text::fold(self.dialect, entity)];
        let mut found = statement.query_map(key, alarm_row)?.collect::<rusqlite::Result<Vec<_>>>()?;
        match (found.pop(), found.is_empty()) {
            (Some(alarm), true) => Ok(alarm),
            (None, _) => Err(StoreError::AlarmNotFound(alarm_id.to_owned())),
            (Some(_), false) => Err(StoreError::NotUnique),
        }
    }

    /// Whether the row still stands.
    pub(crate) fn alarm_exists(&self, id: i64) -> Result<bool> {
        Ok(self.lock()?.prepare_cached("SELECT 1 FROM alarm WHERE id = ?1")?.exists([id])?)
    }

    /// Removes the row; one that is gone already is no error, as for the real service.
    pub(crate) fn delete_alarm(&self, id: i64) -> Result<()> {
        self.lock()?.prepare_cached("DELETE FROM alarm WHERE id = ?1")?.execute([id])?;
        Ok(())
    }

    /// The alarms of a list: by severity (alphabetically), entity and number.
    pub(crate) fn list_alarms(&self, filter: &AlarmFilter) -> Result<Vec<ListedAlarm>> {
        let mut query = Conditions::of(format!("SELECT {ALARM_COLUMNS}, {JOINED}"));
        if !filter.include_suppressed {
            query.plain("s.suppression_status = 'unsuppressed'");
        }
        for (column, wanted) in &filter.contains {
            query.contains(&format!("a.{column}"), wanted);
        }
        query.order_and_limit("fm_fold(a.severity), fm_fold(a.entity_instance_id), a.id", filter.limit);
        let (sql, values) = query.into_parts();
        let connection = self.lock()?;
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map(rusqlite::params_from_iter(values), listed)?;
        Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
    }

    /// Every alarm row in the order of storing; works while the database plays dead.
    pub(crate) fn all_alarms(&self) -> Result<Vec<AlarmRow>> {
        let connection = self.lock_always();
        let mut statement =
            connection.prepare_cached(&format!("SELECT {ALARM_COLUMNS} FROM alarm a ORDER BY a.id"))?;
        Ok(statement.query_map([], alarm_row)?.collect::<rusqlite::Result<Vec<_>>>()?)
    }

    /// Masks or unmasks an alarm, as the manager does; `false` when there is none.
    pub(crate) fn mask_alarm(&self, uuid: &str, masked: bool) -> Result<bool> {
        let changed = self
            .lock_always()
            .execute("UPDATE alarm SET masked = ?2 WHERE uuid = ?1", params![uuid, masked])?;
        Ok(changed == 1)
    }

    /// Removes an alarm without an event, as another writer would; `false` when there is none.
    pub(crate) fn remove_alarm(&self, uuid: &str) -> Result<bool> {
        Ok(self.lock_always().execute("DELETE FROM alarm WHERE uuid = ?1", [uuid])? == 1)
    }
}
