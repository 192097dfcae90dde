//! The per-node fault management daemon, as a library with a thin `main`.
//!
//! Floors, each may use only what is below it: `agent` (wiring, lifecycle) → `listener` → `service` and
//! `delivery` → `route`, `store`, `backend` → `config` and
//! `metrics`. Service and delivery meet only in the store.
//!
//! It must not speak C or Python: that is the bindings' business.

pub mod agent;
pub mod backend;
pub mod config;
pub mod delivery;
pub mod listener;
pub mod metrics;
pub mod route;
pub mod service;
pub mod store;
