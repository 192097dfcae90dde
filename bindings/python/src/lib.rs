//! `fm_core`: the blocking client of the node's fault management agent, for Python.
//!
//! Invariants:
//! - It translates and nothing more: Python values to the alarm model, answers and errors back. What a
//!   call means is decided by the agent, what may be raised by [`fm_common::Alarm::validate`].
//! - The interpreter is released while a call waits for the agent.
//! - The typed calls lose nothing: an alarm goes through with every character and microsecond it has. A
//!   failure is an `FmError` with the error's name; none returns a value that stands for one.
//! - The text calls are for code written for text: they answer with values and log, and raise nothing.

mod calls;
mod convert;
mod error;
mod text_calls;

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
    #[pymodule_export]
    use super::text_calls::{
        clear, clear_all, clear_list, get, get_by_aid, get_by_eid, get_by_id_n_eid, set, set_fault_list,
    };
}
