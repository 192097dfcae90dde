//! The text interface: the calls of `fm_core` that carry alarms and filters as text.
//!
//! Invariants:
//! - No call raises for the text it was given or for what happened: it answers with a value and logs why.
//! - None is 'none found' (for `set`: not done), False 'could not be done'; nothing found is no failure.

use fm_common::client::{Client, ClientError};
use fm_common::{Alarm, ErrorCode, text};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use crate::calls::ask;

/// What `set` answers to a clear: there is no alarm, so no uuid.
const CLEARED: &str = "cleared";

/// Texts of alarms, or None (none found) or False (failed).
#[derive(IntoPyObject)]
pub(crate) enum Found<T> {
    Texts(T),
    Not(Option<bool>),
}

/// How loud a line in Python's log is.
#[derive(Clone, Copy)]
enum Level {
    Debug,
    Warning,
    Error,
}

/// Raise an alarm, clear it or record a log. Returns its uuid, or None when it was not done.
#[pyfunction]
pub(crate) fn set(py: Python<'_>, alarm: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    let Some(alarm) = read("set", alarm, |text| text::alarm(text).and_then(sendable))? else {
        return Ok(None);
    };
    let uuid = done(py, "set", |client| client.set(alarm))?;
    Ok(uuid.ok().map(|uuid| if uuid.is_empty() { CLEARED.to_owned() } else { uuid }))
}

/// As `set` for each, all or nothing. True, None when there is nothing to send, False when it failed.
#[pyfunction]
pub(crate) fn set_fault_list(py: Python<'_>, alarms: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
    let call = "set_fault_list";
    let Some(given) = members(call, alarms)? else { return Ok(Some(false)) };
    let mut read_alarms = Vec::with_capacity(given.len());
    for alarm in &given {
        read_alarms.extend(read(call, alarm, |text| text::alarm(text).and_then(sendable))?);
    }
    match (read_alarms.len(), given.len()) {
        (0, _) => Ok(None),
        (sendable, all) if sendable < all => {
            let what = format!("{} of the {all} alarms cannot be sent, so none was", all - sendable);
            log(py, Level::Error, call, &what)?;
            Ok(Some(false))
        }
        _ => Ok(done(py, call, |client| client.set_list(read_alarms))?.map_or_else(|no| no, |_| Some(true))),
    }
}

/// Clear one alarm. True, None when there is none, False when it failed.
#[pyfunction]
pub(crate) fn clear(py: Python<'_>, filter: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
    let Some(key) = read("clear", filter, text::filter)? else { return Ok(Some(false)) };
    clearing(py, "clear", |client| client.clear(key))
}

/// Clear every alarm of an entity and of what lies under it. True, None when there is none, False when
/// it failed.
#[pyfunction]
pub(crate) fn clear_all(py: Python<'_>, entity_instance_id: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
    let Some(entity) = plain("clear_all", entity_instance_id)? else { return Ok(Some(false)) };
    clearing(py, "clear_all", |client| client.clear_all(&entity))
}

/// Clear each; absent ones are no error. True, None when there is nothing to send, False when it failed.
#[pyfunction]
pub(crate) fn clear_list(py: Python<'_>, filters: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
    let Some(given) = members("clear_list", filters)? else { return Ok(Some(false)) };
    let mut keys = Vec::with_capacity(given.len());
    for filter in &given {
        let Some(key) = read("clear_list", filter, text::filter)? else { return Ok(Some(false)) };
        keys.push(key);
    }
    if keys.is_empty() {
        return Ok(None);
    }
    clearing(py, "clear_list", |client| client.clear_list(keys))
}

/// The alarm with exactly this id and entity, None when there is none, False when it failed.
#[pyfunction]
pub(crate) fn get(py: Python<'_>, filter: &Bound<'_, PyAny>) -> PyResult<Found<String>> {
    let Some(key) = read("get", filter, text::filter)? else { return Ok(Found::Not(Some(false))) };
    let alarm = done(py, "get", |client| client.get(key))?;
    Ok(alarm.map_or_else(Found::Not, |alarm| Found::Texts(text::line(&alarm))))
}

/// The alarms with this id, by time raised, None when there is none, False when it failed or more than
/// `max` match.
#[pyfunction]
#[pyo3(signature = (alarm_id, max = None))]
pub(crate) fn get_by_aid(
    py: Python<'_>,
    alarm_id: &Bound<'_, PyAny>,
    max: Option<usize>,
) -> PyResult<Found<Vec<String>>> {
    let Some(alarm_id) = plain("get_by_aid", alarm_id)? else { return Ok(Found::Not(Some(false))) };
    listing(py, "get_by_aid", max, |client| client.list_by_id(&alarm_id))
}

/// The alarms of an entity and of what lies under it; answers as `get_by_aid` does.
#[pyfunction]
#[pyo3(signature = (entity_instance_id, max = None))]
pub(crate) fn get_by_eid(
    py: Python<'_>,
    entity_instance_id: &Bound<'_, PyAny>,
    max: Option<usize>,
) -> PyResult<Found<Vec<String>>> {
    let Some(entity) = plain("get_by_eid", entity_instance_id)? else { return Ok(Found::Not(Some(false))) };
    listing(py, "get_by_eid", max, |client| client.list_by_entity(&entity))
}

/// The alarms with the filter's id of its entity and of what lies under it; answers as `get_by_aid` does.
#[pyfunction]
#[pyo3(signature = (filter, max = None))]
pub(crate) fn get_by_id_n_eid(
    py: Python<'_>,
    filter: &Bound<'_, PyAny>,
    max: Option<usize>,
) -> PyResult<Found<Vec<String>>> {
    let call = "get_by_id_n_eid";
    let Some(key) = read(call, filter, text::filter)? else { return Ok(Found::Not(Some(false))) };
    listing(py, call, max, |client| client.list_by_id_and_entity(key))
}

fn sendable(alarm: Alarm) -> Result<Alarm, text::Unreadable> {
    alarm.validate().map_err(text::Unreadable::Field)?;
    Ok(alarm)
}

fn clearing(
    py: Python<'_>,
    call: &str,
    request: impl FnOnce(&Client) -> Result<(), ClientError> + Send,
) -> PyResult<Option<bool>> {
    Ok(done(py, call, request)?.map_or_else(|no| no, |()| Some(true)))
}

fn listing(
    py: Python<'_>,
    call: &str,
    max: Option<usize>,
    request: impl FnOnce(&Client) -> Result<Vec<Alarm>, ClientError> + Send,
) -> PyResult<Found<Vec<String>>> {
    let alarms = match done(py, call, request)? {
        Ok(alarms) => alarms,
        Err(no) => return Ok(Found::Not(no)),
    };
    if let Some(max) = max.filter(|max| alarms.len() > *max) {
        let what = format!("{} alarms match, more than the {max} asked for; raise max", alarms.len());
        log(py, Level::Error, call, &what)?;
        return Ok(Found::Not(Some(false)));
    }
    Ok(Found::Texts(alarms.iter().map(text::line).collect()))
}

/// Does one call; what was not done is logged and becomes the answer for it.
fn done<T: Send>(
    py: Python<'_>,
    call: &str,
    request: impl FnOnce(&Client) -> Result<T, ClientError> + Send,
) -> PyResult<Result<T, Option<bool>>> {
    let failure = match ask(py, request) {
        Ok(answer) => return Ok(Ok(answer)),
        Err(failure) => failure,
    };
    let (level, answer) = match failure.code() {
        ErrorCode::EntityNotFound => (Level::Debug, None),
        // The agent starts after some of its callers.
        ErrorCode::NoConnect => (Level::Warning, Some(false)),
        _ => (Level::Error, Some(false)),
    };
    log(py, level, call, &format!("{failure} ({})", failure.code()))?;
    Ok(Err(answer))
}

/// Reads a text; None when it is none or cannot be read, which is logged.
fn read<T>(
    call: &str,
    given: &Bound<'_, PyAny>,
    reader: impl FnOnce(&str) -> Result<T, text::Unreadable>,
) -> PyResult<Option<T>> {
    let Some(given_text) = plain(call, given)? else { return Ok(None) };
    match reader(&given_text) {
        Ok(value) => Ok(Some(value)),
        Err(reason) => {
            let shown: String = given_text.chars().take(200).collect();
            log(given.py(), Level::Error, call, &format!("{reason}: {shown:?}"))?;
            Ok(None)
        }
    }
}

/// A text as it is; None when it is none, which is logged.
fn plain(call: &str, given: &Bound<'_, PyAny>) -> PyResult<Option<String>> {
    let reason = match given.cast::<PyString>().map(PyStringMethods::to_cow) {
        Ok(Ok(text)) => return Ok(Some(text.into_owned())),
        Ok(Err(reason)) => format!("the text is not valid Unicode: {}", reason.value(given.py())),
        Err(_) => format!("expected a text, got {}", given.get_type().name()?),
    };
    log(given.py(), Level::Error, call, &reason)?;
    Ok(None)
}

/// The members of a list; None when it is none, which is logged.
fn members<'py>(call: &str, given: &Bound<'py, PyAny>) -> PyResult<Option<Vec<Bound<'py, PyAny>>>> {
    if let Ok(list) = given.cast::<PyList>() {
        return Ok(Some(list.iter().collect()));
    }
    let what = format!("expected a list of texts, got {}", given.get_type().name()?);
    log(given.py(), Level::Error, call, &what)?;
    Ok(None)
}

/// A line in Python's log, under the name of the module.
fn log(py: Python<'_>, level: Level, call: &str, what: &str) -> PyResult<()> {
    let method = match level {
        Level::Debug => "debug",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    let logger = py.import("logging")?.call_method1("getLogger", ("fm_core",))?;
    logger.call_method1(method, ("%s was not done: %s", call, what))?;
    Ok(())
}
