//! How much the store may hold, and from where on it gives something up (pure).
//!
//! Invariants:
//! - The stages are in order: high water, the limit for raises and logs, the limit for everything.
//! - Nothing is given up below high water, and a clear has room where a raise has none any more.

/// The size to which the WAL is cut after it grew, and what of [`Limits::max_bytes`] is set aside for it.
pub(super) const WAL_BYTES: u64 = 16 * 1024 * 1024;

/// How much the store may hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Bytes of the database and its WAL at most. An eighth of what the WAL leaves is for clears alone.
    pub max_bytes: u64,
    /// Raises, clears and logs that may wait to be delivered. Clears may exceed it by an eighth.
    pub max_requests: u64,
    /// The share of both from which on the store gives things up: above 0, at most 1.
    pub high_water: f64,
}

/// The stages of one quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stages {
    /// Above this, things are given up.
    pub(super) high: u64,
    /// Above this nothing is taken that raises or logs.
    pub(super) sets: u64,
    /// Above this nothing is taken at all, reports of deliveries aside.
    pub(super) clears: u64,
}

impl Limits {
    /// The same where no file may be larger than this.
    pub(super) fn within(self, largest_file: u64) -> Self {
        Self { max_bytes: self.max_bytes.min(largest_file), ..self }
    }

    /// In requests that wait.
    pub(super) fn requests(&self) -> Stages {
        let sets = self.max_requests;
        Stages { high: self.share(sets), sets, clears: sets.saturating_add((sets / 8).max(1)) }
    }

    /// In pages of the database that are in use.
    pub(super) fn pages(&self, page_size: u64) -> Stages {
        let clears = (self.max_bytes - WAL_BYTES.min(self.max_bytes / 2)) / page_size.max(1);
        let sets = clears - clears / 8;
        Stages { high: self.share(sets), sets, clears }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a count that is far below 2^52; the result is clamped"
    )]
    fn share(&self, of: u64) -> u64 {
        ((of as f64 * self.high_water) as u64).min(of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stages_are_in_order_and_leave_room_for_clears() {
        for (max_bytes, max_requests, high_water) in
            [(64 << 20, 1000, 0.8), (1 << 40, 100_000_000, 1.0), (4096, 1, 0.01), (0, 0, 1.0)]
        {
            let limits = Limits { max_bytes, max_requests, high_water };
            for Stages { high, sets, clears } in [limits.requests(), limits.pages(4096)] {
                assert!(high <= sets && sets <= clears, "{limits:?}");
            }
        }
        let limits = Limits { max_bytes: 64 << 20, max_requests: 1000, high_water: 0.8 };
        assert_eq!(limits.requests(), Stages { high: 800, sets: 1000, clears: 1125 });
        assert_eq!(limits.pages(4096), Stages { high: 8601, sets: 10_752, clears: 12_288 });
    }
}
