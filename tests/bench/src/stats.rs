//! Numbers out of samples. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One round of one contestant: what each call took, and all of them together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    /// Of each call, in nanoseconds.
    pub(crate) latencies: Vec<u64>,
    /// From the first call's beginning to the last one's end.
    pub(crate) elapsed: Duration,
}

impl Run {
    /// Calls a second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// The middle of the latencies, in microseconds.
    pub(crate) fn p50(&self) -> f64 {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        at(&sorted, 0.5)
    }
}

/// How long calls took, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) calls: usize,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of the calls of all rounds together.
    pub(crate) fn of(runs: &[Run]) -> Self {
        let mut all: Vec<u64> = runs.iter().flat_map(|run| run.latencies.iter().copied()).collect();
        all.sort_unstable();
        Self {
            calls: all.len(),
            p50: at(&all, 0.5),
            p99: at(&all, 0.99),
            p999: at(&all, 0.999),
            max: at(&all, 1.0),
        }
    }
}

/// The value below which this share of sorted nanoseconds lies, in microseconds.
fn at(sorted: &[u64], share: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in the list")]
    let place = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(place).map_or(0.0, |nanos| *nanos as f64 / 1e3)
}

/// The middle value; 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
    }
}

/// How far rounds lie from their median, as a share of it: the median of the distances, in the measure of a
/// standard deviation.
pub(crate) fn noise(values: &[f64]) -> f64 {
    let middle = median(values);
    if middle == 0.0 {
        return 0.0;
    }
    let distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    1.4826 * median(&distances) / middle.abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let latencies = (1..=1000).map(|micros| micros * 1000).collect();
        let spread = Spread::of(&[Run { latencies, elapsed: Duration::from_secs(2) }]);
        assert_eq!(spread, Spread { calls: 1000, p50: 500.0, p99: 990.0, p999: 999.0, max: 1000.0 });
        let one = Run { latencies: vec![7000], elapsed: Duration::from_millis(1) };
        assert!((one.p50() - 7.0).abs() < 1e-9);
        assert!((one.rate() - 1000.0).abs() < 1e-9);
        assert!(Run::default().p50().abs() < 1e-9, "none is 0");
    }

    #[test]
    fn one_round_that_was_hit_moves_neither_median_nor_noise_far() {
        let values = [10.0, 11.0, 9.0, 10.0, 500.0];
        assert!((median(&values) - 10.0).abs() < 1e-9);
        assert!(noise(&values) < 0.2);
        assert!((median(&[1.0, 3.0]) - 2.0).abs() < 1e-9);
        assert!(noise(&[]).abs() < 1e-9);
    }
}
