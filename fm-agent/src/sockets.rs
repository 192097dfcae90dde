//! The agent's sockets, over all configurations that it takes in its life.
//!
//! Invariants:
//! - A socket whose file does not change stays open while a new configuration is taken: callers wait in it.
//! - What the service manager opened is used as it is and never removed; what the agent made is removed when
//!   the agent closes it.

use std::fs;
use std::os::unix::net::UnixListener;

use anyhow::{Context, ensure};

use crate::agent::Places;
use crate::caller::Door;
use crate::config::Config;
use crate::listener::{SocketFile, bind};
use crate::systemd::Handed;

/// The sockets.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    handed: Handed,
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    door: Door,
    file: SocketFile,
    listener: UnixListener,
    is_own: bool,
}

impl Sockets {
    /// Those that the service manager handed over, to be used where the configuration wants them.
    pub(crate) fn new(handed: Handed) -> Self {
        Self { handed, open: Vec::new() }
    }

    /// Opens what this configuration wants and is not open, closes what it does not want any more, and gives
    /// a listener for each door.
    ///
    /// # Errors
    /// A path that cannot be used, an owner that this node does not know.
    pub(crate) fn open(
        &mut self,
        config: &Config,
        places: &Places,
    ) -> anyhow::Result<Vec<(Door, UnixListener)>> {
        let (agent, everybody) = (&config.agent, places.everybody);
        ensure!(
            places.socket != places.admin_socket,
            "agent.admin_socket: is the socket of all callers, {}: name another",
            places.socket.display()
        );
        let main = SocketFile::main(&places.socket, everybody, agent)?;
        let admin = SocketFile::admin(&places.admin_socket, everybody, agent, &config.access)?;
        let wanted = [(Door::Main, main), (Door::Admin, admin)];
        let stays = |open: &Open| {
            wanted.iter().any(|(door, file)| {
                *door == open.door && (*file == open.file || (!open.is_own && file.path == open.file.path))
            })
        };
        let (stay, go): (Vec<Open>, Vec<Open>) = self.open.drain(..).partition(stays);
        self.open = stay;
        go.into_iter().for_each(close);
        for (door, file) in wanted {
            if !self.open.iter().any(|open| open.door == door) {
                let (listener, is_own) = match self.handed.at(&file.path) {
                    Some(listener) => (listener, false),
                    None => (bind(&file)?, true),
                };
                self.open.push(Open { door, file, listener, is_own });
            }
        }
        for path in self.handed.left() {
            tracing::warn!(socket = %path.display(), "the service manager opened a socket that no key of the configuration names");
        }
        self.open
            .iter()
            .map(|open| Ok((open.door, open.listener.try_clone().context("cannot use the socket twice")?)))
            .collect()
    }

    /// Closes all: whoever connects to one of the agent's own now is told at once that there is no agent, and
    /// to one of the service manager's waits for the next.
    pub(crate) fn close(&mut self) {
        self.open.drain(..).for_each(close);
    }
}

fn close(open: Open) {
    let Open { file: SocketFile { path, .. }, listener, is_own, .. } = open;
    drop(listener);
    if is_own && let Err(error) = fs::remove_file(&path) {
        tracing::warn!(%error, socket = %path.display(), "the socket could not be removed");
    }
}
