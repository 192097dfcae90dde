//! The socket's limit: the same bytes there and back, through a process that does nothing with them.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use fm_common::protocol::codec;
use fm_common::protocol::{Answer, Request, RequestHeader};

use crate::load::{alarm, crowd};
use crate::stats::Run;

/// Where to listen, and how many bytes go each way.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    socket: PathBuf,
    /// Bytes that come.
    #[arg(long)]
    request: usize,
    /// Bytes that go back.
    #[arg(long)]
    answer: usize,
}

/// Answers each caller, a thread each: the shortest way there is.
pub(crate) fn serve(arguments: &Arguments) -> anyhow::Result<()> {
    let listener = UnixListener::bind(&arguments.socket)?;
    let mut out = std::io::stdout();
    out.write_all(b"ready\n")?;
    out.flush()?;
    for stream in listener.incoming() {
        let mut stream = stream?;
        let (mut request, answer) = (vec![0; arguments.request], vec![0; arguments.answer]);
        std::thread::spawn(move || {
            // A caller that has gone is done.
            while stream.read_exact(&mut request).and_then(|()| stream.write_all(&answer)).is_ok() {}
        });
    }
    Ok(())
}

/// A process that echoes; ended when dropped.
#[derive(Debug)]
pub(crate) struct Echo {
    child: Child,
    directory: tempfile::TempDir,
    request: usize,
    answer: usize,
}

impl Echo {
    /// One that takes and gives as many bytes as a set and its answer have.
    pub(crate) fn of_a_set() -> anyhow::Result<Self> {
        let (request, answer) = set_bytes()?;
        Self::start(request, answer)
    }

    fn start(request: usize, answer: usize) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("fm-bench-").tempdir()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args([
            "echo",
            "--request",
            &request.to_string(),
            "--answer",
            &answer.to_string(),
            "--socket",
        ]);
        command.arg(directory.path().join("e.sock"));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("the echo has no output")?).read_line(&mut line)?;
        ensure!(line == "ready\n", "the echo did not start");
        Ok(Self { child, directory, request, answer })
    }

    /// So many clients, each there and back so many times.
    pub(crate) fn ping(&self, clients: usize, each: usize) -> anyhow::Result<Run> {
        let socket = self.directory.path().join("e.sock");
        crowd(clients, each, |_| {
            let mut stream = UnixStream::connect(&socket)?;
            let (request, mut answer) = (vec![0; self.request], vec![0; self.answer]);
            Ok(move |_| {
                stream.write_all(&request)?;
                Ok(stream.read_exact(&mut answer)?)
            })
        })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The bytes of a set's frame and of its answer's.
fn set_bytes() -> anyhow::Result<(usize, usize)> {
    let mut alarm = alarm("w0", 0, 0);
    let uuid = "00000000-0000-4000-8000-000000000000".to_owned();
    alarm.uuid = Some(uuid.clone());
    alarm.timestamp = Some(fm_common::Timestamp::now());
    let header = RequestHeader { id: 100, timeout_ms: 1000, detached: false, token: [0; 16] };
    let (mut request, mut answer) = (Vec::new(), Vec::new());
    codec::encode_request(&mut request, &header, &Request::Set(alarm))?;
    codec::encode_response(&mut answer, 100, &Ok(Answer::Uuid(uuid)))?;
    Ok((request.len(), answer.len()))
}
