//! One function for each request of the agent.
//!
//! Invariants: every function takes its Python values apart before it releases the interpreter and puts
//! the answer together after it has it back; between the two there is only the client's call.

use std::sync::LazyLock;

use fm_common::client::{Client, ClientError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::{convert, error};

/// The client of this process. It notices a fork by itself.
static CLIENT: LazyLock<Client> = LazyLock::new(Client::from_env);

/// Does one call with the interpreter released.
pub(crate) fn ask<T: Send>(
    py: Python<'_>,
    request: impl FnOnce(&Client) -> Result<T, ClientError> + Send,
) -> Result<T, ClientError> {
    // Made while the interpreter is held: neither a fork nor a change of os.environ can come between.
    let client = LazyLock::force(&CLIENT);
    py.detach(|| request(client))
}

fn call<T: Send>(
    py: Python<'_>,
    request: impl FnOnce(&Client) -> Result<T, ClientError> + Send,
) -> PyResult<T> {
    ask(py, request).map_err(|failure| error::from_client(py, &failure))
}

/// Raise an alarm, clear it or record a log, as its state and severity say. Returns its uuid; for a
/// clear, the empty text.
#[pyfunction]
pub(crate) fn set_alarm(py: Python<'_>, alarm: &Bound<'_, PyDict>) -> PyResult<String> {
    let alarm = convert::alarm(alarm)?;
    call(py, |client| client.set(alarm))
}

/// As `set_alarm` for each, all or nothing. Returns the uuids in the order of the alarms.
#[pyfunction]
pub(crate) fn set_alarms(py: Python<'_>, alarms: &Bound<'_, PyList>) -> PyResult<Vec<String>> {
    let alarms = alarms.iter().map(|alarm| convert::alarm(alarm.cast()?)).collect::<PyResult<Vec<_>>>()?;
    call(py, |client| client.set_list(alarms))
}

/// Clear one alarm; `FM_ERR_ENTITY_NOT_FOUND` when there is none.
#[pyfunction]
pub(crate) fn clear_alarm(
    py: Python<'_>,
    alarm_id: &Bound<'_, PyAny>,
    entity_instance_id: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let key = convert::key(alarm_id, entity_instance_id)?;
    call(py, |client| client.clear(key))
}

/// Clear every alarm of an entity and of what lies under it; `FM_ERR_ENTITY_NOT_FOUND` when there is
/// none.
#[pyfunction]
pub(crate) fn clear_all_alarms(py: Python<'_>, entity_instance_id: &Bound<'_, PyAny>) -> PyResult<()> {
    let entity = convert::text("entity_instance_id", entity_instance_id)?;
    call(py, |client| client.clear_all(&entity))
}

/// Clear each of the pairs of alarm id and entity; absent ones are no error.
#[pyfunction]
pub(crate) fn clear_alarms(py: Python<'_>, keys: &Bound<'_, PyList>) -> PyResult<()> {
    let pair = |pair: Bound<'_, PyAny>| {
        let (alarm_id, entity_instance_id) = pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
        convert::key(&alarm_id, &entity_instance_id)
    };
    let keys = keys.iter().map(pair).collect::<PyResult<Vec<_>>>()?;
    call(py, |client| client.clear_list(keys))
}

/// The alarm with exactly this id and entity; `FM_ERR_ENTITY_NOT_FOUND` when there is none.
#[pyfunction]
pub(crate) fn get_alarm<'py>(
    py: Python<'py>,
    alarm_id: &Bound<'py, PyAny>,
    entity_instance_id: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyDict>> {
    let key = convert::key(alarm_id, entity_instance_id)?;
    convert::dict(py, &call(py, |client| client.get(key))?)
}

/// The alarms of an entity and of what lies under it, ordered by time raised; `FM_ERR_ENTITY_NOT_FOUND`
/// when there is none.
#[pyfunction]
pub(crate) fn list_by_entity<'py>(
    py: Python<'py>,
    entity_instance_id: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    let entity = convert::text("entity_instance_id", entity_instance_id)?;
    convert::list(py, &call(py, |client| client.list_by_entity(&entity))?)
}

/// The alarms with this id, ordered by time raised; `FM_ERR_ENTITY_NOT_FOUND` when there is none.
#[pyfunction]
pub(crate) fn list_by_id<'py>(py: Python<'py>, alarm_id: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    let alarm_id = convert::text("alarm_id", alarm_id)?;
    convert::list(py, &call(py, |client| client.list_by_id(&alarm_id))?)
}

/// The alarms with this id of an entity and of what lies under it, ordered by time raised;
/// `FM_ERR_ENTITY_NOT_FOUND` when there is none.
#[pyfunction]
pub(crate) fn list_by_id_and_entity<'py>(
    py: Python<'py>,
    alarm_id: &Bound<'py, PyAny>,
    entity_instance_id: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    let key = convert::key(alarm_id, entity_instance_id)?;
    convert::list(py, &call(py, |client| client.list_by_id_and_entity(key))?)
}

/// Return when the agent answers and its disk takes writes.
#[pyfunction]
pub(crate) fn ping(py: Python<'_>) -> PyResult<()> {
    call(py, Client::ping)
}

/// How the agent and its domains are, as the text of a JSON object.
#[pyfunction]
pub(crate) fn status(py: Python<'_>) -> PyResult<String> {
    call(py, Client::status)
}
