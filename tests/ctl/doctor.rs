//! `fmctl doctor` and what it finds on the node: configuration, socket, state.

use std::fs::{self, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::refused::as_nobody;
use crate::run::{Ran, command, fmctl};
use crate::support::{Node, alarm, controller};

/// A doctor's findings.
pub(crate) struct Findings {
    pub(crate) ran: Ran,
    all: Vec<Value>,
}

impl Findings {
    /// The doctor with a node's configuration and these arguments.
    pub(crate) fn of(node: &Node, arguments: &[&str]) -> Self {
        Self::with(node, &[], arguments)
    }

    pub(crate) fn with(node: &Node, variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        let mut command = command(&node.socket());
        command.envs(variables.iter().copied()).args(["--json", "--timeout", "5", "doctor", "--config"]);
        Self::in_answer(Ran::of(command.arg(configuration(node)).args(arguments).output().unwrap()))
    }

    fn in_answer(ran: Ran) -> Self {
        let all = ran.json()["findings"].as_array().unwrap().clone();
        let failed = all.iter().any(|finding| finding["level"] == "fail");
        assert_eq!(ran.status, i32::from(failed), "{ran:?}");
        Self { ran, all }
    }

    /// What was found by a check, at the worst.
    #[track_caller]
    pub(crate) fn level(&self, check: &str) -> (&str, &str) {
        let order = ["ok", "skipped", "warn", "fail"];
        let rank = |finding: &&Value| order.iter().position(|level| finding["level"] == *level);
        let found = self.all.iter().filter(|finding| finding["check"] == check).max_by_key(rank);
        let found = found.unwrap_or_else(|| panic!("nothing of {check} in {:?}", self.ran));
        (found["level"].as_str().unwrap(), found["found"].as_str().unwrap())
    }

    /// The one failure, with its words; there is advice.
    #[track_caller]
    pub(crate) fn fails(&self, check: &str, words: &str) {
        let (level, found) = self.level(check);
        assert!(level == "fail" && found.contains(words), "{check}: {level}: {found}: {:?}", self.ran);
        let failed: Vec<&Value> = self.all.iter().filter(|finding| finding["level"] == "fail").collect();
        assert!(failed.iter().all(|finding| finding["check"] == check), "{failed:?}");
        assert!(failed.iter().all(|finding| !finding["advice"].as_str().unwrap().is_empty()), "{failed:?}");
    }

    /// What to do about the worst of a check.
    #[track_caller]
    fn advises(&self, check: &str, words: &str) {
        let (level, _) = self.level(check);
        let mut of_it = self.all.iter().filter(|it| it["check"] == check && it["level"] == level);
        assert!(of_it.any(|it| it["advice"].as_str().unwrap().contains(words)), "{check}: {:?}", self.ran);
    }

    #[track_caller]
    pub(crate) fn warns(&self, check: &str, words: &str) {
        let (level, found) = self.level(check);
        assert!(level == "warn" && found.contains(words), "{check}: {level}: {found}: {:?}", self.ran);
    }
}

pub(crate) fn configuration(node: &Node) -> PathBuf {
    node.socket().with_file_name("fm-agent.toml")
}

/// Writes to a node's configuration, readable for its owner only.
fn configure(node: &Node, change: impl FnOnce(String) -> String) {
    let path = configuration(node);
    fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
}

pub(crate) fn close(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn nothing_is_wrong_where_nothing_is() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    close(&configuration(&node));
    node.client.set(alarm("host=a")).unwrap();
    let findings = Findings::of(&node, &[]);
    for check in [
        "configuration",
        "environment",
        "secrets",
        "socket",
        "agent",
        "administrator",
        "state-directory",
        "state-owner",
        "state-space",
        "state-lock",
        "database",
        "open-files",
        "name",
        "port",
        "http",
        "clock",
        "keystone",
        "service",
        "alarms",
    ] {
        assert_eq!(findings.level(check).0, "ok", "{check}: {:?}", findings.ran);
    }
    assert_eq!(findings.ran.status, 0);
    assert!(findings.level("keystone").1.contains("user 'fm' in the project 'services'"));
    assert!(!findings.ran.out.contains("labrador"), "a secret is shown");
    let mut command = command(&node.socket());
    let text = Ran::of(command.args(["doctor", "--config"]).arg(configuration(&node)).output().unwrap()).ok();
    assert!(text.out.contains("ok    database: ") && text.out.contains(" checks: 0 failed, "), "{text:?}");
}

#[test]
fn an_agent_that_is_not_running() {
    let node = Node::prepare("");
    Findings::of(&node, &[]).fails("socket", "the agent is not running");
    fs::remove_file(configuration(&node)).unwrap();
    let elsewhere = node.socket().with_file_name("nowhere").join("a.sock");
    let mut command = command(&elsewhere);
    let ran = Ran::of(command.args(["doctor", "--offline", "--json"]).output().unwrap()).fails(1);
    assert!(ran.out.contains("no agent has been started"), "{ran:?}");
}

#[test]
fn a_stale_socket_and_what_is_none() {
    let mut node = Node::start("");
    node.kill();
    let findings = Findings::of(&node, &[]);
    findings.fails("socket", "is stale");
    assert_eq!(findings.level("state-lock"), ("ok", "nobody holds the state"));
    assert_eq!(findings.level("database").0, "ok");
    fs::remove_file(node.socket()).unwrap();
    fs::write(node.socket(), "").unwrap();
    Findings::of(&node, &[]).fails("socket", "is no socket");
}

#[test]
fn a_key_that_nobody_knows() {
    let node = Node::prepare("max_rejectd = 7\n");
    let findings = Findings::of(&node, &[]);
    let (level, found) = findings.level("configuration");
    assert!(level == "fail" && found.contains("fm-agent.toml:4: agent.max_rejectd"), "{found}");
}

#[test]
fn variables_that_win_over_the_file() {
    let node = Node::start("");
    let findings = Findings::with(&node, &[("FM_AGENT__AGENT__LOG", "debug")], &[]);
    findings.warns("environment", "FM_AGENT__AGENT__LOG win over the file");
    let findings = Findings::with(&node, &[("FM_AGENT__AGENT__MAX_EVENTS", "many")], &[]);
    let (level, found) = findings.level("configuration");
    assert!(level == "fail" && found.contains("FM_AGENT__AGENT__MAX_EVENTS"), "{found}");
}

#[test]
fn a_file_in_the_place_of_the_state_directory() {
    let node = Node::prepare("");
    fs::write(node.state_dir(), "").unwrap();
    let findings = Findings::of(&node, &[]);
    let (level, found) = findings.level("state-directory");
    assert_eq!((level, found), ("fail", "is no directory"));
    let below = node.state_dir().join("below");
    configure(&node, |text| text.replace("/state'", "/state/below'"));
    let findings = Findings::of(&node, &[]);
    let (level, found) = findings.level("state-directory");
    assert!(level == "fail" && found.contains("is no directory"), "{}: {found}", below.display());
}

/// Looked at as its owner, who is not root: root may write everywhere.
#[test]
fn a_state_directory_that_cannot_be_written() {
    let node = Node::prepare("");
    let state = node.state_dir();
    fs::create_dir(&state).unwrap();
    let mut command = if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&state, Some(65_534), None).unwrap();
        as_nobody(&node)
    } else {
        command(&node.socket())
    };
    fs::set_permissions(&state, Permissions::from_mode(0o500)).unwrap();
    let ran = command.args(["--json", "doctor", "--config"]).arg(configuration(&node)).output().unwrap();
    fs::set_permissions(&state, Permissions::from_mode(0o700)).unwrap();
    let findings = Findings::in_answer(Ran::of(ran));
    let (level, found) = findings.level("state-directory");
    assert!(level == "fail" && found.contains("cannot be written"), "{found}");
}

#[test]
fn a_damaged_database() {
    let mut node = Node::start("");
    node.client.set_list((0..200).map(|number| alarm(&format!("host=c{number}"))).collect()).unwrap();
    node.terminate();
    node.wait_end();
    let path = node.state_dir().join("fm-agent.db");
    assert_eq!(Findings::of(&node, &[]).level("database").0, "ok");
    let mut database = fs::File::options().write(true).open(&path).unwrap();
    database.seek(SeekFrom::Start(8 * 4096)).unwrap();
    database.write_all(&vec![0xa5; 16 * 4096]).unwrap();
    let findings = Findings::of(&node, &[]);
    let (level, found) = findings.level("database");
    assert!(level == "fail" && found.contains("is damaged"), "{found}");
    fs::write(&path, "this is no database, and long enough to be told from an empty one: ".repeat(20))
        .unwrap();
    assert_eq!(Findings::of(&node, &[]).level("database").0, "fail");
}

#[test]
fn a_database_that_was_set_aside_is_seen_until_its_files_are_gone() {
    let mut node = Node::start("");
    assert_eq!(Findings::of(&node, &[]).level("set-aside").0, "ok");
    node.terminate();
    node.wait_end();
    fs::write(node.state_dir().join("fm-agent.db"), "this is no database at all, whoever looks ".repeat(200))
        .unwrap();
    node.run();
    let ran = fmctl(&node, &["status"]).ok();
    let aside = node.state_dir().join("fm-agent.db.damaged-*").display().to_string();
    assert!(ran.out.contains("1 damaged databases set aside") && ran.out.contains(&aside), "{ran:?}");
    let findings = Findings::of(&node, &[]);
    findings.warns("set-aside", "1 set aside since the agent's start");
    findings.advises("set-aside", "kernel's log");
    node.terminate();
    node.wait_end();
    Findings::of(&node, &[]).warns("set-aside", "1 damaged databases are kept");
    node.run();
    assert!(!fmctl(&node, &["status"]).ok().out.contains("set aside"), "counted since the start");
    Findings::of(&node, &[]).warns("set-aside", "1 damaged databases are kept");
}

#[test]
fn an_audit_file_that_cannot_be_written() {
    let node = Node::start("");
    assert_eq!(Findings::of(&node, &[]).level("audit").0, "ok");
    let directory = node.socket().with_file_name("audit");
    let key = format!("\n[audit]\nto = '{}/audit.log'\n", directory.display());
    configure(&node, |text| text + &key);
    Findings::of(&node, &[]).fails("audit", "cannot be looked at");
    fs::create_dir(&directory).unwrap();
    assert_eq!(Findings::of(&node, &[]).level("audit").0, "ok");
    if nix::unistd::geteuid().is_root() {
        // The user of an agent that does not run is the owner of its state.
        let other = Node::prepare(&key);
        fs::create_dir(other.state_dir()).unwrap();
        std::os::unix::fs::chown(other.state_dir(), Some(65_534), None).unwrap();
        let findings = Findings::of(&other, &[]);
        let (level, found) = findings.level("audit");
        assert!(level == "fail" && found.contains("may not write"), "{found}");
        findings.advises("audit", "chown 65534");
    }
}

#[test]
fn socket_keys_that_are_not_in_force() {
    let node = Node::start("socket_mode = '0660'\n");
    assert_eq!(Findings::of(&node, &[]).level("socket-permissions").0, "ok");
    // As a socket unit would have it, whatever the configuration says.
    fs::set_permissions(node.socket(), Permissions::from_mode(0o666)).unwrap();
    let findings = Findings::of(&node, &[]);
    findings.warns("socket-permissions", "agent.socket_mode wants mode 660, it has 666");
    findings.advises("socket-permissions", "systemctl edit fm-agent.socket, [Socket] SocketMode=0660");
    configure(&node, |text| text + "admin_socket_group = '65534'\nsocket_owner = '65534'\n");
    let findings = Findings::of(&node, &[]);
    findings.advises("socket-permissions", "SocketUser=");
    findings.advises("socket-permissions", "fm-agent-admin.socket, [Socket] SocketGroup=");
    configure(&node, |text| text.replace("socket_owner = '65534'", "socket_owner = 'nobody-at-all'"));
    let findings = Findings::of(&node, &[]);
    assert_eq!(findings.level("socket-permissions").0, "fail");
}

#[test]
fn a_credential_of_a_service_that_does_not_run() {
    let node = Node::with_platform(&controller());
    close(&configuration(&node));
    let file = "password_file = '/run/credentials/fm-agent-of-no-node.service/fm-agent_nobodys.password'";
    configure(&node, |text| text.replace("password = 'labrador'", file));
    let findings = Findings::of(&node, &["--offline"]);
    findings.fails("secrets", "copied when the service starts");
    findings.advises("secrets", "/etc/fm/credentials/nobodys.password");
}

#[test]
fn a_disk_that_is_nearly_full() {
    let node = Node::start("");
    let findings = Findings::of(&node, &["--min-free", "1000000000"]);
    findings.fails("state-space", "less than");
    let free = node.client.status().unwrap();
    let status: Value = serde_json::from_str(&free).unwrap();
    let free_mib = status["store"]["free_bytes"].as_u64().unwrap() >> 20;
    let findings = Findings::of(&node, &["--min-free", &(free_mib * 3 / 4).to_string()]);
    findings.warns("state-space", "less than twice");
}

#[test]
fn secrets_that_everybody_can_read() {
    let sim = controller();
    let node = Node::with_platform(&sim);
    fs::set_permissions(configuration(&node), Permissions::from_mode(0o644)).unwrap();
    let findings = Findings::of(&node, &["--offline"]);
    findings.fails("secrets", "which holds a secret, can be read by everybody");
    let secret = node.socket().with_file_name("password");
    fs::write(&secret, "labrador\n").unwrap();
    fs::set_permissions(&secret, Permissions::from_mode(0o604)).unwrap();
    let file = format!("password_file = '{}'", secret.display());
    configure(&node, |text| text.replace("password = 'labrador'", &file));
    let findings = Findings::of(&node, &["--offline"]);
    findings.fails("secrets", "mode 604");
    close(&secret);
    assert_eq!(Findings::of(&node, &["--offline"]).ran.status, 0);
    fs::remove_file(&secret).unwrap();
    Findings::of(&node, &["--offline"]).fails("secrets", "cannot be looked at");
}

#[test]
fn callers_that_look_elsewhere() {
    let node = Node::start("");
    let other = Node::start("");
    let mut command = command(&other.socket());
    let ran = Ran::of(
        command
            .args(["--json", "doctor", "--offline", "--config"])
            .arg(configuration(&node))
            .output()
            .unwrap(),
    );
    let findings = ran.ok().json()["findings"].take();
    let found =
        findings.as_array().unwrap().iter().find(|finding| finding["check"] == "socket-path").unwrap();
    assert!(found["found"].as_str().unwrap().contains(&node.socket().display().to_string()), "{found}");
    let lock = findings.as_array().unwrap().iter().find(|finding| finding["check"] == "state-lock").unwrap();
    assert_eq!(lock["level"], "warn", "{lock}");
}

#[test]
fn what_is_only_in_memory() {
    let memory = Path::new("/dev/shm");
    let is_memory = nix::sys::statfs::statfs(memory)
        .is_ok_and(|stat| stat.filesystem_type() == nix::sys::statfs::TMPFS_MAGIC);
    if !is_memory {
        // There is no such place on this machine.
        return;
    }
    let directory = tempfile::tempdir_in(memory).unwrap();
    let node = Node::prepare("");
    let state = node.state_dir().display().to_string();
    configure(&node, |text| text.replace(&state, &directory.path().display().to_string()));
    Findings::of(&node, &[]).warns("state-file-system", "durability is 'power'");
    assert_eq!(Findings::of(&node, &["--offline"]).level("socket").0, "fail");
}
