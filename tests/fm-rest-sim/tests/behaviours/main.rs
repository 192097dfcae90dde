//! Every documented behaviour of the real service, by name, checked on the stand-in over HTTP.
//!
//! Each entry of a `behaviours!` table is one test, run with both dialects. What makes no sense for a
//! stand-in is listed in the README under 'Not simulated'.

mod authentication;
mod bench;
mod faults;
mod keystone;
mod posting;
mod program;
mod reading;
mod surprises;
mod transport;
