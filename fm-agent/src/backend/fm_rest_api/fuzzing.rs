//! The service's JSON and forms, opened to the fuzz targets: nothing of it is in the product.

use fm_common::{Alarm, Timestamp};
use reqwest::StatusCode;

use super::adapt::{self, Database};
use super::answer::{self, Outcome};
use super::wire::{self, Posted};
use crate::backend::Failure;
use crate::backend::http::Reply;

/// The databases that there are behind a service: MariaDB or not.
fn database(mariadb: bool) -> Database {
    if mariadb { Database::MariaDb } else { Database::PostgreSql }
}

/// Reads one alarm.
pub fn alarm(body: &[u8]) -> Result<Alarm, String> {
    wire::alarm(body).map(|row| row.alarm).map_err(|error| error.to_string())
}

/// Reads a list of alarms.
pub fn alarms(body: &[u8]) -> Result<Vec<Alarm>, String> {
    let rows = wire::alarms(body).map_err(|error| error.to_string())?;
    Ok(rows.into_iter().map(|row| row.alarm).collect())
}

/// Reads an event: its time.
pub fn event_time(body: &[u8]) -> Result<Option<Timestamp>, String> {
    wire::event(body).map(|event| event.time).map_err(|error| error.to_string())
}

/// Reads a list of events: how many there are.
pub fn events(body: &[u8]) -> Result<usize, String> {
    wire::events(body).map(|events| events.len()).map_err(|error| error.to_string())
}

/// Reads the summary: how many alarms stand.
pub fn summary(body: &[u8]) -> Result<u64, String> {
    wire::summary(body).map(wire::Summary::total).map_err(|error| error.to_string())
}

/// Reads a list of alarm types: how many there are.
pub fn alarm_types(body: &[u8]) -> Result<usize, String> {
    wire::alarm_types(body).map(|types| types.len()).map_err(|error| error.to_string())
}

/// Reads the uuid in the answer to a POST.
pub fn posted_uuid(body: &[u8]) -> Option<String> {
    wire::posted_uuid(body)
}

/// What an answer with this status means: the body of a success, nothing for an absence, or a failure.
/// `None` for a number that is no status.
pub fn meaning(status: u16, body: &[u8]) -> Option<Result<Option<Vec<u8>>, Failure>> {
    let status = StatusCode::from_u16(status).ok()?;
    let reply = Reply { status, headers: reqwest::header::HeaderMap::new(), body: body.to_vec() };
    Some(match answer::interpret("GET alarms", reply) {
        Ok(Outcome::Done(body)) => Ok(Some(body)),
        Ok(Outcome::NotFound) => Ok(None),
        Ok(Outcome::Unclear(failure)) | Err(failure) => Err(failure),
    })
}

/// The form of an alarm at the service, and which fields had to be changed for it.
pub fn hold(alarm: &Alarm, log: bool, mariadb: bool) -> Result<(Alarm, Vec<&'static str>), String> {
    let posted = if log { Posted::Log } else { Posted::Alarm };
    adapt::hold(alarm, posted, database(mariadb)).map(|held| (held.alarm, held.changes))
}

/// The body that posts an alarm.
pub fn body(alarm: &Alarm, uuid: &str) -> Result<Vec<u8>, String> {
    wire::body(alarm, uuid, Posted::Alarm).map_err(|error| error.to_string())
}

/// The form of an entity instance id at the service, and what callers get back of it.
pub fn entity(given: &str, mariadb: bool) -> (String, String) {
    let held = adapt::hold_entity(given, database(mariadb));
    let restored = adapt::restore_entity(&held, database(mariadb));
    (held, restored)
}

/// The filter value for a text.
pub fn filter(text: &str) -> String {
    adapt::filter(text)
}
