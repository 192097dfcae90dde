//! A database of the first schema with requests that wait.

use std::path::Path;

use fm_agent::config::Domain;
use fm_common::{Alarm, Timestamp};
use rusqlite::{Connection, params};

use crate::promise::{Acknowledged, Promise, What};
use crate::support::alarm;

/// Makes it, and puts its requests into the promise.
pub(crate) fn create(directory: &Path, promise: &mut Promise) {
    let connection = Connection::open(directory.join("fm-agent.db")).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection.execute_batch(include_str!("version1.sql")).unwrap();
    for domain in [Domain::Platform, Domain::Openstack] {
        connection.execute("INSERT INTO settled VALUES (?1, 0)", [domain.name()]).unwrap();
    }
    for number in 1..=50 {
        let (entity, reason) = (format!("host=old.disk={number}"), format!("old: {number}"));
        let uuid = format!("00000000-0000-4000-8000-{number:012}");
        let raised = Alarm {
            reason_text: reason.clone(),
            uuid: Some(uuid.clone()),
            timestamp: Some(Timestamp::now()),
            ..alarm(&entity)
        };
        let text = serde_json::to_string(&raised).unwrap();
        let at = Timestamp::now().as_micros();
        connection
            .execute(
                "INSERT INTO request VALUES (?1, 'platform', 'raise', ?2, ?3, ?4, ?5, '', ?6)",
                params![number, raised.alarm_id, entity, uuid, text, at],
            )
            .unwrap();
        connection
            .execute(
                "INSERT INTO alarm VALUES (?1, ?2, 'platform', ?3, ?4, NULL)",
                params![raised.alarm_id, entity, text, number],
            )
            .unwrap();
        promise.requests.insert(raised.key(), vec![Acknowledged { what: What::Set(reason), by: 0 }]);
    }
    connection.close().unwrap();
}
