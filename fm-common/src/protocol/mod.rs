//! Protocol version 1 between callers and the agent, over a Unix stream socket.
//!
//! ```text
//! caller                                agent
//!   Hello ──────────────────────────────►
//!   ◄─────────────────────── HelloAnswer     refused: the agent closes the connection
//!   RequestHeader, Request ──────────────►
//!   RequestHeader, Request ──────────────►    pipelined: ids tell answers apart
//!   ◄─────────── ResponseHeader, Response
//! ```
//! Each arrow is one frame: a length (u32, little-endian) and that many bytes.
//!
//! Invariants:
//! - Version 1 is frozen: the golden vectors in this module's tests never change. It grows only by new
//!   kinds at the end of [`Request`] and [`Answer`]; a peer that does not know a kind answers
//!   [`InvalidRequest`](crate::ErrorCode::InvalidRequest) under the request's id and goes on.
//! - A frame longer than the limit is refused before anything of it is allocated.
//! - Requests of one connection take effect in the order in which they were sent. Two take effect only with
//!   their answer, because a controller may have to be asked first: a clear of what the node does not know
//!   and a set that keeps what stands, when not detached. A caller that pipelines waits for theirs before it
//!   sends what must come after.

pub mod codec;
mod message;

pub use message::{Answer, Hello, HelloAnswer, Refusal, Request, RequestHeader, Response, Token};

/// The version that this crate speaks.
pub const VERSION: u16 = 1;

/// First bytes of a hello, so that a stray program is told apart from a caller.
pub const MAGIC: [u8; 4] = *b"FMAG";

/// The longest frame, in bytes, without its length: a list of 10,000 alarms fits several times.
pub const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;

/// The longest hello, in bytes: what a connection may make the agent hold before it has introduced
/// itself.
pub const MAX_HELLO_BYTES: usize = 1024;

/// How the words begin in which an agent refuses a request of a kind that it does not know: the one thing
/// that tells this refusal from others with the same code.
pub const NOT_UNDERSTOOD: &str = "this agent does not understand the request";

/// Bytes of a frame's length.
pub const LENGTH_BYTES: usize = 4;
