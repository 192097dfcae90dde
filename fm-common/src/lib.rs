//! What every program of the node-local fault management shares: the alarm model, entity matching,
//! the alarm catalogue, the wire protocol and the blocking client.
//!
//! Invariants:
//! - No thread is started, nothing happens at load, no state is global: a client is a value.
//! - What a caller puts into an [`Alarm`] comes out unchanged, whatever its length or script.
//! - The crate works inside foreign processes: no signal is raised or handled, descriptors are
//!   close-on-exec, and a fork is noticed.
//!
//! It must not use an async runtime, open a database or speak to a controller.

pub mod alarm;
pub mod catalogue;
pub mod client;
pub mod entity;
pub mod error;
pub mod paths;
pub mod protocol;
pub mod text;
pub mod timestamp;
pub mod values;

pub use alarm::{Alarm, AlarmKey, InvalidAlarm};
pub use error::ErrorCode;
pub use timestamp::Timestamp;
pub use values::{AlarmState, AlarmType, ProbableCause, Severity};
