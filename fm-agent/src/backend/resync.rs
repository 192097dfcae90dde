//! When a controller has to be compared with what this node raised, and what came of it: where those who
//! want it and the one who does it meet.
//!
//! Invariants:
//! - A comparison that begins after it was wanted counts, one that was under way does not.
//! - One that nobody waits for begins at a moment at random within the spread: when a controller returns, or a
//!   whole cloud starts, hundreds of nodes would come at once. One that somebody asked for begins at once.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time;

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

/// A moment within the spread, from none of it to all: `random` gives a number up to and with the one it is given.
pub fn moment(spread: Duration, random: impl FnOnce(u64) -> u64) -> Duration {
    let most = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(random(most))
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
    /// The last that somebody waits for.
    urgent: u64,
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

    /// A comparison is to be made when its turn comes.
    pub fn want(&self) {
        self.state.send_modify(|state| state.wanted += 1);
    }

    /// A comparison is to be made at once: somebody waits for it. Gives its number.
    pub fn want_now(&self) -> u64 {
        let mut number = 0;
        self.state.send_modify(|state| {
            state.wanted += 1;
            state.urgent = state.wanted;
            number = state.wanted;
        });
        number
    }

    /// Waits until a comparison is wanted and, unless somebody waits for it, as long again as `spread` says
    /// then; gives the number that is reached with it.
    pub async fn wanted(&self, spread: impl FnOnce() -> Duration) -> u64 {
        self.until(|state| state.wanted > state.ended).await;
        tokio::select! {
            () = time::sleep(spread()) => {}
            () = self.until(|state| state.urgent > state.ended) => {}
        }
        self.state.borrow().wanted
    }

    async fn until(&self, holds: impl FnMut(&State) -> bool) {
        let mut states = self.state.subscribe();
        if states.wait_for(holds).await.is_err() {
            // The sender is this value's own: it cannot be gone.
            std::future::pending::<()>().await;
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

    const AT_ONCE: fn() -> Duration = || Duration::ZERO;

    #[tokio::test]
    async fn what_is_wanted_meanwhile_is_wanted_again() {
        let resync = Resync::new();
        let first = resync.wanted(AT_ONCE).await;
        let second = resync.want_now();
        resync.ended(first, Ok(Healed::default()));
        assert_eq!(resync.last(), Some(Ok(Healed::default())));
        assert_eq!(resync.outcome(second).now_or_never(), None);
        assert_eq!(resync.wanted(AT_ONCE).await, second);
        let healed = Healed { raised: 1, ..Healed::default() };
        resync.ended(second, Ok(healed));
        assert_eq!(resync.outcome(second).await, Ok(healed));
        assert_eq!(resync.wanted(AT_ONCE).now_or_never(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_return_is_answered_after_the_spread_and_a_person_at_once() {
        const SPREAD: Duration = Duration::from_secs(7);
        let resync = Resync::new();
        let started = time::Instant::now();
        let first = resync.wanted(|| SPREAD).await;
        assert_eq!(started.elapsed(), SPREAD);
        resync.ended(first, Ok(Healed::default()));

        resync.want();
        let started = time::Instant::now();
        let mut number = 0;
        let (reached, ()) = tokio::join!(resync.wanted(|| SPREAD), async {
            time::sleep(Duration::from_secs(2)).await;
            number = resync.want_now();
        });
        assert_eq!((reached, started.elapsed()), (number, Duration::from_secs(2)));
        resync.ended(reached, Ok(Healed::default()));

        // A person who has been answered hurries nothing afterwards.
        resync.want();
        let started = time::Instant::now();
        resync.wanted(|| SPREAD).await;
        assert_eq!(started.elapsed(), SPREAD);
    }

    #[test]
    fn the_moment_is_anywhere_within_the_spread() {
        let spread = Duration::from_secs(10);
        assert_eq!(moment(spread, |_| 0), Duration::ZERO);
        assert_eq!(moment(spread, |most| most), spread);
        assert_eq!(moment(spread, |most| most / 4), spread / 4);
    }
}
