//! The agent's sockets, over all configurations that it takes in its life.
//!
//! Invariants:
//! - A socket whose file does not change stays open while a new configuration is taken: callers wait in it.
//! - What the service manager opened is used as it is and never removed; what the agent made is removed when
//!   the agent closes it.
//! - A key that says something else of a socket than the service manager made of it is told in the log.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;

use anyhow::{Context, ensure};

use crate::agent::Places;
use crate::caller::Door;
use crate::config::{AgentConfig, Config, SocketMode};
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
                self.open.push(Open { door, file: file.clone(), listener, is_own });
            }
            if self.open.iter().any(|open| open.door == door && !open.is_own) {
                tell_ignored(door, &file, agent)?;
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

/// Warns of the keys that a socket of the service manager's does not follow.
fn tell_ignored(door: Door, file: &SocketFile, agent: &AgentConfig) -> anyhow::Result<()> {
    let keys = ignored(door, file, agent)
        .with_context(|| format!("cannot look at the service manager's socket {}", file.path.display()))?;
    if !keys.is_empty() {
        let unit = match door {
            Door::Main => "fm-agent.socket",
            Door::Admin => "fm-agent-admin.socket",
        };
        tracing::warn!(
            keys = keys.join(", "),
            socket = %file.path.display(),
            "the service manager made this socket, with other permissions than these keys say, which change \
             nothing: set SocketMode=, SocketUser= and SocketGroup= in its unit (systemctl edit {unit})"
        );
    }
    Ok(())
}

/// The keys that want another file than there is.
fn ignored(door: Door, file: &SocketFile, agent: &AgentConfig) -> std::io::Result<Vec<&'static str>> {
    let found = fs::symlink_metadata(&file.path)?;
    let other_mode = file.mode.bits() != found.mode() & 0o777;
    let other_owner = file.owner.is_some_and(|owner| owner != found.uid());
    let other_group = file.group.is_some_and(|group| group != found.gid());
    let keys = match door {
        Door::Main => [
            ("agent.socket_mode", agent.socket_mode.is_some() && other_mode),
            ("agent.socket_owner", other_owner),
            ("agent.socket_group", other_group),
        ],
        Door::Admin => {
            let for_all = SocketMode::EVERYBODY.bits();
            let is_shut = found.mode() & for_all != for_all;
            let by_table = (agent.admin_socket_group.is_none() && other_group)
                || (agent.admin_socket_mode.is_none() && file.mode == SocketMode::EVERYBODY);
            [
                ("agent.admin_socket_mode", agent.admin_socket_mode.is_some() && other_mode),
                ("agent.admin_socket_group", agent.admin_socket_group.is_some() && other_group),
                // Without a key of its own, it is this one that says who is to come in.
                ("access.admin", is_shut && by_table),
            ]
        }
    };
    Ok(keys.into_iter().filter_map(|(key, is_ignored)| is_ignored.then_some(key)).collect())
}

fn close(open: Open) {
    let Open { file: SocketFile { path, .. }, listener, is_own, .. } = open;
    drop(listener);
    if is_own && let Err(error) = fs::remove_file(&path) {
        tracing::warn!(%error, socket = %path.display(), "the socket could not be removed");
    }
}
