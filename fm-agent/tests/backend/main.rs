//! The fm-rest-api backend against a stand-in of the service and of Keystone: what the service does that
//! nobody would expect, tokens, broken connections, large lists, texts it cannot hold, secrets.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what a helper of tests cannot do fails the test")]

mod around;
mod facts;
mod faults;
mod late;
mod many;
mod memory;
mod ordinary;
mod secrets;
mod support;
mod surprises;
mod tokens;
mod uuids;
