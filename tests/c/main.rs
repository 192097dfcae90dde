//! The C library as its callers meet it: programs in C and C++, compiled with the system's compilers, linked
//! with the library as it is shipped, against the real agent.

#[cfg(test)]
mod async_calls;
#[cfg(test)]
mod deadlines;
#[cfg(test)]
mod elf;
#[cfg(test)]
mod headers;
#[cfg(test)]
mod programs;
#[cfg(test)]
mod refusals;
#[expect(dead_code, reason = "shared with the agent's own suite, which uses more of it")]
#[cfg(test)]
#[path = "../agent/support.rs"]
#[cfg(test)]
mod support;
#[cfg(test)]
mod toolbox;
