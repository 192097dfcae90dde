//! What may be changed while the stand-in runs, apart from faults.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::config::SimConfig;
use crate::rng::Rng;

/// The settings in force.
#[derive(Debug)]
pub(crate) struct Settings {
    event_cap: AtomicU32,
    race_window_us: AtomicU64,
    collision: Mutex<(f64, Rng)>,
}

impl Settings {
    pub(crate) fn new(config: &SimConfig) -> Self {
        Self {
            event_cap: AtomicU32::new(config.event_cap.max(1)),
            race_window_us: AtomicU64::new(micros(config.race_window)),
            collision: Mutex::new((config.collision_probability, Rng::new(config.seed))),
        }
    }

    /// Rows the event log holds.
    pub(crate) fn event_cap(&self) -> u32 {
        self.event_cap.load(Ordering::Relaxed)
    }

    pub(crate) fn set_event_cap(&self, rows: u32) {
        self.event_cap.store(rows.max(1), Ordering::Relaxed);
    }

    /// Waits as long as the real service's steps lie apart, on a thread that may block.
    pub(crate) fn race(&self) {
        let window = self.race_window_us.load(Ordering::Relaxed);
        if window > 0 {
            std::thread::sleep(Duration::from_micros(window));
        }
    }

    pub(crate) fn set_race_window(&self, window: Duration) {
        self.race_window_us.store(micros(window), Ordering::Relaxed);
    }

    /// Whether this write at the cap collides although nobody else need be writing.
    pub(crate) fn collides(&self) -> bool {
        let mut collision = self.collision.lock().unwrap_or_else(PoisonError::into_inner);
        let probability = collision.0;
        probability > 0.0 && collision.1.hits(probability)
    }

    pub(crate) fn set_collision(&self, probability: f64, seed: u64) {
        *self.collision.lock().unwrap_or_else(PoisonError::into_inner) = (probability, Rng::new(seed));
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
