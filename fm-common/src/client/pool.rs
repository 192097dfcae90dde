//! Idle connections of one client, kept for the next call.
//!
//! Invariants:
//! - Nothing here ever waits: a slot that is busy is passed over. So a fork while another thread holds a
//!   slot costs the child that slot and nothing more.
//! - A connection is only used by the process that opened it; what a child finds from its parent is
//!   closed in the child (the parent's own end stays open).

use std::process;
use std::sync::Mutex;

use super::connection::Connection;

/// Connections kept at most: one for each thread that calls at the same moment, beyond which they are
/// opened and closed.
const SLOTS: usize = 32;

#[derive(Debug)]
pub(super) struct Pool {
    slots: [Mutex<Option<Idle>>; SLOTS],
}

#[derive(Debug)]
struct Idle {
    owner: u32,
    connection: Connection,
}

impl Pool {
    pub(super) const fn new() -> Self {
        Self { slots: [const { Mutex::new(None) }; SLOTS] }
    }

    /// An idle connection of this process, if there is one.
    pub(super) fn take(&self) -> Option<Connection> {
        self.slots.iter().find_map(|slot| {
            let idle = slot.try_lock().ok()?.take()?;
            (idle.owner == process::id()).then_some(idle.connection)
        })
    }

    /// Keeps a connection for the next call; closes it when all slots are in use.
    pub(super) fn give_back(&self, connection: Connection) {
        let free = self.slots.iter().find_map(|slot| slot.try_lock().ok().filter(|idle| idle.is_none()));
        if let Some(mut slot) = free {
            *slot = Some(Idle { owner: process::id(), connection });
        }
    }
}
