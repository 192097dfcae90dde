//! Waiting for the disk on a thread that serves sockets, without anybody else waiting for that thread.
//!
//! A runtime hands its sockets and timers from thread to thread as its threads come to rest. One that waits in the
//! middle of its work comes to none: as long as no other is at work, nobody looks at them. So a thread of the
//! store's own looks after those that wait, and has another one of the runtime's take over. Moving the work
//! beforehand ([`task::block_in_place`]) costs about as much as the commit of a change without a flush.
//!
//! Invariants:
//! - Whoever waits longer than two [`TICK`]s is taken over from, as often as it takes.
//! - The thread sleeps as long as nobody waits, and costs those who wait a store and a load.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task;

use super::error::{StoreError, StoreErrorKind};

/// Between two looks at who waits.
const TICK: Duration = Duration::from_millis(10);
/// Looks without anybody who waits until the thread sleeps.
const LOOKS: u32 = 100;

/// Does something that the disk may hold, while another thread goes on with what this one serves. A runtime of one
/// thread has no other, and waits.
pub(super) fn in_place<T>(what: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => task::block_in_place(what),
        _ => what(),
    }
}

/// Looks after a thread that waits; there is one at a time.
#[derive(Debug)]
pub(super) struct Awake {
    watched: Arc<Watched>,
    wake: mpsc::Sender<Handle>,
}

#[derive(Debug, Default)]
struct Watched {
    /// How often somebody began to wait.
    begun: AtomicU64,
    /// Whether somebody waits.
    waits: AtomicBool,
    /// Whether the thread sleeps, or is about to.
    sleeps: AtomicBool,
}

impl Awake {
    /// Starts the thread. It ends soon after this value is dropped.
    pub(super) fn start() -> Result<Self, StoreError> {
        let watched = Arc::new(Watched { sleeps: AtomicBool::new(true), ..Watched::default() });
        let (wake, woken) = mpsc::channel();
        let theirs = Arc::clone(&watched);
        thread::Builder::new()
            .name("fm-store-awake".to_owned())
            .spawn(move || look(&theirs, &woken))
            .map_err(|error| {
                let reason = format!("cannot start the thread that keeps the agent awake: {error}");
                StoreError::new(StoreErrorKind::Io, reason)
            })?;
        Ok(Self { watched, wake })
    }

    /// Does something that the disk may hold.
    pub(super) fn during<T>(&self, what: impl FnOnce() -> T) -> T {
        let Ok(runtime) = Handle::try_current() else { return what() };
        let _waiting = Waiting::begin(&self.watched);
        if self.watched.sleeps.swap(false, SeqCst) {
            // A thread that has ended is one that panicked: there is nobody to tell, and this goes on without it.
            let _ended = self.wake.send(runtime);
        }
        what()
    }
}

struct Waiting<'a>(&'a Watched);

impl<'a> Waiting<'a> {
    fn begin(watched: &'a Watched) -> Self {
        watched.begun.fetch_add(1, SeqCst);
        watched.waits.store(true, SeqCst);
        Self(watched)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waits.store(false, SeqCst);
    }
}

/// The thread.
fn look(watched: &Watched, woken: &mpsc::Receiver<Handle>) {
    for runtime in woken {
        loop {
            look_after(watched, &runtime);
            watched.sleeps.store(true, SeqCst);
            // Who began before that has sent nothing.
            if !watched.waits.load(SeqCst) || !watched.sleeps.swap(false, SeqCst) {
                break;
            }
        }
    }
}

/// Returns when nobody has waited for a while.
fn look_after(watched: &Watched, runtime: &Handle) {
    let (mut before, mut idle) = (None, 0);
    while idle < LOOKS {
        thread::sleep(TICK);
        let begun = watched.begun.load(SeqCst);
        let waits = watched.waits.load(SeqCst);
        if waits && before == Some(begun) {
            // Work from elsewhere wakes a thread that rests; it takes over what the other one does not look at.
            runtime.spawn(async {});
        }
        idle = if waits || before != Some(begun) { 0 } else { idle + 1 };
        before = Some(begun);
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Runtime;

    use super::*;

    fn runtime(threads: usize) -> Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap()
    }

    /// Waits on a thread of a runtime for what the runtime's timers bring about.
    fn served(runtime: &Runtime, how: impl FnOnce(&dyn Fn() -> bool) -> bool + Send + 'static) -> bool {
        let task = runtime.spawn(async {
            // Everything rests but this.
            tokio::time::sleep(Duration::from_millis(50)).await;
            let (come, comes) = mpsc::channel();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                come.send(())
            });
            tokio::time::sleep(Duration::from_millis(10)).await;
            how(&|| comes.recv_timeout(Duration::from_secs(20)).is_ok())
        });
        runtime.block_on(task).unwrap()
    }

    #[test]
    fn others_are_served_while_one_waits_in_place() {
        assert!(served(&runtime(1), |wait| in_place(wait)));
    }

    #[test]
    fn others_are_served_while_one_is_looked_after_again_and_again() {
        let (runtime, awake) = (runtime(2), Arc::new(Awake::start().unwrap()));
        for pause in [Duration::ZERO, TICK * 3, TICK * (LOOKS + 20), Duration::ZERO] {
            thread::sleep(pause);
            let awake = Arc::clone(&awake);
            assert!(served(&runtime, move |wait| awake.during(wait)), "after a pause of {pause:?}");
        }
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_waits() {
        assert_eq!(in_place(|| 1), 1);
        assert_eq!(Awake::start().unwrap().during(|| 1), 1);
    }

    #[test]
    fn the_thread_ends_with_its_owner() {
        let (wake, woken) = mpsc::channel::<Handle>();
        drop(wake);
        look(&Watched::default(), &woken);
    }
}
