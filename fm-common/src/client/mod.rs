//! The blocking client: one call, one answer, within a deadline.
//!
//! Invariants:
//! - No call holds its caller past its deadline, whatever the agent does: connecting, sending and
//!   waiting are all bounded by it.
//! - A call whose connection breaks is sent once more on a new connection, under the same token, so
//!   that the agent takes it once.
//! - After a fork, parent and child never share a connection.
//! - Calls of one thread, and calls that follow on each other, take effect in their order, those whose
//!   answers nobody waits for among them.
//! - No signal is raised (`MSG_NOSIGNAL`), no handler changed, no thread started; descriptors are
//!   close-on-exec.
//!
//! It must not know what a request means: that is the agent's business.

mod admin;
mod connection;
mod detached;
mod error;
mod inspect;
mod pool;

use std::env;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::alarm::{Alarm, AlarmKey, InvalidAlarm};
use crate::entity::canonical;
use crate::paths;
use crate::protocol::{Answer, Refusal, Request, RequestHeader};
use crate::timestamp::Timestamp;

pub use error::ClientError;

use connection::{CallFailure, Connection};
use detached::Lanes;
use pool::Pool;

/// Environment variable with the deadline of writes, in milliseconds.
pub const WRITE_TIMEOUT_VARIABLE: &str = "FM_API_TIMEOUT_MS";
/// Environment variable with the deadline of reads, in milliseconds.
pub const READ_TIMEOUT_VARIABLE: &str = "FM_API_READ_TIMEOUT_MS";

/// How a client reaches the agent and how long it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The agent's socket, when it is named.
    pub socket: Option<PathBuf>,
    /// The agent's socket for administrators, when it is named; else it is looked for beside the other one
    /// ([`paths::client_admin_socket`]).
    pub admin_socket: Option<PathBuf>,
    /// The user's runtime directory, where an agent of their own is looked for when no socket is named;
    /// the rule is [`paths::client_socket`].
    pub runtime_dir: Option<PathBuf>,
    /// Deadline of a set or clear, the whole call.
    pub write_timeout: Duration,
    /// Deadline of a read, the whole call.
    pub read_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            socket: None,
            admin_socket: None,
            runtime_dir: None,
            write_timeout: Duration::from_secs(1),
            read_timeout: Duration::from_secs(5),
        }
    }
}

impl Options {
    /// The defaults, with what the environment sets (a deadline that is no positive number of
    /// milliseconds is passed over). This is the only place that reads the environment: programs that
    /// change theirs from several threads must not be read while they do.
    pub fn from_env() -> Self {
        let millis = |variable| {
            let text = env::var(variable).ok()?;
            text.trim().parse().ok().filter(|ms: &u32| *ms > 0).map(|ms| Duration::from_millis(ms.into()))
        };
        let default = Self::default();
        Self {
            socket: env::var_os(paths::SOCKET_VARIABLE).map(PathBuf::from),
            admin_socket: env::var_os(paths::ADMIN_SOCKET_VARIABLE).map(PathBuf::from),
            runtime_dir: env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from),
            write_timeout: millis(WRITE_TIMEOUT_VARIABLE).unwrap_or(default.write_timeout),
            read_timeout: millis(READ_TIMEOUT_VARIABLE).unwrap_or(default.read_timeout),
        }
    }

    fn socket(&self) -> PathBuf {
        paths::client_socket(self.socket.as_deref(), self.runtime_dir.as_deref(), Path::exists)
    }

    fn admin_socket(&self) -> PathBuf {
        paths::client_admin_socket(self.admin_socket.as_deref(), &self.socket())
    }
}

/// A client of the node's agent. Cheap to make, shared freely between threads; calls of several
/// threads go on in parallel.
#[derive(Debug)]
pub struct Client {
    options: Options,
    write_timeout_ms: AtomicU32,
    read_timeout_ms: AtomicU32,
    pool: Pool,
    detached: Lanes,
}

impl Client {
    /// A client with these options. Nothing is connected before the first call.
    pub const fn new(options: Options) -> Self {
        Self {
            write_timeout_ms: AtomicU32::new(millis(options.write_timeout)),
            read_timeout_ms: AtomicU32::new(millis(options.read_timeout)),
            options,
            pool: Pool::new(),
            detached: Lanes::new(),
        }
    }

    /// A client as the environment says.
    pub fn from_env() -> Self {
        Self::new(Options::from_env())
    }

    /// The options that the client was made with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Changes the deadlines for the calls that begin from now on; `None` brings back the one that the
    /// client was made with. Steps of a millisecond, at least one.
    pub fn set_timeouts(&self, write: Option<Duration>, read: Option<Duration>) {
        let write = write.unwrap_or(self.options.write_timeout);
        let read = read.unwrap_or(self.options.read_timeout);
        self.write_timeout_ms.store(millis(write), Ordering::Relaxed);
        self.read_timeout_ms.store(millis(read), Ordering::Relaxed);
    }

    /// Raises an alarm, clears it or records a log, as its state and severity say, and returns its uuid
    /// (for a clear, the empty text). `Ok` means: on this node's disk.
    ///
    /// The uuid is made for this call, whatever uuid the alarm carries: that of an alarm that was read is another
    /// raise's. A set that changes nothing returns the uuid that the alarm has.
    pub fn set(&self, mut alarm: Alarm) -> Result<String, ClientError> {
        stamp(&mut alarm);
        match self.write(&Request::Set(alarm))? {
            Answer::Uuid(uuid) => Ok(uuid),
            Answer::Done => Ok(String::new()),
            other => Err(unexpected(&other)),
        }
    }

    /// As [`Client::set`] for each, all or nothing; the uuids come in the order of the alarms.
    pub fn set_list(&self, mut alarms: Vec<Alarm>) -> Result<Vec<String>, ClientError> {
        alarms.iter_mut().for_each(stamp);
        match self.write(&Request::SetList(alarms))? {
            Answer::Uuids(uuids) => Ok(uuids),
            other => Err(unexpected(&other)),
        }
    }

    /// Clears one alarm. `EntityNotFound` when neither this node nor the controller has it.
    pub fn clear(&self, key: AlarmKey) -> Result<(), ClientError> {
        self.write(&Request::Clear(key)).and_then(done)
    }

    /// Clears every alarm of an entity and of what lies under it.
    pub fn clear_all(&self, entity_instance_id: &str) -> Result<(), ClientError> {
        let entity_instance_id = canonical(entity_instance_id).to_owned();
        self.write(&Request::ClearAll { entity_instance_id }).and_then(done)
    }

    /// Clears each; absent ones are no error.
    pub fn clear_list(&self, keys: Vec<AlarmKey>) -> Result<(), ClientError> {
        self.write(&Request::ClearList(keys)).and_then(done)
    }

    /// As [`Client::set`], but returns as soon as the request is in the agent's socket. The alarm is
    /// checked here, so that only the agent's own failures are left; those the agent logs.
    pub fn set_detached(&self, mut alarm: Alarm) -> Result<String, ClientError> {
        alarm.validate()?;
        stamp(&mut alarm);
        let uuid = alarm.uuid.clone().unwrap_or_default();
        self.post(&Request::Set(alarm))?;
        Ok(uuid)
    }

    /// As [`Client::clear`], but returns as soon as the request is in the agent's socket.
    pub fn clear_detached(&self, key: AlarmKey) -> Result<(), ClientError> {
        key.validate()?;
        self.post(&Request::Clear(key))
    }

    /// As [`Client::clear_all`], but returns as soon as the request is in the agent's socket.
    pub fn clear_all_detached(&self, entity_instance_id: &str) -> Result<(), ClientError> {
        let entity_instance_id = canonical(entity_instance_id).to_owned();
        if entity_instance_id.is_empty() {
            let reason = "is empty; clear-all needs the entity to clear".to_owned();
            return Err(InvalidAlarm { field: "entity_instance_id", reason }.into());
        }
        self.post(&Request::ClearAll { entity_instance_id })
    }

    /// The alarm with exactly this key.
    pub fn get(&self, key: AlarmKey) -> Result<Alarm, ClientError> {
        match self.read(&Request::Get(key))? {
            Answer::Alarm(alarm) => Ok(*alarm),
            other => Err(unexpected(&other)),
        }
    }

    /// Alarms of an entity and of what lies under it, ordered by time raised. `EntityNotFound` when
    /// there is none, `NoConnect` when a controller could not be asked.
    pub fn list_by_entity(&self, entity_instance_id: &str) -> Result<Vec<Alarm>, ClientError> {
        let entity_instance_id = canonical(entity_instance_id).to_owned();
        self.read(&Request::ListByEntity { entity_instance_id }).and_then(alarms)
    }

    /// Alarms with this id, ordered by time raised; failures as for [`Client::list_by_entity`].
    pub fn list_by_id(&self, alarm_id: &str) -> Result<Vec<Alarm>, ClientError> {
        self.read(&Request::ListById { alarm_id: alarm_id.to_owned() }).and_then(alarms)
    }

    /// Alarms with this id, of the entity and of what lies under it, ordered by time raised; failures
    /// as for [`Client::list_by_entity`].
    pub fn list_by_id_and_entity(&self, key: AlarmKey) -> Result<Vec<Alarm>, ClientError> {
        self.read(&Request::ListByIdAndEntity(key)).and_then(alarms)
    }

    /// Whether the agent answers and its disk takes writes.
    pub fn ping(&self) -> Result<(), ClientError> {
        self.write(&Request::Ping).and_then(done)
    }

    /// How the agent and its domains are, as a JSON object.
    pub fn status(&self) -> Result<String, ClientError> {
        match self.read(&Request::Status)? {
            Answer::Status(json) => Ok(json),
            other => Err(unexpected(&other)),
        }
    }

    fn write(&self, request: &Request) -> Result<Answer, ClientError> {
        self.call(request, &self.write_timeout_ms)
    }

    fn read(&self, request: &Request) -> Result<Answer, ClientError> {
        self.call(request, &self.read_timeout_ms)
    }

    fn post(&self, request: &Request) -> Result<(), ClientError> {
        let (timeout, deadline, mut header) = begin(&self.write_timeout_ms);
        header.detached = true;
        let open = || self.connect(deadline).map_err(CallFailure::Final);
        self.detached.send(header, request, deadline, open).map_err(|failure| failure.into_error(timeout))
    }

    fn call(&self, request: &Request, timeout_ms: &AtomicU32) -> Result<Answer, ClientError> {
        let (timeout, deadline, header) = begin(timeout_ms);
        self.detached.settle(header, deadline).map_err(|failure| failure.into_error(timeout))?;
        if request.is_administrative() {
            return self.administer(header, request, deadline, timeout);
        }
        let connection = match self.pool.take() {
            Some(connection) => connection,
            None => self.connect(deadline)?,
        };
        let failure = match self.call_on(connection, header, request, deadline) {
            Err(CallFailure::Broken(error)) => error,
            other => return other.map_err(|failure| failure.into_error(timeout)),
        };
        if Instant::now() >= deadline {
            return Err(ClientError::Broken { source: failure });
        }
        let connection = self.connect(deadline)?;
        self.call_on(connection, header, request, deadline).map_err(|failure| failure.into_error(timeout))
    }

    /// A call for administrators. They are rare, so each has a connection of its own.
    fn administer(
        &self,
        header: RequestHeader,
        request: &Request,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Answer, ClientError> {
        let once = || {
            let mut connection =
                Connection::open(&self.options.admin_socket(), deadline).map_err(CallFailure::Final)?;
            let response = connection.call(header, request, deadline)?;
            response.map_err(|refusal| CallFailure::Final(ClientError::Refused(refusal)))
        };
        let answered = match once() {
            Err(CallFailure::Broken(_)) if Instant::now() < deadline => once(),
            other => other,
        };
        answered.map_err(|failure| failure.into_error(timeout))
    }

    fn connect(&self, deadline: Instant) -> Result<Connection, ClientError> {
        Connection::open(&self.options.socket(), deadline)
    }

    /// One exchange; the connection goes back to the pool only when it is in step.
    fn call_on(
        &self,
        mut connection: Connection,
        header: RequestHeader,
        request: &Request,
        deadline: Instant,
    ) -> Result<Answer, CallFailure> {
        let response = connection.call(header, request, deadline)?;
        self.pool.give_back(connection);
        response.map_err(|refusal| CallFailure::Final(ClientError::Refused(refusal)))
    }
}

/// The time limit of a call that begins now, its end, and its header.
fn begin(timeout_ms: &AtomicU32) -> (Duration, Instant, RequestHeader) {
    let timeout_ms = timeout_ms.load(Ordering::Relaxed);
    let timeout = Duration::from_millis(timeout_ms.into());
    let token = *Uuid::new_v4().as_bytes();
    (timeout, Instant::now() + timeout, RequestHeader { id: 0, timeout_ms, detached: false, token })
}

/// A deadline as the protocol carries it. 49 days are as good as none.
const fn millis(timeout: Duration) -> u32 {
    match timeout.as_millis() {
        0 => 1,
        millis if millis > u32::MAX as u128 => u32::MAX,
        #[expect(clippy::cast_possible_truncation, reason = "checked above; there is no const try_from")]
        millis => millis as u32,
    }
}

/// What only the caller knows: when, and under which name. The name is new for each call: a controller takes a
/// uuid once in its life. A text that is no uuid is left for the agent to refuse by its field's name.
fn stamp(alarm: &mut Alarm) {
    if alarm.uuid.as_deref().is_none_or(|text| text.trim().is_empty() || Uuid::try_parse(text).is_ok()) {
        alarm.uuid = Some(Uuid::new_v4().to_string());
    }
    alarm.timestamp.get_or_insert_with(Timestamp::now);
}

fn done(answer: Answer) -> Result<(), ClientError> {
    match answer {
        Answer::Done => Ok(()),
        other => Err(unexpected(&other)),
    }
}

fn alarms(answer: Answer) -> Result<Vec<Alarm>, ClientError> {
    match answer {
        Answer::Alarms(alarms) => Ok(alarms),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(answer: &Answer) -> ClientError {
    let kind = match answer {
        Answer::Done => "done",
        Answer::Uuid(_) => "uuid",
        Answer::Uuids(_) => "uuids",
        Answer::Alarm(_) => "alarm",
        Answer::Alarms(_) => "alarms",
        Answer::Status(_) => "status",
        Answer::Json(_) => "json",
    };
    ClientError::Refused(Refusal::new(
        crate::ErrorCode::Communications,
        format!("the agent answered with '{kind}', which does not belong to this request"),
    ))
}
