//! Log lines about what a hostile or broken peer can make happen at will: seldom, with the number kept back.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long it is quiet after a line.
const PAUSE: Duration = Duration::from_secs(10);

/// One kind of line.
#[derive(Debug, Default)]
pub struct Seldom {
    /// When the last one was let through, and how many were kept back since.
    last: Mutex<(Option<Instant>, u64)>,
}

impl Seldom {
    /// None that was let through yet.
    pub const fn new() -> Self {
        Self { last: Mutex::new((None, 0)) }
    }

    /// Whether a line may be written now, and how many like it were kept back before.
    pub fn may(&self) -> Option<u64> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0.is_some_and(|at| at.elapsed() < PAUSE) {
            last.1 += 1;
            return None;
        }
        let kept_back = last.1;
        *last = (Some(Instant::now()), 0);
        Some(kept_back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_let_through_and_the_rest_is_counted() {
        let seldom = Seldom::new();
        assert_eq!((seldom.may(), seldom.may(), seldom.may()), (Some(0), None, None));
        seldom.last.lock().unwrap().0 = Instant::now().checked_sub(PAUSE);
        assert_eq!((seldom.may(), seldom.may()), (Some(2), None));
    }
}
