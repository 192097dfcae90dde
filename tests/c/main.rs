//! The C library as its callers meet it: programs in C and C++, compiled with the system's compilers, linked
//! with the library as it is shipped, against the real agent.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "what a helper of tests cannot do fails the test, and says why"
)]

mod async_calls;
mod command;
mod deadlines;
mod elf;
mod guide;
mod headers;
mod programs;
mod refusals;
#[expect(dead_code, reason = "shared with the agent's own suite, which uses more of it")]
#[path = "../agent/support.rs"]
mod support;
mod toolbox;
