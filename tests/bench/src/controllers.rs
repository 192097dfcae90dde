//! Controllers that are up, down, hung, unreachable or unsteady.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, connect, getsockname, listen, socket,
};
use serde_json::Value;

/// The configuration of a platform whose controller is at this address, without an account.
pub(crate) fn platform(address: SocketAddr) -> String {
    format!("[platform.fm_rest_api]\nendpoint = 'http://{address}'\n")
}

/// The stand-in of fm-rest-api in a process of its own; ended when dropped.
#[derive(Debug)]
pub(crate) struct Sim {
    child: Child,
    pub(crate) address: SocketAddr,
    control: SocketAddr,
}

impl Sim {
    /// One that is up. It forgets everything at its end, asks for no token, and its event log is never full.
    pub(crate) fn start(program: &Path) -> anyhow::Result<Self> {
        Self::start_at(program, "127.0.0.1:0".parse()?)
    }

    /// The same at this address.
    pub(crate) fn start_at(program: &Path, address: SocketAddr) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(["--no-token", "--event-cap", "4000000000", "--listen", &address.to_string()]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("the stand-in has no output")?).read_line(&mut line)?;
        let ready: Value = serde_json::from_str(&line).context("the stand-in did not start")?;
        let address = |name: &str| -> anyhow::Result<SocketAddr> {
            let url = ready[name].as_str().context("the stand-in does not say where it is")?;
            let host = url.trim_start_matches("http://");
            Ok(host.split('/').next().unwrap_or(host).parse()?)
        };
        Ok(Self { address: address("url")?, control: address("control_url")?, child })
    }

    /// One request to its control port.
    pub(crate) fn control(&self, method: &str, path: &str, body: &str) -> anyhow::Result<Value> {
        let mut stream = TcpStream::connect(self.control)?;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: control\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )?;
        let (status, answer) = read_answer(&mut BufReader::new(stream))?;
        ensure!(status == 200, "{method} {path}: status {status}");
        Ok(serde_json::from_slice(&answer)?)
    }

    /// Answers as slowly as the real service was observed to (2026-06): 16 ms for a set, 8 ms for a question.
    pub(crate) fn take_its_time(&self) -> anyhow::Result<()> {
        for (method, ms) in [("POST", 16), ("GET", 8)] {
            let slow = format!(
                r#"{{"kind": "slow", "delay_ms": {ms}, "method": "{method}", "path": "/v1/alarms"}}"#
            );
            self.control("POST", "/faults", &slow)?;
        }
        Ok(())
    }

    /// Requests it was sent by the method, with when each had been read, in microseconds since the epoch.
    pub(crate) fn requests(&self, method: &str) -> anyhow::Result<Vec<Value>> {
        let answer = self.control("GET", "/requests", "")?;
        let requests = answer["requests"].as_array().context("no list of requests")?;
        Ok(requests.iter().filter(|request| request["method"] == method).cloned().collect())
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Reads one answer of HTTP: its status and its body.
pub(crate) fn read_answer(stream: &mut impl BufRead) -> anyhow::Result<(u16, Vec<u8>)> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.with_context(|| format!("'{}' is no answer of HTTP", line.trim()))?;
    let mut length = None;
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        match line.trim().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = Some(value.trim().parse()?);
            }
            Some(_) => {}
            None => break,
        }
    }
    let Some(length) = length else { bail!("an answer without its length") };
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((status, body))
}

/// An address where nothing listens.
pub(crate) fn refused() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A controller that takes connections and never answers.
#[derive(Debug)]
pub(crate) struct Hung {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Hung {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut held = Vec::new();
            while !told.load(Ordering::SeqCst) {
                held.push(listener.accept());
            }
        });
        Ok(Self { address, stop, thread: Some(thread) })
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread; when that fails, it is not there any more.
        if TcpStream::connect(self.address).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ended = thread.join();
        }
    }
}

/// A controller whose address answers nothing at all: its queue is full, so the kernel drops who comes, as a firewall
/// would.
#[derive(Debug)]
pub(crate) struct Blackhole {
    pub(crate) address: SocketAddr,
    /// The listening socket, and those that fill its queue.
    _sockets: Vec<std::os::fd::OwnedFd>,
}

impl Blackhole {
    pub(crate) fn open() -> anyhow::Result<Self> {
        const FILLERS: usize = 8;
        let open = || {
            socket(
                AddressFamily::Inet,
                SockType::Stream,
                SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
                None,
            )
        };
        let listener = open()?;
        bind(listener.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))?;
        listen(&listener, Backlog::new(0)?)?;
        let name: SockaddrIn = getsockname(listener.as_raw_fd())?;
        let mut sockets = vec![listener];
        for _ in 0..FILLERS {
            let filler = open()?;
            // Begun is enough: what fits into the queue takes its place there.
            let _under_way = connect(filler.as_raw_fd(), &name);
            sockets.push(filler);
        }
        let address = SocketAddr::from((name.ip(), name.port()));
        let through = TcpStream::connect_timeout(&address, Duration::from_millis(300));
        ensure!(through.is_err(), "the queue of {address} is not full");
        Ok(Self { address, _sockets: sockets })
    }
}

/// A stand-in that refuses and serves in turn; steady again when dropped.
#[derive(Debug)]
pub(crate) struct Flapping {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<anyhow::Result<Sim>>>,
}

impl Flapping {
    /// Serves for so long, refuses for so long, and so on.
    pub(crate) fn start(sim: Sim, each: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::SeqCst) {
                std::thread::sleep(each);
                sim.control("POST", "/faults", r#"{"kind": "refuse"}"#)?;
                std::thread::sleep(each);
                sim.control("DELETE", "/faults", "")?;
            }
            Ok(sim)
        });
        Self { stop, thread: Some(thread) }
    }

    /// Steady from here on.
    pub(crate) fn steady(mut self) -> anyhow::Result<Sim> {
        self.stop.store(true, Ordering::SeqCst);
        let thread = self.thread.take().context("steady already")?;
        thread.join().map_err(|_| anyhow::anyhow!("the thread of the flapping controller panicked"))?
    }
}

impl Drop for Flapping {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn answers_are_read_to_their_end_and_no_further() {
        let mut stream: &[u8] =
            b"HTTP/1.1 201 Created\r\nContent-Length: 4\r\nx: y\r\n\r\nbodyHTTP/1.1 500 x\r\n\r\n";
        assert_eq!(read_answer(&mut stream).unwrap(), (201, b"body".to_vec()));
        assert!(read_answer(&mut stream).unwrap_err().to_string().contains("without its length"));
        assert!(read_answer(&mut stream).unwrap_err().to_string().contains("no answer of HTTP"));
    }

    #[test]
    fn a_blackhole_answers_nothing_and_a_hung_controller_takes_connections() {
        let hole = Blackhole::open().unwrap();
        let error = TcpStream::connect_timeout(&hole.address, Duration::from_millis(200)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        let hung = Hung::start().unwrap();
        let mut stream = TcpStream::connect(hung.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        assert!(stream.read(&mut [0]).is_err());
    }
}
