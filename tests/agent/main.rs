//! The agent as its callers and controllers meet it: the real program, real sockets, real disks, real
//! HTTP. The controllers are stand-ins.

mod bad_days;
mod input;
mod lifecycle;
mod semantics;
mod standalone;
mod support;
mod wire;
