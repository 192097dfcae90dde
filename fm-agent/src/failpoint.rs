//! Moments at which a test lets the agent die.
//!
//! `FM_FAIL_POINT=after-commit:17` kills the process with SIGKILL when it comes by that moment for the 17th time,
//! `FM_FAIL_POINT=before-request:3:5` five milliseconds after the third time. `FM_FAIL_POINT=lie-about-commit:3`
//! lets each third transaction be answered and thrown away, so that tests can show that they would notice.
//!
//! Invariant: all of this exists only with the feature `fail-points`, which no release has; without it every
//! function here is empty. A test looks for the variable's name in the program.

/// A moment that the agent comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// A step of a migration is written and not committed.
    BeforeMigration,
    /// A step of a migration is committed; the next one has not begun.
    AfterMigration,
    /// The store is open, the socket is not bound yet.
    StoreOpen,
    /// The socket is bound, nobody is served yet.
    SocketBound,
    /// Changes are written and not committed.
    BeforeCommit,
    /// Changes are committed and not answered.
    AfterCommit,
    /// A write to a controller is about to be sent.
    BeforeRequest,
    /// A controller has answered; the store does not know yet.
    AfterAnswer,
    /// The store knows what became of a delivery; the lanes do not yet.
    AfterReport,
}

#[cfg(not(feature = "fail-points"))]
mod armed {
    pub(crate) const fn pass(_moment: super::Moment) {}

    pub(crate) const fn lies_about_commit() -> bool {
        false
    }
}

#[cfg(feature = "fail-points")]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::getpid;

    use super::Moment;

    struct Order {
        moment: String,
        pass: u32,
        delay: Option<Duration>,
        passed: AtomicU32,
    }

    static ORDER: LazyLock<Option<Order>> = LazyLock::new(|| {
        let text = std::env::var("FM_FAIL_POINT").ok()?;
        let order = parse(&text);
        // A test whose order is not understood would pass without having tested anything.
        order.map_or_else(|| std::process::abort(), Some)
    });

    fn parse(text: &str) -> Option<Order> {
        let mut parts = text.split(':');
        let moment = parts.next()?.to_owned();
        let pass = parts.next()?.parse().ok()?;
        let delay = parts.next().map(|ms| ms.parse().map(Duration::from_millis)).transpose().ok()?;
        Some(Order { moment, pass, delay, passed: AtomicU32::new(0) })
    }

    impl Order {
        /// How often this moment has been passed, this time included; 0 for other moments.
        fn passes(&self, moment: &str) -> u32 {
            if self.moment == moment { self.passed.fetch_add(1, Ordering::Relaxed) + 1 } else { 0 }
        }
    }

    pub(crate) fn pass(moment: Moment) {
        let name = match moment {
            Moment::BeforeMigration => "before-migration",
            Moment::AfterMigration => "after-migration",
            Moment::StoreOpen => "store-open",
            Moment::SocketBound => "socket-bound",
            Moment::BeforeCommit => "before-commit",
            Moment::AfterCommit => "after-commit",
            Moment::BeforeRequest => "before-request",
            Moment::AfterAnswer => "after-answer",
            Moment::AfterReport => "after-report",
        };
        let Some(order) = ORDER.as_ref().filter(|order| order.passes(name) == order.pass) else { return };
        match order.delay {
            None => die(),
            Some(delay) => drop(std::thread::spawn(move || {
                std::thread::sleep(delay);
                die();
            })),
        }
    }

    pub(crate) fn lies_about_commit() -> bool {
        ORDER.as_ref().is_some_and(|order| {
            let passes = order.passes("lie-about-commit");
            passes > 0 && passes.is_multiple_of(order.pass)
        })
    }

    fn die() {
        let _cannot_fail = kill(getpid(), Signal::SIGKILL);
        // The signal is on its way: nothing more is done here.
        loop {
            std::thread::park();
        }
    }
}

pub(crate) use armed::{lies_about_commit, pass};
