//! The agent as its callers and controllers meet it: the real program, real sockets, real disks, real
//! HTTP. The controllers are stand-ins.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "what a helper of tests cannot do fails the test, and says why"
)]

mod access;
mod admin;
mod backlog;
mod bad_days;
mod bounded;
mod canary;
mod clock;
mod credentials;
mod disturb;
mod foreign;
mod healing;
mod hostile;
mod hung_disk;
mod input;
mod lifecycle;
mod manager;
mod matrix;
mod metrics;
mod no_room;
#[path = "../preload.rs"]
mod preload;
mod recovery;
mod refused;
mod reload;
mod semantics;
mod service_manager;
mod standalone;
mod support;
mod uuids;
mod vanished;
mod window;
mod wire;
