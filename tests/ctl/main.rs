//! `fmctl` as people and scripts meet it: the real programs, real sockets, stand-in controllers.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "what a helper of tests cannot do fails the test, and says why"
)]

mod commands;
mod data;
mod doctor;
mod doctor_network;
mod documents;
mod output;
mod refused;
mod run;
mod servers;
#[expect(dead_code, reason = "shared with the end-to-end suite, which uses more of it")]
#[path = "../agent/support.rs"]
mod support;
mod watching;
