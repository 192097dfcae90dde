//! The handle on a running stand-in.
//!
//! The stand-in has a runtime on a thread of its own, so that blocking and asynchronous tests can
//! use it alike. Every method may be called from any thread.

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::app::App;
use crate::config::{SimConfig, User};
use crate::faults::{Fault, FaultId, FaultKind, Service};
use crate::requests::RequestRecord;
use crate::rows::{AlarmRow, EventRow, NewAlarm};

/// Why the stand-in cannot do what was asked of it as test equipment.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// A port cannot be had.
    #[error("cannot listen on {address}: {source}; choose a free port or 0")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The database cannot be opened, read or written.
    #[error("{0}")]
    Database(String),
    /// The runtime or its thread cannot be started.
    #[error("cannot start the stand-in's thread: {0}")]
    Thread(#[source] std::io::Error),
    /// The stand-in's thread ended before it was ready.
    #[error("the stand-in's thread ended before it was ready")]
    Ended,
    /// There is no such row.
    #[error("{0} is not in the stand-in's database")]
    NotFound(String),
}

fn database(error: impl std::fmt::Display) -> SimError {
    SimError::Database(error.to_string())
}

/// A running stand-in; dropping it stops it.
#[derive(Debug)]
pub struct Sim {
    app: Arc<App>,
    shutdown: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sim {
    /// Starts a stand-in; on return its ports answer.
    pub fn start(config: SimConfig) -> Result<Self, SimError> {
        let (shutdown, ended) = oneshot::channel();
        let (ready, started) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("fm-rest-sim".to_owned())
            .spawn(move || run(config, &ready, ended))
            .map_err(SimError::Thread)?;
        let app = started.recv().map_err(|_| SimError::Ended)??;
        Ok(Self { app, shutdown: Some(shutdown), thread: Some(thread) })
    }

    /// The service's base URL without a path, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.app.url()
    }

    /// Keystone's base URL, `http://127.0.0.1:PORT/v3`.
    pub fn keystone_url(&self) -> String {
        self.app.keystone_url()
    }

    /// The control port's URL, when the configuration asked for one.
    pub fn control_url(&self) -> Option<String> {
        self.app.control_url()
    }

    /// Puts a fault in force. A state (refuse, database down, Keystone down) has its effect on return.
    pub fn add_fault(&self, fault: Fault) -> Result<FaultId, SimError> {
        self.app.add_fault(fault)
    }

    /// Ends a fault; `false` when it was over already.
    pub fn remove_fault(&self, id: FaultId) -> Result<bool, SimError> {
        self.app.remove_fault(id)
    }

    /// Ends every fault.
    pub fn clear_faults(&self) -> Result<(), SimError> {
        self.app.remove_faults(|_| true)
    }

    /// Stops the service: connections are reset, new ones refused. Keystone goes on.
    pub fn stop(&self) -> Result<(), SimError> {
        self.add_fault(Fault::new(FaultKind::Refuse)).map(|_| ())
    }

    /// Starts the service again on the same port; like a new process it asks Keystone about every token.
    pub fn restart(&self) -> Result<(), SimError> {
        self.app.restart()
    }

    /// Ends the service as SIGTERM does: requests under way end, new connections hang for `hang`,
    /// then are reset and refused until `restart`.
    pub fn terminate(&self, hang: Duration) {
        self.app.terminate(hang);
    }

    /// Lets the database of the service be down, or up again.
    pub fn set_database_down(&self, down: bool) -> Result<(), SimError> {
        self.set_state(Fault::new(FaultKind::DatabaseDown), down)
    }

    /// Lets Keystone be down (503, for the service too), or up again.
    pub fn set_keystone_down(&self, down: bool) -> Result<(), SimError> {
        self.set_state(Fault::new(FaultKind::KeystoneDown).at_keystone(), down)
    }

    fn set_state(&self, fault: Fault, on: bool) -> Result<(), SimError> {
        let kind = fault.kind;
        self.app.remove_faults(move |known| known.kind == kind)?;
        if on { self.add_fault(fault).map(|_| ()) } else { Ok(()) }
    }

    /// Forgets every token on both sides: 401 until a new one is taken.
    pub fn invalidate_tokens(&self) {
        self.app.keystone.invalidate_all();
    }

    /// Revokes every token at Keystone: those the service knows work on until its cache ends.
    pub fn revoke_tokens(&self) {
        self.app.keystone.revoke_all();
    }

    /// Replaces Keystone's users; tokens already given keep their roles.
    pub fn set_users(&self, users: Vec<User>) {
        self.app.keystone.set_users(users);
    }

    /// Sets how many rows the event log holds, at least 1.
    pub fn set_event_cap(&self, rows: u32) {
        self.app.settings.set_event_cap(rows);
    }

    /// Sets how long a writer's steps lie apart where the real service races.
    pub fn set_race_window(&self, window: Duration) {
        self.app.settings.set_race_window(window);
    }

    /// Sets the share of event-log writes at the cap that collide although nobody else writes.
    pub fn set_collision_probability(&self, probability: f64, seed: u64) {
        self.app.settings.set_collision(probability, seed);
    }

    /// Fills the event log with old logs up to `rows` rows: the steady state of an old installation.
    pub fn fill_event_log(&self, rows: u32) -> Result<(), SimError> {
        self.app.store.fill_events(rows).map_err(database)
    }

    /// Every alarm row, in the order of storing; masked and suppressed ones too.
    pub fn alarms(&self) -> Result<Vec<AlarmRow>, SimError> {
        self.app.store.all_alarms().map_err(database)
    }

    /// Every event row, in the order of storing.
    pub fn events(&self) -> Result<Vec<EventRow>, SimError> {
        self.app.store.all_events().map_err(database)
    }

    /// The requests received so far, in their order.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.app.requests.after(0)
    }

    /// The requests to one service.
    pub fn requests_to(&self, service: Service) -> Vec<RequestRecord> {
        let mut requests = self.requests();
        requests.retain(|request| request.service == service);
        requests
    }

    /// Forgets the requests received so far.
    pub fn clear_requests(&self) {
        self.app.requests.clear();
    }

    /// Adds an alarm row without an event, as another writer does.
    pub fn insert_alarm(&self, alarm: NewAlarm) -> Result<AlarmRow, SimError> {
        self.app.store.insert_alarm(alarm.fields, alarm.masked).map_err(database)
    }

    /// Removes an alarm row without an event, as another writer does.
    pub fn remove_alarm(&self, uuid: &str) -> Result<(), SimError> {
        found(uuid, self.app.store.remove_alarm(uuid))
    }

    /// Masks an alarm, as the manager does, or unmasks it.
    pub fn mask_alarm(&self, uuid: &str, masked: bool) -> Result<(), SimError> {
        found(uuid, self.app.store.mask_alarm(uuid, masked))
    }

    /// Suppresses the alarms of an id, or shows them again.
    pub fn suppress(&self, alarm_id: &str, suppressed: bool) -> Result<(), SimError> {
        found(alarm_id, self.app.store.suppress_alarm_id(alarm_id, suppressed))
    }
}

fn found(what: &str, done: Result<bool, crate::store::StoreError>) -> Result<(), SimError> {
    if done.map_err(database)? { Ok(()) } else { Err(SimError::NotFound(what.to_owned())) }
}

impl Drop for Sim {
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
fn run(config: SimConfig, ready: &mpsc::Sender<Result<Arc<App>, SimError>>, ended: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(256)
        .thread_name("fm-rest-sim-worker")
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            // An error here and below means that the starter is gone; then there is nothing to serve.
            let _gone = ready.send(Err(SimError::Thread(error)));
            return;
        }
    };
    match App::start(config, runtime.handle()) {
        Ok(app) => {
            if ready.send(Ok(Arc::clone(&app))).is_ok() {
                // The sender's end is as good as its word.
                let _dropped = runtime.block_on(ended);
            }
            app.close();
        }
        Err(error) => {
            let _gone = ready.send(Err(error));
        }
    }
    runtime.shutdown_timeout(Duration::from_secs(5));
}
