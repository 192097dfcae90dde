//! The agent's accounts at a real Keystone, and the stand-in of fm-rest-api, which checks their tokens there.
//!
//! They need the environment that `cargo xtask test` makes and are left out without it; `cargo xtask keystone`
//! runs them alone.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what a helper of tests cannot do fails the test")]

mod accounts;
mod endings;
mod places;
mod support;
mod tls;
