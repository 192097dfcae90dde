//! When a controller has to be compared with what this node raised, and what came of it: where those who
//! want it and the one who does it meet.
//!
//! Invariant: a comparison that begins after it was wanted counts, one that was under way does not.

use tokio::sync::watch;

/// What healing one domain came to, in alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Healed {
    /// Lost by the controller and raised again.
    pub raised: usize,
    /// Cleared by this node, standing all the same, and removed.
    pub removed: usize,
    /// Removed at the controller by somebody, and forgotten here.
    pub respected: usize,
    /// Not listed, and left alone: hidden there, or what became of them could not be asked.
    pub left: usize,
}

/// The comparisons of one domain, by number.
#[derive(Debug)]
pub struct Resync {
    state: watch::Sender<State>,
}

#[derive(Debug, Clone, Default)]
struct State {
    /// The last that is wanted.
    wanted: u64,
    /// The last that has ended.
    ended: u64,
    /// What it came to.
    outcome: Option<Result<Healed, String>>,
}

impl Resync {
    /// Wanted once from the beginning.
    pub(super) fn new() -> Self {
        Self { state: watch::Sender::new(State { wanted: 1, ..State::default() }) }
    }

    /// A comparison is to be made. Gives its number.
    pub fn want(&self) -> u64 {
        let mut number = 0;
        self.state.send_modify(|state| {
            state.wanted += 1;
            number = state.wanted;
        });
        number
    }

    /// Waits until a comparison is wanted; gives the number that is reached with it.
    pub async fn wanted(&self) -> u64 {
        let mut states = self.state.subscribe();
        let wanted = states.wait_for(|state| state.wanted > state.ended).await.map(|state| state.wanted);
        match wanted {
            Ok(number) => number,
            // The sender is this value's own: it cannot be gone.
            Err(_) => std::future::pending().await,
        }
    }

    /// The comparisons up to this number have ended.
    pub fn ended(&self, number: u64, outcome: Result<Healed, String>) {
        self.state.send_modify(|state| {
            state.ended = number;
            state.outcome = Some(outcome);
        });
    }

    /// Waits until the comparison with this number has ended, and gives what it, or a later one, came to.
    pub async fn outcome(&self, number: u64) -> Result<Healed, String> {
        let mut states = self.state.subscribe();
        let ended = states.wait_for(|state| state.ended >= number).await.map(|state| state.outcome.clone());
        match ended {
            Ok(Some(outcome)) => outcome,
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// What the last comparison came to.
    pub fn last(&self) -> Option<Result<Healed, String>> {
        self.state.borrow().outcome.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn what_is_wanted_meanwhile_is_wanted_again() {
        let resync = Resync::new();
        let first = resync.wanted().await;
        let second = resync.want();
        resync.ended(first, Ok(Healed::default()));
        assert_eq!(resync.last(), Some(Ok(Healed::default())));
        assert_eq!(resync.outcome(second).now_or_never(), None);
        assert_eq!(resync.wanted().await, second);
        let healed = Healed { raised: 1, ..Healed::default() };
        resync.ended(second, Ok(healed));
        assert_eq!(resync.outcome(second).await, Ok(healed));
        assert_eq!(resync.wanted().now_or_never(), None);
    }
}
