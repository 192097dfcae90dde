//! The one connection on which a process sends its detached requests.
//!
//! Invariants:
//! - A request is in the agent's socket, whole, when the call that sends it succeeds; so it is taken also
//!   when the process ends at once.
//! - Requests take effect in the order in which the calls returned, whichever threads made them; a call
//!   that waits for its answer takes effect after them ([`Lanes::settle`]).
//! - Answers are not waited for: they are taken off the socket when the next request is sent.
//! - A fork never blocks the child: it has a lane of its own, and closes the one it inherited.
//! - No mutex is held while a thread waits for the socket.

use std::process;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::connection::{CallFailure, Connection, wait};
use crate::protocol::{Request, RequestHeader};
use nix::poll::PollFlags;

/// Processes in one line of descent that may have a lane: one that forks without exec, and so on. A
/// process beyond them opens a connection for each request and waits until it has taken effect.
const GENERATIONS: usize = 8;

/// How long a settling call waits at most before it looks whether another thread has taken its answer off
/// the socket.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The lanes of a client: one for each process that a fork made of it.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: [Lane; GENERATIONS],
}

#[derive(Debug)]
struct Lane {
    /// Its process; 0 while it has none.
    owner: AtomicU32,
    /// Whether a request sent here may not have taken effect yet.
    unsettled: AtomicBool,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug)]
struct State {
    /// A thread has the connection.
    taken: bool,
    connection: Option<Connection>,
}

/// The lane's connection in one thread's hands. Dropping it hands it back.
struct Turn<'a> {
    lane: &'a Lane,
    connection: Option<Connection>,
}

impl Lanes {
    pub(super) const fn new() -> Self {
        Self { lanes: [const { Lane::new() }; GENERATIONS] }
    }

    /// Puts a request into the agent's socket. `open` makes a new connection.
    pub(super) fn send(
        &self,
        header: RequestHeader,
        request: &Request,
        deadline: Instant,
        open: impl Fn() -> Result<Connection, CallFailure>,
    ) -> Result<(), CallFailure> {
        let Some(lane) = self.mine() else {
            return send_alone(open()?, header, request, deadline);
        };
        let mut turn = lane.take(deadline)?;
        lane.unsettled.store(true, Ordering::SeqCst);
        let broken = match turn.post(header, request, deadline, &open) {
            Err(CallFailure::Broken(error)) => error,
            other => return other,
        };
        if Instant::now() >= deadline {
            return Err(CallFailure::Broken(broken));
        }
        turn.post(header, request, deadline, &open)
    }

    /// Returns when the requests that this process sent before have taken effect, so that a call on
    /// another connection comes after them. Costs nothing when they have.
    pub(super) fn settle(&self, header: RequestHeader, deadline: Instant) -> Result<(), CallFailure> {
        let me = process::id();
        let Some(lane) = self.lanes.iter().find(|lane| lane.owner.load(Ordering::SeqCst) == me) else {
            return Ok(());
        };
        if !lane.unsettled.load(Ordering::SeqCst) {
            return Ok(());
        }
        let mut turn = lane.take(deadline)?;
        let Some(connection) = turn.connection.as_mut() else {
            lane.unsettled.store(false, Ordering::SeqCst);
            return Ok(());
        };
        let (ping, socket) = (connection.post_ping(header, deadline), connection.share());
        let ping = match ping {
            Ok(ping) => ping,
            Err(failure) => return turn.give_up(failure),
        };
        loop {
            // Another thread may have had to connect anew: then the agent has closed the old connection,
            // and has taken what was on it.
            let Some(connection) = turn.connection.as_mut().filter(|held| held.is_on(&socket)) else {
                return Ok(());
            };
            if let Err(failure) = connection.take_answers() {
                return turn.give_up(failure);
            }
            if connection.settled() >= ping {
                if connection.is_last(ping) {
                    lane.unsettled.store(false, Ordering::SeqCst);
                }
                return Ok(());
            }
            drop(turn);
            let look_again = deadline.min(Instant::now() + LOOK_AGAIN);
            match wait(&socket, PollFlags::POLLIN, look_again) {
                Err(CallFailure::TimedOut) if Instant::now() < deadline => {}
                waited => waited?,
            }
            turn = lane.take(deadline)?;
        }
    }

    /// The lane of this process; `None` when all are in use.
    fn mine(&self) -> Option<&Lane> {
        let me = process::id();
        let found = self.lanes.iter().position(|lane| {
            let claimed = lane.owner.compare_exchange(0, me, Ordering::SeqCst, Ordering::SeqCst);
            claimed.is_ok() || claimed == Err(me)
        })?;
        let (inherited, own) = self.lanes.split_at(found);
        inherited.iter().for_each(Lane::close);
        own.first()
    }
}

/// Sends a request on a connection of its own. Once it is in the socket it has succeeded; the wait is only
/// for the order.
fn send_alone(
    mut connection: Connection,
    header: RequestHeader,
    request: &Request,
    deadline: Instant,
) -> Result<(), CallFailure> {
    connection.post(header, request, deadline)?;
    let socket = connection.share();
    let mut settle = || {
        let ping = connection.post_ping(header, deadline)?;
        while connection.settled() < ping {
            wait(&socket, PollFlags::POLLIN, deadline)?;
            connection.take_answers()?;
        }
        Ok::<(), CallFailure>(())
    };
    match settle() {
        Ok(()) | Err(CallFailure::TimedOut | CallFailure::Broken(_)) => Ok(()),
        Err(failure) => Err(failure),
    }
}

impl Lane {
    const fn new() -> Self {
        Self {
            owner: AtomicU32::new(0),
            unsettled: AtomicBool::new(false),
            state: Mutex::new(State { taken: false, connection: None }),
            freed: Condvar::new(),
        }
    }

    /// Waits for the lane's turn. A panic never leaves the state half-changed, so poison means nothing.
    fn take(&self, deadline: Instant) -> Result<Turn<'_>, CallFailure> {
        let mut state = self.lock();
        while state.taken {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(CallFailure::TimedOut);
            }
            state = self.freed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.taken = true;
        Ok(Turn { lane: self, connection: state.connection.take() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes what a child has inherited of its parent's lane; the parent's own end stays open. When a
    /// thread of the parent had the connection at the fork, its descriptor stays with the child.
    fn close(&self) {
        if let Ok(mut state) = self.state.try_lock() {
            state.connection = None;
        }
    }
}

impl Turn<'_> {
    /// Sends one request; a connection that is not in step afterwards is dropped.
    fn post(
        &mut self,
        header: RequestHeader,
        request: &Request,
        deadline: Instant,
        open: impl Fn() -> Result<Connection, CallFailure>,
    ) -> Result<(), CallFailure> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => open()?,
        };
        let posted = connection.take_answers().and_then(|()| connection.post(header, request, deadline));
        if posted.is_ok() || connection.is_in_step() {
            self.connection = Some(connection);
        }
        posted.map(drop)
    }

    /// Late is late, and the next call asks again; a connection that broke has nothing left to wait for.
    fn give_up(mut self, failure: CallFailure) -> Result<(), CallFailure> {
        let late = matches!(failure, CallFailure::TimedOut);
        if late && self.connection.as_ref().is_some_and(Connection::is_in_step) {
            return Err(failure);
        }
        self.connection = None;
        self.lane.unsettled.store(false, Ordering::SeqCst);
        if late { Err(failure) } else { Ok(()) }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.lane.lock();
        state.connection = self.connection.take();
        state.taken = false;
        drop(state);
        self.lane.freed.notify_one();
    }
}
