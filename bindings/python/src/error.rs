//! `FmError`, the one exception of the module, and how failures become it.
//!
//! Invariant: an `FmError` always has `code`, the error's name such as `FM_ERR_NOCONNECT`, and `field`,
//! the name of the value that cannot be sent, or None when the values were not at fault.

use fm_common::client::ClientError;
use fm_common::{ErrorCode, InvalidAlarm};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::{create_exception, intern};

create_exception!(
    fm_core,
    FmError,
    PyException,
    "A call that was not done. `code` is the error's name, `field` the value that was at fault, or None."
);

/// The agent's refusal, or why it could not be asked.
pub(crate) fn from_client(py: Python<'_>, failure: &ClientError) -> PyErr {
    make(py, failure.code(), failure.to_string(), None)
}

/// A value that cannot be sent.
pub(crate) fn from_field(py: Python<'_>, invalid: &InvalidAlarm) -> PyErr {
    make(py, ErrorCode::InvalidParameter, invalid.to_string(), Some(invalid.field))
}

fn make(py: Python<'_>, code: ErrorCode, message: String, field: Option<&str>) -> PyErr {
    let error = FmError::new_err(message);
    let value = error.value(py);
    let attributes = value
        .setattr(intern!(py, "code"), code.name())
        .and_then(|()| value.setattr(intern!(py, "field"), field));
    // Setting an attribute fails only when Python is out of memory: that is then what happened.
    attributes.err().unwrap_or(error)
}
