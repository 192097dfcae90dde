//! The fm-rest-api backend against a stand-in of the service and of Keystone: what the service does that
//! nobody would expect, tokens, broken connections, large lists, texts it cannot hold, secrets.

mod ordinary;
mod support;
mod surprises;
