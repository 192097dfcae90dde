//! Connections: requests in, answers or their faults out.
//!
//! Writes are answered as they come; reads are queued and answered by the poll. So answers to reads come in
//! the order of the reads, and a write sent after a read may overtake it.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::faults::{Fault, FaultKind, Faults};
use crate::port::Port;
use crate::protocol::{Action, HEADER_BYTES, Header, VERSION, frame};
use crate::sim::{ManagerConfig, RequestRecord};
use crate::state::State;

/// The longest message that is read.
const MOST_BYTES: usize = 64 << 20;
/// How often the event log's writer looks at its queue.
const EVENT_TICK: Duration = Duration::from_millis(10);

/// What all connections share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: ManagerConfig,
    pub(crate) port: Port,
    pub(crate) faults: Faults,
    state: Mutex<State>,
    requests: Mutex<Vec<RequestRecord>>,
    reads: Mutex<VecDeque<Job>>,
}

/// A request on its way to its answer.
#[derive(Debug)]
struct Job {
    action: Action,
    body: Vec<u8>,
    fault: Option<Fault>,
    outbox: mpsc::UnboundedSender<Out>,
}

/// What leaves on a connection.
#[derive(Debug)]
enum Out {
    Bytes(Vec<u8>),
    /// These, then the end.
    Last(Vec<u8>),
    Reset,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl App {
    pub(crate) fn new(config: ManagerConfig, port: Port) -> Self {
        let state = Mutex::new(State::new(&config));
        Self {
            config,
            port,
            faults: Faults::default(),
            state,
            requests: Mutex::default(),
            reads: Mutex::default(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn requests(&self) -> MutexGuard<'_, Vec<RequestRecord>> {
        lock(&self.requests)
    }

    /// Dies as by SIGKILL; the port is about to refuse.
    pub(crate) fn die(&self) {
        lock(&self.reads).clear();
        self.state().lose_queue();
        self.port.cut();
    }

    /// Carries out a request, as far as its fault lets it, and answers.
    fn finish(&self, job: &Job) {
        let kind = job.fault.map(|fault| fault.kind);
        let applies = job.fault.is_none_or(|fault| fault.applied || matches!(fault.kind, FaultKind::Slow(_)));
        let answer = applies.then(|| self.state().apply(job.action, &job.body));
        let number = job.action.number();
        let (code, body) = answer.map_or((0, Vec::new()), |(code, body)| (code as u32, body));
        let out = match kind {
            None | Some(FaultKind::Slow(_)) => Out::Bytes(frame(number, code, &body)),
            Some(FaultKind::Hang) => return,
            Some(FaultKind::Reset) => Out::Reset,
            Some(FaultKind::Garbage) => Out::Bytes([&[0, 0, 0, 40][..], &[0xa5; 40]].concat()),
            Some(FaultKind::HalfAnswer) => {
                let mut half = frame(number, code, &body);
                half.truncate(half.len() / 2);
                Out::Last(half)
            }
            Some(FaultKind::Code(code)) => Out::Bytes(frame(number, code, &[])),
            Some(FaultKind::Die) => {
                self.die();
                Out::Reset
            }
        };
        // An error means that the connection is gone already.
        let _gone = job.outbox.send(out);
    }

    /// Answers the reads that wait, each time the poll comes round.
    pub(crate) async fn poll_reads(self: Arc<Self>) {
        loop {
            loop {
                let next = lock(&self.reads).pop_front();
                let Some(job) = next else { break };
                self.finish(&job);
            }
            tokio::time::sleep(self.config.poll).await;
        }
    }

    /// Writes the event log, late.
    pub(crate) async fn write_events(self: Arc<Self>) {
        loop {
            tokio::time::sleep(EVENT_TICK).await;
            self.state().write_events(Instant::now());
        }
    }
}

/// Serves a connection until it ends or the port closes.
pub(crate) async fn serve(stream: TcpStream, connection: u64, app: Arc<App>, stop: CancellationToken) {
    // An error means that the connection is gone already, which the first read tells.
    let _gone = stream.set_nodelay(true);
    let (mut incoming, outgoing) = stream.into_split();
    let (outbox, outgoing_messages) = mpsc::unbounded_channel();
    let over = stop.child_token();
    let writer = tokio::spawn(write(outgoing, outgoing_messages, over.clone()));
    tokio::select! {
        () = over.cancelled() => {}
        ended = read(&mut incoming, connection, &app, &outbox) => {
            if ended.is_err() {
                over.cancel();
            }
        }
    }
    drop(outbox);
    if stop.is_cancelled() {
        // Closed with data unread or not, a dead process's connection is reset.
        let _gone = incoming.as_ref().set_zero_linger();
    }
    drop(incoming);
    over.cancel();
    // A panic of that task has been reported by itself.
    let _panicked = writer.await;
}

async fn read(
    incoming: &mut OwnedReadHalf,
    connection: u64,
    app: &App,
    outbox: &mpsc::UnboundedSender<Out>,
) -> io::Result<()> {
    loop {
        let packet = packet(incoming, app.config.silence).await?;
        let Some(header) = Header::from_bytes(&packet) else { continue };
        let Some(action) = Action::from_number(header.action) else { continue };
        let body = packet.get(HEADER_BYTES..).unwrap_or_default().to_vec();
        let fits = header.version == VERSION && usize::try_from(header.size) == Ok(body.len());
        app.requests().push(RequestRecord { connection, action, body: body.clone() });
        let fault = app.faults.decide(action);
        if let Some(Fault { kind: FaultKind::Slow(delay), .. }) = fault {
            tokio::time::sleep(delay).await;
        }
        // A size that does not fit is told like a body that does not.
        let body = if fits { body } else { Vec::new() };
        let job = Job { action, body, fault, outbox: outbox.clone() };
        if action.is_read() {
            lock(&app.reads).push_back(job);
        } else {
            app.finish(&job);
        }
    }
}

/// One packet. Before it begins it may be awaited for ever, within it silence ends the connection.
async fn packet(incoming: &mut OwnedReadHalf, silence: Duration) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    if incoming.read(&mut length[..1]).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    fill(incoming, &mut length[1..], silence).await?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MOST_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut packet = vec![0; length];
    fill(incoming, &mut packet, silence).await?;
    Ok(packet)
}

async fn fill(incoming: &mut OwnedReadHalf, buffer: &mut [u8], silence: Duration) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        let read = tokio::time::timeout(silence, incoming.read(&mut buffer[filled..])).await??;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += read;
    }
    Ok(())
}

async fn write(
    mut outgoing: OwnedWriteHalf,
    mut messages: mpsc::UnboundedReceiver<Out>,
    over: CancellationToken,
) {
    loop {
        let message = tokio::select! {
            () = over.cancelled() => None,
            message = messages.recv() => message,
        };
        let (bytes, last) = match message {
            None => break,
            Some(Out::Bytes(bytes)) => (bytes, false),
            Some(Out::Last(bytes)) => (bytes, true),
            Some(Out::Reset) => {
                let _gone = outgoing.as_ref().set_zero_linger();
                break;
            }
        };
        // A client that is gone ends the connection too.
        if outgoing.write_all(&bytes).await.is_err() || last {
            break;
        }
    }
    over.cancel();
}
