//! Where the agent's sockets are: the one rule that the agent and its clients share.
//!
//! This module only reads what it is given; it touches neither the environment nor the disk by itself.

use std::path::{Path, PathBuf};

/// Environment variable that names the agent's socket.
pub const SOCKET_VARIABLE: &str = "FM_AGENT_SOCKET";

/// Environment variable that names the agent's socket for administrators.
pub const ADMIN_SOCKET_VARIABLE: &str = "FM_AGENT_ADMIN_SOCKET";

/// The socket of the node's agent.
pub const SYSTEM_SOCKET: &str = "/run/fm/fm-agent.sock";

/// The state directory of the node's agent.
pub const SYSTEM_STATE_DIR: &str = "/var/lib/fm-agent";

/// The socket of an agent that an ordinary user runs, under that user's `$XDG_RUNTIME_DIR`.
pub fn user_socket(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join("fm").join("fm-agent.sock")
}

/// The state directory of an ordinary user's agent, under that user's `$XDG_STATE_HOME`.
pub fn user_state_dir(state_home: &Path) -> PathBuf {
    state_home.join("fm-agent")
}

/// The socket a client connects to: the one named by `FM_AGENT_SOCKET`; else the user's own agent, if
/// its socket is there (`exists`); else the node's agent.
pub fn client_socket(
    named: Option<&Path>,
    runtime_dir: Option<&Path>,
    exists: impl Fn(&Path) -> bool,
) -> PathBuf {
    if let Some(path) = named.filter(|path| !path.as_os_str().is_empty()) {
        return path.to_owned();
    }
    runtime_dir.map(user_socket).filter(|path| exists(path)).unwrap_or_else(|| PathBuf::from(SYSTEM_SOCKET))
}

/// The socket for administrators beside an agent's socket: `admin.sock` in the same directory, so
/// `/run/fm/admin.sock` for the node's agent.
pub fn admin_socket(socket: &Path) -> PathBuf {
    socket.with_file_name("admin.sock")
}

/// The socket an administrator's client connects to: the one named by `FM_AGENT_ADMIN_SOCKET`; else the one
/// beside the socket of the agent's other callers.
pub fn client_admin_socket(named: Option<&Path>, socket: &Path) -> PathBuf {
    match named.filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => path.to_owned(),
        None => admin_socket(socket),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn administrators_connect_beside_the_others_unless_told_where() {
        let node = Path::new(SYSTEM_SOCKET);
        assert_eq!(client_admin_socket(None, node), Path::new("/run/fm/admin.sock"));
        assert_eq!(
            client_admin_socket(Some(Path::new("")), Path::new("/x/a.sock")),
            Path::new("/x/admin.sock")
        );
        assert_eq!(client_admin_socket(Some(Path::new("/b.sock")), node), Path::new("/b.sock"));
    }

    #[test]
    fn named_then_the_users_own_then_the_nodes() {
        let runtime = Some(Path::new("/run/user/7"));
        assert_eq!(client_socket(Some(Path::new("/a.sock")), runtime, |_| true), Path::new("/a.sock"));
        let own = Path::new("/run/user/7/fm/fm-agent.sock");
        assert_eq!(client_socket(None, runtime, |path| path == own), own);
        assert_eq!(client_socket(Some(Path::new("")), runtime, |_| false), Path::new(SYSTEM_SOCKET));
        assert_eq!(client_socket(None, None, |_| true), Path::new(SYSTEM_SOCKET));
    }
}
