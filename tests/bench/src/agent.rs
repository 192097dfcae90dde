//! An agent that is measured: the real program, its state on the disk under `target/`.

use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use fm_common::client::{Client, Options};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::controllers::read_answer;
use crate::process::Process;
use crate::programs;

/// How long an agent may take for anything; a busy machine is slow, a fault is for ever.
const PATIENCE: Duration = Duration::from_mins(2);

/// What an answer of the agent promises.
pub(crate) const POWER: &str = "durability = 'power'\n";
/// See [`POWER`].
pub(crate) const PROCESS: &str = "durability = 'process'\n";

/// Room for the largest queue that is measured: what happens at the limits is no part of it.
const ROOM: &str = "max_requests = 2000000\nmax_bytes = 8589934592\n";

/// Makes an agent tell its counters, for [`Agent::commits`]; comes after the keys of `[agent]`.
pub(crate) const METRICS: &str = "[metrics]\nlisten = 'unix:{run}/metrics.sock'\n";

/// An agent; ended when dropped. Its state survives its processes.
#[derive(Debug)]
pub(crate) struct Agent {
    program: PathBuf,
    /// On the disk that is measured.
    state: tempfile::TempDir,
    /// The socket's path must be short.
    run: tempfile::TempDir,
    child: Option<Child>,
}

impl Agent {
    /// An agent with this configuration besides its paths: keys of `[agent]` first, then other tables. `{run}` in
    /// it is a directory for sockets.
    pub(crate) fn prepare(program: &Path, config: &str) -> anyhow::Result<Self> {
        let state = tempfile::Builder::new().prefix("state-").tempdir_in(programs::directory()?)?;
        let run = tempfile::Builder::new().prefix("fm-bench-").tempdir()?;
        let agent = Self { program: program.to_owned(), state, run, child: None };
        let (socket, state_dir) = (agent.socket(), agent.state.path().join("state"));
        let paths = format!(
            "[agent]\nsocket = '{}'\nstate_dir = '{}'\n{ROOM}",
            socket.display(),
            state_dir.display()
        );
        let config = config.replace("{run}", &agent.run.path().display().to_string());
        fs::write(agent.config(), format!("{paths}log = 'warn'\n{config}"))?;
        Ok(agent)
    }

    /// A running agent.
    pub(crate) fn start(program: &Path, config: &str) -> anyhow::Result<Self> {
        let mut agent = Self::prepare(program, config)?;
        agent.run()?;
        Ok(agent)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.state.path().join("fm-agent.toml")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.run.path().join("a.sock")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.state.path().join("state/fm-agent.db")
    }

    /// Starts the process and gives how long it took from there to its first answer.
    pub(crate) fn run(&mut self) -> anyhow::Result<Duration> {
        let program = self.program.clone();
        self.run_under(Command::new(program))
    }

    /// As [`Agent::run`], by a command that takes the agent's arguments at its end.
    pub(crate) fn run_under(&mut self, mut command: Command) -> anyhow::Result<Duration> {
        let log = File::options().create(true).append(true).open(self.log())?;
        command.arg("--config").arg(self.config()).env_remove("FM_AGENT_SOCKET");
        let started = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        self.child = Some(child.with_context(|| self.program.display().to_string())?);
        let client = self.client();
        while client.ping().is_err() {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().transpose()).transpose()?;
            if ended.is_some() || started.elapsed() > PATIENCE {
                bail!("the agent does not answer; its log:\n{}", fs::read_to_string(self.log())?);
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        Ok(started.elapsed())
    }

    fn log(&self) -> PathBuf {
        self.state.path().join("agent.log")
    }

    /// A client with deadlines that nothing here should reach.
    pub(crate) fn client(&self) -> Client {
        client(&self.socket())
    }

    /// The running process.
    pub(crate) fn process(&self) -> anyhow::Result<Process> {
        Ok(Process(self.child.as_ref().context("the agent is not running")?.id()))
    }

    /// Its own status.
    pub(crate) fn status(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.client().status()?)?)
    }

    /// Transactions that the store has committed, and how many requests they held; needs [`METRICS`].
    pub(crate) fn commits(&self) -> anyhow::Result<(f64, f64)> {
        let mut stream = UnixStream::connect(self.run.path().join("metrics.sock"))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n")?;
        let (status, text) = read_answer(&mut BufReader::new(stream))?;
        ensure!(status == 200, "the agent's metrics: status {status}");
        let text = String::from_utf8(text)?;
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|value| value.trim().parse().ok())
                .with_context(|| format!("no {name} in the metrics"))
        };
        Ok((value("fm_agent_commit_requests_count")?, value("fm_agent_commit_requests_sum")?))
    }

    /// Requests that wait, for all domains.
    pub(crate) fn waiting(&self) -> anyhow::Result<u64> {
        let status = self.status()?;
        let domains = status["domains"].as_array().context("status has no domains")?;
        Ok(domains.iter().filter_map(|domain| domain["waiting"].as_u64()).sum())
    }

    /// Returns once nothing waits.
    pub(crate) fn drained(&self) -> anyhow::Result<()> {
        wait_for("everything to be delivered", || Ok(self.waiting()? == 0))
    }

    /// Returns once the platform's controller is in this state.
    pub(crate) fn wait_state(&self, state: &str) -> anyhow::Result<()> {
        wait_for(&format!("the controller to be {state}"), || {
            Ok(self.status()?["domains"][0]["state"] == state)
        })
    }

    /// Stops it in order.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        self.end(Signal::SIGTERM)
    }

    /// Kills it as a crash would.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.end(Signal::SIGKILL)
    }

    fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        let mut child = self.child.take().context("the agent is not running")?;
        kill(Pid::from_raw(i32::try_from(child.id())?), signal)?;
        let status = child.wait()?;
        ensure!(
            status.success() || signal == Signal::SIGKILL,
            "the agent ended with {status}; its log:\n{}",
            fs::read_to_string(self.log())?
        );
        Ok(())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // What has ended by itself is ended.
            let _ended = child.kill();
            let _reaped = child.wait();
        }
    }
}

/// A client of the agent at this socket.
pub(crate) fn client(socket: &Path) -> Client {
    Client::new(Options {
        socket: Some(socket.to_owned()),
        write_timeout: PATIENCE,
        read_timeout: PATIENCE,
        ..Options::default()
    })
}

/// Waits until `holds`.
pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let started = Instant::now();
    while !holds()? {
        ensure!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
