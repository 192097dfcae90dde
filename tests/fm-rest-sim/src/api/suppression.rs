//! The suppression table over HTTP.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{display, query};
use crate::app::App;
use crate::faults::Apply;
use crate::reply::{Refusal, Reply};
use crate::request::Request;
use crate::rows::SuppressionRow;
use crate::store::SuppressionFilter;
use crate::text::is_uuid_like;

const COLUMNS: [&str; 4] = ["uuid", "alarm_id", "description", "suppression_status"];

/// `GET /v1/event_suppression`: always whole, by alarm id.
pub(super) fn list(app: &App, request: &Request) -> Result<Reply, Refusal> {
    request.only_parameters(&query::PAGE_PARAMETERS)?;
    if request.parameter("limit").is_some_and(|limit| !limit.is_empty()) {
        // The real service compares the text with a number.
        return Err(Refusal::Server("'<' not supported between instances of 'str' and 'int'".to_owned()));
    }
    query::check_sort_dir(request)?;
    query::refuse_marker(request)?;
    let mut filter = SuppressionFilter::new();
    for (field, value) in query::filters(request)? {
        let column =
            COLUMNS.iter().find(|column| **column == field).ok_or_else(|| query::unknown_field(&field))?;
        filter.push((column, value));
    }
    let rows: Value =
        app.store.list_suppression(&filter)?.iter().map(|row| display::suppression(app, row)).collect();
    Ok(Reply::ok(&json!({"event_suppression": rows})))
}

/// `GET /v1/event_suppression/{uuid}`.
pub(super) fn one(app: &App, uuid: &str) -> Result<Reply, Refusal> {
    Ok(Reply::ok(&display::suppression(app, &find(app, uuid)?)))
}

/// `PATCH /v1/event_suppression/{uuid}` with a list of JSON patches.
pub(super) fn patch(app: &App, uuid: &str, request: &Request, apply: Apply) -> Result<Reply, Refusal> {
    if request.media_type() != "application/json" {
        return Err(super::alarm_body::wrong_media_type(&request.media_type()));
    }
    let changes: Vec<Value> = serde_json::from_slice(&request.body)
        .map_err(|_| Refusal::bad_request("Request is not in valid JSON format"))?;
    let row = find(app, uuid)?;
    let mut wanted = None;
    for change in &changes {
        wanted = Some(suppressed(change)?);
    }
    if let Some(suppressed) = wanted.filter(|_| apply != Apply::Nothing) {
        app.store.set_suppressed(&row.uuid, suppressed)?;
    }
    one(app, uuid)
}

/// What one patch asks for; only `suppression_status` may change.
fn suppressed(change: &Value) -> Result<bool, Refusal> {
    let text = |name: &str| change.get(name).and_then(Value::as_str);
    let path = text("path").ok_or_else(|| Refusal::bad_request("Missing mandatory field path"))?;
    match text("op") {
        Some("add" | "replace" | "remove") => {}
        _ => return Err(Refusal::bad_request("Invalid input for field/attribute op.")),
    }
    match path.trim_start_matches('/') {
        "suppression_status" => match text("value") {
            Some("suppressed") => Ok(true),
            Some("unsuppressed") => Ok(false),
            _ => Err(Refusal::bad_request(
                "Invalid event_suppression parameter suppression_status values. Valid values are: suppressed, \
                 unsuppressed",
            )),
        },
        "alarm_id" | "description" => {
            let field = path.trim_start_matches('/');
            Err(Refusal::bad_request(format!(
                "event_suppression parameter {field} is not allowed to be updated."
            )))
        }
        _ => Err(Refusal::bad_request("event_suppression invalid parameter.")),
    }
}

fn find(app: &App, uuid: &str) -> Result<SuppressionRow, Refusal> {
    if !is_uuid_like(uuid) {
        return Err(Refusal::bad_request(format!(
            "Invalid input for field/attribute uuid. Value: '{uuid}'."
        )));
    }
    app.store.suppression(uuid)?.ok_or_else(|| {
        Refusal::Client(StatusCode::BAD_REQUEST, format!("No event suppression entry found for {uuid}"))
    })
}
