//! The handle on a running stand-in.
//!
//! It has a runtime on a thread of its own, so that blocking and asynchronous tests can use it alike.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use fm_common::catalogue::{self, Kind};
use tokio::sync::oneshot;

use crate::faults::Fault;
use crate::layout::AlarmRecord;
use crate::port::Port;
use crate::protocol::Action;
use crate::serve::App;
use crate::state::Event;

/// Why the stand-in cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The port cannot be had.
    #[error("cannot listen on {address}: {source}; choose a free port or 0")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The runtime or its thread cannot be started.
    #[error("cannot start the stand-in's thread: {0}")]
    Thread(#[source] std::io::Error),
    /// The stand-in's thread ended before it was ready.
    #[error("the stand-in's thread ended before it was ready")]
    Ended,
}

/// How a stand-in behaves. The defaults are the manager's own times.
#[derive(Clone, Debug)]
pub struct ManagerConfig {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How often reads are answered.
    pub poll: Duration,
    /// How much later than the answer an event is written.
    pub event_delay: Duration,
    /// How long a peer may be silent within a message.
    pub silence: Duration,
    /// The suppression table: the alarm ids that it takes.
    pub alarm_ids: Vec<String>,
    /// Answer a create with the uuid's 36 characters only.
    pub bare_uuid: bool,
}

impl Default for ManagerConfig {
    fn default() -> Self {
        let alarms = catalogue::entries().iter().filter(|entry| entry.kind == Kind::Alarm);
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            poll: Duration::from_millis(100),
            event_delay: Duration::from_millis(200),
            silence: Duration::from_secs(5),
            alarm_ids: alarms.map(|entry| entry.id.to_owned()).collect(),
            bare_uuid: false,
        }
    }
}

/// A request that was read completely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRecord {
    /// Tells the connections of one opening of the port apart.
    pub connection: u64,
    /// What was asked.
    pub action: Action,
    /// The body as it came.
    pub body: Vec<u8>,
}

/// A running stand-in; dropping it stops it. Every method may be called from any thread.
#[derive(Debug)]
pub struct ManagerSim {
    app: Arc<App>,
    shutdown: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ManagerSim {
    /// Starts a stand-in; on return its port answers.
    ///
    /// # Errors
    /// A port that cannot be had, a thread that cannot be started.
    pub fn start(config: ManagerConfig) -> Result<Self, SimError> {
        let (shutdown, ended) = oneshot::channel();
        let (ready, started) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("fm-manager-sim".to_owned())
            .spawn(move || run(config, &ready, ended))
            .map_err(SimError::Thread)?;
        let app = started.recv().map_err(|_| SimError::Ended)??;
        Ok(Self { app, shutdown: Some(shutdown), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.app.port.address()
    }

    /// Puts a fault in force.
    pub fn add_fault(&self, fault: Fault) {
        self.app.faults.add(fault);
    }

    /// Ends every fault.
    pub fn clear_faults(&self) {
        self.app.faults.clear();
    }

    /// Dies as by SIGKILL: connections are reset, events not yet written are lost, the port refuses. The
    /// tables stay.
    pub fn kill(&self) {
        self.app.die();
        self.app.port.close();
    }

    /// Serves again on the same port.
    ///
    /// # Errors
    /// A port that cannot be had again.
    pub fn restart(&self) -> Result<(), SimError> {
        let address = self.address();
        self.app.port.open(&self.app).map_err(|source| SimError::Listen { address, source })
    }

    /// Lets the database fail every request (11), or work again.
    pub fn set_database_down(&self, down: bool) {
        self.app.state().database_down = down;
    }

    /// Suppresses the alarms of an id, or shows them again; `false` for an id it does not know.
    pub fn suppress(&self, alarm_id: &str, suppressed: bool) -> bool {
        self.app.state().suppress(alarm_id, suppressed)
    }

    /// Adds or replaces an alarm as another program writes it into the tables, without an event.
    pub fn insert(&self, alarm: AlarmRecord) {
        self.app.state().insert(alarm);
    }

    /// Removes an alarm as another program does, without an event; `false` when there is none.
    pub fn remove(&self, alarm_id: &str, entity_instance_id: &str) -> bool {
        let alarms = &mut self.app.state().alarms;
        let before = alarms.len();
        alarms.retain(|row| row.alarm_id != alarm_id || row.entity_instance_id != entity_instance_id);
        alarms.len() != before
    }

    /// Every alarm, in the order of storing; suppressed ones too.
    pub fn alarms(&self) -> Vec<AlarmRecord> {
        self.app.state().alarms.clone()
    }

    /// The event log as it is written so far.
    pub fn events(&self) -> Vec<Event> {
        self.app.state().events.clone()
    }

    /// Whether every event is written.
    pub fn is_settled(&self) -> bool {
        self.app.state().is_settled()
    }

    /// The requests read so far, in their order.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.app.requests().clone()
    }

    /// Forgets the requests read so far.
    pub fn clear_requests(&self) {
        self.app.requests().clear();
    }
}

impl Drop for ManagerSim {
    fn drop(&mut self) {
        if let Some(shutdown) = self.shutdown.take() {
            // An error means that the thread is gone already.
            let _gone = shutdown.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic of that thread has been reported by itself.
            let _panicked = thread.join();
        }
    }
}

/// The stand-in's thread: its runtime lives and ends here.
fn run(
    config: ManagerConfig,
    ready: &mpsc::Sender<Result<Arc<App>, SimError>>,
    ended: oneshot::Receiver<()>,
) {
    // An error in sending means here and below that the starter is gone; then there is nothing to serve.
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("fm-manager-sim-worker")
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let _gone = ready.send(Err(SimError::Thread(error)));
            return;
        }
    };
    match start(config, runtime.handle()) {
        Ok(app) => {
            if ready.send(Ok(Arc::clone(&app))).is_ok() {
                // The sender's end is as good as its word.
                let _dropped = runtime.block_on(ended);
            }
            app.port.close();
        }
        Err(error) => {
            let _gone = ready.send(Err(error));
        }
    }
    runtime.shutdown_timeout(Duration::from_secs(5));
}

fn start(config: ManagerConfig, runtime: &tokio::runtime::Handle) -> Result<Arc<App>, SimError> {
    let address = config.listen;
    let listen = |source| SimError::Listen { address, source };
    let _context = runtime.enter();
    let port = Port::reserve(address, runtime.clone()).map_err(listen)?;
    let app = Arc::new(App::new(config, port));
    app.port.open(&app).map_err(listen)?;
    runtime.spawn(Arc::clone(&app).poll_reads());
    runtime.spawn(Arc::clone(&app).write_events());
    Ok(app)
}
