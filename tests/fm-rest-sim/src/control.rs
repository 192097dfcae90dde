//! The control port: faults, tokens, rows and requests as small JSON over HTTP.
//!
//! A port of its own, so that it answers while the service refuses. No authentication: it listens on
//! loopback for the test that started it.

use std::sync::Arc;
use std::time::Duration;

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::app::App;
use crate::faults::{Fault, FaultId};
use crate::reply::Reply;
use crate::request::Request;
use crate::rows::NewAlarm;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsBody {
    event_cap: Option<u32>,
    race_window_us: Option<u64>,
    collision_probability: Option<f64>,
    seed: Option<u64>,
    fill_event_log: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SuppressionBody {
    alarm_id: String,
    suppressed: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MaskBody {
    masked: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TerminateBody {
    hang_ms: u64,
}

/// A failure with its status and text.
type Failure = (StatusCode, String);

/// Answers one request to the control port.
pub(crate) fn handle(app: &Arc<App>, request: &Request) -> Reply {
    match route(app, request) {
        Ok(value) => Reply::plain_json(StatusCode::OK, &value),
        Err((status, text)) => Reply::plain_json(status, &json!({"error": text})),
    }
}

fn route(app: &Arc<App>, request: &Request) -> Result<Value, Failure> {
    let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    match (request.method.as_str(), segments.as_slice()) {
        ("GET", []) => Ok(json!({"url": app.url(), "keystone_url": app.keystone_url(),
            "control_url": app.control_url()})),
        ("GET", ["faults"]) => Ok(json!({"faults": app.faults.list()})),
        ("POST", ["faults"]) => {
            let id = app.add_fault(body::<Fault>(request)?).map_err(internal)?;
            Ok(json!({"id": id}))
        }
        ("DELETE", ["faults"]) => app.remove_faults(|_| true).map_err(internal).map(|()| json!({})),
        ("DELETE", ["faults", id]) => {
            let id = id.parse().map_err(|_| bad(format!("{id} is no fault id")))?;
            let removed = app.remove_fault(FaultId(id)).map_err(internal)?;
            Ok(json!({"removed": removed}))
        }
        ("POST", ["tokens", "invalidate"]) => {
            app.keystone.invalidate_all();
            Ok(json!({}))
        }
        ("POST", ["tokens", "revoke"]) => {
            app.keystone.revoke_all();
            Ok(json!({}))
        }
        ("GET", ["requests"]) => {
            let after = request.parameter("after").unwrap_or("0");
            let after = after.parse().map_err(|_| bad(format!("after={after} is no number")))?;
            Ok(json!({"requests": app.requests.after(after)}))
        }
        ("DELETE", ["requests"]) => {
            app.requests.clear();
            Ok(json!({}))
        }
        ("POST", ["terminate"]) => {
            app.terminate(Duration::from_millis(body::<TerminateBody>(request)?.hang_ms));
            Ok(json!({}))
        }
        ("POST", ["restart"]) => app.restart().map_err(internal).map(|()| json!({})),
        ("POST", ["settings"]) => change_settings(app, &body(request)?),
        _ => rows(app, request, &segments),
    }
}

/// What concerns the database.
fn rows(app: &Arc<App>, request: &Request, segments: &[&str]) -> Result<Value, Failure> {
    let found = |found: bool| if found { Ok(json!({})) } else { Err(not_found()) };
    match (&request.method, segments) {
        (&Method::GET, ["alarms"]) => Ok(json!({"alarms": app.store.all_alarms().map_err(internal)?})),
        (&Method::GET, ["events"]) => Ok(json!({"events": app.store.all_events().map_err(internal)?})),
        (&Method::POST, ["alarms"]) => {
            let alarm: NewAlarm = body(request)?;
            let row =
                app.store.insert_alarm(alarm.fields, alarm.masked).map_err(|error| bad(error.to_string()))?;
            Ok(json!(row))
        }
        (&Method::DELETE, ["alarms", uuid]) => found(app.store.remove_alarm(uuid).map_err(internal)?),
        (&Method::POST, ["alarms", uuid, "mask"]) => {
            let masked = body::<MaskBody>(request)?.masked;
            found(app.store.mask_alarm(uuid, masked).map_err(internal)?)
        }
        (&Method::POST, ["suppression"]) => {
            let wanted: SuppressionBody = body(request)?;
            found(app.store.suppress_alarm_id(&wanted.alarm_id, wanted.suppressed).map_err(internal)?)
        }
        _ => Err(not_found()),
    }
}

fn change_settings(app: &App, wanted: &SettingsBody) -> Result<Value, Failure> {
    if let Some(rows) = wanted.event_cap {
        app.settings.set_event_cap(rows);
    }
    if let Some(window) = wanted.race_window_us {
        app.settings.set_race_window(Duration::from_micros(window));
    }
    if let Some(probability) = wanted.collision_probability {
        app.settings.set_collision(probability, wanted.seed.unwrap_or(app.config.seed));
    }
    if let Some(rows) = wanted.fill_event_log {
        app.store.fill_events(rows).map_err(internal)?;
    }
    Ok(json!({"event_cap": app.settings.event_cap()}))
}

fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Failure> {
    serde_json::from_slice(&request.body)
        .map_err(|error| bad(format!("the body is not what is expected: {error}")))
}

fn bad(text: String) -> Failure {
    (StatusCode::BAD_REQUEST, text)
}

fn internal(error: impl std::fmt::Display) -> Failure {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

fn not_found() -> Failure {
    (StatusCode::NOT_FOUND, "no such path or row; the README lists what there is".to_owned())
}
