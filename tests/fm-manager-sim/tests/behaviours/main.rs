//! One named test for each behaviour of the manager, and for each way in which the stand-in fails.

#![expect(clippy::unwrap_used, reason = "what a helper of tests cannot do fails the test")]

mod bench;
mod events;
mod faults;
mod framing;
mod reading;
mod writing;
