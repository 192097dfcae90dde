//! What the library has in a process: one client, made at the first call, and who is inside.
//!
//! Invariants:
//! - Nothing here waits, so a fork at any moment leaves the child able to call.
//! - Unloading closes and frees all there is. A process may also exit while its threads are calling: then
//!   nothing is freed under their feet.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use fm_common::client::Client;

use crate::syslog::Level;

/// The client and what else the environment says, read once.
#[derive(Debug)]
pub(crate) struct Library {
    pub(crate) client: Client,
    pub(crate) level: Level,
}

static LIBRARY: AtomicPtr<Library> = AtomicPtr::new(ptr::null_mut());

/// Calls under way, or [`CLOSED`].
static INSIDE: AtomicUsize = AtomicUsize::new(0);
const CLOSED: usize = usize::MAX / 2 + 1;

/// One call under way: while it lives, the library is not taken down.
#[derive(Debug)]
pub(crate) struct Visit;

impl Visit {
    /// `None` once the library has been taken down, which is when the process exits.
    pub(crate) fn begin() -> Option<Self> {
        let visit = Self;
        let before = INSIDE.fetch_add(1, Ordering::SeqCst);
        (before < CLOSED).then_some(visit)
    }

    /// The library, made when this is the first call.
    #[expect(clippy::unused_self, reason = "the visit is what keeps the library alive")]
    pub(crate) fn library(&self) -> &Library {
        let mut present = LIBRARY.load(Ordering::Acquire);
        if present.is_null() {
            crate::border::quiet_panics();
            let made =
                Box::into_raw(Box::new(Library { client: Client::from_env(), level: Level::from_env() }));
            present =
                match LIBRARY.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => made,
                    Err(first) => {
                        // SAFETY: another thread was first, so nobody has seen this one.
                        drop(unsafe { Box::from_raw(made) });
                        first
                    }
                };
        }
        // SAFETY: made by Box::into_raw, and freed only when no visit is left.
        unsafe { &*present }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs when the library is unloaded, and when the process exits.
extern "C" fn take_down() {
    if INSIDE.compare_exchange(0, CLOSED, Ordering::SeqCst, Ordering::SeqCst).is_err() {
        return;
    }
    let library = LIBRARY.swap(ptr::null_mut(), Ordering::AcqRel);
    if !library.is_null() {
        // SAFETY: made by Box::into_raw; no call is under way and none can begin.
        drop(unsafe { Box::from_raw(library) });
    }
}

#[used]
// SAFETY: the section holds addresses of functions of this type, which the loader calls in the end.
#[unsafe(link_section = ".fini_array")]
static TAKE_DOWN: extern "C" fn() = take_down;
