//! Whether the sockets' files are as the configuration wants them: what the service manager opened is as its units
//! say, whatever the configuration does.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use super::super::door::{described, group, user};
use super::finding::Findings;
use crate::agent::Places;
use crate::config::{AccessConfig, Config};
use crate::listener::SocketFile;

const CHECK: &str = "socket-permissions";

/// What a key asks for, what the file has, the unit's word for it.
type Wish = (&'static str, String, String, String);

/// Compares the files that are there with the keys that are set.
pub(super) fn check(config: &Config, places: &Places, findings: &mut Findings) {
    let (agent, everybody) = (&config.agent, places.everybody);
    let main = SocketFile::main(&places.socket, everybody, agent).map(|file| {
        let mode = agent.socket_mode.map(|_| "agent.socket_mode");
        (file, mode, "agent.socket_group", "fm-agent.socket")
    });
    let admin = SocketFile::admin(&places.admin_socket, everybody, agent, &config.access).map(|file| {
        let named = config.access.admin != AccessConfig::default().admin;
        let mode =
            agent.admin_socket_mode.map(|_| "agent.admin_socket_mode").or(named.then_some("access.admin"));
        let group = agent.admin_socket_group.as_ref().map_or("access.admin", |_| "agent.admin_socket_group");
        (file, mode, group, "fm-agent-admin.socket")
    });
    for wanted in [main, admin] {
        match wanted {
            Ok((file, mode_key, group_key, unit)) => {
                look(&file, mode_key, group_key, unit, findings);
            }
            Err(error) => {
                let advice =
                    "The agent does not start with it: correct the key, or make the user or the group.";
                findings.fail(CHECK, "the sockets' owners", &format!("{error:#}"), advice);
            }
        }
    }
}

fn look(
    file: &SocketFile,
    mode_key: Option<&'static str>,
    group_key: &'static str,
    unit: &str,
    findings: &mut Findings,
) {
    let shown = file.path.display().to_string();
    // Where there is none, other checks say so.
    let Some(data) = fs::symlink_metadata(&file.path).ok().filter(|data| data.file_type().is_socket()) else {
        return;
    };
    let (mode, wanted) = (data.mode() & 0o777, file.mode.bits());
    let wishes: [Option<Wish>; 3] = [
        mode_key.filter(|_| mode != wanted).map(|key| {
            (key, format!("mode {wanted:03o}"), format!("{mode:03o}"), format!("SocketMode={wanted:04o}"))
        }),
        file.owner.filter(|uid| *uid != data.uid()).map(|uid| {
            let name = user(uid);
            ("agent.socket_owner", format!("owner {name}"), user(data.uid()), format!("SocketUser={name}"))
        }),
        file.group.filter(|gid| *gid != data.gid()).map(|gid| {
            let name = group(gid);
            (group_key, format!("group {name}"), group(data.gid()), format!("SocketGroup={name}"))
        }),
    ];
    let wishes: Vec<Wish> = wishes.into_iter().flatten().collect();
    if wishes.is_empty() {
        return findings.ok(CHECK, &shown, &described(&data));
    }
    let told = wishes.iter().map(|(key, wanted, is, _)| format!("{key} wants {wanted}, it has {is}"));
    let settings: Vec<&str> = wishes.iter().map(|(.., setting)| setting.as_str()).collect();
    let advice = format!(
        "Where systemd opens the socket, its unit decides and the configuration does not: systemctl edit {unit}, \
         [Socket] {}, then systemctl daemon-reload and restart {unit}. Else reload the agent.",
        settings.join(" ")
    );
    let found = format!("the configuration is not in force: {}", told.collect::<Vec<_>>().join("; "));
    findings.warn(CHECK, &shown, &found, &advice);
}
