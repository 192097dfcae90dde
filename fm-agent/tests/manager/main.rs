//! The `fm_manager` backend against a stand-in of the central manager: what the manager does that nobody
//! would expect, broken connections, deletes that must not be sent.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what a helper of tests cannot do fails the test")]

mod connections;
mod doubts;
mod ordinary;
mod reads;
mod refusals;
mod removals;
mod seeded;
mod support;
