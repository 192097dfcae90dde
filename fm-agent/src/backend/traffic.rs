//! What goes to one controller now and has gone lately, for the status. What is counted since the start is in
//! `metrics`.
//!
//! Invariant: counting takes no lock that a request could wait for longer than another's count.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Seconds over which the rate is taken.
const SECONDS: usize = 60;

/// The traffic of one controller.
#[derive(Debug)]
pub struct Traffic {
    in_flight: AtomicUsize,
    started: Instant,
    lately: Mutex<Lately>,
}

#[derive(Debug)]
struct Lately {
    /// Requests that ended in each of the last seconds.
    counts: [u32; SECONDS],
    /// The second that was counted last.
    second: u64,
}

/// A request under way; dropped when it has ended.
#[derive(Debug)]
pub struct UnderWay<'a>(&'a Traffic);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            in_flight: AtomicUsize::new(0),
            started: Instant::now(),
            lately: Mutex::new(Lately { counts: [0; SECONDS], second: 0 }),
        }
    }
}

impl Traffic {
    /// A request is under way as long as this is held.
    pub fn begin(&self) -> UnderWay<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        UnderWay(self)
    }

    /// A request has left the queue.
    pub fn count_finished(&self) {
        self.count_lately(self.started.elapsed().as_secs());
    }

    /// Requests under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Requests that left the queue a second, over the last minute, or since the start if that is shorter.
    pub fn per_second(&self) -> f64 {
        let elapsed = self.started.elapsed();
        let counted = self.lately_at(elapsed.as_secs()).counts.iter().map(|count| u64::from(*count)).sum();
        per_second(counted, elapsed.as_secs_f64())
    }

    fn count_lately(&self, second: u64) {
        let mut lately = self.lately_at(second);
        let index = place(second);
        lately.counts[index] = lately.counts[index].saturating_add(1);
    }

    /// The counts with the seconds that have passed since the last one at zero.
    fn lately_at(&self, second: u64) -> MutexGuard<'_, Lately> {
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = second.saturating_sub(lately.second).min(SECONDS as u64);
        for gone in 0..passed {
            lately.counts[place(second - gone)] = 0;
        }
        lately.second = lately.second.max(second);
        lately
    }
}

fn place(second: u64) -> usize {
    usize::try_from(second % SECONDS as u64).unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn per_second(counted: u64, elapsed: f64) -> f64 {
    let rate = counted as f64 / elapsed.clamp(1.0, SECONDS as f64);
    (rate * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_minute_counts_and_nothing_before() {
        let traffic = Traffic::default();
        let sum = |second| traffic.lately_at(second).counts.iter().sum::<u32>();
        for second in [0, 0, 1, 59] {
            traffic.count_lately(second);
        }
        assert_eq!(sum(59), 4);
        assert_eq!(sum(60), 2, "second 0 has gone");
        assert_eq!(sum(61), 1);
        traffic.count_lately(61);
        assert_eq!(sum(118), 2);
        assert_eq!(sum(500), 0);
    }

    #[test]
    fn a_rate_is_of_what_time_there_was() {
        assert!((per_second(5, 0.2) - 5.0).abs() < 1e-9);
        assert!((per_second(30, 20.0) - 1.5).abs() < 1e-9);
        assert!((per_second(60, 4000.0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn under_way_until_dropped() {
        let traffic = Traffic::default();
        let (one, other) = (traffic.begin(), traffic.begin());
        assert_eq!(traffic.in_flight(), 2);
        drop((one, other));
        assert_eq!(traffic.in_flight(), 0);
    }
}
