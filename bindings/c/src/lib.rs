//! `libfmcommon`: the blocking client of the node's fault management agent, for C and C++.
//!
//! Invariants:
//! - It translates and nothing more: C structs to the alarm model, answers and errors back. What a call
//!   means is decided by the agent.
//! - A caller's memory is read through raw pointers, only the fields that a call needs, texts up to their
//!   NUL: callers leave the rest uninitialised. No reference to a caller's struct is ever made.
//! - Nothing of a caller's process is touched: no signal, handler, thread, standard stream or `errno`;
//!   nothing runs at load. Unloading closes and frees all there is.
//! - No panic crosses the border, and no memory is handed to a caller.

#[cfg(panic = "abort")]
compile_error!("libfmcommon must not end its callers: build it with panic = \"unwind\"");

mod abi;
mod alarm;
mod border;
mod enums;
mod exports;
mod failure;
mod library;
mod syslog;
mod text;
mod values;

pub use abi::*;
pub use enums::*;
pub use exports::*;
