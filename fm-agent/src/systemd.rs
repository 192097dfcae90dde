//! The service manager: sockets that it opened, and what it wants to know.
//!
//! Invariants:
//! - Without a service manager everything here does nothing.
//! - A service manager that does not listen is told so once in the log and is no reason to fail.
//! - A socket that was handed over stays the service manager's: it is not removed, and callers who come while
//!   the agent is away wait in it.
//!
//! It must not know what the agent does: it is told.

use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;

/// The sockets that the service manager opened for this process.
#[derive(Debug, Default)]
pub struct Handed(Vec<(PathBuf, UnixListener)>);

impl Handed {
    /// Takes them; the first call gets them all.
    ///
    /// # Errors
    /// One that is no listening Unix stream socket with a path.
    pub fn take() -> io::Result<Self> {
        let mut handed = ListenFd::from_env();
        let mut sockets = Vec::new();
        for index in 0..handed.len() {
            let Some(listener) = handed.take_unix_listener(index)? else { continue };
            let address = listener.local_addr()?;
            let Some(path) = address.as_pathname() else {
                return Err(io::Error::other("the service manager handed over a socket without a path"));
            };
            listener.set_nonblocking(true)?;
            sockets.push((path.to_owned(), listener));
        }
        Ok(Self(sockets))
    }

    /// The one at this path, if there is one.
    pub fn at(&mut self, path: &Path) -> Option<UnixListener> {
        let index = self.0.iter().position(|(own, _)| own == path)?;
        Some(self.0.swap_remove(index).1)
    }

    /// The paths of those that nobody has taken.
    pub fn left(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|(path, _)| path.as_path())
    }
}

/// Callers are served.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The configuration is read anew; [`ready`] says that it is done.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the clock cannot be read"),
    }
}

/// No more callers are served.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// What holds the service together has just answered.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often [`alive`] has to be said, with room for a busy machine; `None` when nobody watches.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 3)
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager cannot be told how the agent is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handed_socket_is_found_by_its_path_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        let mut handed = Handed(vec![(path.clone(), UnixListener::bind(&path).unwrap())]);
        assert!(handed.at(&directory.path().join("b.sock")).is_none());
        assert_eq!(handed.left().collect::<Vec<_>>(), [path.as_path()]);
        assert!(handed.at(&path).is_some());
        assert!(handed.at(&path).is_none());
        assert_eq!(handed.left().count(), 0);
    }

    #[test]
    fn without_a_service_manager_nothing_is_handed_over_or_watched() {
        assert_eq!(Handed::take().unwrap().left().count(), 0);
        assert_eq!(watchdog(), None);
        ready("serving");
        alive();
        stopping();
    }
}
