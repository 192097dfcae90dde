//! `fm_core`: the blocking client of the node's fault management agent, for Python.
//!
//! Invariants:
//! - It translates and nothing more: Python values to the alarm model, answers and errors back. What a
//!   call means is decided by the agent, what may be raised by [`fm_common::Alarm::validate`].
//! - Nothing is lost on the way: an alarm goes through with every character and microsecond it has.
//! - The interpreter is released while a call waits for the agent.
//! - A failure is an `FmError` with the error's name; no call returns a value that stands for one.

mod calls;
mod convert;
mod error;

use pyo3::pymodule;

/// The node's fault management, without conventions: the package `fm_api` is what callers use.
#[pymodule]
mod fm_core {
    #[pymodule_export]
    use super::calls::{
        clear_alarm, clear_alarms, clear_all_alarms, get_alarm, list_by_entity, list_by_id,
        list_by_id_and_entity, ping, set_alarm, set_alarms, status,
    };
    #[pymodule_export]
    use super::error::FmError;
}
