//! The service's own requests: routing, then one module per resource.

mod alarm_body;
mod alarm_read;
mod alarm_write;
mod display;
mod event_log;
mod query;
mod suppression;

use hyper::{Method, StatusCode};
use serde_json::json;

use crate::app::App;
use crate::auth;
use crate::faults::Apply;
use crate::reply::{Refusal, Reply};
use crate::request::Request;

/// Answers one request to the service; `apply` says how much of a write is carried out.
pub(crate) fn handle(app: &App, request: &Request, apply: Apply) -> Reply {
    let reply = route(app, request, apply).unwrap_or_else(Refusal::into_reply);
    if request.accepts().iter().any(|range| range.ends_with("/xml")) { in_xml(reply) } else { reply }
}

/// The resources, by the segments behind the base URL.
fn route(app: &App, request: &Request, apply: Apply) -> Result<Reply, Refusal> {
    let all: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    if let [] | ["v1"] = all.as_slice() {
        return public(app, request, all.is_empty());
    }
    let identity = auth::authenticate(app, request)?;
    let beside_v1 = all.iter().take_while(|segment| **segment == "v1").count().min(2);
    let segments = &all[beside_v1..];
    let method = &request.method;
    let is = |wanted: &Method| method == wanted;
    // The method is refused before the role is looked at, as the real router does it.
    let known = match segments {
        ["alarms"] => is(&Method::GET) || is(&Method::POST),
        ["alarms", "summary" | "detail"] | ["event_log" | "event_suppression"] | ["event_log", _] => {
            is(&Method::GET)
        }
        ["alarms", _] => is(&Method::GET) || is(&Method::PUT) || is(&Method::DELETE),
        ["event_suppression", _] => is(&Method::GET) || is(&Method::PATCH),
        _ => return Err(not_found()),
    };
    if !known {
        return Err(Refusal::Titled(
            StatusCode::METHOD_NOT_ALLOWED,
            "The method is not allowed for this resource.",
        ));
    }
    check_accept(request)?;
    auth::authorize(identity.as_ref(), method)?;
    match (method, segments) {
        (&Method::POST, ["alarms"]) => alarm_write::post(app, request, apply),
        (_, ["alarms"]) => alarm_read::list(app, request),
        (_, ["alarms", "summary"]) => alarm_read::summary(app, request),
        (_, ["alarms", "detail"]) => {
            Err(Refusal::Client(StatusCode::NOT_FOUND, "Resource could not be found.".to_owned()))
        }
        (&Method::PUT, ["alarms", _]) => alarm_write::put(app, request),
        (&Method::DELETE, ["alarms", uuid]) => alarm_write::delete(app, uuid, apply),
        (_, ["alarms", uuid]) => alarm_read::one(app, uuid),
        (_, ["event_log"]) => event_log::list(app, request, false),
        (_, ["event_log", "detail"]) => event_log::list(app, request, true),
        (_, ["event_log", uuid]) => event_log::one(app, uuid),
        (_, ["event_suppression"]) => suppression::list(app, request),
        (&Method::PATCH, ["event_suppression", uuid]) => suppression::patch(app, uuid, request, apply),
        (_, ["event_suppression", uuid]) => suppression::one(app, uuid),
        _ => Err(not_found()),
    }
}

/// `/` and `/v1`: no token, no database.
fn public(app: &App, request: &Request, root: bool) -> Result<Reply, Refusal> {
    if request.method != Method::GET {
        return Err(Refusal::Titled(
            StatusCode::METHOD_NOT_ALLOWED,
            "The method is not allowed for this resource.",
        ));
    }
    check_accept(request)?;
    let url = app.url();
    let version = json!({"id": "v1", "links": [{"rel": "self", "href": format!("{url}/v1/")}]});
    Ok(Reply::ok(&if root {
        json!({"name": "Fault Management API", "description": "A stand-in: test equipment, no real service.",
            "versions": [version], "default_version": version})
    } else {
        version
    }))
}

fn not_found() -> Refusal {
    Refusal::Titled(StatusCode::NOT_FOUND, "The resource could not be found.")
}

fn check_accept(request: &Request) -> Result<(), Refusal> {
    let accepted = request
        .accepts()
        .iter()
        .any(|range| matches!(range.as_str(), "application/json" | "*/*" | "application/*"));
    if accepted {
        Ok(())
    } else {
        Err(Refusal::Titled(
            StatusCode::NOT_ACCEPTABLE,
            "The resource could not be generated in a form that is acceptable to the client.",
        ))
    }
}

/// What the real service makes of an error when the client lists XML: a 200.
fn in_xml(mut reply: Reply) -> Reply {
    if reply.status.as_u16() < 400 || reply.body.is_empty() {
        return reply;
    }
    let text = String::from_utf8_lossy(&reply.body);
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    reply.body = format!("<error_message>{escaped}</error_message>").into_bytes();
    reply.content_type = Some("application/xml");
    reply.status = StatusCode::OK;
    reply
}
