//! **Test equipment.** A stand-in of fm-rest-api v1 and of the Keystone v3 calls a client makes.
//!
//! It behaves as the real service was observed to behave (2026-06, on PostgreSQL and MariaDB), the
//! quirks included: answers that are JSON inside JSON, empty 500s, duplicate rows, an event log that
//! makes concurrent writers fail. On top of that it fails on demand in every way a network and a
//! controller can fail. It must not be 'improved': where it is odd, the real service is.
//!
//! ```no_run
//! use fm_rest_sim::{Apply, Fault, Sim, SimConfig};
//!
//! let sim = Sim::start(SimConfig::default())?;
//! sim.add_fault(Fault::status(502).applied(Apply::All).on("POST", "/v1/alarms").times(3))?;
//! // … let a client talk to sim.url() with tokens from sim.keystone_url() …
//! assert_eq!(sim.alarms()?.len(), 1);
//! # Ok::<(), fm_rest_sim::SimError>(())
//! ```
//!
//! The same as a program: `fm-rest-sim`, with a control port for tests that are not written in Rust;
//! see the README beside this crate.

mod api;
mod app;
mod auth;
mod config;
mod control;
mod faults;
mod keystone;
mod reply;
mod request;
mod requests;
mod rng;
mod rows;
mod server;
mod settings;
mod sim;
mod store;
mod text;
mod timestamp;

pub use config::{
    AlarmType, DEFAULT_EVENT_CAP, DEFAULT_PASSWORD, DEFAULT_PROJECT, DEFAULT_USER, Database, Dialect, Grant,
    SimConfig, User, catalogue_alarm_types,
};
pub use faults::{Apply, Fault, FaultId, FaultKind, Service};
pub use requests::RequestRecord;
pub use rows::{AlarmFields, AlarmRow, EventRow, NewAlarm, SuppressionRow};
pub use sim::{Sim, SimError};
