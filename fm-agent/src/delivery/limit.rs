//! How many requests may be under way at one controller.
//!
//! The real service answers 500 to concurrent writers in its steady state, so the number adapts: up by
//! one after as many clean answers, halved on an unclear one, never under one.

/// Additive increase, multiplicative decrease.
#[derive(Debug, Clone)]
pub(super) struct InFlightLimit {
    most: usize,
    now: usize,
    clean: usize,
}

impl InFlightLimit {
    /// Starts at one.
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), now: 1, clean: 0 }
    }

    pub(super) fn get(&self) -> usize {
        self.now
    }

    /// An answer was clear.
    pub(super) fn clean(&mut self) {
        self.clean += 1;
        if self.clean >= self.now {
            self.clean = 0;
            self.now = (self.now + 1).min(self.most);
        }
    }

    /// An answer was unclear, or the controller failed.
    pub(super) fn unclear(&mut self) {
        self.clean = 0;
        self.now = (self.now / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_while_clean_halved_when_unclear() {
        let mut limit = InFlightLimit::new(4);
        assert_eq!(limit.get(), 1);
        for _ in 0..20 {
            limit.clean();
        }
        assert_eq!(limit.get(), 4);
        limit.unclear();
        assert_eq!(limit.get(), 2);
        limit.clean();
        assert_eq!(limit.get(), 2, "one clean answer of two is not enough");
        limit.clean();
        assert_eq!(limit.get(), 3);
        for _ in 0..9 {
            limit.unclear();
        }
        assert_eq!(limit.get(), 1);
    }
}
