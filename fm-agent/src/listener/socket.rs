//! The socket files: made whole in one step, and never in the place of a living agent's.
//!
//! Invariant: nobody can connect before the file has its owner, group and permissions: the socket listens
//! only after that.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt, lchown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, UnixAddr};
use nix::unistd::{Group, User};

use crate::config::{AccessConfig, AgentConfig, Principal, SocketMode};

/// A socket file to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketFile {
    /// Where.
    pub path: PathBuf,
    /// Its permissions.
    pub mode: SocketMode,
    /// Its owner; `None`: this process's user.
    pub owner: Option<u32>,
    /// Its group; `None`: this process's group.
    pub group: Option<u32>,
    /// Whether its directory, when it has to be made, is for everybody.
    pub everybody: bool,
}

impl SocketFile {
    /// The socket for all callers: for everybody on the node, or for this user only, unless the configuration
    /// says otherwise.
    ///
    /// # Errors
    /// An owner or group that this node does not know.
    pub fn main(path: &Path, everybody: bool, config: &AgentConfig) -> anyhow::Result<Self> {
        let usual = if everybody { SocketMode::EVERYBODY } else { SocketMode::OWNER };
        let (owner, group) = (config.socket_owner.as_deref(), config.socket_group.as_deref());
        Ok(Self {
            path: path.to_owned(),
            mode: config.socket_mode.unwrap_or(usual),
            owner: owner.map(|name| user("agent.socket_owner", name)).transpose()?,
            group: group.map(|name| self::group("agent.socket_group", name)).transpose()?,
            everybody,
        })
    }

    /// The socket for administrators: as narrow as lets those in whom the access table names.
    ///
    /// # Errors
    /// A group that this node does not know.
    pub fn admin(
        path: &Path,
        everybody: bool,
        config: &AgentConfig,
        access: &AccessConfig,
    ) -> anyhow::Result<Self> {
        let is_group = |principal: &&Principal| matches!(principal, Principal::Group(_) | Principal::Gid(_));
        let is_root = |principal: &Principal| match principal {
            Principal::User(name) => name == "root",
            Principal::Uid(uid) => *uid == 0,
            Principal::Everyone | Principal::Group(_) | Principal::Gid(_) => false,
        };
        let others: Vec<&Principal> = access.admin.iter().filter(|principal| !is_root(principal)).collect();
        let one_group = others.first().filter(|first| others.len() == 1 && is_group(first));
        let usual = match one_group {
            _ if others.is_empty() && !everybody => SocketMode::OWNER,
            None if !others.is_empty() => SocketMode::EVERYBODY,
            _ => SocketMode::GROUP,
        };
        let group = match (config.admin_socket_group.as_deref(), one_group) {
            (Some(name), _) => Some(self::group("agent.admin_socket_group", name)?),
            (None, Some(Principal::Gid(gid))) => Some(*gid),
            (None, Some(Principal::Group(name))) => Some(self::group("access.admin", name)?),
            (None, _) => None,
        };
        let mode = config.admin_socket_mode.unwrap_or(usual);
        Ok(Self { path: path.to_owned(), mode, owner: None, group, everybody })
    }
}

fn user(key: &str, name: &str) -> anyhow::Result<u32> {
    if let Ok(uid) = name.parse() {
        return Ok(uid);
    }
    let found =
        User::from_name(name).with_context(|| format!("{key}: the user '{name}' cannot be looked up"))?;
    Ok(found.with_context(|| format!("{key}: this node has no user '{name}'"))?.uid.as_raw())
}

fn group(key: &str, name: &str) -> anyhow::Result<u32> {
    if let Ok(gid) = name.parse() {
        return Ok(gid);
    }
    let found =
        Group::from_name(name).with_context(|| format!("{key}: the group '{name}' cannot be looked up"))?;
    Ok(found.with_context(|| format!("{key}: this node has no group '{name}'"))?.gid.as_raw())
}

/// Listens at a socket file. One that a dead agent left behind is replaced.
///
/// # Errors
/// A living agent at this path, a directory that cannot be written, or an owner that cannot be given.
pub fn bind(file: &SocketFile) -> anyhow::Result<UnixListener> {
    let path = &file.path;
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            bail!("{} is there and is no socket: move it away, or name another", path.display())
        }
        _ => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => {
            bail!("an agent is already listening at {}: stop it, or name another socket", path.display())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Err(error) => bail!("cannot use {} as the agent's socket: {error}", path.display()),
    }
    if let Some(directory) = path.parent() {
        let mode = if file.everybody { 0o755 } else { 0o700 };
        DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(directory)
            .with_context(|| format!("cannot make the socket's directory {}", directory.display()))?;
    }
    // Under another name first: callers find the socket ready, or not at all.
    let new = with_suffix(path, ".new");
    match fs::remove_file(&new) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => bail!("cannot remove {}: {error}", new.display()),
    }
    let listener = listen(&new, file)?;
    fs::rename(&new, path).with_context(|| format!("cannot put the socket at {}", path.display()))?;
    Ok(listener)
}

/// Binds, gives the file away, and only then listens: until then nobody can connect, whatever the file says.
fn listen(new: &Path, file: &SocketFile) -> anyhow::Result<UnixListener> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let bound = || {
        let bound = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        socket::bind(bound.as_raw_fd(), &UnixAddr::new(new)?)?;
        Ok::<_, Errno>(bound)
    };
    let bound = bound().with_context(|| format!("cannot make the socket {}", new.display()))?;
    // Not asked of the system without need: the filter of a service may refuse it, whatever is asked for.
    if file.owner.is_some() || file.group.is_some() {
        lchown(new, file.owner, file.group).with_context(|| {
            format!(
                "cannot give {} the owner and group that the configuration names: without root's rights it can be given \
                 to no other user, and only to a group that the agent's user is in (usermod --append --groups GROUP USER, \
                 then start the agent anew)",
                file.path.display()
            )
        })?;
    }
    fs::set_permissions(new, Permissions::from_mode(file.mode.bits()))
        .with_context(|| format!("cannot give {} its permissions", file.path.display()))?;
    socket::listen(&bound, Backlog::MAXCONN)
        .with_context(|| format!("cannot listen at {}", file.path.display()))?;
    Ok(UnixListener::from(bound))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn file(path: &Path, mode: SocketMode) -> SocketFile {
        SocketFile { path: path.to_owned(), mode, owner: None, group: None, everybody: false }
    }

    #[test]
    fn a_dead_agents_socket_is_replaced_a_living_ones_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sub").join("a.sock");
        let first = bind(&file(&path, SocketMode::OWNER)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let error = bind(&file(&path, SocketMode::OWNER)).unwrap_err();
        assert!(error.to_string().contains("already listening"), "{error}");
        drop(first);
        let _second = bind(&file(&path, SocketMode::EVERYBODY)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[test]
    fn a_path_that_cannot_be_used_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let plain = directory.path().join("file");
        fs::write(&plain, "").unwrap();
        for path in [plain.join("a.sock"), plain] {
            let error = format!("{:#}", bind(&file(&path, SocketMode::OWNER)).unwrap_err());
            assert!(error.contains("file"), "{error}");
        }
    }

    #[test]
    fn a_socket_is_given_away_before_it_listens() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sock");
        let config = AgentConfig {
            socket_mode: Some(SocketMode::GROUP),
            socket_group: Some(nix::unistd::getegid().to_string()),
            ..AgentConfig::default()
        };
        let socket = SocketFile::main(&path, true, &config).unwrap();
        let listener = bind(&socket).unwrap();
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.mode() & 0o777, found.gid()), (0o660, nix::unistd::getegid().as_raw()));
        drop(listener);
        let unknown = AgentConfig { socket_owner: Some("nobody-here".to_owned()), ..AgentConfig::default() };
        let error = SocketFile::main(&path, true, &unknown).unwrap_err().to_string();
        assert!(error.contains("agent.socket_owner") && error.contains("nobody-here"), "{error}");
    }

    #[test]
    fn the_administrators_socket_is_as_narrow_as_they_allow() {
        let admin = |text: &str, everybody: bool| {
            let access: AccessConfig = toml::from_str(text).unwrap();
            let made =
                SocketFile::admin(Path::new("/a.sock"), everybody, &AgentConfig::default(), &access).unwrap();
            (made.mode.bits(), made.group)
        };
        assert_eq!(admin("", true), (0o660, None));
        assert_eq!(admin("", false), (0o600, None));
        assert_eq!(admin("admin = ['root', 'gid:77']", true), (0o660, Some(77)));
        assert_eq!(admin("admin = ['gid:77', 'gid:78']", true), (0o666, None));
        assert_eq!(admin("admin = ['uid:5']", true), (0o666, None));
        let access: AccessConfig = toml::from_str("admin = ['group:no-such-group-here']").unwrap();
        let error =
            SocketFile::admin(Path::new("/a.sock"), true, &AgentConfig::default(), &access).unwrap_err();
        assert!(error.to_string().contains("access.admin"), "{error}");
    }
}
