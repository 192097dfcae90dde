//! The socket file: made whole in one step, and never in the place of a living agent's.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::config::SocketMode;

/// Listens at `path`, for everybody on the node or for this user only, unless `mode` says otherwise. A socket
/// that a dead agent left behind is replaced.
///
/// # Errors
/// A living agent at this path, or a directory that cannot be written.
pub fn bind(path: &Path, everybody: bool, mode: Option<SocketMode>) -> anyhow::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            bail!("{} is there and is no socket: move it away, or set agent.socket", path.display())
        }
        _ => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => bail!("an agent is already listening at {}: stop it, or set agent.socket", path.display()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Err(error) => bail!("cannot use {} as the agent's socket: {error}", path.display()),
    }
    if let Some(directory) = path.parent() {
        let mode = if everybody { 0o755 } else { 0o700 };
        DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(directory)
            .with_context(|| format!("cannot make the socket's directory {}", directory.display()))?;
    }
    // Under another name first: callers find the socket with its mode set, or not at all.
    let new = with_suffix(path, ".new");
    match fs::remove_file(&new) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => bail!("cannot remove {}: {error}", new.display()),
    }
    let listener =
        UnixListener::bind(&new).with_context(|| format!("cannot make the socket {}", new.display()))?;
    let mode = mode.map_or(if everybody { 0o666 } else { 0o600 }, SocketMode::bits);
    fs::set_permissions(&new, Permissions::from_mode(mode))
        .and_then(|()| fs::rename(&new, path))
        .with_context(|| format!("cannot put the socket at {}", path.display()))?;
    listener.set_nonblocking(true).context("cannot make the socket non-blocking")?;
    Ok(listener)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_agents_socket_is_replaced_a_living_ones_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sub").join("a.sock");
        let first = bind(&path, false, None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let error = bind(&path, false, None).unwrap_err();
        assert!(error.to_string().contains("already listening"), "{error}");
        drop(first);
        let _second = bind(&path, true, None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        assert!(UnixStream::connect(&path).is_ok());
        let mode = serde_json::from_str("\"0660\"").unwrap();
        let other = directory.path().join("b.sock");
        let _third = bind(&other, false, Some(mode)).unwrap();
        assert_eq!(fs::metadata(&other).unwrap().permissions().mode() & 0o777, 0o660);
    }

    #[test]
    fn a_path_that_cannot_be_used_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.join("a.sock"), file] {
            let error = format!("{:#}", bind(&path, false, None).unwrap_err());
            assert!(error.contains("file"), "{error}");
        }
    }
}
