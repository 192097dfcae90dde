//! What waits in the store goes to the controller that owns it: one task a domain.
//!
//! Invariants:
//! - Requests of one alarm go one at a time, in order; a clear-all waits for what it covers and holds
//!   back what comes after it. Others go in parallel, as many as the controller takes cleanly.
//! - A request leaves the store only after the controller has taken or refused it. One whose fate is
//!   open is marked as in doubt, and so is what an earlier run of the agent may have sent.
//! - A domain that is down is probed, nothing else; after a probe that was answered, one request is its trial. It
//!   never delays the other.
//! - What is stuck delays nothing else, and what is held in memory is bounded: `lanes`.
//! - After each outage of a controller, and once after the start, it is compared with what this node made
//!   of it, and the difference is healed: `heal`, `healer`.
//!
//! It knows no HTTP and no SQL; what an answer means is the backend's business.

mod heal;
mod healer;
#[cfg(test)]
mod interplay_tests;
mod lanes;
mod limit;
mod outcome;
mod survey;
mod told;
mod worker;

pub use healer::Healer;
pub use worker::Worker;
