//! The Keystone v3 calls a client makes: versions, a token by password, look at and revoke one.
//!
//! Users and projects live in the domain `Default`. Passwords and tokens are compared in memory
//! and never written to the request log.

mod remote;
mod tokens;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

pub(crate) use tokens::{Identity, Keystone, TokenCheck};

use crate::app::App;
use crate::reply::Reply;
use crate::request::Request;
use tokens::Scope;

/// Answers one request to the Keystone port.
pub(crate) fn handle(app: &App, request: &Request) -> Reply {
    if app.keystone.is_down() {
        return error(StatusCode::SERVICE_UNAVAILABLE, "The service is unavailable.");
    }
    let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
    match (&request.method, segments.as_slice()) {
        (&Method::GET, []) => {
            let versions = json!({"versions": {"values": [version(app)]}});
            Reply::plain_json(StatusCode::MULTIPLE_CHOICES, &versions)
        }
        (&Method::GET, ["v3"]) => Reply::plain_json(StatusCode::OK, &json!({"version": version(app)})),
        (&Method::POST, ["v3", "auth", "tokens"]) => issue(app, request),
        (&Method::GET | &Method::HEAD, ["v3", "auth", "tokens"]) => show(app, request),
        (&Method::DELETE, ["v3", "auth", "tokens"]) => revoke(app, request),
        (_, ["v3", "auth", "tokens"]) => {
            error(StatusCode::METHOD_NOT_ALLOWED, "The method is not allowed for the requested URL.")
        }
        _ => error(StatusCode::NOT_FOUND, "The resource could not be found."),
    }
}

fn version(app: &App) -> Value {
    json!({"id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": format!("{}/", app.keystone_url())}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}]})
}

/// An error in Keystone's shape.
pub(crate) fn error(status: StatusCode, message: &str) -> Reply {
    let title = status.canonical_reason().unwrap_or_default();
    Reply::plain_json(
        status,
        &json!({"error": {"code": status.as_u16(), "message": message, "title": title}}),
    )
    .header("x-openstack-request-id", format!("req-{}", uuid::Uuid::new_v4()))
}

/// Keystone's answer to a wrong password, an unknown user and a bad token alike.
pub(crate) fn unauthorized() -> Reply {
    error(StatusCode::UNAUTHORIZED, "The request you have made requires authentication.")
}

fn issue(app: &App, request: &Request) -> Reply {
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return error(StatusCode::BAD_REQUEST, "Expecting to find valid JSON.");
    };
    let Some(identity) = body.pointer("/auth/identity") else {
        return error(StatusCode::BAD_REQUEST, "Expecting to find auth in request body.");
    };
    let scope = match body.pointer("/auth/scope") {
        None => Scope::DefaultProject,
        Some(Value::String(word)) if word == "unscoped" => Scope::None,
        Some(scope) => match scope.get("project") {
            Some(project) => Scope::Project(project),
            None => return unauthorized(),
        },
    };
    let methods: Vec<&str> = identity
        .get("methods")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let issued = match methods.as_slice() {
        ["password"] => match identity.pointer("/password/user") {
            Some(user) => app.keystone.by_password(user, &scope),
            None => return error(StatusCode::BAD_REQUEST, "Expecting to find user in password."),
        },
        ["token"] => {
            let token = identity.pointer("/token/id").and_then(Value::as_str).unwrap_or_default();
            app.keystone.by_token(token, &scope)
        }
        _ => return unauthorized(),
    };
    match issued {
        Some((token, identity)) => {
            let with_catalogue = request.query.iter().all(|(name, _)| name != "nocatalog");
            Reply::plain_json(StatusCode::CREATED, &token_body(app, &identity, with_catalogue))
                .header("x-subject-token", token)
                .header("vary", "X-Auth-Token".to_owned())
        }
        None => unauthorized(),
    }
}

fn show(app: &App, request: &Request) -> Reply {
    let (caller, subject) = (request.header("x-auth-token"), request.header("x-subject-token"));
    if caller.and_then(|token| app.keystone.look_up(token)).is_none() {
        return unauthorized();
    }
    match subject.and_then(|token| app.keystone.look_up(token).map(|identity| (token, identity))) {
        Some((token, identity)) => Reply::plain_json(StatusCode::OK, &token_body(app, &identity, true))
            .header("x-subject-token", token.to_owned()),
        None => error(StatusCode::NOT_FOUND, "Could not find token."),
    }
}

fn revoke(app: &App, request: &Request) -> Reply {
    let caller = request.header("x-auth-token");
    if caller.and_then(|token| app.keystone.look_up(token)).is_none() {
        return unauthorized();
    }
    match request.header("x-subject-token") {
        Some(token) if app.keystone.revoke(token) => Reply::foreign(StatusCode::NO_CONTENT, ""),
        _ => error(StatusCode::NOT_FOUND, "Could not find token."),
    }
}

fn token_body(app: &App, identity: &Identity, with_catalogue: bool) -> Value {
    let domain = json!({"id": "default", "name": "Default"});
    let mut token = json!({
        "methods": ["password"],
        "user": {"id": identity.user_id(), "name": identity.user, "domain": domain,
            "password_expires_at": null},
        "audit_ids": [identity.audit_id],
        "issued_at": keystone_time(identity.issued_at_us),
        "expires_at": keystone_time(identity.expires_at_us),
    });
    if let Some(project) = &identity.project {
        token["project"] =
            json!({"id": tokens::id_of("project", project), "name": project, "domain": domain});
        token["is_domain"] = json!(false);
        token["roles"] = identity
            .roles
            .iter()
            .map(|role| json!({"id": tokens::id_of("role", role), "name": role}))
            .collect();
        if with_catalogue {
            token["catalog"] = catalogue(app);
        }
    }
    json!({"token": token})
}

fn catalogue(app: &App) -> Value {
    let entry = |kind: &str, name: &str, url: &str| {
        let endpoints: Value = ["public", "internal", "admin"]
            .iter()
            .map(|interface| {
                json!({"id": tokens::id_of(kind, interface), "interface": interface,
                    "region": app.config.region, "region_id": app.config.region, "url": url})
            })
            .collect();
        json!({"id": tokens::id_of("service", kind), "type": kind, "name": name, "endpoints": endpoints})
    };
    let service = app.config.catalogue_url.clone().unwrap_or_else(|| app.url());
    json!([entry("faultmanagement", "fm", &service), entry("identity", "keystone", &app.keystone_url())])
}

/// Keystone's form of a time: six digits and `Z`.
fn keystone_time(at_us: i64) -> String {
    let time = jiff::Timestamp::from_microsecond(at_us).unwrap_or(jiff::Timestamp::MAX);
    jiff::tz::Offset::UTC.to_datetime(time).strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}
