//! The per-node fault management daemon, as a library with a thin `main`.
//!
//! Floors, each may use only what is below it: `agent` (wiring, lifecycle) → `listener` → `service` and
//! `delivery` → `route`, `store`, `backend` → `config`, `metrics`, `passing`,
//! `log` and `systemd`. Service and delivery meet only in
//! the store. `ctl`, the command, stands beside them and uses `agent`'s places, `store`'s check, `backend` and
//! `config` for its doctor.
//!
//! It must not speak C or Python: that is the bindings' business.

pub mod access;
pub mod agent;
pub mod audit;
pub mod backend;
pub mod caller;
pub mod config;
pub mod ctl;
pub mod delivery;
mod failpoint;
mod lasting;
pub mod listener;
pub mod log;
pub mod metrics;
mod parts;
pub mod passing;
pub mod route;
pub mod seldom;
pub mod service;
mod sockets;
pub mod store;
pub mod systemd;
