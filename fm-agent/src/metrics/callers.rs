//! What callers were refused and how they behaved: figures that the sockets, the access rules and the audit log
//! keep themselves.
//!
//! Invariants:
//! - Each cause has its series from the start, so that a rate over the first one is right.
//! - What those counters come to is taken from them when it is shown, and added here: the figures only grow,
//!   whatever begins anew with a new configuration.

use prometheus::{IntCounter, IntCounterVec};

use super::MetricsError;
use super::families::Families;

/// What callers came to since it was asked for last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallerState {
    /// What became of connections and requests at the sockets.
    pub sockets: SocketState,
    /// Reads refused because of who asked.
    pub refused_reads: u64,
    /// Sets, clears and logs refused because of who asked.
    pub refused_writes: u64,
    /// Administrators' requests refused because of who asked or over which socket.
    pub refused_admin: u64,
    /// Lines written to the audit log.
    pub audit_written: u64,
    /// Lines that the audit log lost.
    pub audit_lost: u64,
}

/// What became of connections and requests at the sockets since it was asked for last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SocketState {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections refused because there were as many as there may be in all.
    pub refused_in_all: u64,
    /// Connections refused because their process had as many as it may.
    pub refused_per_process: u64,
    /// Connections refused because their user had as many as it may.
    pub refused_per_user: u64,
    /// Connections closed because they took too long.
    pub closed_slow: u64,
    /// Connections closed because of what they sent.
    pub closed_garbage: u64,
    /// Times a request had to wait for room.
    pub held_back: u64,
    /// Requests with too long a list.
    pub refused_lists: u64,
}

#[derive(Debug)]
pub(super) struct Callers {
    accepted: IntCounter,
    refused: IntCounterVec,
    closed: IntCounterVec,
    held_back: IntCounter,
    lists: IntCounter,
    access: IntCounterVec,
    audit: IntCounterVec,
}

impl Callers {
    pub(super) fn new(new: &Families) -> Result<Self, MetricsError> {
        let this = Self {
            accepted: new.counter("fm_agent_connections_accepted_total", "Callers' connections taken.")?,
            refused: new.counters(
                "fm_agent_connections_refused_total",
                "Connections turned away because of a limit: of all (agent.max_connections), of their process or of their user (limits.connections_per_…).",
                &["limit"],
            )?,
            closed: new.counters(
                "fm_agent_connections_closed_total",
                "Connections closed because of their caller: slow (a hello, a frame or the taking of an answer took too long) or garbage (what came was no request).",
                &["cause"],
            )?,
            held_back: new.counter(
                "fm_agent_requests_held_back_total",
                "Times a request waited in its socket until others of its process, its user or all callers were answered.",
            )?,
            lists: new.counter(
                "fm_agent_lists_refused_total",
                "Requests refused because their list has more entries than limits.list_entries.",
            )?,
            access: new.counters(
                "fm_agent_access_refused_total",
                "Requests refused because of who asked, by the key of the access table.",
                &["access"],
            )?,
            audit: new.counters(
                "fm_agent_audit_lines_total",
                "Lines of the audit log: written, or lost because its file could not be written in time.",
                &["outcome"],
            )?,
        };
        this.add(&CallerState::default());
        Ok(this)
    }

    /// Adds what came since the last time.
    pub(super) fn add(&self, state: &CallerState) {
        for (counter, number) in self.series(state) {
            counter.inc_by(number);
        }
    }

    /// Lines that the audit log has lost.
    pub(super) fn audit_lines_lost(&self) -> u64 {
        self.audit.with_label_values(&["lost"]).get()
    }

    fn series(&self, state: &CallerState) -> [(IntCounter, u64); 13] {
        let sockets = &state.sockets;
        let of = |family: &IntCounterVec, label: &str| family.with_label_values(&[label]);
        [
            (self.accepted.clone(), sockets.accepted),
            (self.held_back.clone(), sockets.held_back),
            (self.lists.clone(), sockets.refused_lists),
            (of(&self.refused, "all"), sockets.refused_in_all),
            (of(&self.refused, "process"), sockets.refused_per_process),
            (of(&self.refused, "user"), sockets.refused_per_user),
            (of(&self.closed, "slow"), sockets.closed_slow),
            (of(&self.closed, "garbage"), sockets.closed_garbage),
            (of(&self.access, "read"), state.refused_reads),
            (of(&self.access, "write"), state.refused_writes),
            (of(&self.access, "admin"), state.refused_admin),
            (of(&self.audit, "written"), state.audit_written),
            (of(&self.audit, "lost"), state.audit_lost),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::Registry;

    #[test]
    fn each_series_is_there_from_the_start_and_what_comes_is_added() {
        let families = Families(Registry::new());
        let callers = Callers::new(&families).unwrap();
        let series = || families.0.gather().iter().map(|family| family.get_metric().len()).sum::<usize>();
        assert_eq!(series(), 13);
        callers.add(&CallerState { refused_writes: 3, ..CallerState::default() });
        callers.add(&CallerState { refused_writes: 2, ..CallerState::default() });
        assert_eq!((callers.access.with_label_values(&["write"]).get(), series()), (5, 13));
    }
}
