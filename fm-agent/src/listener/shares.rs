//! What one connection, one process and one user may take, so that a flood from one of them leaves the others
//! their share.
//!
//! Invariants:
//! - Connections beyond a share are refused at once; memory and places for requests beyond it are waited for,
//!   in the order of asking. A caller that stays in its share never waits for another's.
//! - Whoever waits holds only what comes before in one order (the process's, the user's, all callers'; memory
//!   before places), and whoever has both goes on by itself: no two wait for each other.
//! - Shares are kept only while somebody uses them.
//!
//! The shares of a user do not hold for root and the agent's own user, whose daemons are most of a node's
//! callers: they are told apart by their processes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::room;
use crate::caller::Door;
use crate::config::LimitsConfig;
use crate::metrics::SocketState;

/// Connections of administrators at the same time: besides the others', so that an agent that is overrun can
/// still be looked into.
const ADMIN_CONNECTIONS: usize = 64;

/// What callers' connections came to, over all configurations.
#[derive(Debug, Default)]
pub struct ListenerCounters {
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Connections refused because there were as many as there may be in all.
    pub refused_connections: AtomicU64,
    /// Connections refused because their process had as many as it may.
    pub refused_connections_per_process: AtomicU64,
    /// Connections refused because their user had as many as it may.
    pub refused_connections_per_user: AtomicU64,
    /// Times a request had to wait until others of its process, its user or all callers were answered.
    pub requests_held_back: AtomicU64,
    /// Requests with more entries than a list may have.
    pub refused_lists: AtomicU64,
    /// Connections closed because a hello, a frame or the taking of an answer took too long.
    pub closed_slow: AtomicU64,
    /// Connections closed because of what they sent: no hello, a frame that is too long or none.
    pub closed_garbage: AtomicU64,
}

impl ListenerCounters {
    /// What they came to since this was asked last.
    pub fn take(&self) -> SocketState {
        let now = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
        SocketState {
            accepted: now(&self.accepted),
            refused_in_all: now(&self.refused_connections),
            refused_per_process: now(&self.refused_connections_per_process),
            refused_per_user: now(&self.refused_connections_per_user),
            closed_slow: now(&self.closed_slow),
            closed_garbage: now(&self.closed_garbage),
            held_back: now(&self.requests_held_back),
            refused_lists: now(&self.refused_lists),
        }
    }
}

/// The shares of all processes and users.
#[derive(Debug)]
pub struct Shares {
    limits: LimitsConfig,
    max_connections: usize,
    own_uid: u32,
    /// Places for connections of all callers; administrators have their own.
    places: Arc<Semaphore>,
    admin_places: Arc<Semaphore>,
    bytes: Budget,
    parties: Mutex<HashMap<Party, Weak<Share>>>,
    counters: Arc<ListenerCounters>,
}

/// Who has a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Party {
    Process(u32, i32),
    User(u32),
}

/// The share of one process or user.
#[derive(Debug)]
struct Share {
    connections: AtomicUsize,
    requests: Budget,
    bytes: Budget,
}

/// So much of something.
#[derive(Debug)]
struct Budget {
    left: Arc<Semaphore>,
    most: u32,
}

impl Budget {
    fn new(most: usize) -> Self {
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        let permits = usize::try_from(most).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { left: Arc::new(Semaphore::new(permits)), most }
    }

    /// Takes so much, which is no more than all there is; waits for what others give back.
    async fn take(&self, amount: u32) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        Arc::clone(&self.left).acquire_many_owned(amount).await.ok()
    }

    fn has(&self, amount: u32) -> bool {
        u32::try_from(self.left.available_permits()).is_ok_and(|left| left >= amount)
    }
}

/// Why there is no place for a connection: the limit's key in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full(pub(super) &'static str);

impl Shares {
    /// Nobody's yet, for at most so many connections of all callers. `own_uid` is the user of this agent.
    pub fn new(
        limits: LimitsConfig,
        max_connections: usize,
        own_uid: u32,
        counters: Arc<ListenerCounters>,
    ) -> Self {
        let bytes = Budget::new(limits.buffered_bytes.get());
        let places = |most: usize| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Self {
            limits,
            max_connections,
            own_uid,
            places: places(room::connections(max_connections)),
            admin_places: places(ADMIN_CONNECTIONS),
            bytes,
            parties: Mutex::default(),
            counters,
        }
    }

    /// Whether they are what these limits ask for.
    pub fn are_for(&self, limits: &LimitsConfig, max_connections: usize) -> bool {
        self.limits == *limits && self.max_connections == max_connections
    }

    /// A place for one more connection, if there is one.
    pub(super) fn place(&self, door: Door) -> Option<OwnedSemaphorePermit> {
        let places = match door {
            Door::Main => &self.places,
            Door::Admin => &self.admin_places,
        };
        Arc::clone(places).try_acquire_owned().ok()
    }

    /// What callers' connections came to.
    pub fn counters(&self) -> &ListenerCounters {
        &self.counters
    }

    /// Entries that a list may have.
    pub(super) fn list_entries(&self) -> usize {
        self.limits.list_entries.get()
    }

    /// A place for one connection of this process.
    pub(super) fn seat(self: &Arc<Self>, uid: u32, pid: i32) -> Result<Seat, Full> {
        let limits = &self.limits;
        let process = self.share(Party::Process(uid, pid), || {
            (limits.requests_per_process.get(), limits.buffered_bytes_per_process.get())
        });
        let user = (uid != 0 && uid != self.own_uid).then(|| {
            self.share(Party::User(uid), || {
                (limits.requests_per_user.get(), limits.buffered_bytes_per_user.get())
            })
        });
        let mut seat = Seat { shares: Arc::clone(self), process, user, uid, pid, counted: (false, false) };
        if !seat.process.enter(limits.connections_per_process.get()) {
            self.counters.refused_connections_per_process.fetch_add(1, Ordering::Relaxed);
            return Err(Full("limits.connections_per_process"));
        }
        seat.counted.0 = true;
        if seat.user.as_ref().is_some_and(|user| !user.enter(limits.connections_per_user.get())) {
            self.counters.refused_connections_per_user.fetch_add(1, Ordering::Relaxed);
            return Err(Full("limits.connections_per_user"));
        }
        seat.counted.1 = true;
        Ok(seat)
    }

    fn share(&self, party: Party, budgets: impl Fn() -> (usize, usize)) -> Arc<Share> {
        let mut parties = self.parties.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = parties.get(&party).and_then(Weak::upgrade) {
            return share;
        }
        let (requests, bytes) = budgets();
        let share = Arc::new(Share {
            connections: AtomicUsize::new(0),
            requests: Budget::new(requests),
            bytes: Budget::new(bytes),
        });
        parties.insert(party, Arc::downgrade(&share));
        share
    }

    /// Forgets a share that nobody else uses.
    fn forget(&self, party: Party, share: &Arc<Share>) {
        let mut parties = self.parties.lock().unwrap_or_else(PoisonError::into_inner);
        let is_this = |found: &Weak<Share>| found.as_ptr() == Arc::as_ptr(share);
        // Under the lock nobody can come to use it: others get it from this table only.
        if Arc::strong_count(share) == 1 && parties.get(&party).is_some_and(is_this) {
            parties.remove(&party);
        }
    }
}

impl Share {
    fn enter(&self, most: usize) -> bool {
        let one_more = |open: usize| (open < most).then_some(open + 1);
        self.connections.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    fn leave(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The place of one connection.
#[derive(Debug)]
pub(super) struct Seat {
    shares: Arc<Shares>,
    process: Arc<Share>,
    user: Option<Arc<Share>>,
    uid: u32,
    pid: i32,
    /// Whether it is counted among the process's connections, and the user's.
    counted: (bool, bool),
}

/// What a request holds until it is answered.
#[derive(Debug, Default)]
pub(super) struct Held {
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Seat {
    pub(super) fn shares(&self) -> &Arc<Shares> {
        &self.shares
    }

    /// Memory for a request, so many bytes.
    pub(super) async fn memory(&self, bytes: usize) -> Held {
        let user = self.user.iter().map(|user| &user.bytes);
        let budgets = std::iter::once(&self.process.bytes).chain(user).chain([&self.shares.bytes]);
        self.take(budgets, bytes).await
    }

    /// Places for the changes of a request.
    pub(super) async fn places(&self, changes: usize) -> Held {
        let user = self.user.iter().map(|user| &user.requests);
        self.take(std::iter::once(&self.process.requests).chain(user), changes).await
    }

    async fn take<'a>(&self, budgets: impl Iterator<Item = &'a Budget>, amount: usize) -> Held {
        let mut permits = Vec::new();
        // What is more than a whole share takes the whole share, and no more than that of what comes after.
        let mut amount = u32::try_from(amount).unwrap_or(u32::MAX);
        for budget in budgets {
            amount = amount.min(budget.most);
            if !budget.has(amount) {
                self.shares.counters.requests_held_back.fetch_add(1, Ordering::Relaxed);
            }
            permits.extend(budget.take(amount).await);
        }
        Held { _permits: permits }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.counted.0 {
            self.process.leave();
        }
        self.shares.forget(Party::Process(self.uid, self.pid), &self.process);
        if let Some(user) = &self.user {
            if self.counted.1 {
                user.leave();
            }
            self.shares.forget(Party::User(self.uid), user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    fn shares(text: &str) -> Arc<Shares> {
        Arc::new(Shares::new(toml::from_str(text).unwrap(), 100, 500, Arc::default()))
    }

    #[test]
    fn a_process_and_a_user_have_so_many_connections() {
        let shares = shares("connections_per_process = 2\nconnections_per_user = 3");
        let mut seats: Vec<Seat> = [7, 7, 8].map(|pid| shares.seat(1001, pid).unwrap()).into();
        assert_eq!(shares.seat(1001, 7).unwrap_err(), Full("limits.connections_per_process"));
        assert_eq!(shares.seat(1001, 9).unwrap_err(), Full("limits.connections_per_user"));
        // Others, root's processes among them, have their own.
        for (uid, pid) in [(0, 1), (0, 1), (0, 2), (0, 2), (500, 3), (500, 4), (1002, 5)] {
            seats.push(shares.seat(uid, pid).unwrap());
        }
        assert_eq!(shares.seat(0, 1).unwrap_err(), Full("limits.connections_per_process"));
        seats.remove(0);
        seats.push(shares.seat(1001, 9).unwrap());
        assert_eq!(shares.seat(1001, 9).unwrap_err(), Full("limits.connections_per_user"));
        let refused = &shares.counters().refused_connections_per_process;
        assert_eq!(refused.load(Ordering::Relaxed), 2);
        seats.clear();
        assert!(shares.parties.lock().unwrap().is_empty(), "nothing is kept of those that have gone");
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_more_than_its_share_waits_and_nobody_else_does() {
        let shares = shares(
            "requests_per_process = 4\nbuffered_bytes_per_process = 100000\nbuffered_bytes_per_user = 150000\n\
             buffered_bytes = 1000000",
        );
        let [greedy, twin, other, root] =
            [(1001, 7), (1001, 8), (1002, 9), (0, 1)].map(|(uid, pid)| shares.seat(uid, pid).unwrap());
        let waits = async |held: std::pin::Pin<Box<dyn Future<Output = Held> + '_>>| {
            timeout(Duration::from_mins(1), held).await.is_err()
        };
        let places = greedy.places(10_000).await;
        assert!(waits(Box::pin(greedy.places(1))).await, "a long list takes all, and no more than all");
        assert!(!waits(Box::pin(twin.places(4))).await && !waits(Box::pin(root.places(4))).await);
        drop(places);
        assert!(!waits(Box::pin(greedy.places(4))).await);
        let memory = greedy.memory(100_000).await;
        assert!(waits(Box::pin(greedy.memory(1))).await);
        assert!(waits(Box::pin(twin.memory(60_000))).await, "the user has no more");
        assert!(!waits(Box::pin(twin.memory(40_000))).await);
        assert!(!waits(Box::pin(other.memory(100_000))).await && !waits(Box::pin(root.memory(1))).await);
        drop(memory);
        assert!(!waits(Box::pin(twin.memory(60_000))).await);
        assert_eq!(shares.counters().requests_held_back.load(Ordering::Relaxed), 3);
    }
}
