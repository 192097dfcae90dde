//! GET of alarms: list, one, summary.

use serde_json::{Value, json};

use super::{display, query};
use crate::app::App;
use crate::reply::{Refusal, Reply};
use crate::request::Request;
use crate::store::{AlarmFilter, StoreError};

const COLUMNS: [&str; 6] =
    ["uuid", "alarm_id", "entity_type_id", "entity_instance_id", "severity", "alarm_type"];

/// `GET /v1/alarms`.
pub(super) fn list(app: &App, request: &Request) -> Result<Reply, Refusal> {
    let known = [query::PAGE_PARAMETERS.as_slice(), &["include_suppress", "expand"]].concat();
    request.only_parameters(&known)?;
    let limit = query::limit(request)?
        .filter(|limit| *limit != 0)
        .map_or(query::PAGE, |limit| limit.min(query::PAGE));
    query::check_sort_dir(request)?;
    query::refuse_marker(request)?;
    let mut filter = AlarmFilter {
        include_suppressed: request.flag("include_suppress"),
        limit: Some(limit),
        ..AlarmFilter::default()
    };
    for (field, value) in query::filters(request)? {
        match COLUMNS.iter().find(|column| **column == field) {
            Some(column) => filter.contains.push((column, value)),
            // These two are overwritten by the parameters of the same name.
            None if matches!(field.as_str(), "limit" | "include_suppress") => {}
            None => return Err(query::unknown_field(&field)),
        }
    }
    let full = request.flag("expand");
    let alarms = app
        .store
        .list_alarms(&filter)?
        .iter()
        .filter(|alarm| !alarm.row.masked)
        .map(|alarm| display::alarm(app, alarm, full))
        .collect::<Result<Vec<Value>, _>>()?;
    let mut body = json!({"alarms": alarms});
    if alarms_fill(&body, limit) {
        let last =
            body["alarms"].as_array().and_then(|alarms| alarms.last()).map(|alarm| alarm["uuid"].clone());
        let marker = last.as_ref().and_then(Value::as_str).unwrap_or_default();
        body["next"] =
            json!(format!("{}/v1/alarms?limit={limit}&sort_key=id&sort_dir=asc&marker={marker}", app.url()));
    }
    Ok(Reply::ok(&body))
}

fn alarms_fill(body: &Value, limit: i64) -> bool {
    body["alarms"].as_array().and_then(|alarms| i64::try_from(alarms.len()).ok()) == Some(limit)
}

/// `GET /v1/alarms/{uuid}`: suppressed ones too, masked ones not.
pub(super) fn one(app: &App, uuid: &str) -> Result<Reply, Refusal> {
    let alarm = app.store.alarm(uuid)?;
    if alarm.row.masked {
        return Err(StoreError::AlarmNotFound(uuid.to_owned()).into());
    }
    Ok(Reply::ok(&display::alarm(app, &alarm, true)?))
}

/// `GET /v1/alarms/summary`.
pub(super) fn summary(app: &App, request: &Request) -> Result<Reply, Refusal> {
    request.only_parameters(&["include_suppress"])?;
    let filter =
        AlarmFilter { include_suppressed: request.flag("include_suppress"), ..AlarmFilter::default() };
    let alarms = app.store.list_alarms(&filter)?;
    let count = |severity: &str| {
        alarms
            .iter()
            .filter(|alarm| !alarm.row.masked && alarm.row.severity.as_deref() == Some(severity))
            .count()
    };
    let (critical, major, minor, warnings) =
        (count("critical"), count("major"), count("minor"), count("warning"));
    let status = match (critical, major + minor) {
        (0, 0) => "OK",
        (0, _) => "degraded",
        _ => "critical",
    };
    Ok(Reply::ok(&json!({"critical": critical, "major": major, "minor": minor, "warnings": warnings,
        "status": status})))
}
