//! A node under test: the real program in a process of its own, stand-in controllers, a client.

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use fm_common::client::{Client, ClientError, Options};
use fm_common::protocol::{Hello, Request, RequestHeader, Response, codec};
use fm_common::{Alarm, AlarmKey, AlarmType, ErrorCode, ProbableCause, Severity};
use fm_rest_sim::{Sim, SimConfig};
use serde_json::Value;

/// How long a test waits for what must come; a busy machine is slow, a fault is for ever.
const PATIENCE: Duration = Duration::from_mins(1);

/// Names the agent's socket to a test that runs elsewhere.
pub(crate) const CALLER: &str = "FM_TEST_CALLER_SOCKET";

/// The client of a test that runs elsewhere; `None` in one that was not started so.
pub(crate) fn caller() -> Option<Client> {
    let socket = PathBuf::from(std::env::var_os(CALLER)?);
    Some(Client::new(Options {
        // The administrators' own socket is closed to other users as a file.
        admin_socket: Some(socket.clone()),
        socket: Some(socket),
        write_timeout: Duration::from_secs(20),
        read_timeout: Duration::from_secs(20),
        ..Options::default()
    }))
}

/// A platform alarm of the catalogue.
pub(crate) const ALARM_ID: &str = "100.103";
/// An OpenStack alarm of the catalogue.
pub(crate) const OPENSTACK_ALARM_ID: &str = "700.001";

/// Waits until `holds`; a test that waits in vain says for what.
pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A node: its configuration and state survive the agent's processes.
pub(crate) struct Node {
    directory: tempfile::TempDir,
    agent: Option<Child>,
    /// The agent's program.
    pub(crate) program: PathBuf,
    pub(crate) client: Client,
}

impl Node {
    /// A running agent with this configuration besides its paths.
    pub(crate) fn start(config: &str) -> Self {
        let mut node = Self::prepare(config);
        node.run();
        node
    }

    /// An agent of the platform's controller.
    pub(crate) fn with_platform(sim: &Sim) -> Self {
        Self::start(&domain("platform", sim, "labrador"))
    }

    /// Everything but the running agent.
    pub(crate) fn prepare(config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path();
        let client = Client::new(Options {
            socket: Some(base.join("a.sock")),
            write_timeout: Duration::from_secs(20),
            read_timeout: Duration::from_secs(20),
            ..Options::default()
        });
        let program = PathBuf::from(env!("CARGO_BIN_EXE_fm-agent"));
        let node = Self { directory, agent: None, program, client };
        node.configure(config);
        node
    }

    /// Writes the configuration file: the paths, and this.
    pub(crate) fn configure(&self, config: &str) {
        let (socket, state_dir) = (self.socket(), self.state_dir());
        let agent =
            format!("[agent]\nsocket = '{}'\nstate_dir = '{}'\n", socket.display(), state_dir.display());
        // Keys of the agent's own table come first in a test's configuration, before any other table.
        self.configure_whole(&format!("{agent}{config}"));
    }

    /// Writes the configuration file: this and nothing else.
    pub(crate) fn configure_whole(&self, text: &str) {
        fs::write(self.directory.path().join("fm-agent.toml"), text).unwrap();
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("a.sock")
    }

    pub(crate) fn state_dir(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("agent.log")).unwrap_or_default()
    }

    /// The memory that the agent has, in MiB.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }

    /// Where a test may put its files.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A run of one of this program's tests in a process of its own, with the agent's socket in
    /// [`CALLER`]; as another user and with another group besides its own, when this one is root's.
    pub(crate) fn elsewhere(&self, test: &str) -> Command {
        // The test's program may lie where only root can go.
        fs::set_permissions(self.directory(), fs::Permissions::from_mode(0o755)).unwrap();
        let program = self.directory().join("caller");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = if nix::unistd::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command
                .args(["--reuid", "65534", "--regid", "65534", "--groups", "4321,4322", "--"])
                .arg(program);
            command
        } else {
            Command::new(program)
        };
        command
            .args(["--exact", test, "--nocapture"])
            .env(CALLER, self.socket())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// A client with these deadlines, as callers have them.
    pub(crate) fn hasty_client(&self, write_ms: u64, read_ms: u64) -> Client {
        Client::new(Options {
            socket: Some(self.socket()),
            write_timeout: Duration::from_millis(write_ms),
            read_timeout: Duration::from_millis(read_ms),
            ..Options::default()
        })
    }

    /// A set by a library that sends its caller's uuid as it is, as older ones do.
    pub(crate) fn older_set(&self, alarm: Alarm) -> Response {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut frames = Vec::new();
        codec::encode_hello(&mut frames, &Hello::new("older")).unwrap();
        stream.write_all(&frames).unwrap();
        codec::decode_hello_answer(&frame(&mut stream)).unwrap();
        let token = std::array::from_fn(|_| fastrand::u8(..));
        let header = RequestHeader { id: 1, timeout_ms: 20_000, detached: false, token };
        frames.clear();
        codec::encode_request(&mut frames, &header, &Request::Set(alarm)).unwrap();
        stream.write_all(&frames).unwrap();
        codec::decode_response(&frame(&mut stream)).unwrap().1
    }

    /// The agent's program with the node's configuration.
    pub(crate) fn command(&self) -> Command {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.directory.path().join("agent.log"))
            .unwrap();
        let mut command = Command::new(&self.program);
        command
            .arg("--config")
            .arg(self.directory.path().join("fm-agent.toml"))
            .env_remove("FM_AGENT_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        command
    }

    /// Starts the agent and waits until it answers.
    pub(crate) fn run(&mut self) {
        let mut command = self.command();
        self.run_command(&mut command);
    }

    pub(crate) fn run_command(&mut self, command: &mut Command) {
        let mut agent = command.spawn().unwrap();
        wait_for("the agent to answer", || {
            let ended = agent.try_wait().unwrap();
            assert!(ended.is_none(), "the agent ended: {ended:?}\n{}", self.log());
            self.client.ping().is_ok()
        });
        self.agent = Some(agent);
    }

    /// Kills the agent as a crash would.
    pub(crate) fn kill(&mut self) {
        let mut agent = self.agent.take().unwrap();
        agent.kill().unwrap();
        agent.wait().unwrap();
    }

    /// Tells the agent to stop.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// The agent's process.
    pub(crate) fn pid(&self) -> u32 {
        self.agent.as_ref().unwrap().id()
    }

    /// Sends the agent a signal.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid();
        assert!(Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap().success());
    }

    /// Has the agent take its configuration anew, and waits until it serves.
    pub(crate) fn reload(&self) {
        let readies = || self.log().matches(" ready ").count();
        let before = readies();
        self.signal("HUP");
        wait_for("the new configuration to be served", || readies() > before);
    }

    /// Waits until the agent has ended.
    pub(crate) fn wait_end(&mut self) -> ExitStatus {
        let mut agent = self.agent.take().unwrap();
        let mut status = None;
        wait_for("the agent to end", || {
            status = agent.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// The entry of a domain in the agent's status.
    pub(crate) fn domain(&self, name: &str) -> Value {
        let status: Value = serde_json::from_str(&self.client.status().unwrap()).unwrap();
        let domains = status["domains"].as_array().unwrap();
        domains.iter().find(|domain| domain["name"] == name).cloned().unwrap()
    }

    pub(crate) fn waiting(&self, domain: &str) -> u64 {
        self.domain(domain)["waiting"].as_u64().unwrap()
    }

    /// Waits until nothing waits for any domain.
    pub(crate) fn wait_delivered(&self) {
        wait_for("everything to be delivered", || {
            let status: Value = serde_json::from_str(&self.client.status().unwrap()).unwrap();
            status["domains"].as_array().unwrap().iter().all(|domain| domain["waiting"] == 0)
        });
    }

    /// Waits until the controller counts as down, and gives the reason.
    pub(crate) fn wait_down(&self, domain: &str) -> String {
        wait_for("the domain to be down", || self.domain(domain)["state"] == "down");
        self.domain(domain)["reason"].as_str().unwrap().to_owned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            agent.kill().unwrap();
            agent.wait().unwrap();
        }
        if std::thread::panicking() {
            eprintln!("the agent's log:\n{}", self.log());
        }
    }
}

fn frame(stream: &mut UnixStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut payload = vec![0; u32::from_le_bytes(length) as usize];
    stream.read_exact(&mut payload).unwrap();
    payload
}

/// The configuration of a domain whose controller is this one.
pub(crate) fn domain(name: &str, sim: &Sim, password: &str) -> String {
    format!(
        "[{name}.fm_rest_api]\nendpoint = '{}'\nconnect_timeout_ms = 1000\nrequest_timeout_ms = 1000\n\
         [{name}.fm_rest_api.keystone]\nauth_url = '{}'\nusername = 'fm'\npassword = '{password}'\n",
        sim.url(),
        sim.keystone_url()
    )
}

/// A controller with the account that [`domain`] uses.
pub(crate) fn controller() -> Sim {
    controller_with(SimConfig::default())
}

pub(crate) fn controller_with(config: SimConfig) -> Sim {
    let users = vec![fm_rest_sim::User::new("fm", "labrador", "services", &["admin"])];
    Sim::start(SimConfig { users, ..config }).unwrap()
}

/// The address in a URL of a stand-in.
pub(crate) fn address(url: &str) -> SocketAddr {
    let rest = url.trim_start_matches("http://");
    rest.split('/').next().unwrap().parse().unwrap()
}

/// Ends a controller; the next one at its addresses has this database.
pub(crate) fn replaced(sim: Sim, config: SimConfig) -> Sim {
    let (listen, keystone_listen) = (address(&sim.url()), address(&sim.keystone_url()));
    drop(sim);
    controller_with(SimConfig { listen, keystone_listen, ..config })
}

/// An alarm that stands on `entity`.
pub(crate) fn alarm(entity: &str) -> Alarm {
    Alarm {
        reason_text: "driver out of sync".to_owned(),
        proposed_repair_action: "look at its log".to_owned(),
        suppression: true,
        ..Alarm::new(
            ALARM_ID,
            "host.ml2driver",
            entity,
            Severity::Major,
            AlarmType::ProcessingError,
            ProbableCause::Unknown,
        )
    }
}

pub(crate) fn key(entity: &str) -> AlarmKey {
    AlarmKey::new(ALARM_ID, entity)
}

/// The error code of a call that must fail.
pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, ClientError>) -> ErrorCode {
    result.unwrap_err().code()
}

/// What stands at a controller: entity and reason, in the order of storing.
pub(crate) fn standing(sim: &Sim) -> Vec<(String, String)> {
    let rows = sim.alarms().unwrap().into_iter();
    rows.map(|row| {
        let fields = row.fields;
        (fields.entity_instance_id.unwrap_or_default(), fields.reason_text.unwrap_or_default())
    })
    .collect()
}

/// What happened at a controller to one entity: state and reason, in the order of storing.
pub(crate) fn events(sim: &Sim, entity: &str) -> Vec<(String, String)> {
    let rows = sim.events().unwrap().into_iter().map(|row| row.fields);
    rows.filter(|fields| fields.entity_instance_id.as_deref() == Some(entity))
        .map(|fields| (fields.alarm_state.unwrap_or_default(), fields.reason_text.unwrap_or_default()))
        .collect()
}
