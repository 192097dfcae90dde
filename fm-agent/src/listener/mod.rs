//! Callers' connections: accept, introduce, frames in, answers out.
//!
//! Invariants:
//! - A peer that is slow, hostile or gone costs its own connection and nothing else.
//! - What one connection, one process and one user may hold is bounded: connections, memory for requests, and
//!   requests under way. A flood waits for itself.
//! - At most `max_connections` are open, and never so many that the agent itself runs out of descriptors;
//!   one more is told so and closed. Connections from before these limits were changed keep to the earlier ones and
//!   come besides.
//! - A connection ends with its peer or with the agent, never for a new configuration.
//!
//! It knows nothing of alarms: it hands requests to the service.

mod accept;
mod connection;
mod frames;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod room;
mod shares;
mod socket;

pub use accept::{Connections, Listener};
pub use shares::{ListenerCounters, Shares};
pub use socket::{SocketFile, bind};
