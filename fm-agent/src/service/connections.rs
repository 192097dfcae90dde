//! How many callers are connected.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of open connections; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Connections(Arc<AtomicUsize>);

/// An open connection; dropped when it closes.
#[derive(Debug)]
pub struct Opened(Connections);

impl Connections {
    /// Counts a connection as long as what is returned is held.
    pub fn opened(&self) -> Opened {
        self.0.fetch_add(1, Ordering::Relaxed);
        Opened(self.clone())
    }

    /// Those that are open now.
    pub fn open(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_from_opening_to_closing() {
        let connections = Connections::default();
        let (one, other) = (connections.opened(), connections.clone().opened());
        assert_eq!(connections.open(), 2);
        drop(one);
        assert_eq!(connections.open(), 1);
        drop(other);
        assert_eq!(connections.open(), 0);
    }
}
