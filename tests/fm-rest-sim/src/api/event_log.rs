//! The event log: reading it, and adding to it, where the cap makes concurrent writers collide.

use uuid::Uuid;

use serde_json::{Value, json};

use super::{display, query};
use crate::app::App;
use crate::reply::{Refusal, Reply};
use crate::request::Request;
use crate::rows::AlarmFields;
use crate::store::{EventFilter, EventKind, StoreError};
use crate::timestamp;

const CONTAINS: [&str; 4] = ["event_log_id", "entity_type_id", "entity_instance_id", "severity"];
const EQUALS: [&str; 2] = ["uuid", "event_log_type"];

/// Stores an event with `state` and returns its uuid; an empty uuid is replaced by a new one.
///
/// At the cap the oldest row goes first, in steps of their own: which row it is, then removing it,
/// then the new row. A second writer that chose the same row fails. A row removed for an event that
/// then cannot be stored stays removed.
pub(super) fn record(app: &App, mut fields: AlarmFields, state: &str) -> Result<String, StoreError> {
    if fields.uuid.is_empty() {
        fields.uuid = Uuid::new_v4().to_string();
    }
    if fields.timestamp.is_none() || state == "clear" {
        fields.timestamp = Some(timestamp::now());
    }
    fields.alarm_state = Some(state.to_owned());
    if app.store.event_count()? >= i64::from(app.settings.event_cap()) {
        let oldest = app.store.oldest_event()?;
        if app.settings.collides() {
            return Err(StoreError::EventNotFound(oldest.to_string()));
        }
        app.settings.race();
        app.store.delete_event(oldest)?;
    }
    Ok(app.store.insert_event(fields)?.fields.uuid)
}

/// `GET /v1/event_log`, and `/v1/event_log/detail` with `full` records.
pub(super) fn list(app: &App, request: &Request, full: bool) -> Result<Reply, Refusal> {
    let known =
        [query::PAGE_PARAMETERS.as_slice(), &["include_suppress", "expand", "alarms", "logs"]].concat();
    request.only_parameters(&known)?;
    let limit = query::limit(request)?;
    query::check_sort_dir(request)?;
    query::refuse_marker(request)?;
    let mut filter = EventFilter {
        kind: match (request.flag("alarms"), request.flag("logs")) {
            (true, false) => EventKind::Alarms,
            (false, true) => EventKind::Logs,
            _ => EventKind::All,
        },
        include_suppressed: request.flag("include_suppress"),
        limit,
        ..EventFilter::default()
    };
    for (field, value) in query::filters(request)? {
        if let Some(column) = CONTAINS.iter().find(|column| **column == field) {
            filter.contains.push((column, value));
        } else if let Some(column) = EQUALS.iter().find(|column| **column == field) {
            filter.equals.push((column, value));
        } else {
            match field.as_str() {
                "start" => filter.start = Some(bound(app, &value)?),
                "end" => filter.end = Some(bound(app, &value)?),
                "limit" | "include_suppress" | "evtType" => {}
                _ => return Err(query::unknown_field(&field)),
            }
        }
    }
    let full = full || request.flag("expand");
    let events = app
        .store
        .list_events(&filter)?
        .iter()
        .map(|event| display::event(app, event, full))
        .collect::<Result<Vec<Value>, _>>()?;
    let mut body = json!({"event_log": events});
    let page = body["event_log"].as_array().map(Vec::len).and_then(|length| i64::try_from(length).ok());
    if let (Some(limit), Some(last)) = (limit.filter(|limit| Some(*limit) == page), events.last()) {
        let marker = last["uuid"].as_str().unwrap_or_default();
        body["next"] = json!(format!(
            "{}/v1/event_log?limit={limit}&sort_key=timestamp&sort_dir=desc&marker={marker}",
            app.url()
        ));
    }
    Ok(Reply::ok(&body))
}

/// A bound in time; an offset in it is dropped.
fn bound(app: &App, text: &str) -> Result<String, Refusal> {
    timestamp::parse(app.config.dialect, text)
        .ok_or_else(|| Refusal::bad_request(format!("Invalid date '{text}' specified")))
}

/// `GET /v1/event_log/{uuid}`.
pub(super) fn one(app: &App, uuid: &str) -> Result<Reply, Refusal> {
    Ok(Reply::ok(&display::event(app, &app.store.event(uuid)?, true)?))
}
