//! The agent's socket, and the agent behind it.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use fm_common::client::ClientError;
use fm_common::{ErrorCode, paths};
use nix::unistd::{AccessFlags, access, geteuid};
use serde_json::Value;

use super::super::args::Common;
use super::super::door::{described, who_may};
use super::super::{Agent, text};
use super::finding::Findings;
use crate::agent::Places;

const START: &str =
    "Start the agent (systemctl start fm-agent), and see why it ended (journalctl -u fm-agent).";

/// Looks at the socket; the agent's status, if it answers.
pub(super) fn check(
    agent: &Agent,
    common: &Common,
    places: Option<&Places>,
    findings: &mut Findings,
) -> Option<Value> {
    let options = agent.client.options();
    let path = paths::client_socket(options.socket.as_deref(), options.runtime_dir.as_deref(), Path::exists);
    if let Some(places) = places.filter(|places| places.socket != path && common.socket.is_none()) {
        let configured = places.socket.display();
        let found = format!("callers look for the agent here, the configuration says {configured}");
        let advice = format!("Set FM_AGENT_SOCKET={configured} for callers, or leave agent.socket out.");
        findings.warn("socket-path", &path.display().to_string(), &found, &advice);
    }
    directory(&path, findings).then_some(())?;
    file(&path, findings).then_some(())?;
    let status = answers(agent, &path, findings)?;
    administrator(agent, findings);
    Some(status)
}

/// Whether the socket's directory can be passed.
fn directory(path: &Path, findings: &mut Findings) -> bool {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let shown = directory.display().to_string();
    let above: Vec<PathBuf> = directory.ancestors().map(Path::to_owned).collect();
    for part in above.iter().rev() {
        let found = match access(part, AccessFlags::X_OK) {
            Ok(()) => continue,
            Err(nix::errno::Errno::ENOENT) => {
                findings.fail("socket-directory", &shown, "is not there: no agent has been started", START);
                return false;
            }
            Err(errno) => format!("{} cannot be entered by uid {}: {errno}", part.display(), geteuid()),
        };
        let advice = format!("chmod o+x '{}', or be a user who may use the agent.", part.display());
        findings.fail("socket-directory", &shown, &found, &advice);
        return false;
    }
    let for_everybody = fs::metadata(path).is_ok_and(|socket| socket.permissions().mode() & 0o002 != 0);
    let closed =
        |part: &&PathBuf| fs::metadata(part).is_ok_and(|data| data.permissions().mode() & 0o001 == 0);
    match above.iter().find(closed).filter(|_| for_everybody) {
        Some(part) => {
            let found = format!("the socket is for everybody, but others cannot enter {}", part.display());
            let advice = format!("chmod o+x '{}', if callers run as other users.", part.display());
            findings.warn("socket-directory", &shown, &found, &advice);
        }
        None => findings.ok("socket-directory", &shown, "can be entered"),
    }
    true
}

/// Whether somebody listens at the socket.
fn file(path: &Path, findings: &mut Findings) -> bool {
    let shown = path.display().to_string();
    let mut fail = |found: &str, advice: &str| findings.fail("socket", &shown, found, advice);
    let data = match fs::symlink_metadata(path) {
        Ok(data) => data,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fail("is not there: the agent is not running", START);
            return false;
        }
        Err(error) => {
            fail(&format!("cannot be looked at: {error}"), "Look at the directories above it.");
            return false;
        }
    };
    if !data.file_type().is_socket() {
        fail("is there and is no socket: the agent does not start", "Move it away, or set agent.socket.");
        return false;
    }
    match UnixStream::connect(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fail("is stale: an agent that has ended left it, nobody listens", START);
            return false;
        }
        Err(error) => {
            let found = format!("cannot be connected to ({}): {error}", described(&data));
            let advice = format!(
                "Run this {}. Or open it: where systemd makes the socket, by SocketMode= and SocketGroup= of \
                 fm-agent.socket (systemctl edit), else by agent.socket_mode and agent.socket_group.",
                who_may(&data)
            );
            fail(&found, &advice);
            return false;
        }
    }
    findings.ok("socket", &shown, "somebody listens");
    true
}

/// Whether the agent answers, and its disk takes writes.
fn answers(agent: &Agent, path: &Path, findings: &mut Findings) -> Option<Value> {
    let shown = path.display().to_string();
    if let Err(error) = agent.client.ping() {
        let advice = "Its log (journalctl -u fm-agent) says what holds it; a full or failing disk does.";
        findings.fail("agent", &shown, &format!("does not answer a ping: {error}"), advice);
        return None;
    }
    let status = agent.client.status().map_err(|error| error.to_string());
    let status: Result<Value, String> =
        status.and_then(|status| serde_json::from_str(&status).map_err(|error| error.to_string()));
    match status {
        Ok(status) => {
            let version = text(&status["version"]);
            let own = env!("CARGO_PKG_VERSION");
            if version == own {
                findings.ok("agent", &shown, &format!("answers: version {version}, pid {}", status["pid"]));
            } else {
                let found = format!("answers: version {version}, and fmctl has {own}");
                let advice = "Restart the agent after an update, so that both are of one version.";
                findings.warn("agent", &shown, &found, advice);
            }
            Some(status)
        }
        Err(error) => {
            let advice = "Use the fmctl that was installed with the agent.";
            findings.fail("agent", &shown, &format!("gives no status: {error}"), advice);
            None
        }
    }
}

/// Whether the caller may administer the agent.
fn administrator(agent: &Agent, findings: &mut Findings) {
    let looked_at = format!("uid {}", geteuid());
    let Err(error) = agent.client.queue("", 0, 1) else {
        return findings.ok("administrator", &looked_at, "may administer the agent");
    };
    let refused = match &error {
        ClientError::NotRunning { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
        error => error.code() == ErrorCode::InvalidRequest,
    };
    if refused {
        let advice =
            "Run fmctl as root, as the user that runs the agent, or as one whom its access table names.";
        findings.warn("administrator", &looked_at, &format!("may not administer the agent: {error}"), advice);
    } else {
        let advice = "Is FM_AGENT_ADMIN_SOCKET the agent's agent.admin_socket? Its log says more.";
        findings.fail("administrator", &looked_at, &format!("the queue cannot be read: {error}"), advice);
    }
}
